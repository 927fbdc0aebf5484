package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// load loads a configuration through the admin API, also if it is the same as
// before.
func (s *server) load(caddyfile string) error {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.admin+"/load", strings.NewReader(caddyfile))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/caddyfile")
	request.Header.Set("Cache-Control", "must-revalidate")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return errors.New(string(body))
	}
	return nil
}

func (s *server) mustLoad(caddyfile string) {
	s.t.Helper()
	if err := s.load(caddyfile); err != nil {
		s.t.Fatalf("%v\n%s", err, caddyfile)
	}
}

// crowd are connections that follow the clock.
type crowd struct {
	server  *server
	clients []*client
	until   atomic.Int64 // Unix time up to which they do; 0: not known yet
	seen    sync.WaitGroup
}

// follow has the clients follow the clock from now on, and each message checked
// after the first time message.
func (s *server) follow(clients []*client, check func(c *client, message string) error) *crowd {
	w := &crowd{server: s, clients: clients}
	for _, c := range clients {
		w.seen.Go(func() {
			if err := w.follow(c, check); err != nil {
				s.t.Error(err)
			}
		})
	}
	return w
}

// follow reads seconds up to the end, and wants each of them once.
func (w *crowd) follow(c *client, check func(c *client, message string) error) error {
	last, missed := int64(0), int64(0)
	for {
		message, err := c.read()
		if err != nil {
			return fmt.Errorf("after the second %d: %w", last, err)
		}
		at, err := time.Parse(time.RFC3339, message)
		if err != nil {
			if last > 0 && check != nil {
				if err := check(c, message); err != nil {
					return err
				}
			}
			continue
		}
		second := at.Unix()
		if last > 0 {
			missed += second - last - 1
			if err := w.server.follows(last, second, missed); err != nil {
				return err
			}
		}
		last = second
		if end := w.until.Load(); end > 0 && last >= end {
			return nil
		}
	}
}

// follows returns an error unless one second follows the other. On a machine
// that is busy with other things the server may not have run for a while: a
// client may have missed as many seconds as the server knows to have missed.
func (s *server) follows(last, next, missed int64) error {
	if next == last+1 || next > last && float64(missed) <= s.metrics().of("seconds_missed_total") {
		return nil
	}
	return fmt.Errorf("after the second %d comes %d", last, next)
}

// awaitSeconds waits until all have seen some more seconds.
func (w *crowd) awaitSeconds(n int) {
	w.until.Store(time.Now().Unix() + int64(n))
	w.seen.Wait()
}

// openMany opens n connections, each with a session of its own.
func (s *server) openMany(n int) []*client {
	s.t.Helper()
	clients := make([]*client, n)
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := part; i < n; i += 8 {
				c, _, err := s.dial(nil)
				if err != nil {
					s.t.Error(err)
					return
				}
				_ = c.conn.Write(s.t.Context(), websocket.MessageText, nil)
				clients[i] = c
			}
		})
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	return clients
}

// connectionsOf is how many connections a handler has, or -1 where there is no such
// handler.
func (s *server) connectionsOf(handler string) int {
	n, ok := s.metrics()[fmt.Sprintf("connections{handler=%q}", handler)]
	if !ok {
		return -1
	}
	return int(n)
}

var many = flag.Int("connections", 500, "how many connections the tests of reload and stop have")

// Whatever a reload changes, connections live on, and each of them is told
// each second once.
func TestReloadUnderConnections(t *testing.T) {
	srv := start(t, site{options: "id kitchen"})
	other := freeAddress(t)
	clock := func(address, options string) string {
		return fmt.Sprintf("http://%s {\npyws_clock {\n%s\n}\n}\n", address, options)
	}
	configs := []string{
		srv.caddyfile(),
		srv.globalOptions() + clock(srv.address, "id kitchen\nprecision us\nmax_connections 10\nping_interval 2s\ntimezone Europe/Paris"),
		srv.globalOptions() + clock(other, "") + clock(srv.address, "id kitchen"), // one more site
		srv.globalOptions() + clock(other, "id kitchen"),                          // the site is another one, on another port
		srv.globalOptions() + fmt.Sprintf("http://%s {\nhandle /a/* {\npyws_clock\n}\nhandle {\nencode\npyws_clock {\nid kitchen\n}\n}\n}\n", srv.address),
	}
	all := srv.follow(srv.openMany(*many), nil)
	until(t, "all are open", func() bool { return srv.connectionsOf("kitchen") == *many })
	for range 2 {
		for _, config := range configs {
			srv.mustLoad(config)
			if n := srv.connectionsOf("kitchen"); n != *many {
				t.Errorf("%d connections after a reload with this:\n%s", n, config)
			}
		}
	}
	all.awaitSeconds(3)
	if got := srv.metrics().of("connections_opened_total", `handler="kitchen"`); got != float64(*many) {
		t.Errorf("%v connections were opened, want the %d of the beginning", got, *many)
	}
}

