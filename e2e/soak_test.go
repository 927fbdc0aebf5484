package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var soakFor = flag.Duration("soak", 0, "how long TestSoak lasts; 0: some seconds, with fewer clients")

// guest is a client that may do anything. Its errors are those of a client
// that the server may well have had enough of, and are no failures.
type guest struct {
	*crew
	rng  *rand.Rand
	conn *net.TCPConn
	in   *bufio.Reader
}

// crew is what all guests of a server have in common.
type crew struct {
	t        *testing.T
	address  string
	until    time.Time
	sessions [64]atomic.Pointer[string] // IDs that several guests open
	visits   atomic.Int64
}

func (g *guest) dial() error {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+g.rng.IntN(200)))}
	conn, err := (&net.Dialer{LocalAddr: local, Timeout: patience}).Dial("tcp", g.address)
	if err != nil {
		return err
	}
	g.conn = conn.(*net.TCPConn)
	g.in = bufio.NewReader(conn)
	return g.conn.SetDeadline(time.Now().Add(patience))
}

// handshake is a request for a WebSocket without the line that ends it.
func (g *guest) handshake() string {
	return "GET /any HTTP/1.1\r\nHost: " + g.address + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
}

// connect makes a connection on which nothing was said yet.
func (g *guest) connect() error {
	if err := g.write(g.handshake() + "\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(g.in, nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("handshake: %s", response.Status)
	}
	return err
}

func (g *guest) write(frames string) error {
	_, err := g.conn.Write([]byte(frames))
	return err
}

func (g *guest) say(text string) error { return g.write(masked(0x81, text)) }

// open opens the session with an ID, and returns the one that it has.
func (g *guest) open(id string) (string, error) {
	if err := g.connect(); err != nil {
		return "", err
	}
	if err := g.say(id); err != nil {
		return "", err
	}
	_, message, err := (&raw{g.t, g.conn, g.in}).next()
	got, ok := strings.CutPrefix(string(message), "SESSION:")
	if err == nil && !ok {
		err = fmt.Errorf("closed with %q", message)
	}
	return got, err
}

// ask sends a command and returns its result. Pings are answered.
func (g *guest) ask(command string) (string, error) {
	if err := g.say(command); err != nil {
		return "", err
	}
	for {
		opcode, message, err := (&raw{g.t, g.conn, g.in}).next()
		switch text := string(message); {
		case err != nil:
			return "", err
		case opcode == 0x89:
			if err := g.write(masked(0x8a, text)); err != nil {
				return "", err
			}
		case opcode == 0x88:
			return "", io.EOF
		case strings.HasPrefix(text, "OK:"), strings.HasPrefix(text, "ERR:"):
			return text, nil
		}
	}
}

// linger reads for a while, or just waits.
func (g *guest) linger(most time.Duration, reading bool) error {
	end := time.Now().Add(time.Duration(g.rng.Int64N(int64(most))))
	if end.After(g.until) {
		end = g.until
	}
	if !reading {
		time.Sleep(time.Until(end))
		return nil
	}
	if err := g.conn.SetReadDeadline(end); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, g.in)
	return err
}

func (g *guest) noise(most int) string {
	b := make([]byte, 1+g.rng.IntN(most))
	for i := range b {
		b[i] = byte(g.rng.Uint32())
	}
	return string(b)
}

