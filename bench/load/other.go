//go:build !linux

package main

import "log"

func main() { log.Fatal("the load client needs Linux: epoll") }
