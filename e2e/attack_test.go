package e2e

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/coder/websocket"
)

// What an attacker would try. Pages of other sites are in TestOrigins and
// TestConnectIsRefused, invented IDs by the million in TestSoak.

// stored is all that is in the storage: the files by their paths.
func (s *server) stored() map[string]string {
	s.t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "storage") {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// A path in the place of an ID is no path.
func TestPathInSessionID(t *testing.T) {
	srv := start(t, site{})
	known := srv.open("")
	known.ok("TZ SET Asia/Tokyo")
	before := srv.stored()
	for _, id := range []string{
		"../../secret", "../secret", "/etc/passwd", "..\\..\\secret", "..%2f..%2fsecret", "secret", "sessions", ".", "..", "*", "\x00", "a\x00b",
		"../../../../../../../../../../../../../../etc/shm", known.id + "/../" + known.id, known.id + "\n", " " + known.id, known.id[:47] + "/",
		strings.Repeat("../", 16), strings.Repeat("A", 48), strings.Repeat("x", 4096),
	} {
		c := srv.open(id)
		if c.id == id || c.id == known.id || c.ok("TZ GET") != "UTC" {
			t.Errorf("%.60q opened a session that is there", id)
		}
		_ = c.conn.CloseNow()
	}
	if after := srv.stored(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("stored is %q, was %q", after, before)
	}
	c := srv.open("../../secret")
	c.ok("TZ SET Europe/Paris")
	name := regexp.MustCompile(`/storage/pyws_clock/sessions/([0-9a-f]{2})/([0-9a-f]{40})\.json$`)
	for path, content := range srv.stored() {
		if match := name.FindStringSubmatch(path); before[path] == "" && (match == nil || !strings.HasPrefix(match[2], match[1])) {
			t.Errorf("a new file %s", path)
		} else if before[path] != "" && content != before[path] {
			t.Errorf("%s is %q, was %q", path, content, before[path])
		}
	}
}

// A thief has the names and contents of all files, and knows how IDs are made.
func TestStolenStorage(t *testing.T) {
	srv := start(t, site{})
	victim := srv.open("")
	victim.ok("TZ SET Asia/Tokyo")
	victim.ok("ALARM ADD daily 07:30 Secret meeting")
	var tried []string
	mac := func(secret, random []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("pyws_clock session id 1\n"))
		h.Write(random)
		return h.Sum(nil)[:16]
	}
	var secret []byte
	for path, content := range srv.stored() {
		name := filepath.Base(path)
		tried = append(tried, name, strings.TrimSuffix(name, ".json"), content, path)
		if name == "secret" {
			b, err := base64.RawURLEncoding.DecodeString(content)
			if err != nil || len(b) < 32 {
				t.Fatalf("the secret: %v", err)
			}
			secret = b[:32]
		}
	}
	for _, path := range srv.records() {
		key, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil || len(key) != 20 {
			t.Fatalf("%s: %v", path, err)
		}
		tried = append(tried, base64.RawURLEncoding.EncodeToString(key), fmt.Sprintf("%x%08x", key, 0),
			base64.RawURLEncoding.EncodeToString(append(key, mac(secret, key)...)))
	}
	forged := tried[len(tried)-1]
	accepted := 0
	for _, id := range tried {
		if len(id) > 4096 {
			continue
		}
		c := srv.open(id)
		if c.id == id {
			accepted++
		}
		if c.id == victim.id || c.ok("TZ GET") != "UTC" || c.ok("ALARM LIST") != "[]" {
			t.Errorf("%.60q opened the session of the victim", id)
		}
		_ = c.conn.CloseNow()
	}
	if c := srv.open(forged); accepted != 1 || c.id != forged {
		t.Errorf("%d IDs were accepted, want the one that was made with the secret: the thief of this test does not know how", accepted)
	}
	for _, path := range append(srv.records(), filepath.Join(srv.storage(), "pyws_clock", "secret")) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the directory of %s: %v, %v", path, info.Mode(), err)
		}
	}
}

