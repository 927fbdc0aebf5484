package wire

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// wall is a clock that can be set, unlike the one that timers go by.
type wall struct {
	mu   sync.Mutex
	skew time.Duration
}

func (w *wall) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

func (w *wall) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = time.Until(t)
}

// step steps the clock, while everybody waits for the next second.
func (w *wall) step(d time.Duration) {
	synctest.Wait()
	w.set(w.now().Add(d))
}

// world is a hub in virtual time, within a bubble of synctest.
type world struct {
	t     *testing.T
	clock *wall
	cfg   *Config
	hub   *Hub
	store *storetest.Faulty
}

// zoneData is loaded once, as it takes a while.
var zoneData = sync.OnceValue(clock.LoadZones)

// inWorld runs a test in virtual time that begins at an instant.
func inWorld(t *testing.T, start, zone string, test func(t *testing.T, w *world)) {
	t.Helper()
	zones := zoneData()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, clock: new(wall), store: &storetest.Faulty{Store: storetest.NewMemory().Node()}}
		at, err := time.Parse(time.RFC3339Nano, start)
		if err != nil {
			t.Fatal(err)
		}
		w.clock.set(at)
		z := mustZone(t, zones, zone)
		table := session.NewTable(session.Config{Zones: zones, Now: w.clock.now})
		pop := table.Push(w.store, zap.NewNop())
		w.cfg = &Config{
			Sessions:     table,
			Policy:       session.Policy{Zone: z, TTL: time.Hour, Ring: time.Minute, MaxAlarms: 10},
			HelloTimeout: time.Minute,
			PingInterval: 30 * time.Second,
			CommandRate:  1000,
			Logger:       zap.NewNop(),
		}
		w.hub = NewHub(w.clock.now, w.cfg)
		defer func() {
			w.hub.Close()
			synctest.Wait()
			pop()
			if err := table.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		test(t, w)
	})
}

// delayStore lets what the table does in the background come to rest, and
// makes each operation of the store take a while.
func (w *world) delayStore(d time.Duration) {
	synctest.Wait()
	w.store.Set(func(string, session.Key) storetest.Fault {
		passed := make(chan struct{})
		time.AfterFunc(d, func() { close(passed) })
		return storetest.Fault{Before: passed}
	})
}

// failStore makes each operation of the store fail, or none.
func (w *world) failStore(err error) {
	w.store.Set(func(string, session.Key) storetest.Fault { return storetest.Fault{Err: err} })
}

// peer is a client at the other end of a pipe.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (w *world) connect() *peer { return w.connectAs(Clock) }

func (w *world) connectAs(role Role) *peer {
	w.t.Helper()
	a, err := w.hub.Admit(netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		w.t.Fatal(err)
	}
	server, client := net.Pipe()
	w.hub.Serve(a, role, server, nil, nil)
	w.t.Cleanup(func() { client.Close() })
	return &peer{w.t, client, bufio.NewReader(client)}
}

// open opens the session with an ID, and returns the ID that it has.
func (w *world) open(id string) (p *peer, session string) {
	w.t.Helper()
	p = w.connect()
	p.send(id)
	session, ok := strings.CutPrefix(p.receive(), "SESSION:")
	if !ok {
		w.t.Fatal("no session")
	}
	return p, session
}

func (p *peer) send(text string) {
	p.t.Helper()
	f := frame.AppendHeader(nil, frame.Text, len(text))
	f[1] |= 0x80
	f = append(f, 0, 0, 0, 0)
	if _, err := p.conn.Write(append(f, text...)); err != nil {
		p.t.Fatal(err)
	}
}

// next is the next frame.
func (p *peer) next() (op frame.Opcode, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		if _, err := io.ReadFull(p.in, long[:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.in, payload)
	return frame.Opcode(head[0] & 0xf), payload, err
}

// receive is the next text message.
func (p *peer) receive() string {
	p.t.Helper()
	for {
		op, payload, err := p.next()
		if err != nil {
			p.t.Fatal(err)
		}
		switch op {
		case frame.Text:
			return string(payload)
		case frame.Close:
			p.t.Fatalf("closed with %d", binary.BigEndian.Uint16(payload))
		case frame.Ping:
			p.pong()
		}
	}
}

func (p *peer) pong() {
	go p.conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
}

// want holds the next messages against those that are to come.
func (p *peer) want(messages ...string) {
	p.t.Helper()
	for _, want := range messages {
		if got := p.receive(); got != want {
			p.t.Fatalf("received %q, want %q", got, want)
		}
	}
}

func TestTransitionInZone(t *testing.T) {
	inWorld(t, "2026-03-29T00:59:57.4Z", "Europe/Paris", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:CET", "2026-03-29T01:59:57+01:00", "2026-03-29T01:59:58+01:00", "2026-03-29T01:59:59+01:00",
			"TZN:CEST", "2026-03-29T03:00:00+02:00", "2026-03-29T03:00:01+02:00")
	})
}

