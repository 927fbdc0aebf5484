//go:build !linux

package main

import "log"

func main() { log.Fatal("the benchmark needs Linux: epoll and /proc") }
