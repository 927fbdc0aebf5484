//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// server is a running peer: one process, or two with a proxy.
type server struct {
	ports     []int // the clients' first
	processes []*process
}

// process is a child that goes when we go, however that comes.
type process struct {
	*exec.Cmd
	ended chan struct{}
	log   string // file of what it prints
}

// startServer starts a peer on a free port and waits until it listens.
func startServer(ctx context.Context, p *peer, dir string) (_ *server, err error) {
	s := &server{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.ports, err = freePorts(p.ports); err != nil {
		return nil, err
	}
	commands, err := p.commands(dir, s.ports)
	if err != nil {
		return nil, err
	}
	for i, command := range commands {
		child, err := startProcess(command, filepath.Join(dir, strconv.Itoa(i)+".log"))
		if err != nil {
			return nil, err
		}
		s.processes = append(s.processes, child)
	}
	for _, port := range s.ports {
		if err := s.listening(ctx, port); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func startProcess(command *exec.Cmd, logFile string) (*process, error) {
	out, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if command.Stdout == nil {
		command.Stdout = out
	}
	command.Stderr = out
	// its own group: Ctrl-C comes to us alone, and we end it
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{Cmd: command, ended: make(chan struct{}), log: logFile}
	go func() {
		command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (s *server) listening(ctx context.Context, port int) error {
	for range 400 {
		c, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return c.Close()
		}
		for _, p := range s.processes {
			if p.hasEnded() {
				return fmt.Errorf("%s ended: %s", filepath.Base(p.Path), p.said())
			}
		}
		if err := sleepUntil(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return err
		}
	}
	return errors.New("the server does not listen after 20 seconds")
}

// stop ends the processes: with SIGTERM, after 5 seconds with SIGKILL.
func (s *server) stop() {
	for _, p := range s.processes {
		p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range s.processes {
		p.kill(5 * time.Second)
	}
}

func (p *process) kill(after time.Duration) {
	select {
	case <-p.ended:
	case <-time.After(after):
		p.Process.Kill()
		<-p.ended
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// said is the last line that the process printed.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return lastLine(text)
}

func lastLine(text []byte) string {
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// sum adds up a figure over the processes of servers.
func sum[N int | time.Duration](servers []*server, of func(pid int) (N, error)) (total N, err error) {
	for _, s := range servers {
		for _, p := range s.processes {
			n, err := of(p.Process.Pid)
			if err != nil {
				return 0, fmt.Errorf("%s: %w: %s", filepath.Base(p.Path), err, p.said())
			}
			total += n
		}
	}
	return total, nil
}

// cpuTime is the process's CPU clock, clock_getcpuclockid(3): user and system time of all
// its threads in nanoseconds, where /proc/<pid>/stat counts hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED
	var t syscall.Timespec
	clock := ^pid<<3 | sched
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); err != 0 {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(t.Nano()), nil
}

func residentSize(pid int) (kB int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(after, &kB)
	return kB, err
}

func socketCount(pid int) (n int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n, err
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(t)):
		return nil
	}
}
