package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// timeAnswer is an answer of the time protocol, whose clients see numbers as
// float64.
type timeAnswer struct {
	C, S, E float64
	L       int
}

// webClock is a client of the time protocol: its own clock counts the
// milliseconds since some moment, as performance.now() of a browser does.
type webClock struct {
	*client
	start time.Time // without a monotonic clock: this machine's clock counts, as the server's does
}

func (c *webClock) now() float64 { return time.Now().Round(0).Sub(c.start).Seconds() * 1000 }

// synchronise is what the clients of the protocol do: it sends five requests
// at once, keeps the answer with the shortest round trip, and returns how far
// the server's clock is ahead of its own, the error of that at most, and how
// far the server's clock may be off.
func (c *webClock) synchronise() (offset, atMost, uncertainty float64) {
	c.t.Helper()
	for range 5 {
		c.send(fmt.Sprintf(`{"c":%.6f}`, c.now()))
	}
	shortest := math.Inf(1)
	for range 5 {
		var a timeAnswer
		if err := json.Unmarshal([]byte(c.receive()), &a); err != nil {
			c.t.Fatal(err)
		}
		if a.E < 0 || a.L < 0 || a.L > 3 {
			c.t.Errorf("answer %+v", a)
		}
		received := c.now()
		if roundTrip := received - a.C; roundTrip < shortest {
			shortest = roundTrip
			offset, atMost, uncertainty = a.S-(a.C+received)/2, roundTrip/2, a.E
		}
	}
	return offset, atMost, uncertainty
}

func TestTimeSubprotocol(t *testing.T) {
	srv := startTLS(t, site{options: "hello_timeout 1s"})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := srv.browser(t, version)
			c := &webClock{b.socket("chat", "time"), time.Now().Round(0)}
			if got := c.conn.Subprotocol(); got != "time" {
				t.Errorf("the subprotocol is %q", got)
			}
			wait := b.session("")
			if got := wait.conn.Subprotocol(); got != "" {
				t.Errorf("without a wish the subprotocol is %q", got)
			}
			for range 2 {
				offset, atMost, uncertainty := c.synchronise()
				// Both clocks are this machine's, so the server's uncertainty
				// plays no part. Numbers of this size are exact to a quarter of
				// a microsecond, and the server's are cut to the microsecond.
				ahead := float64(c.start.UnixMicro()) / 1000
				if math.Abs(offset-ahead) > atMost+0.003 {
					t.Errorf("an offset of %f ms, want %f within %f", offset, ahead, atMost)
				}
				t.Logf("an offset of %.3f ms, right within %.3f and %.3f ms", offset-ahead, atMost, uncertainty)
				for range 3 {
					wait.tick() // nothing comes unasked, and no first message is awaited
				}
			}
			c.send("what time is it?")
			if status, _ := c.closed(); status != 1008 {
				t.Errorf("closed with %d", status)
			}
		})
	}
}

func TestTimeRate(t *testing.T) {
	srv := startTLS(t, site{options: "command_rate 1"})
	c := srv.browser(t, "HTTP/1.1").socket("time")
	for i := range 10 {
		c.send(fmt.Sprintf(`{"c":%d}`, i))
	}
	for i := range 10 {
		if answer := c.receive(); !strings.HasPrefix(answer, fmt.Sprintf(`{"c":%d,`, i)) {
			t.Errorf("request %d: %s", i, answer)
		}
	}
	for range 100 {
		_ = c.conn.Write(t.Context(), 1, []byte(`{"c":1}`))
	}
	if status, _ := c.closed(); status != 1008 {
		t.Errorf("closed with %d", status)
	}
}
