package natstest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// net3 is the network between the servers of a cluster: each of its links goes one way, from who dials to who listens.
type net3 struct {
	mu    sync.Mutex
	links []*link
}

type link struct {
	from, to int
	cut      bool
	open     map[net.Conn]bool
}

// link returns the address at which node i reaches node j, who listens at target.
func (n *net3) link(tb testing.TB, i, j int, target string) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	l := &link{from: i, to: j, open: make(map[net.Conn]bool)}
	n.mu.Lock()
	n.links = append(n.links, l)
	n.mu.Unlock()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go n.carry(l, c, target)
		}
	}()
	return listener.Addr().String()
}

func (n *net3) carry(l *link, near net.Conn, target string) {
	defer near.Close()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	n.mu.Lock()
	if l.cut {
		n.mu.Unlock()
		return
	}
	l.open[near], l.open[far] = true, true
	n.mu.Unlock()
	go func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}()
	_, _ = io.Copy(far, near)
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(l.open, near)
	delete(l.open, far)
}

// isolate cuts a node off from all others, or joins it to them again.
func (n *net3) isolate(node int, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		if l.from != node && l.to != node {
			continue
		}
		l.cut = cut
		for c := range l.open {
			_ = c.Close()
		}
	}
}
