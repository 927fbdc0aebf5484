package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// metrics are the clock's series, by what stands before the value, without the
// prefix.
type metrics map[string]float64

func (s *server) metrics() metrics {
	s.t.Helper()
	m := make(metrics)
	lines := bufio.NewScanner(strings.NewReader(s.get("/metrics")))
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), "caddy_pyws_clock_")
		if !ok {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		m[line[:i]] = value
	}
	return m
}

// of sums the series of a metric that have all of these labels.
func (m metrics) of(name string, labels ...string) (sum float64) {
series:
	for series, value := range m {
		got, _ := strings.CutPrefix(series, name+"{")
		if got == series {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(got, label) {
				continue series
			}
		}
		sum += value
	}
	return sum
}

// get asks the admin API.
func (s *server) get(path string) string {
	s.t.Helper()
	status, body := s.ask(http.MethodGet, path)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

func (s *server) ask(method, path string) (status int, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.admin+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Close = true // a reload ends the admin API's connections
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// await waits for a message.
func (c *client) await(want string) {
	c.t.Helper()
	late := time.Now().Add(patience)
	for c.receive() != want {
		if time.Now().After(late) {
			c.t.Fatalf("in vain waited for %q", want)
		}
	}
}

// tickAfter waits until the clock has told a time that lies a while after from.
func (c *client) tickAfter(from time.Time, d time.Duration) {
	for !c.tick().After(from.Add(d)) {
	}
}

func TestMetrics(t *testing.T) {
	srv := start(t, site{
		global:  "servers {\ntrusted_proxies static 127.0.0.1/32\n}",
		options: "id kitchen\nmax_connections 7\nmax_connections_per_client 6\nmax_alarms 1\ncommand_rate 10\nring 1s",
	})
	refused := func(header http.Header, want int) {
		t.Helper()
		if _, response, err := srv.dial(header); err == nil || response == nil || response.StatusCode != want {
			t.Fatalf("%v: %v %v, want %d", header, response, err, want)
		}
	}

	// Each of these is counted.
	refused(http.Header{"Origin": {"https://evil.example"}}, 403)
	if status := srv.upgrade("12"); status < 400 { // RFC 6455 has version 13
		t.Errorf("WebSocket version 12 gets %d", status)
	}
	c := srv.open("")
	c.ok("tz set Europe/Paris")
	c.err("TZ SET Nowhere")
	c.err("nonsense")
	c.ok("ALARM ADD +1s Tea")
	c.err("ALARM ADD 07:30 One too many")
	c.await(`ALRM:["Tea"]`)
	other := srv.open("")
	id := other.id
	other.ok("ALARM ADD +1s Unheard")
	left := other.tick()
	_ = other.conn.Close(websocket.StatusNormalClosure, "")
	c.tickAfter(left, 4*time.Second)
	if list := srv.open(id).ok("ALARM LIST"); strings.Contains(list, `"missed":null`) {
		t.Fatalf("the alarm was not missed: %s", list)
	}
	for range 30 {
		c.send("TIME")
	}
	r := srv.raw()
	r.write(masked(0x82, "binary"))
	r.status()
	r = srv.raw()
	r.write(masked(0x81, strings.Repeat("x", 4097)))
	r.status()
	_ = srv.connect().conn.CloseNow()
	gone := srv.open("")
	gone.send("SESSION DEL")
	gone.closed()
	until(t, "five of them have ended", func() bool { return srv.metrics().of("connections") == 2 })
	for range 4 {
		srv.connect()
	}
	refused(nil, 429)
	elsewhere := http.Header{"X-Forwarded-For": {"192.0.2.1"}}
	if _, _, err := srv.dial(elsewhere); err != nil {
		t.Fatal(err)
	}
	refused(elsewhere, 503)
	c.tick()

	check := func(when string) {
		t.Helper()
		m := srv.metrics()
		const handler = `handler="kitchen"`
		for _, want := range []struct {
			name, label string
			value       float64
		}{
			{"connections", "", 7},
			{"connections_opened_total", "", 12},
			{"connections_closed_total", `outcome="client"`, 1},
			{"connections_closed_total", `outcome="violation"`, 1},
			{"connections_closed_total", `outcome="too_big"`, 1},
			{"connections_closed_total", `outcome="lost"`, 1},
			{"connections_closed_total", `outcome="deleted"`, 1},
			{"connections_closed_total", `outcome="slow"`, 0},
			{"handshakes_refused_total", `reason="origin"`, 1},
			{"handshakes_refused_total", `reason="full"`, 1},
			{"handshakes_refused_total", `reason="client_full"`, 1},
			{"handshakes_refused_total", `reason="handshake"`, 1},
			{"commands_total", `command="TZ SET",handler="kitchen",result="ok"`, 1},
			{"commands_total", `command="TZ SET",handler="kitchen",result="error"`, 1},
			{"commands_total", `command="unknown",handler="kitchen",result="error"`, 1},
			{"commands_total", `command="ALARM ADD",handler="kitchen",result="ok"`, 2},
			{"commands_total", `command="ALARM ADD",handler="kitchen",result="max_alarms"`, 1},
			{"commands_total", `command="TIME"`, 30},
			{"ticks_skipped_total", "", 0},
		} {
			if got := m.of(want.name, handler, want.label); got != want.value {
				t.Errorf("%s: %s{%s} is %v, want %v", when, want.name, want.label, got, want.value)
			}
		}
		for _, series := range []string{
			`ticks_sent_total{handler="kitchen"}`,
			`tick_lateness_seconds_count{handler="kitchen"}`,
			`commands_total{command="TIME",handler="kitchen",result="command_rate"}`,
		} {
			if m[series] < 1 {
				t.Errorf("%s: %s is %v", when, series, m[series])
			}
		}
		store := fmt.Sprintf("store=%q", "FileStorage:"+srv.storage())
		for name, want := range map[string]float64{
			"alarms_rung_total": 1, "alarms_missed_total": 1, "sessions": 2,
		} {
			if got := m.of(name, store); got != want {
				t.Errorf("%s: %s is %v, want %v", when, name, got, want)
			}
		}
		saved := m.of("store_operations_total", store, `operation="save"`, `result="ok"`)
		if took := m.of("store_operation_duration_seconds_count", store, `operation="save"`); saved < 3 || took < saved {
			t.Errorf("%s: %v saves, %v durations", when, saved, took)
		}
		if m.of("zone_data_info") != 1 {
			t.Errorf("%s: no zone data", when)
		}
	}
	check("at first")
	srv.site.options += "\nprecision ms"
	if err := srv.load(srv.caddyfile()); err != nil {
		t.Fatal(err)
	}
	check("after a reload")
	c.ok("TZ GET")
	if n := srv.metrics().of("commands_total", `command="TZ GET"`); n != 1 {
		t.Errorf("after a reload %v commands were counted, want 1 more", n)
	}
	srv.site.options += "\ntimezone {env.PYWS_CLOCK_UNSET}" // found when it is provisioned, not before
	if err := srv.load(srv.caddyfile()); err == nil {
		t.Fatal("a wrong configuration was loaded")
	}
	check("after a reload that failed")
}

// upgrade asks for a WebSocket of some version.
func (s *server) upgrade(version string) (status int) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {version}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
