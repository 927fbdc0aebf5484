//go:build linux

// Command bench runs pyws_clock and its peers side by side, under the same load on
// loopback, and prints what each costs. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	maxRounds      = 20
	maxSeconds     = 60
	maxConnections = 100000
	ours           = "pyws_clock"
)

type options struct {
	connections      []int
	tlsConnections   int
	zonesConnections int
	zones            int
	stopConnections  int
	rounds           int
	seconds          int
	peers            []string
	parts            []string
	small            bool
	caddy, tags      string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	runtime.LockOSThread() // children get a signal when the thread that started them ends
	o, err := parse()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func parse() (o options, err error) {
	n := flag.String("n", "1000,5000,10000", "comma-separated numbers of connections")
	peers := flag.String("peers", "c,"+ours+",gws,ws,python", "comma-separated peers, in the order of a round; "+ours+"+log is the server with access logs on")
	parts := flag.String("parts", "ticks,tls,zones,stop", "comma-separated parts to run")
	flag.IntVar(&o.tlsConnections, "tls-n", 5000, "connections of the part tls")
	flag.IntVar(&o.zonesConnections, "zones-n", 50000, "connections of the part zones")
	flag.IntVar(&o.zones, "zones", 400, "zones of the part zones")
	flag.IntVar(&o.stopConnections, "stop-n", 1000, "connections of the part stop, of which every tenth stops reading")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, in each of which every peer has its turn")
	flag.IntVar(&o.seconds, "seconds", 10, "seconds measured in each run")
	flag.BoolVar(&o.small, "small", false, "small and short, with every available peer; checks that nobody misses a tick")
	flag.StringVar(&o.caddy, "caddy", "", "use this Caddy `binary` with the module, instead of building ./cmd/caddy")
	flag.StringVar(&o.tags, "tags", "", "build `tags` for ./cmd/caddy")
	flag.Parse()

	o.peers, o.parts = strings.Split(*peers, ","), strings.Split(*parts, ",")
	for text := range strings.SplitSeq(*n, ",") {
		number, err := strconv.Atoi(text)
		if err != nil {
			return o, err
		}
		o.connections = append(o.connections, number)
	}
	if o.small {
		o.connections, o.tlsConnections, o.zonesConnections, o.stopConnections = []int{200}, 100, 240, 100
		o.zones, o.rounds, o.seconds = 40, 1, 2
		o.peers = []string{"c", ours, ours + "+log", "gws", "ws", "python"}
	}
	return o, o.check()
}

func (o options) check() error {
	for _, n := range append(slices.Clone(o.connections), o.tlsConnections, o.zonesConnections, o.stopConnections) {
		if n < 10 || n > maxConnections {
			return fmt.Errorf("%d connections: want 10 to %d", n, maxConnections)
		}
	}
	if o.rounds < 1 || o.rounds > maxRounds || o.seconds < 1 || o.seconds > maxSeconds {
		return fmt.Errorf("%d rounds of %d seconds: want 1 to %d of 1 to %d", o.rounds, o.seconds, maxRounds, maxSeconds)
	}
	for _, part := range o.parts {
		if !slices.Contains([]string{"ticks", "tls", "zones", "stop"}, part) {
			return fmt.Errorf("part %q: want ticks, tls, zones or stop", part)
		}
	}
	for _, name := range o.peers {
		if makers[name] == nil {
			return fmt.Errorf("peer %q: want one of %s", name, strings.Join(names(), ", "))
		}
	}
	return nil
}

func run(ctx context.Context, o options) (err error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	fmt.Printf("%s\n\n", machine(b))
	for _, part := range []struct {
		name string
		run  func() error
	}{{"ticks", b.runTicks}, {"tls", b.runTLS}, {"zones", b.runZones}, {"stop", b.runStop}} {
		if !slices.Contains(o.parts, part.name) {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if !o.small {
		b.printGoals()
	}
	return errors.Join(b.faults...)
}
