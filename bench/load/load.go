//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

// batch is how long messages are left to gather; the kernel notes when each one came.
const batch = time.Millisecond

// load is one run. All but the TLS handshakes happens in one goroutine.
type load struct {
	options
	poll   int
	conns  []*conn // by index; nil before it is opened
	buffer []byte

	begun, opening, opened int        // connections
	ready                  chan *conn // with TLS: connected, handshake done
	failed                 chan error
	zoneNames              []string
	firstOpen, lastOpen    time.Time

	start  chan startOrError
	asked  bool      // for the first second to measure
	phases [3]*tally // opening, idle, commands
	cpu    []time.Duration

	commands
	stopping
	closed      int
	firstClosed error
	stall       time.Duration // the longest time that this process itself was late
}

type startOrError struct {
	second int64
	err    error
}

func newLoad(o options) (*load, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	l := &load{
		options: o,
		poll:    poll,
		conns:   make([]*conn, o.connections),
		buffer:  make([]byte, 128<<10),
		ready:   make(chan *conn, o.inFlight),
		failed:  make(chan error, o.inFlight),
		start:   make(chan startOrError, 1),
	}
	l.phases[0] = newTally(0)
	l.phases[0].from = 0
	l.phases[1] = newTally(o.connections * int(o.seconds))
	l.phases[2] = newTally(o.connections * int(o.commandSeconds))
	return l, nil
}

func (l *load) run() error {
	events := make([]syscall.EpollEvent, 256)
	for {
		now := time.Now()
		if err := l.advance(now); err != nil || l.done(now) {
			return err
		}
		if l.opened == l.connections {
			time.Sleep(batch) // so that the server's writes seldom have to wake us up
		}
		wait := l.sleep(now)
		n, err := syscall.EpollWait(l.poll, events, int((wait+time.Millisecond-1)/time.Millisecond))
		if err != nil && err != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, event := range events[:max(0, n)] {
			if err := l.handle(l.conns[event.Fd]); err != nil {
				return err
			}
		}
		l.stall = max(l.stall, time.Since(now)-wait)
	}
}

// sleep is how long the loop may wait for events.
func (l *load) sleep(now time.Time) time.Duration {
	wait := 100 * time.Millisecond
	if l.tls != nil && l.opened < l.connections {
		wait = time.Millisecond // handshakes are done in goroutines
	}
	if in(l.phases[2], now) {
		wait = min(wait, max(0, l.commands.next.Sub(now)))
	}
	return wait
}

// advance does what the time, and not the server, brings.
func (l *load) advance(now time.Time) error {
	if l.opened < l.connections {
		return l.openMore()
	}
	if err := l.plan(now); err != nil {
		return err
	}
	for i := len(l.cpu); i < 3 && now.Unix() >= l.bound(i); i++ {
		l.cpu = append(l.cpu, ownCPU())
	}
	if l.stop > 0 && now.Unix() >= l.bound(0) {
		l.stopReading(now)
	}
	if in(l.phases[2], now) {
		l.sendCommands(now)
	}
	return nil
}

// plan finds out which seconds are to be measured, once all connections are open.
func (l *load) plan(now time.Time) error {
	if !l.asked {
		l.asked = true
		if !l.wait {
			l.start <- startOrError{second: now.Unix() + 1 + l.settle}
		} else {
			fmt.Printf("{\"opened\":%d}\n", l.opened)
			go func() {
				second, err := startSecond()
				l.start <- startOrError{second, err}
			}()
		}
	}
	select {
	case s := <-l.start:
		if s.err == nil && s.second <= now.Unix() {
			return fmt.Errorf("second %d to start at: want one in the future", s.second)
		}
		l.phases[0].to = s.second
		l.phases[1].from, l.phases[1].to = s.second, s.second+l.seconds
		l.phases[2].from, l.phases[2].to = s.second+l.seconds, s.second+l.seconds+l.commandSeconds
		return s.err
	default:
		return nil
	}
}

// bound is the second in which the i-th phase after the opening begins, or the last one has ended.
func (l *load) bound(i int) int64 {
	if i < 2 {
		return l.phases[i+1].from
	}
	return l.phases[2].to
}

func in(t *tally, now time.Time) bool {
	return t.from < t.to && t.from <= now.Unix() && now.Unix() < t.to
}

// done says whether every second to be measured and every answer has come, or is a second late.
func (l *load) done(now time.Time) bool {
	end := l.phases[2].to
	if end == math.MaxInt64 || now.Unix() < end {
		return false
	}
	if now.Unix() > end {
		return true
	}
	for _, c := range l.conns {
		if c.state == open && (c.last < end-1 || !c.sent.IsZero()) {
			return false
		}
	}
	return true
}

// received counts a time message.
func (l *load) received(c *conn, second int64, at time.Time) {
	for _, t := range l.phases {
		if c.last > 0 && second > c.last+1 {
			t.miss(c.last+1, second)
		}
		if t.from <= second && second < t.to {
			t.count(second, c.last, at)
		}
	}
	c.last = max(c.last, second)
}

// result counts what never came, and sums up.
func (l *load) result() result.Result {
	for _, c := range l.conns[l.stop:] {
		for _, t := range l.phases {
			t.miss(c.last+1, l.phases[2].to)
		}
	}
	r := result.Result{
		Connections: l.connections,
		OpenSeconds: l.lastOpen.Sub(l.firstOpen).Seconds(),
		Opening:     l.phases[0].counts(),
		Idle:        l.phases[1].counts(),
		Commands:    l.phases[2].counts(),
		Sent:        l.commands.sent,
		Answered:    len(l.commands.roundTrips),
		Stopped:     l.stop,
		Closed:      l.closed,
		Stall:       millis(l.stall),
	}
	r.Opening.LateP50, r.Opening.LateP99, r.Opening.LateMax = 0, 0, 0 // the first time messages come at any time
	r.Idle.ClientCPU = millis(l.cpu[1] - l.cpu[0])
	r.Commands.ClientCPU = millis(l.cpu[2] - l.cpu[1])
	r.RoundTripP50, r.RoundTripP99 = l.commands.percentiles()
	if l.firstClosed != nil {
		r.FirstClosed = l.firstClosed.Error()
	}
	return r
}

// ownCPU is the user and system time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
