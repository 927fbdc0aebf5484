package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// closed reads up to the close frame and returns its status.
func (p *peer) closed() int {
	p.t.Helper()
	for {
		op, payload, err := p.next()
		if err != nil {
			p.t.Fatal(err)
		}
		if op == frame.Close {
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

// The number comes back as it was written, however that is.
func TestTimeRequest(t *testing.T) {
	answer := regexp.MustCompile(`^\{"c":(.*),"s":1795348800250\.500,"e":\d+(\.\d+)?,"l":[0-3]\}$`)
	inWorld(t, "2026-11-22T12:00:00.2505Z", "UTC", func(t *testing.T, w *world) {
		p := w.connectAs(TimeSource)
		for _, number := range []string{"0", "-0", "1", "1.0", "1.50", "-12.25e+3", "1E9", "1795348800250.123456789", strings.Repeat("9", 400)} {
			p.send(`{"c": ` + number + ` }`)
			if got := answer.FindStringSubmatch(p.receive()); got == nil || got[1] != number {
				t.Errorf("%s: %q", number, got)
			}
		}
	})
}

func TestTimeRequestMalformed(t *testing.T) {
	for _, request := range []string{
		"", "x", "null", "1", `"c"`, `[1]`, `[{"c":1}]`, `{}`, `{"c"}`, `{"c":}`, `{"c":"1"}`, `{"c":null}`, `{"c":true}`, `{"c":[1]}`, `{"c":{"c":1}}`,
		`{"C":1}`, `{"d":1}`, `{"c":1,"d":2}`, `{"c":01}`, `{"c":+1}`, `{"c":1.}`, `{"c":.5}`, `{"c":NaN}`, `{"c":1}x`, `{"c":1}{"c":1}`, `{"c":1`,
	} {
		inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
			p := w.connectAs(TimeSource)
			p.send(request)
			if status := p.closed(); status != frame.StatusPolicyViolation {
				t.Errorf("%q: closed with %d", request, status)
			}
		})
	}
}

// Ten requests at once are always taken, more only where the rate allows.
func TestTimeRequestRate(t *testing.T) {
	for _, c := range []struct{ rate, burst int }{{1, 10}, {4, 10}, {20, 40}} {
		inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
			w.cfg.CommandRate = c.rate
			p := w.connectAs(TimeSource)
			for range 3 {
				time.Sleep(time.Duration(c.burst/c.rate+1) * time.Second)
				for i := range c.burst {
					p.send(fmt.Sprintf(`{"c":%d}`, i))
					if got := p.receive(); !strings.HasPrefix(got, fmt.Sprintf(`{"c":%d,`, i)) {
						t.Fatalf("rate %d, request %d: %s", c.rate, i, got)
					}
				}
			}
			p.send(`{"c":1}`)
			if status := p.closed(); status != frame.StatusPolicyViolation {
				t.Errorf("rate %d: closed with %d", c.rate, status)
			}
		})
	}
}

// A time source tells nothing unasked, has no deadline for a first message,
// and is pinged often enough for QUIC.
func TestTimeSourceIsQuiet(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p := w.connectAs(TimeSource)
		for last := time.Now(); time.Since(last) < time.Hour; {
			before := time.Now()
			op, _, err := p.next()
			if err != nil || op != frame.Ping {
				t.Fatalf("%x %v", op, err)
			}
			if waited := time.Since(before); waited < 14*time.Second || waited > 16*time.Second {
				t.Fatalf("a ping after %s", waited)
			}
			p.pong()
		}
		p.send(`{"c":1}`)
		if got := p.receive(); !strings.HasPrefix(got, `{"c":1,`) {
			t.Error(got)
		}
	})
}

func TestTimeSourceWithoutPong(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p := w.connectAs(TimeSource)
		before := time.Now()
		for range 4 {
			if op, _, err := p.next(); err != nil || op != frame.Ping {
				t.Fatalf("%x %v", op, err)
			}
		}
		if _, _, err := p.next(); err != io.EOF {
			t.Error(err)
		}
		if waited := time.Since(before); waited < 2*w.cfg.PingInterval || waited > 3*w.cfg.PingInterval {
			t.Errorf("dropped after %s", waited)
		}
	})
}

// A time source that does not read is dropped, and one that is drained told so.
func TestTimeSourceEnds(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		w.cfg.MaxConnections = 2
		slow, good := w.connectAs(TimeSource), w.connectAs(TimeSource)
		if _, err := w.hub.Admit(netip.Addr{}); err != ErrFull {
			t.Errorf("a third connection: %v", err)
		}
		for range 3 {
			slow.send(`{"c":1}`)
		}
		for range 2 {
			if op, _, err := good.next(); err != nil || op != frame.Ping {
				t.Fatalf("%x %v", op, err)
			}
			good.pong()
		}
		if status := w.hub.Status(); status.States["open"] != 1 {
			t.Errorf("connections: %v", status.States)
		}
		go w.hub.Stop()
		if status := good.closed(); status != frame.StatusServiceRestart {
			t.Errorf("closed with %d", status)
		}
	})
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", time.Microsecond: "0.001", 1500 * time.Microsecond: "1.5", 16 * time.Second: "16000"} {
		if got, err := milliseconds(d).MarshalJSON(); string(got) != want || err != nil {
			t.Errorf("%s: %s %v, want %s", d, got, err, want)
		}
	}
}