// Moscow moved its clocks in 2011 without a new abbreviation.
func TestTransitionOfOffsetAlone(t *testing.T) {
	inWorld(t, "2014-10-25T21:59:58Z", "Europe/Moscow", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:MSK", "2014-10-26T01:59:58+04:00", "2014-10-26T01:59:59+04:00",
			"TZN:MSK", "2014-10-26T01:00:00+03:00", "2014-10-26T01:00:01+03:00")
	})
}

func TestTicksOnTheSecond(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00.25Z", "UTC", func(t *testing.T, w *world) {
		w.hub.Push(withPrecision(w.cfg, 3))
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00.250+00:00", "2026-11-22T12:00:01.000+00:00", "2026-11-22T12:00:02.000+00:00")
	})
}

func withPrecision(c *Config, p Precision) *Config {
	changed := *c
	changed.Precision = p
	return &changed
}

func TestClockStepsForward(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00", "2026-11-22T12:00:01+00:00")
		w.clock.step(time.Hour + 300*time.Millisecond)
		// The timer for 12:00:02 is under way: no second of the hour follows.
		p.want("2026-11-22T13:00:02+00:00", "2026-11-22T13:00:03+00:00")
	})
}

func TestClockStepsBackABit(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00", "2026-11-22T12:00:01+00:00", "2026-11-22T12:00:02+00:00")
		w.clock.step(-3 * time.Second)
		before := time.Now()
		p.want("2026-11-22T12:00:03+00:00", "2026-11-22T12:00:04+00:00")
		if waited := time.Since(before); waited != 5*time.Second {
			t.Errorf("the next two seconds came after %s", waited)
		}
	})
}

func TestClockStepsBackFar(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00", "2026-11-22T12:00:01+00:00")
		w.clock.step(-time.Hour)
		p.want("2026-11-22T11:00:02+00:00", "2026-11-22T11:00:03+00:00")
	})
}

// missedSeconds is an Observer that counts them.
type missedSeconds struct {
	nobody
	atomic.Int64
}

func (m *missedSeconds) SecondsMissed(n int) { m.Add(int64(n)) }

// After a late wake-up the second that it is comes, on the second from then on.
func TestLateWakeUp(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00", "2026-11-22T12:00:01+00:00")
		var missed missedSeconds
		cfg := *w.cfg
		cfg.Observer = &missed
		w.hub.Push(&cfg)
		w.clock.step(7*time.Second + 600*time.Millisecond)
		p.want("2026-11-22T12:00:09+00:00")
		if n := missed.Load(); n != 7 {
			t.Errorf("%d seconds are counted as missed, want 7", n)
		}
		if now := w.clock.now(); now.Nanosecond() != 600e6 {
			t.Errorf("the late second came at %s", now)
		}
		p.want("2026-11-22T12:00:10+00:00")
		if now := w.clock.now(); now.Nanosecond() != 0 {
			t.Errorf("the next second came at %s", now)
		}
	})
}

// A tick waits for the result of a command, but half a second at most.
func TestTickWaitsForResult(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00.9Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		w.delayStore(400 * time.Millisecond)
		p.send("TZ SET Asia/Tokyo")
		p.want("OK:Asia/Tokyo", "TZN:JST", "2026-11-22T21:00:01+09:00")
		if now := w.clock.now(); now.Nanosecond() != 300e6 {
			t.Errorf("the result came at %s", now)
		}
		p.want("2026-11-22T21:00:02+09:00")
		w.delayStore(1700 * time.Millisecond)
		p.send("TZ SET UTC")
		p.want("2026-11-22T21:00:03+09:00")
		if now := w.clock.now(); now.Nanosecond() != 500e6 {
			t.Errorf("the held tick came at %s", now)
		}
		p.want("OK:UTC", "TZN:UTC", "2026-11-22T12:00:04+00:00")
	})
}

// Two connections of a session see its zone change, also where the sign is
// the same.
func TestZoneSetIsTold(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, id := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		q, _ := w.open(id)
		q.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		p.send("TZ SET Etc/UTC")
		p.want("OK:Etc/UTC", "TZN:UTC", "2026-11-22T12:00:01+00:00")
		q.want("TZN:UTC", "2026-11-22T12:00:01+00:00")
		p.send("TZ SET Etc/UTC")
		p.want("OK:Etc/UTC", "TZN:UTC", "2026-11-22T12:00:02+00:00")
		q.want("TZN:UTC", "2026-11-22T12:00:02+00:00")
	})
}

// A client that does not read misses ticks, delays nobody, and is dropped.
func TestClientThatDoesNotRead(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		slow, _ := w.open("")
		slow.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		for range 3 {
			p.receive()
		}
		// The first of the three was under way; of the others none was queued.
		slow.want("2026-11-22T12:00:01+00:00", "2026-11-22T12:00:03+00:00")
		for range 14 {
			p.receive()
		}
		if _, _, err := slow.next(); err != io.EOF {
			t.Errorf("a client that did not read for long: %v", err)
		}
	})
}

