//go:build linux

package main

import (
	"slices"
	"syscall"
	"time"
)

const (
	senders       = 10                     // each tenth connection sends commands
	floodInterval = 100 * time.Millisecond // of the commands whose answers a stopped client leaves unread
)

// commands is the state of the command phase.
type commands struct {
	turn       int // how many were due
	next       time.Time
	sent       int
	roundTrips []time.Duration
}

// sendCommands sends TIME on the connections whose turn it is: each once in a second, spread over it evenly.
func (l *load) sendCommands(now time.Time) {
	count := (l.connections-l.stop)/senders + 1
	if l.commands.roundTrips == nil {
		l.commands.roundTrips = make([]time.Duration, 0, count*int(l.commandSeconds))
		l.commands.next = now
	}
	for ; !l.commands.next.After(now); l.commands.turn++ {
		l.commands.next = l.commands.next.Add(time.Second / time.Duration(count))
		i := l.stop + l.commands.turn%count*senders
		if i >= l.connections {
			continue
		}
		c := l.conns[i]
		if c.state != open || !c.sent.IsZero() {
			continue // closed, or the last one is not answered yet
		}
		c.sent = time.Now()
		l.commands.sent++
		if err := c.write(timeFrame); err != nil {
			l.end(c, err)
		}
	}
}

func (m *commands) percentiles() (p50, p99 float64) {
	slices.Sort(m.roundTrips)
	return millis(percentile(m.roundTrips, 0.5)), millis(percentile(m.roundTrips, 0.99))
}

// stopping is the state of the clients that stop reading: those of the lowest indices.
type stopping struct {
	begun     bool
	nextFlood time.Time
}

// stopReading has the clients to be stopped read no more. Each second one of them goes on
// sending commands with long answers, so that the server's buffers fill at once.
func (l *load) stopReading(now time.Time) {
	if now.Before(l.stopping.nextFlood) {
		return
	}
	l.stopping.nextFlood = now.Add(floodInterval)
	for _, c := range l.conns[:l.stop] {
		if !l.stopping.begun && c.state == open {
			c.state = stopped
			event := syscall.EpollEvent{Fd: int32(c.index)} // errors are reported all the same
			syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_MOD, c.fd, &event)
		}
		if c.state == stopped && c.index%2 == 0 {
			c.write(listFrame) // an error is one of those that the test is about
		}
	}
	l.stopping.begun = true
}
