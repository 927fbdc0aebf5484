//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

const (
	spareFiles = 1000 // descriptors that a process needs besides those of its connections
	warmUp     = 20   // connections before the measurement: the first ones page the program in
	ahead      = 50 * time.Millisecond
)

// load is what a run puts on a peer.
type load struct {
	connections int
	settle      time.Duration // from the last opening to the measurement, at least a second
	seconds     int
	commands    int // further seconds with commands
	zones, stop int
	paths       string
}

// sample is what one run found.
type sample struct {
	result.Result
	processes int           // of the server, or of all that the connections are split over
	cpu       time.Duration // of these, in the idle seconds
	before    int           // kB of resident memory before the load
	after     int           // at the end of the idle seconds
	stalled   *stalled
}

// stalled is what the server made of clients that stopped reading.
type stalled struct {
	sockets, left       int           // of the servers: when the reading stops, and at the end
	dropped             time.Duration // until the last of the clients was gone; 0: never
	before, most, after int           // kB of resident memory: when the reading stops, at most, and at the end
	missed              int           // ticks, by the others
}

// measure starts a peer, puts the load on it, and stops it.
func (b *bench) measure(p *peer, w load) (s sample, err error) {
	perServer := (b.files - spareFiles) / p.ports
	count := (w.connections + perServer - 1) / perServer
	var servers []*server
	defer func() {
		for _, srv := range servers {
			srv.stop()
		}
	}()
	dir, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	for i := range count {
		sub := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			return s, err
		}
		srv, err := startServer(b.ctx, p, sub)
		if err != nil {
			return s, err
		}
		servers = append(servers, srv)
		s.processes += len(srv.processes)
		if b.small {
			continue
		}
		if _, err := b.loads(p, servers[i:], load{connections: warmUp, settle: time.Second, seconds: 1, paths: w.paths}, sub, nil); err != nil {
			return s, err
		}
	}
	if s.before, err = sum(servers, residentSize); err != nil {
		return s, err
	}
	s.Result, err = b.loads(p, servers, w, dir, func(start time.Time) error { return b.watch(&s, servers, w, start) })
	return s, err
}

// watch takes the servers' figures while the load is on.
func (b *bench) watch(s *sample, servers []*server, w load, start time.Time) error {
	end := start.Add(time.Duration(w.seconds) * time.Second)
	if err := sleepUntil(b.ctx, start.Add(-ahead)); err != nil {
		return err
	}
	cpu, err := sum(servers, cpuTime)
	if err != nil {
		return err
	}
	if w.stop > 0 {
		if s.stalled, err = b.watchStalled(servers, w.stop, start, end.Add(-ahead)); err != nil {
			return err
		}
	}
	if err := sleepUntil(b.ctx, end.Add(-ahead)); err != nil {
		return err
	}
	if s.cpu, err = sum(servers, cpuTime); err != nil {
		return err
	}
	s.cpu -= cpu
	s.after, err = sum(servers, residentSize)
	return err
}

func (s *stalled) String() string {
	dropped := "not dropped"
	if s.dropped > 0 {
		dropped = fmt.Sprintf("dropped after %.1f s", s.dropped.Seconds())
	}
	return fmt.Sprintf("%d ticks missed by others; %s; resident memory %d KB before, %d KB at most, %d KB at the end",
		s.missed, dropped, s.before, s.most, s.after)
}

// watchStalled looks at what becomes of the connections that stop being read.
func (b *bench) watchStalled(servers []*server, stop int, start, end time.Time) (*stalled, error) {
	var s stalled
	var err error
	if s.sockets, err = sum(servers, socketCount); err != nil {
		return nil, err
	}
	if s.before, err = sum(servers, residentSize); err != nil {
		return nil, err
	}
	for time.Now().Before(end) {
		if s.left, err = sum(servers, socketCount); err != nil {
			return nil, err
		}
		if s.after, err = sum(servers, residentSize); err != nil {
			return nil, err
		}
		s.most = max(s.most, s.after)
		if s.dropped == 0 && s.left <= s.sockets-stop {
			s.dropped = time.Since(start)
		}
		if err := sleepUntil(b.ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// loads runs one load client for each server, all over the same seconds. Once all are
// open, it calls watch with the time at which the measurement begins.
func (b *bench) loads(p *peer, servers []*server, w load, dir string, watch func(time.Time) error) (total result.Result, err error) {
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	share := w
	for i, s := range servers {
		share.connections = w.connections * (i + 1) / len(servers)
		share.connections -= w.connections * i / len(servers)
		c, err := b.startClient(p, s, share, filepath.Join(dir, fmt.Sprintf("load%d.log", i)))
		if err != nil {
			return total, err
		}
		clients = append(clients, c)
	}
	for _, c := range clients {
		if err := c.next(&struct{}{}); err != nil {
			return total, err
		}
	}
	start := time.Now().Add(w.settle + time.Second).Truncate(time.Second)
	for _, c := range clients {
		fmt.Fprintln(c.stdin, start.Unix())
	}
	if watch != nil {
		if err := watch(start); err != nil {
			return total, err
		}
	}
	for _, c := range clients {
		var r result.Result
		if err := c.next(&r); err != nil {
			return total, err
		}
		total.Add(r)
	}
	return total, nil
}

// client is a running load client.
type client struct {
	*process
	stdin  io.WriteCloser
	stdout io.Closer
	lines  *bufio.Reader
}

func (b *bench) startClient(p *peer, s *server, w load, logFile string) (*client, error) {
	timeout := 2*time.Minute + time.Duration(w.seconds+w.commands)*time.Second
	args := []string{
		"-addr", "127.0.0.1:" + strconv.Itoa(s.ports[0]), "-wait", "-n", strconv.Itoa(w.connections),
		"-seconds", strconv.Itoa(w.seconds), "-commands", strconv.Itoa(w.commands), "-stop", strconv.Itoa(w.stop),
		"-zones", strconv.Itoa(w.zones),
	}
	if w.zones > 0 {
		timeout += time.Duration(w.connections) * 50 * time.Millisecond // each TZ SET is made durable
	}
	if w.paths != "" {
		args = append(args, "-paths", w.paths)
	}
	if p.ca != "" {
		args = append(args, "-ca", p.ca)
	}
	command := exec.Command(filepath.Join(b.dir, "load"), append(args, "-timeout", timeout.String())...)
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	command.Stdout = out
	process, err := startProcess(command, logFile)
	if err != nil {
		r.Close()
		return nil, err
	}
	context.AfterFunc(b.ctx, func() { process.kill(0) })
	return &client{process: process, stdin: stdin, stdout: r, lines: bufio.NewReader(r)}, nil
}

// next reads the client's next line.
func (c *client) next(v any) error {
	line, err := c.lines.ReadBytes('\n')
	if err == nil {
		return json.Unmarshal(line, v)
	}
	<-c.ended
	return fmt.Errorf("%v: %s", err, c.said())
}

func (c *client) close() {
	c.kill(0)
	c.stdin.Close()
	c.stdout.Close()
}

// raiseFileLimit gives this process and its children as many descriptors as they may
// have, more than that where we may set the limit, and says how many.
func raiseFileLimit() (int, error) {
	const enough = maxConnections + spareFiles
	var l syscall.Rlimit
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: enough, Max: enough}) == nil {
		return enough, nil
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	l.Cur = l.Max
	return int(l.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