// manners are what guests do, each of them on a connection of its own.
var manners = []struct {
	name string
	do   func(g *guest) error
}{
	{"changes its session, and is told the truth", func(g *guest) error {
		id, err := g.open("")
		if err != nil {
			return err
		}
		for range 1 + g.rng.IntN(4) {
			zone := []string{"Asia/Tokyo", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"}[g.rng.IntN(4)]
			set, err := g.ask("TZ SET " + zone)
			if err != nil {
				return err
			}
			got, err := g.ask("TZ GET")
			if err != nil {
				return err
			}
			if strings.HasPrefix(set, "OK:") && got != "OK:"+zone && !strings.HasPrefix(got, "ERR:too many") {
				g.t.Errorf("after %s the zone is %s", set, got)
			}
			if _, err := g.ask(fmt.Sprintf("ALARM ADD +%ds Tea %d", 1+g.rng.IntN(3), g.rng.IntN(5))); err != nil {
				return err
			}
			_ = g.linger(time.Second, true)
			_ = g.conn.SetDeadline(time.Now().Add(patience))
		}
		if g.rng.IntN(2) == 0 {
			g.sessions[g.rng.IntN(len(g.sessions))].Store(&id)
		} else if err := g.say("SESSION DEL"); err != nil {
			return err
		}
		return g.linger(time.Second, true)
	}},
	{"changes a session of others", func(g *guest) error {
		id := g.sessions[g.rng.IntN(len(g.sessions))].Load()
		if id == nil {
			return nil
		}
		if _, err := g.open(*id); err != nil {
			return err
		}
		for range 3 {
			command := []string{"ALARM DEL Tea 1", "ALARM ADD daily 07:30 Tea 1", "ALARM STOP", "TZ SET Asia/Tokyo", "ALARM WATCH", "SESSION DEL"}[g.rng.IntN(6)]
			if _, err := g.ask(command); err != nil {
				return err
			}
		}
		return g.linger(2*time.Second, true)
	}},
	{"closes in good order", func(g *guest) error {
		if _, err := g.open(""); err != nil {
			return err
		}
		if err := g.linger(time.Second, false); err != nil {
			return err
		}
		if err := g.write(masked(0x88, "\x03\xe8")); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, g.in)
		return err
	}},
	{"reads nothing", func(g *guest) error {
		_ = g.conn.SetReadBuffer(4 << 10)
		if err := g.connect(); err != nil {
			return err
		}
		if err := g.write(masked(0x81, "") + strings.Repeat(masked(0x81, "TZ LIST"), 30)); err != nil {
			return err
		}
		return g.linger(16*time.Second, false)
	}},
	{"sends garbage", func(g *guest) error {
		if err := g.connect(); err != nil {
			return err
		}
		for range 1 + g.rng.IntN(5) {
			if err := g.write(g.noise(3000)); err != nil {
				return err
			}
		}
		return g.linger(3*time.Second, true)
	}},
	{"sends garbage before the handshake", func(g *guest) error {
		if err := g.write(g.noise(300) + "\r\n\r\n"); err != nil {
			return err
		}
		return g.linger(time.Second, true)
	}},
	{"sends a message without end, in tiny fragments", func(g *guest) error {
		if err := g.connect(); err != nil {
			return err
		}
		if err := g.write(masked(0x01, "x")); err != nil {
			return err
		}
		for range 500 {
			if err := g.write(masked(0x00, "") + masked(0x00, "x")); err != nil {
				return err
			}
		}
		return g.linger(3*time.Second, false)
	}},
	{"sends pings without end", func(g *guest) error {
		if _, err := g.open(""); err != nil {
			return err
		}
		go io.Copy(io.Discard, g.in)
		for range 2000 {
			if err := g.write(strings.Repeat(masked(0x89, "are you there?"), 20) + masked(0x8a, "")); err != nil {
				return err
			}
		}
		return nil
	}},
	{"never ends its handshake", func(g *guest) error {
		if err := g.write(g.handshake()[:g.rng.IntN(100)]); err != nil {
			return err
		}
		return g.linger(3*time.Second, false)
	}},
	{"says nothing", func(g *guest) error {
		if err := g.connect(); err != nil {
			return err
		}
		return g.linger(6*time.Second, true)
	}},
	{"invents IDs", func(g *guest) error {
		invented := base64.RawURLEncoding.EncodeToString([]byte(g.noise(36)))
		id, err := g.open(invented)
		if err == nil && id == invented {
			g.t.Errorf("the invented ID %q was taken", id)
		}
		return err
	}},
	{"is of another site", func(g *guest) error {
		if err := g.write(g.handshake() + "Origin: https://evil.example\r\n\r\n"); err != nil {
			return err
		}
		return g.linger(time.Second, true)
	}},
	{"sends too much", func(g *guest) error {
		if _, err := g.open(""); err != nil {
			return err
		}
		if err := g.say(strings.Repeat("x", 4097)); err != nil {
			return err
		}
		return g.linger(time.Second, true)
	}},
	{"sends commands without end", func(g *guest) error {
		if _, err := g.open(""); err != nil {
			return err
		}
		go io.Copy(io.Discard, g.in)
		return g.write(strings.Repeat(masked(0x81, "ALARM LIST"), 300))
	}},
}

// watch follows the clock for a while, and answers no pings.
func (g *guest) watch() error {
	if _, err := g.open(""); err != nil {
		return err
	}
	return g.linger(40*time.Second, true)
}

