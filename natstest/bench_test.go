package natstest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// durable is how servers have to be configured for what was acknowledged to outlive a power failure.
const durable = "sync_interval: always"

// engines are those that are measured: processes of their own.
var engines = []struct {
	name string
	setup
}{
	{"one", setup{processes: true}},
	{"one, durable", setup{processes: true, jetstream: durable}},
	{"three", setup{nodes: 3, processes: true}},
	{"three, durable", setup{nodes: 3, processes: true, jetstream: durable}},
}

// BenchmarkMessage measures how long it takes from a command on one node to its result, and to the message that it brings
// about on another node: both over WebSocket, through a third Caddy.
func BenchmarkMessage(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			_, front := balanced(b, launch(b, e.setup))
			near, far := twoDevices(b, front, "")
			far.ok("ALARM WATCH")
			change := func(i int) (stored, told time.Duration) {
				command, list := "ALARM ADD 2099-12-24T18:00 Tea", `ALARMS:[{"name":"Tea"`
				if i%2 == 1 {
					command, list = "ALARM DEL Tea", "ALARMS:[]"
				}
				heard := make(chan error, 1)
				began := time.Now()
				go func() {
					m, err := "", error(nil)
					for err == nil && !strings.HasPrefix(m, list) {
						m, err = far.read()
					}
					told = time.Since(began)
					heard <- err
				}()
				near.ok(command)
				stored = time.Since(began)
				if err := <-heard; err != nil {
					b.Fatal(err)
				}
				return stored, told
			}
			change(0)
			change(1)
			var stored, told []time.Duration
			for i := range b.N {
				s, t := change(i)
				stored, told = append(stored, s), append(told, t)
			}
			percentiles(b, stored, "stored")
			percentiles(b, told, "told")
		})
	}
}

func twoSites(e *engine) []*site {
	bucket := newBucket()
	if len(e.nodes) == 1 {
		return []*site{newSite(e.tb, e.store(bucket, e.nodes[0].url())), newSite(e.tb, e.store(bucket, e.nodes[0].url()+"/"))}
	}
	return e.sites(bucket)
}

func percentiles(b *testing.B, times []time.Duration, what string) {
	slices.Sort(times)
	for _, p := range []struct {
		name string
		part int
	}{{"p50", 50}, {"p99", 99}} {
		b.ReportMetric(float64(times[(len(times)-1)*p.part/100].Microseconds())/1000, p.name+"-ms-"+what)
	}
}

// BenchmarkChanges measures how many changes are stored in a second, of 96 sessions at once, on one site and on three.
func BenchmarkChanges(b *testing.B) {
	for _, e := range engines {
		for _, many := range []int{1, 3} {
			b.Run(fmt.Sprintf("engine %s/sites %d", e.name, many), func(b *testing.B) {
				engine := launch(b, e.setup)
				bucket := newBucket()
				var sites []*site
				for i := range many { // servers that are named more often make it another connection
					url := engine.nodes[i%len(engine.nodes)].url()
					sites = append(sites, newSite(b, engine.store(bucket, slices.Repeat([]string{url}, i+1)...)))
				}
				var sessions [96]*listener
				for i := range sessions {
					sessions[i] = sites[i%many].open("")
					if err := sessions[i].setZone("Asia/Tokyo"); err != nil {
						b.Fatal(err)
					}
				}
				zones := []string{"Asia/Tokyo", "Europe/Paris"}
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for _, l := range sessions {
					wg.Go(func() {
						for n := left.Add(-1); n >= 0; n = left.Add(-1) {
							if err := l.setZone(zones[n%2]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			})
		}
	}
}

// BenchmarkIdle measures what a site with 10,000 live sessions that nobody changes costs the servers, and what they
// need without it.
func BenchmarkIdle(b *testing.B) {
	const live, window = 10_000, 20 * time.Second
	e := launch(b, setup{nodes: 3, processes: true})
	ctx, cancel := caddy.NewContext(caddy.Context{Context: b.Context()})
	store := &natsstore.Store{Servers: e.urls(), Bucket: newBucket(), Replicas: "3"}
	if err := store.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	s := newSite(b, store)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range live / 50 {
				if err := s.open("").setZone("Asia/Tokyo"); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	until(b, "the watch is in place", func() bool { return statusOf(b, store).Watches == 1 })
	with := e.usage(b, window)
	b.ReportMetric(float64(s.table.Len()), "live")

	_ = s.table.Close(b.Context())
	cancel()
	_ = store.Cleanup()
	until(b, "the connection is closed", func() bool { return e.counters(b).connections == 0 })
	alone := e.usage(b, window)
	for name, u := range map[string]usage{"": with, "-without": alone} {
		b.ReportMetric(u.messages/window.Seconds(), "msgs/s"+name)
		b.ReportMetric(u.bytes/window.Seconds(), "bytes/s"+name)
		b.ReportMetric(u.cpu/window.Seconds()*100, "cpu-%"+name)
	}
	b.ReportMetric(with.connections, "connections")
	b.ReportMetric(with.consumers, "consumers")
	b.ReportMetric(with.memory/3/(1<<20), "MiB/server")
	b.ReportMetric(with.stored/3/(1<<20), "stored-MiB/server")
}

// usage is what all servers together did in a while, and what they have at its end.
type usage struct {
	messages, bytes, cpu float64 // in the while; CPU in seconds
	memory, stored       float64 // bytes
	connections          float64
	consumers            float64
}

func (e *engine) usage(b *testing.B, window time.Duration) (u usage) {
	b.Helper()
	before := e.counters(b)
	time.Sleep(window)
	after := e.counters(b)
	after.messages -= before.messages
	after.bytes -= before.bytes
	after.cpu -= before.cpu
	return after
}

// counters are those since the start.
func (e *engine) counters(b *testing.B) (u usage) {
	b.Helper()
	for _, n := range e.nodes {
		var v server.Varz
		var js server.JSInfo
		if err := errors.Join(n.get("/varz", &v), n.get("/jsz", &js)); err != nil {
			b.Fatal(err)
		}
		u.messages += float64(v.InMsgs + v.OutMsgs)
		u.bytes += float64(v.InBytes + v.OutBytes)
		u.cpu += n.cpu(b)
		u.memory += float64(v.Mem)
		u.stored += float64(js.Store)
		u.connections += float64(v.Connections)
		u.consumers += float64(js.Consumers)
	}
	return u
}

// cpu is the processor time of the node's process, in seconds.
func (n *node) cpu(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Process.Pid))
	if err != nil {
		b.Skip("no processor times here: ", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // of USER_HZ
}
