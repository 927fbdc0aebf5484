package wire

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
	"github.com/pyws-clock/pyws_clock/wire/link"
)

func BenchmarkRender(b *testing.B) {
	zones := clock.LoadZones()
	for _, n := range []int{1, 40, 400} {
		b.Run(fmt.Sprint(n, " zones"), func(b *testing.B) {
			var all feeds
			for _, name := range zones.Names("")[:n] {
				all.use(mustZone(b, zones, name))
			}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				all.render(now, 0)
			}
		})
	}
}

func mustZone(tb testing.TB, zones *clock.Zones, name string) *clock.Zone {
	tb.Helper()
	zone, err := zones.Zone(name)
	if err != nil {
		tb.Fatal(err)
	}
	return zone
}

// pipe is a link in memory to a client that reads at once.
type pipe struct{ bytes int }

func (p *pipe) Start([]byte)               {}
func (p *pipe) Send(b []byte) (int, error) { p.bytes += len(b); return len(b), nil }
func (p *pipe) CloseWrite() error          { return nil }
func (p *pipe) Close() error               { return nil }

// benchHub is a hub whose ticks the benchmark gives.
func benchHub(b *testing.B) *Hub {
	zones := clock.LoadZones()
	table := session.NewTable(session.Config{Zones: zones})
	pop := table.Push(storetest.NewMemory().Node(), zap.NewNop())
	h := NewHub(func() time.Time { return time.Unix(0, 0) }, &Config{
		Sessions:     table,
		Policy:       session.Policy{Zone: mustZone(b, zones, "Europe/Paris"), TTL: time.Hour, Ring: time.Minute, MaxAlarms: 10},
		PingInterval: 1000 * time.Hour,
		HelloTimeout: time.Hour,
		CommandRate:  1 << 30,
		Logger:       zap.NewNop(),
	})
	b.Cleanup(func() {
		h.stop()
		<-h.done
		pop()
		_ = table.Close(b.Context())
	})
	return h
}

// benchConn is a connection of the hub, opened.
func benchConn(b *testing.B, h *Hub, l link.Link) *conn {
	a, err := h.Admit(netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		b.Fatal(err)
	}
	c := &conn{hub: h, admission: a, link: l, pingAt: 1000 * time.Hour}
	h.mu.Lock()
	c.index = len(h.conns)
	h.conns = append(h.conns, c)
	h.mu.Unlock()
	c.hello("")
	return c
}

// A tick to 10,000 connections: without the system calls, what is left is
// this program's own part.
func BenchmarkFanOut(b *testing.B) {
	const connections = 10_000
	h := benchHub(b)
	for range connections {
		benchConn(b, h, new(pipe))
	}
	second := time.Unix(1, 0)
	h.tickAt(second)
	b.ReportAllocs()
	for b.Loop() {
		second = second.Add(time.Second)
		h.tickAt(second)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/connections, "ns/tick")
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, text, err := parse("tz set Europe/Paris"); err != nil || text != "Europe/Paris" {
			b.Fatal(text, err)
		}
	}
}

func BenchmarkCommand(b *testing.B) {
	c := benchConn(b, benchHub(b), new(pipe))
	b.ReportAllocs()
	for b.Loop() {
		c.command("TIME")
	}
}

// A new visitor from the first message to the first time.
func BenchmarkOpen(b *testing.B) {
	h := benchHub(b)
	b.ReportAllocs()
	for b.Loop() {
		c := benchConn(b, h, new(pipe))
		c.Ended(io.EOF)
	}
}
