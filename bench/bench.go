//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const commandConnections = 5000 // commands are measured where the connections are as many

// bench is one call of this command: what it needs, and what it found.
type bench struct {
	options
	ctx    context.Context
	source string // directory of this package
	dir    string // temporary
	files  int    // descriptors that a process may have

	ready   map[string]*peer // by name; nil: skipped
	ticks   []*series
	tls     *series
	spread  *series
	stalled *stalled

	// of our server
	ran    int     // how often it ran
	wrong  int     // seconds that a client did not receive exactly once, in order and on time
	faults []error // what may not be
}

// series is what was found of servers that took turns.
type series struct {
	title   string
	turns   []turn
	samples map[string][]sample // by name of the turn, in the order of the rounds
}

type turn struct {
	name string
	peer *peer
	load load
}

func newBench(ctx context.Context, o options) (*bench, error) {
	b := &bench{options: o, ctx: ctx, ready: make(map[string]*peer)}
	var err error
	if b.source, err = b.output("go", "list", "-f", "{{.Dir}}", "github.com/pyws-clock/pyws_clock/bench"); err != nil {
		return nil, err
	}
	if b.files, err = raiseFileLimit(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "pyws_clock-bench-"); err != nil {
		return nil, err
	}
	if _, err = b.output("go", "build", "-C", b.source, "-o", filepath.Join(b.dir, "load"), "./load"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

// say tells of progress, apart from the results.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// peer gets a peer ready, once; nil if it has to be skipped. Ours never is.
func (b *bench) peer(name string) (*peer, error) {
	if p, done := b.ready[name]; done {
		return p, nil
	}
	p, err := makers[name](b)
	switch {
	case err == nil:
		fmt.Printf("- %s: %s\n", name, p.about)
	case strings.HasPrefix(name, ours) || b.ctx.Err() != nil:
		return nil, err
	default:
		fmt.Printf("- %s: skipped: %v\n", name, err)
		p = nil
	}
	b.ready[name] = p
	return p, nil
}

// load is one without commands.
func (b *bench) load(connections int) load {
	w := load{connections: connections, settle: 3 * time.Second, seconds: b.seconds}
	if b.small {
		w.settle = time.Second
	}
	return w
}

// series has servers take turns, round after round.
func (b *bench) series(title string, turns []turn) (*series, error) {
	s := &series{title: title, turns: turns, samples: make(map[string][]sample)}
	for round := range b.rounds {
		for _, t := range turns {
			found, err := b.measure(t.peer, t.load)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			b.say("%s, round %d, %s: %v", title, round+1, t.name, found)
			b.look(title, t.name, found)
			s.samples[t.name] = append(s.samples[t.name], found)
		}
	}
	s.print()
	return s, nil
}

// look notes what may never happen with our server. Ticks may be missed while connections are
// opened as fast as the machine can: these are shown, but a fault only in the small mode.
func (b *bench) look(title, name string, s sample) {
	if !strings.HasPrefix(name, ours) {
		return
	}
	wrong := s.Opening.Wrong() + s.Idle.Wrong() + s.Commands.Wrong()
	if !b.small {
		wrong -= s.Opening.Missed
	}
	b.ran++
	b.wrong += wrong
	if wrong+s.Closed > 0 {
		b.faults = append(b.faults, fmt.Errorf("%s, %s: %d ticks missed, doubled, out of order or early, %d connections ended (%s); the load client stood still for up to %.0f ms",
			title, name, wrong, s.Closed, s.FirstClosed, s.Stall))
	}
	if s.Answered < s.Sent {
		b.faults = append(b.faults, fmt.Errorf("%s, %s: %d of %d commands answered", title, name, s.Answered, s.Sent))
	}
}

// runTicks compares the peers.
func (b *bench) runTicks() error {
	var peers []*peer
	for _, name := range b.peers {
		p, err := b.peer(name)
		if err != nil {
			return err
		}
		if p != nil {
			peers = append(peers, p)
		}
	}
	for _, n := range b.connections {
		w := b.load(n)
		if n == commandConnections || b.small {
			w.commands = b.seconds
		}
		var turns []turn
		for _, p := range peers {
			turns = append(turns, turn{p.name, p, w})
		}
		s, err := b.series(fmt.Sprintf("%d connections", n), turns)
		if err != nil {
			return err
		}
		b.ticks = append(b.ticks, s)
	}
	return nil
}

// runTLS compares our server over TLS with Caddy's reverse_proxy in front of npm ws.
func (b *bench) runTLS() error {
	w := b.load(b.tlsConnections)
	p, err := b.clockPeer(site{tls: true})
	if err != nil {
		return err
	}
	turns := []turn{{p.name, p, w}}
	ws, err := b.peer("ws")
	if err != nil {
		return err
	}
	if ws != nil {
		proxy, err := b.clockPeer(site{tls: true, proxy: ws})
		if err != nil {
			return err
		}
		turns = append(turns, turn{proxy.name, proxy, w})
	}
	b.tls, err = b.series(fmt.Sprintf("%d connections over TLS", w.connections), turns)
	return err
}

// runZones compares sessions in many zones and three precisions with as many in one.
func (b *bench) runZones() error {
	p, err := b.clockPeer(site{})
	if err != nil {
		return err
	}
	one := b.load(b.zonesConnections)
	one.zones = 1 // set by each, so that both have the same records and the same past
	many := one
	many.zones, many.paths = b.zones, "/,/ms,/us"
	b.spread, err = b.series(fmt.Sprintf("%d sessions", one.connections),
		[]turn{{oneZone, p, one}, {manyZones, p, many}})
	return err
}

// runStop has clients of our server stop reading.
func (b *bench) runStop() error {
	p, err := b.clockPeer(site{ping: "2s"})
	if err != nil {
		return err
	}
	w := b.load(b.stopConnections)
	w.seconds, w.stop = 15, w.connections/10
	s, err := b.measure(p, w)
	if err != nil {
		return err
	}
	s.stalled.missed = s.Idle.Missed
	title := fmt.Sprintf("%d of %d clients stop reading", w.stop, w.connections)
	b.say("%s: %v", title, s.stalled)
	b.look(title, p.name, s)
	if s.stalled.dropped == 0 {
		b.faults = append(b.faults, fmt.Errorf("%s: %d of them are still connected after %d s",
			title, w.stop-(s.stalled.sockets-s.stalled.left), w.seconds))
	}
	b.stalled = s.stalled
	return nil
}
