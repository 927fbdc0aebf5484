package e2e

import (
	"fmt"
	"io"
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
}