// The store out of reach: a known session is told to come back, and keeps its
// ID; a new visitor cannot be told from one.
func TestStoreOutOfReach(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, id := w.open("")
		p.send("TZ SET Asia/Tokyo")
		for p.receive() != "OK:Asia/Tokyo" {
		}
		p.conn.Close()
		time.Sleep(time.Hour / 2) // it is no longer live
		w.failStore(io.ErrUnexpectedEOF)
		q := w.connect()
		q.send(id)
		op, payload, err := q.next()
		if err != nil || op != frame.Close || binary.BigEndian.Uint16(payload) != frame.StatusTryAgainLater {
			t.Fatalf("%x %q %v", op, payload, err)
		}
		w.failStore(nil)
		again, back := w.open(id)
		if back != id {
			t.Error("the session has another ID")
		}
		again.want("TZN:JST")
	})
}

// A failing store gives ERR, and the session is as before.
func TestStoreFails(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		w.failStore(io.ErrUnexpectedEOF)
		p.send("TZ SET Asia/Tokyo")
		if got := p.receive(); !strings.HasPrefix(got, "ERR:") {
			t.Errorf("received %q", got)
		}
		p.send("TZ GET")
		p.want("OK:UTC", "2026-11-22T12:00:01+00:00")
	})
}

func TestDrain(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		q := w.connect()
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		go w.hub.Stop()
		for _, p := range []*peer{p, q} {
			op, payload, err := p.next()
			if err != nil || op != frame.Close || binary.BigEndian.Uint16(payload) != frame.StatusServiceRestart {
				t.Fatalf("%x %q %v", op, payload, err)
			}
			p.conn.Close()
		}
		if err := w.hub.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := w.hub.Admit(netip.MustParseAddr("192.0.2.1")); err == nil {
			t.Error("a hub that is drained admits connections")
		}
	})
}

// A configuration that is taken back leaves the one before it in force.
func TestConfigStack(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		failed := withPrecision(w.cfg, 6)
		w.hub.Push(failed)
		p.want("2026-11-22T12:00:01.000000+00:00")
		w.hub.Remove(failed)
		p.want("2026-11-22T12:00:02+00:00")
		w.hub.Push(withPrecision(w.cfg, 3))
		w.hub.Remove(w.cfg)
		p.want("2026-11-22T12:00:03.000+00:00")
	})
}

func TestClientNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1/32",
		"::ffff:192.0.2.1": "192.0.2.1/32",
		"2001:db8:1:2::3":  "2001:db8:1:2::/64",
		"fe80::1%eth0":     "fe80::/64",
	} {
		if got := clientNetwork(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	clientNetwork(netip.Addr{}) // a Unix socket has none
}

// A shorter ping interval does not drop those who were pinged by the longer one.
func TestPingIntervalShrinks(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		for range 25 {
			p.receive()
		}
		shorter := *w.cfg
		shorter.PingInterval = time.Second
		w.hub.Push(&shorter)
		for range 20 {
			p.receive()
		}
	})
}

// A client may take its time with the first message.
func TestLateFirstMessage(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		shorter := *w.cfg
		shorter.PingInterval = time.Second
		w.hub.Push(&shorter)
		p := w.connect()
		time.Sleep(30 * time.Second)
		p.send("")
		for range 8 {
			p.receive()
		}
	})
}

// Rings that go on are told in the form of the new configuration, and a
// connection whose sessions moved to another store comes back to it.
func TestReloadWhileRinging(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p, _ := w.open("")
		p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
		p.send("ALARM ADD 12:00:01 Tea")
		for p.receive() != `ALRM:["Tea"]` {
		}
		single := *w.cfg
		single.SingleAlarms = true
		w.hub.Push(&single)
		p.want("2026-11-22T12:00:02+00:00", "ALRM:Tea")

		elsewhere := single
		elsewhere.Sessions = session.NewTable(session.Config{Now: w.clock.now})
		defer elsewhere.Sessions.Close(t.Context())
		go w.hub.Push(&elsewhere)
		op, payload, err := p.next()
		if err != nil || op != frame.Close || binary.BigEndian.Uint16(payload) != frame.StatusServiceRestart {
			t.Errorf("%x %q %v", op, payload, err)
		}
		p.conn.Close()
		synctest.Wait()
		w.hub.Remove(&elsewhere)
	})
}

// A store that is slow with the first message is not the client's fault.
func TestHelloTimeoutWhileOpening(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		hasty := *w.cfg
		hasty.HelloTimeout = time.Second
		w.hub.Push(&hasty)
		p, id := w.open("")
		p.send("TZ SET Asia/Tokyo")
		for p.receive() != "OK:Asia/Tokyo" {
		}
		p.conn.Close()
		time.Sleep(time.Hour / 2) // it is no longer live
		w.delayStore(2 * time.Second)
		q, again := w.open(id)
		if again != id {
			t.Error("the session has another ID")
		}
		q.want("TZN:JST")
	})
}
