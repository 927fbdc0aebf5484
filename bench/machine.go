//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine says what the benchmark runs on.
func machine(b *bench) string {
	return fmt.Sprintf("%d cores of %s, Linux %s, %s, at most %d descriptors per process, load %s",
		runtime.NumCPU(), cpuModel(), firstLine("/proc/sys/kernel/osrelease"), runtime.Version(), b.files, firstLine("/proc/loadavg"))
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