// visit does something, and leaves in one way or another.
func (g *guest) visit() {
	if g.dial() != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer g.conn.Close()
	g.visits.Add(1)
	if g.rng.IntN(2) == 0 {
		_ = g.watch()
	} else {
		_ = manners[g.rng.IntN(len(manners))].do(g)
	}
	if g.rng.IntN(2) == 0 {
		_ = g.conn.SetLinger(0) // a reset
	}
}

// heap is how much the process has on its heap after a garbage collection.
func (s *server) heap() int {
	s.t.Helper()
	match := regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`).FindStringSubmatch(s.get("/debug/pprof/heap?debug=1&gc=1"))
	if match == nil {
		s.t.Fatal("the profile does not tell")
	}
	n, _ := strconv.Atoi(match[1])
	return n
}

// Clients come and go, behave in all bad ways, and change sessions at random.
// Those who behave miss no second meanwhile, and nothing is left of the others:
//
//	go test ./e2e -run TestSoak -soak 10m -timeout 20m -v
func TestSoak(t *testing.T) {
	guests, lasts := 2000, *soakFor
	if lasts == 0 {
		guests, lasts = 200, 8*time.Second
	}
	if testing.Short() {
		guests, lasts = 50, 4*time.Second
	}
	srv := start(t, site{options: "hello_timeout 3s\nping_interval 10s\nring 1s"})
	const watchers = 20
	watching := srv.follow(srv.openMany(watchers), nil)

	party := func(guests int, lasts time.Duration) *crew {
		all := &crew{t: t, address: srv.address, until: time.Now().Add(lasts)}
		var wg sync.WaitGroup
		for range guests {
			g := &guest{crew: all, rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
			wg.Go(func() {
				time.Sleep(time.Duration(g.rng.Int64N(int64(2 * time.Second))))
				for time.Now().Before(all.until) {
					g.visit()
					time.Sleep(time.Duration(g.rng.Int64N(int64(time.Second))))
				}
			})
		}
		wg.Wait()
		return all
	}
	left := func() bool { return srv.connectionsOf("srv0#1") == watchers }
	party(20, 2*time.Second) // what is made once is made
	until(t, "the first ones have left", left)
	goroutines, sockets, heap := srv.goroutines(), srv.sockets(), srv.heap()

	all := party(guests, lasts)
	until(t, "all have left", left)
	until(t, "no goroutine and no socket of theirs is left", func() bool {
		return srv.goroutines() <= goroutines && srv.sockets() <= sockets
	})
	atEnd := srv.metrics().of("sessions")
	if *soakFor > 0 { // a session stays for a minute
		for late := time.Now().Add(2 * time.Minute); srv.metrics().of("sessions") > watchers && time.Now().Before(late); {
			time.Sleep(time.Second)
		}
	}
	watching.awaitSeconds(2)
	after, most := srv.heap(), heap+4<<20
	if *soakFor == 0 {
		most += int(atEnd) * 4 << 10
	}
	if after > most {
		t.Errorf("the heap has grown from %d to %d bytes", heap, after)
	}
	m := srv.metrics()
	if opened := m.of("connections_opened_total"); int(opened) < guests {
		t.Errorf("%d guests opened %.0f connections", guests, opened)
	}
	for _, outcome := range []string{"client", "lost", "violation", "too_big", "hello_timeout", "no_pong", "deleted", "slow"} {
		if *soakFor > 0 && m.of("connections_closed_total", fmt.Sprintf("outcome=%q", outcome)) == 0 {
			t.Errorf("no connection ended as %s", outcome)
		}
	}
	log := srv.logged()
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, "panic") {
			t.Errorf("logged %.300s", line)
		}
	}
	var seen bytes.Buffer
	for _, name := range []string{"connections_opened_total", "commands_total", "ticks_sent_total", "ticks_skipped_total", "seconds_missed_total",
		"store_operations_total", "alarms_rung_total"} {
		fmt.Fprintf(&seen, "%s %.0f, ", name, m.of(name))
	}
	for series, n := range m {
		if strings.HasPrefix(series, "connections_closed_total") && n > 0 {
			fmt.Fprintf(&seen, "%s %.0f, ", series, n)
		}
	}
	t.Logf("%d guests, %d visits in %s; goroutines %d, then %d; sockets %d, then %d; heap %d KiB, then %d (with %.0f sessions: %.0f); %d bytes of log; %s",
		guests, all.visits.Load(), lasts, goroutines, srv.goroutines(), sockets, srv.sockets(), heap>>10, after>>10, atEnd, m.of("sessions"), len(log), seen.String())
}
