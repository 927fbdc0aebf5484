package e2e

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// A crash between a result and the next message, many times over: what was
// acknowledged is there afterwards, and no record is damaged.
func TestKillLosesNothing(t *testing.T) {
	crashes := 50
	if testing.Short() {
		crashes = 5
	}
	srv := start(t, site{})
	zones := []string{"Asia/Tokyo", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"}
	id := srv.open("").id
	for i := range crashes {
		zone := zones[i%len(zones)]
		c := srv.open(id)
		if c.id != id {
			t.Fatalf("after %d crashes the session is a new one:\n%s", i, srv.logged())
		}
		c.ok("TZ SET " + zone)
		srv.kill()
		srv.run()
		if got := srv.open(id); got.id != id || got.ok("TZ GET") != zone {
			t.Fatalf("after crash %d the acknowledged change is lost", i+1)
		}
	}
	if strings.Contains(srv.logged(), "damaged") {
		t.Error("a record was damaged:\n" + srv.logged())
	}
}

// goroutines is how many the process has, but for those that come and go with
// the request that asks.
func (s *server) goroutines() int {
	s.t.Helper()
	response, err := http.Get("http://" + s.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	match := regexp.MustCompile(`total (\d+)`).FindSubmatch(body)
	if match == nil {
		s.t.Fatalf("no total in %.200q", body)
	}
	n, _ := strconv.Atoi(string(match[1]))
	return n
}

// sockets is how many sockets the process holds.
func (s *server) sockets() int {
	s.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", s.command.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Skip("no list of descriptors here: ", err)
	}
	n := 0
	for _, e := range entries {
		if target, _ := os.Readlink(dir + "/" + e.Name()); strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// However a connection ends, nothing of it is left.
func TestNothingIsLeft(t *testing.T) {
	ends := map[string]func(srv *server){
		"closed by the client": func(srv *server) { _ = srv.open("").conn.Close(websocket.StatusNormalClosure, "") },
		"reset":                func(srv *server) { _ = srv.open("").conn.CloseNow() },
		"reset before it opened": func(srv *server) {
			_ = srv.connect().conn.CloseNow()
		},
		"closed by the server": func(srv *server) {
			c := srv.open("")
			c.send("SESSION DEL")
			c.closed()
		},
		"too big": func(srv *server) {
			c := srv.open("")
			c.send(strings.Repeat("x", 5000))
			c.closed()
		},
		"no answer to the close frame": func(srv *server) {
			r := srv.raw()
			r.write(masked(0x82, "binary"))
			r.status()
		},
		"hello timeout": func(srv *server) { srv.connect().closed() },
		"no pong": func(srv *server) {
			r := srv.raw()
			r.write(masked(0x81, ""))
			for err := error(nil); err == nil; {
				_, _, err = r.next()
			}
		},
	}
	srv := start(t, site{options: "hello_timeout 1s\nping_interval 1s"})
	srv.open("").conn.CloseNow()
	http.DefaultClient.CloseIdleConnections()
	goroutines, sockets := srv.goroutines(), srv.sockets()
	for name, end := range ends {
		for range 3 {
			end(srv)
		}
		until(t, name+": all goroutines and sockets are gone", func() bool {
			return srv.goroutines() <= goroutines && srv.sockets() <= sockets
		})
	}
	m := srv.metrics()
	for outcome, want := range map[string]float64{
		"client": 3, "lost": 7, "deleted": 3, "too_big": 3, "violation": 3, "hello_timeout": 3, "no_pong": 3,
	} {
		if got := m.of("connections_closed_total", fmt.Sprintf("outcome=%q", outcome)); got != want {
			t.Errorf("%v connections ended as %s, want %v", got, outcome, want)
		}
	}
}

// However clients behave, each of them makes the server hold little, for as
// long as it is there.
func TestMemoryOfAClient(t *testing.T) {
	const clients, most = 100, 64 << 10
	long := strings.Repeat("x", 4000)
	for name, behave := range map[string]func(r *raw){
		"says nothing":  func(*raw) {},
		"opens":         func(r *raw) { r.write(masked(0x81, "")) },
		"reads nothing": func(r *raw) { r.write(masked(0x81, "") + strings.Repeat(masked(0x81, "TZ LIST"), 500)) },
		"pings without end, and reads nothing": func(r *raw) {
			r.write(masked(0x81, "") + strings.Repeat(masked(0x81, "TZ LIST"), 10) + strings.Repeat(masked(0x89, long[:125]), 90))
		},
		"sends a message without end": func(r *raw) {
			r.write(masked(0x01, long) + strings.Repeat(masked(0x00, ""), 1000) + masked(0x00, long[:95]) + masked(0x89, long[:125])[:130])
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, site{options: "command_rate 1000000\nping_interval 1h"})
			srv.open("") // what is made once is made
			before := srv.heap()
			for range clients {
				behave(srv.raw())
			}
			until(t, "all are there", func() bool { return srv.connectionsOf("srv0#1") == clients+1 })
			held := math.MaxInt
			for n := range 20 {
				if now := (srv.heap() - before) / clients; n >= 10 { // what they sent was dealt with
					held = min(held, now)
				}
			}
			t.Logf("%d bytes on the heap for each client", held)
			if held > most {
				t.Errorf("each client holds %d bytes, want at most %d", held, most)
			}
		})
	}
}
