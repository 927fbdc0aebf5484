//go:build unix

package e2e

import (
	"strings"
	"testing"
	"time"
)

// terminal runs caddy pyws-clock connect.
func (s *server) terminal() *program {
	s.t.Helper()
	return startProgram(s.t, s.caddy("pyws-clock", "connect", "ws://"+s.address))
}

func hasPrefix(prefix string) func(string) bool {
	return func(line string) bool { return strings.HasPrefix(line, prefix) }
}

func isLine(want string) func(string) bool {
	return func(line string) bool { return line == want }
}

// The terminal client comes back with its session, however the server ended.
func TestTerminalReconnects(t *testing.T) {
	for name, end := range map[string]func(*server){
		"stopped": func(s *server) { s.terminate(); s.awaitExit() },
		"killed":  (*server).kill,
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, site{})
			p := srv.terminal()
			p.say("")
			session := p.expect("the session", hasPrefix("SESSION:"))
			p.say("TZ SET Asia/Tokyo")
			p.expect("the result", isLine("OK:Asia/Tokyo"))
			end(srv)
			p.say("SYNC typed meanwhile")
			srv.run()
			p.expect("the same session", isLine(session))
			p.expect("its zone", isLine("TZN:JST"))
			p.expect("the result of what was typed meanwhile", hasPrefix(`OK:{"client":"typed meanwhile"`))
			if !strings.Contains(p.complaints(), "trying again in ") {
				t.Errorf("it said nothing of it: %s", p.complaints())
			}
		})
	}
}

// It goes on when its input ends, and Ctrl-C closes the connection in good
// order.
func TestTerminalEnds(t *testing.T) {
	srv := start(t, site{global: "debug"})
	p := srv.terminal()
	p.in.Close() // before any line: a new session
	p.expect("the session", hasPrefix("SESSION:"))
	p.tickAfter(parseTime(t, p.tickAfter(time.Time{})))
	p.interrupt()
	if err := p.exit(); err != nil {
		t.Errorf("%v: %s", err, p.complaints())
	}
	until(t, "the server saw it close", func() bool { return strings.Contains(srv.logged(), "connection closed") })
	if log := srv.logged(); !strings.Contains(log, `"outcome":"client","reason":"","status":1000`) {
		t.Errorf("it did not close in good order:\n%s", log)
	}
}

func TestTerminalEndsWhileItWaits(t *testing.T) {
	srv := start(t, site{})
	p := srv.terminal()
	p.say("")
	p.expect("the session", hasPrefix("SESSION:"))
	srv.kill()
	until(t, "it waits", func() bool { return strings.Contains(p.complaints(), "trying again in ") })
	p.interrupt()
	if err := p.exit(); err != nil {
		t.Errorf("%v: %s", err, p.complaints())
	}
}

// What the server ends for good is not tried again.
func TestTerminalIsSentAway(t *testing.T) {
	srv := start(t, site{options: "hello_timeout 1s"})
	silent := srv.terminal()
	p := srv.terminal()
	p.say("")
	p.expect("the session", hasPrefix("SESSION:"))
	p.say("SESSION DEL")
	p.expect("the result", isLine("OK:"))
	if err := p.exit(); err != nil {
		t.Errorf("%v: %s", err, p.complaints())
	}
	if err := silent.exit(); err == nil || !strings.Contains(silent.complaints(), "no first message in time") {
		t.Errorf("without a first message: %v: %s", err, silent.complaints())
	}
	srv.kill()
	if err := srv.terminal().exit(); err == nil {
		t.Error("without a server it succeeded")
	}
}