// Two clients change one session at once: what each was told to be done is
// done. Then one deletes it under the hands of the other, for good.
func TestTwoFightOverASession(t *testing.T) {
	const changes = 100
	srv := start(t, site{options: "command_rate 10000\nmax_alarms 1000"})
	a := srv.open("")
	b := srv.open(a.id)
	var wg sync.WaitGroup
	for name, c := range map[string]*client{"a": a, "b": b} {
		wg.Go(func() {
			for n := range changes {
				for _, command := range []string{
					fmt.Sprintf("ALARM ADD 2099-01-01T00:00 %s %d", name, n), "ALARM ADD 2099-01-01T00:00 ours", "ALARM DEL ours",
					fmt.Sprintf("TZ SET %s", []string{"Asia/Tokyo", "Europe/Paris"}[n%2]),
				} {
					if got := c.result(command); strings.HasPrefix(got, "ERR:") && !strings.HasSuffix(command, "ours") {
						t.Errorf("%s: %s", command, got)
					}
				}
			}
		})
	}
	wg.Wait()
	list := a.ok("ALARM LIST")
	if other := b.ok("ALARM LIST"); other != list {
		t.Errorf("one sees %s, the other %s", list, other)
	}
	for n := range changes {
		for _, name := range []string{"a", "b"} {
			if want := fmt.Sprintf(`"name":"%s %d"`, name, n); !strings.Contains(list, want) {
				t.Errorf("the alarm %s is lost", want)
			}
		}
	}

	wg.Go(func() {
		for n := 0; b.conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, "ALARM ADD 2099-01-01T00:00 late %d", n)) == nil; n++ {
		}
	})
	a.ok("SESSION DEL")
	for _, c := range []*client{a, b} {
		if status, reason := c.closed(); status != websocket.StatusNormalClosure {
			t.Errorf("closed with %d %s", status, reason)
		}
	}
	wg.Wait()
	for range 2 {
		if c := srv.open(a.id); c.id != a.id || c.ok("ALARM LIST") != "[]" || c.ok("TZ GET") != "UTC" {
			t.Error("the deleted session is back")
		}
		srv.kill()
		srv.run()
	}
}

// Twenty thousand connections from one address: it gets what one may have,
// others notice nothing, and the log stays readable.
func TestManyConnectionsFromOneAddress(t *testing.T) {
	const allowed, each = 50, 20
	attempts := 20_000
	if testing.Short() {
		attempts = 1600
	}
	srv := start(t, site{options: fmt.Sprintf("max_connections_per_client %d\nmax_connections 100", allowed)})
	watching := srv.follow(srv.openMany(each), nil)
	until(t, "they are open", func() bool { return srv.connectionsOf("srv0#1") == each })
	heap := srv.heap()

	var mu sync.Mutex
	statuses := make(map[int]int)
	var wg sync.WaitGroup
	attack := func(from net.IP, attempts int) {
		for range 8 {
			wg.Go(func() {
				for range attempts / 8 {
					conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: patience}).Dial("tcp", srv.address)
					if err != nil {
						t.Error(err)
						return
					}
					t.Cleanup(func() { conn.Close() })
					fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
						"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", srv.address)
					response, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					statuses[response.StatusCode]++
					mu.Unlock()
					if response.StatusCode != http.StatusSwitchingProtocols {
						if !response.Close {
							t.Error("the server keeps the connection")
						}
						conn.Close()
					}
				}
			})
		}
		wg.Wait()
	}
	attack(net.IPv4(127, 0, 0, 66), attempts)
	if want := fmt.Sprint(map[int]int{101: allowed, 429: attempts - allowed}); fmt.Sprint(statuses) != want {
		t.Errorf("%v, want %s", statuses, want)
	}
	srv.open("").tick()
	if log := srv.logged(); len(log) > 10_000 || !strings.Contains(log, "clients are turned away") || !strings.Contains(log, "127.0.0.66") {
		t.Errorf("%d bytes of log: %.5000s", len(log), log)
	}

	clear(statuses)
	attack(net.IPv4(127, 0, 0, 67), attempts/10) // more than there is room for
	if statuses[101] == 0 || statuses[101] > 100-allowed-each || statuses[503] == 0 || statuses[101]+statuses[503] != attempts/10 {
		t.Errorf("%v", statuses)
	}
	watching.awaitSeconds(2)
	if log := srv.logged(); len(log) > 10_000 || strings.Count(log, "clients are turned away") < 2 {
		t.Errorf("%d bytes of log: %.5000s", len(log), log)
	}
	if after := srv.heap(); after > heap+4<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", heap, after)
	}
	t.Logf("%d attempts, %d bytes of log", attempts+attempts/10, len(srv.logged()))
}

