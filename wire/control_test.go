package wire

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// control sends a ping or a pong.
func (p *peer) control(op frame.Opcode, payload string) {
	p.t.Helper()
	if _, err := p.conn.Write(clientFrame(0x80|byte(op), payload)); err != nil {
		p.t.Fatal(err)
	}
}

// A client may ping as often as any decent one does, and not without end.
func TestControlFrames(t *testing.T) {
	for _, op := range []frame.Opcode{frame.Ping, frame.Pong} {
		inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
			p := w.connect()
			pongs := make(chan int)
			go func() {
				n := 0
				for {
					got, payload, err := p.next()
					if got == frame.Pong && string(payload) == fmt.Sprint(n) {
						n++
					}
					if got == frame.Close || err != nil {
						pongs <- n
						return
					}
				}
			}()
			for n := range 3 * maxControls {
				if n > 0 && n%maxControls == 0 {
					time.Sleep(time.Second)
				}
				p.control(op, fmt.Sprint(n))
			}
			select {
			case <-pongs:
				t.Fatal("a client is sent away for what it may do")
			default:
			}
			p.control(op, "one too many")
			if n := <-pongs; op == frame.Ping && n != 3*maxControls {
				t.Errorf("%d of %d pings were answered", n, 3*maxControls)
			}
		})
	}
}

func TestFloodOfPingsIsToldWhy(t *testing.T) {
	inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
		p := w.connect()
		go func() {
			for range 2 * maxControls {
				p.conn.Write(clientFrame(0x89, ""))
			}
		}()
		if status := p.closed(); status != frame.StatusPolicyViolation {
			t.Errorf("closed with %d", status)
		}
	})
}

// Pongs that answer no ping are allowed, and do not stand for an answer. An
// answer may come late, and twice.
func TestUnaskedPongs(t *testing.T) {
	for payload, stays := range map[string]bool{"": true, "I am here": false} {
		inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
			p, _ := w.open("")
			var err error
			for began := time.Now(); err == nil && time.Since(began) < 5*w.cfg.PingInterval; {
				var op frame.Opcode
				if op, _, err = p.next(); op == frame.Text {
					p.control(frame.Pong, payload)
				}
			}
			if stays != (err == nil) || err != nil && err != io.EOF {
				t.Errorf("a client that sends pongs with %q: %v", payload, err)
			}
		})
	}
}