// New limits hold for the connections that there are.
func TestReloadLimits(t *testing.T) {
	srv := start(t, site{options: "max_connections 2"})
	a, b := srv.open(""), srv.open("")
	srv.site.options = "max_connections 1\ncommand_rate 1\nmax_alarms 1"
	srv.mustLoad(srv.caddyfile())
	if _, response, err := srv.dial(nil); err == nil || response.StatusCode != 503 {
		t.Errorf("the third connection: %v", err)
	}
	a.ok("ALARM ADD 07:30 First")
	if err := b.result("ALARM ADD 07:30 Second"); !strings.HasPrefix(err, "OK:") {
		t.Errorf("in another session: %s", err)
	}
	refused := false
	for range 5 {
		refused = strings.HasPrefix(a.result("TIME"), "ERR:too many commands") || refused
	}
	if !refused {
		t.Error("the new command_rate does not hold for the old connection")
	}
	until(t, "a command is allowed again", func() bool { return !strings.HasPrefix(b.result("TIME"), "ERR:") })
	b.tick()
	b.tick()
	if err := b.err("ALARM ADD 07:30 Third"); !strings.Contains(err, "at most 1") {
		t.Errorf("the new max_alarms does not hold for the old connection: %s", err)
	}
}

// Alarms that ring go on ringing, each second, and can be stopped afterwards.
func TestReloadWhileAlarmsRing(t *testing.T) {
	const ringing = 50
	srv := start(t, site{options: "ring 5m"})
	clients := make([]*client, ringing)
	for i := range clients {
		clients[i] = srv.open("")
		clients[i].ok(fmt.Sprintf("ALARM ADD +1s Tea %d", i))
	}
	for i, c := range clients {
		c.await(fmt.Sprintf(`ALRM:["Tea %d"]`, i))
	}
	rings := make(map[*client]*atomic.Int64)
	for _, c := range clients {
		rings[c] = new(atomic.Int64)
	}
	all := srv.follow(clients, func(c *client, message string) error {
		if !strings.HasPrefix(message, `ALRM:["Tea `) {
			return fmt.Errorf("received %q", message)
		}
		rings[c].Add(1)
		return nil
	})
	for range 3 {
		srv.site.options += "\nmax_connections_per_client 100"
		srv.mustLoad(srv.caddyfile())
		srv.site.options = "ring 5m"
		srv.mustLoad(srv.caddyfile())
	}
	began := time.Now().Unix()
	all.awaitSeconds(4)
	for i, c := range clients {
		// The follower left after the last second, before the ring that follows it.
		if n := rings[c].Load(); n < time.Now().Unix()-began-2 || n == 0 {
			t.Errorf("alarm %d rang %d times", i, n)
		}
		if got := c.ok("ALARM STOP"); got != fmt.Sprintf(`["Tea %d"]`, i) {
			t.Errorf("stopped %s", got)
		}
	}
	if m := srv.metrics(); m.of("alarms_rung_total") != ringing || m.of("alarms_missed_total") != 0 {
		t.Errorf("%v rang, %v were missed", m.of("alarms_rung_total"), m.of("alarms_missed_total"))
	}
}