// What clients write becomes neither lines nor fields of the log.
func TestLogInjection(t *testing.T) {
	const forged = `{"level":"error","ts":1,"msg":"forged"}`
	srv := start(t, site{global: "debug", around: "log {\noutput file access.log\n}"})
	evil := []string{
		"\r\n" + forged + "\r\n", `","msg":"forged","x":"`, "\x1b[2J\x1b]0;title\x07", "\u2028" + forged, "\u009b2J", "\u202eforged", "a\tforged\tb", forged,
	}
	for _, text := range evil {
		c := srv.open(text)
		for _, command := range []string{"", "TZ SET ", "ALARM ADD +1h ", "SYNC ", "ALARM DEL "} {
			c.result(command + text)
		}
		_ = c.conn.Close(websocket.StatusNormalClosure, "")
		path := strings.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, text)
		for _, name := range []string{"Origin", "User-Agent", "X-Forwarded-For", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Version"} {
			conn, err := net.Dial("tcp", srv.address)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s: https://x%s\r\n\r\n", path, srv.address, name, text)
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Errorf("%s %q: %v", name, text, err)
			}
			conn.Close()
		}
	}
	refused := 0
	for file, log := range map[string]string{"log": srv.logged(), "access log": srv.file("access.log")} {
		lines := strings.Split(strings.TrimSpace(log), "\n")
		if len(lines) < len(evil) {
			t.Errorf("the %s has %d lines", file, len(lines))
		}
		for _, line := range lines {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["msg"] == "forged" || fields["x"] != nil {
				t.Errorf("%s: %v: %q", file, err, line)
			}
			if fields["logger"] != "http.handlers.pyws_clock" {
				continue
			}
			if fields["msg"] == "handshake refused" {
				refused++
			}
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: not printable: %q", file, line)
			}
		}
	}
	if refused < len(evil) {
		t.Errorf("%d handshakes were refused, want those with a strange origin at least", refused)
	}
}

// Clients on a Unix socket have no address: they count as one, unless the
// proxy at its other end is trusted to tell theirs.
func TestLimitOnUnixSocket(t *testing.T) {
	for trusted, want := range map[string][]int{
		"":                                   {101, 101, 429, 429},
		"servers {\ntrusted_proxies_unix\n}": {101, 101, 429, 101},
	} {
		t.Run(fmt.Sprintf("%.20q", trusted), func(t *testing.T) {
			dir, err := os.MkdirTemp("", "") // the path of a socket may not be long
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			socket := filepath.Join(dir, "clock.sock")
			srv := start(t, site{global: trusted})
			srv.mustLoad(srv.caddyfile() + fmt.Sprintf("http://clock.example {\nbind unix/%s\npyws_clock {\nmax_connections_per_client 2\n}\n}\n", socket))
			client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", socket)
			}}}
			var got []int
			for _, from := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"} {
				conn, response, err := websocket.Dial(t.Context(), "ws://clock.example/", &websocket.DialOptions{
					HTTPClient: client, HTTPHeader: http.Header{"X-Forwarded-For": {from}},
				})
				if err == nil {
					t.Cleanup(func() { _ = conn.CloseNow() })
				} else if response == nil {
					t.Fatalf("%v\n%s", err, srv.logged())
				}
				got = append(got, response.StatusCode)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