// The connections of a handler that is gone are closed, and nothing is left of
// it; those of the others live on.
func TestReloadWithoutTheHandler(t *testing.T) {
	srv := start(t, site{options: "id kitchen"})
	goroutines := srv.goroutines()
	hall := freeAddress(t)
	both := srv.caddyfile() + fmt.Sprintf("http://%s {\npyws_clock {\nid hall\n}\n}\n", hall)
	srv.mustLoad(both)
	stays := (&server{t: t, address: hall}).open("")
	gone := srv.openMany(20)

	srv.mustLoad(srv.globalOptions() + fmt.Sprintf("http://%s {\npyws_clock {\nid hall\n}\n}\n", hall))
	for i, c := range gone {
		if status, _ := c.closed(); status != websocket.StatusGoingAway {
			t.Errorf("client %d: closed with %d", i, status)
		}
	}
	until(t, "the series are gone", func() bool { return srv.connectionsOf("kitchen") == -1 })
	stays.tick()
	if n := srv.connectionsOf("hall"); n != 1 {
		t.Errorf("the other handler has %d connections", n)
	}

	srv.mustLoad(srv.globalOptions() + fmt.Sprintf("http://%s {\nrespond ok\n}\n", srv.address))
	if status, _ := stays.closed(); status != websocket.StatusGoingAway {
		t.Errorf("the last one: closed with %d", status)
	}
	until(t, "no series is left", func() bool { return len(srv.metrics()) == 0 })
	until(t, "no goroutine is left", func() bool { return srv.goroutines() <= goroutines })
}

// A configuration that cannot be loaded changes nothing, however far loading
// gets.
func TestReloadThatFails(t *testing.T) {
	srv := start(t, site{options: "id kitchen\nmax_connections 3"})
	clients := []*client{srv.open(""), srv.open("")}
	id := clients[0].id
	clients[0].ok("TZ SET Asia/Tokyo")
	all := srv.follow(clients, nil)
	clock := func(address, options string) string {
		return fmt.Sprintf("http://%s {\npyws_clock {\n%s\n}\n}\n", address, options)
	}
	for name, config := range map[string]string{
		"a wrong placeholder": clock(srv.address, "id kitchen\nmax_connections 1\ntimezone {env.PYWS_CLOCK_UNSET}"),
		"a wrong option":      clock(srv.address, "id kitchen\nmax_connections 1\ntimezone Nowhere"),
		"the same id twice":   clock(srv.address, "id kitchen\nmax_connections 1") + clock(freeAddress(t), "id kitchen"),
		"another port that cannot be listened on": clock(srv.address, "id kitchen\nmax_connections 1") +
			"http://192.0.2.1:8901 {\nbind 192.0.2.1\npyws_clock {\nid hall\n}\n}\n",
	} {
		if err := srv.load(srv.globalOptions() + config); err == nil {
			t.Errorf("%s: it was loaded", name)
		}
		if n := srv.connectionsOf("kitchen"); n != 2 {
			t.Errorf("%s: %d connections", name, n)
		}
		if n := srv.connectionsOf("hall"); n != -1 {
			t.Errorf("%s: a handler that was not loaded has series", name)
		}
	}
	all.awaitSeconds(2)
	third := srv.open(id) // the old limit holds
	if zone := third.ok("TZ GET"); third.id != id || zone != "Asia/Tokyo" {
		t.Errorf("the session is another one, in %s", zone)
	}
	if _, response, err := srv.dial(nil); err == nil || response.StatusCode != 503 {
		t.Errorf("the fourth connection: %v", err)
	}
}

// All are told when the server stops, and then the process is gone:
//
//	go test ./e2e -run TestStopWithManyConnections -connections 10000 -v
func TestStopWithManyConnections(t *testing.T) {
	srv := start(t, site{})
	clients := srv.openMany(*many)
	until(t, "all are open", func() bool { return srv.connectionsOf("srv0#1") == *many })
	asked := time.Now()
	srv.terminate()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for {
				if _, err := c.read(); err != nil {
					if status := websocket.CloseStatus(err); status != websocket.StatusServiceRestart {
						t.Errorf("client %d: closed with %d: %v", i, status, err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	srv.awaitExit()
	t.Logf("%d connections, gone after %s", *many, time.Since(asked).Round(time.Millisecond))
}

// What Caddy puts around the handler goes on working.
func TestBehindOtherHandlers(t *testing.T) {
	srv := start(t, site{
		global: "debug\norder tracing first",
		around: "log {\noutput file access.log\n}\ntracing {\nspan clock\n}\nencode gzip zstd\nheader X-Clock yes",
	})
	c, response, err := srv.dial(http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("X-Clock") != "yes" || response.Header.Get("Content-Encoding") != "" {
		t.Errorf("header of the handshake: %v", response.Header)
	}
	c.hello("")
	c.tick()
	until(t, "the handshake is in the access log", func() bool {
		log := srv.file("access.log")
		return strings.Contains(log, `"status":101`) && strings.Contains(log, `"uri":"/any/path?and=query"`) && strings.Contains(log, `"traceID"`)
	})
}
