//lint:file-ignore SA1019 net/http has no client for extended CONNECT over HTTP/2

package e2e

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

// startTLS runs a Caddy whose site speaks HTTP/1.1, 2 and 3 over TLS, and
// takes WebSockets over each of them.
func startTLS(t *testing.T, s site) *server {
	s.tls = true
	srv := start(t, s)
	until(t, "the site has its certificate", func() bool {
		conn, err := srv.dialTLS()
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return srv
}

var versions = []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"}

func (s *server) tlsConfig(protocols ...string) *tls.Config {
	root, err := os.ReadFile(filepath.Join(s.storage(), "pki", "authorities", "local", "root.crt"))
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols}
}

func (s *server) dialTLS(protocols ...string) (*tls.Conn, error) {
	return tls.Dial("tcp", s.address, s.tlsConfig(protocols...))
}

// browser is a client that keeps to one version of HTTP, and has one
// connection for all that it does.
type browser struct {
	*server
	transport http.RoundTripper
	connect   *http.Response // the last answer to an extended CONNECT
	hangUp    func() error   // ends the connection under all streams
}

func (s *server) browser(t *testing.T, version string) *browser {
	mine := *s
	mine.t = t
	b := &browser{server: &mine}
	switch version {
	case "HTTP/1.1":
		transport := &http.Transport{TLSClientConfig: s.tlsConfig(), DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("tcp", s.address)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		b.transport = transport
	case "HTTP/2.0":
		transport := &http2.Transport{DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) {
			conn, err := s.dialTLS("h2")
			b.hangUp = conn.Close
			return conn, err
		}}
		t.Cleanup(transport.CloseIdleConnections)
		b.transport = transport
	case "HTTP/3.0":
		transport := &http3.Transport{TLSClientConfig: s.tlsConfig(), Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			conn, err := quic.DialAddr(ctx, s.address, t, q)
			b.hangUp = func() error { return conn.CloseWithError(0, "") }
			return conn, err
		}}
		t.Cleanup(func() { transport.Close() })
		b.transport = transport
	}
	return b
}

func (b *browser) url() string {
	_, port, _ := net.SplitHostPort(b.address)
	return "https://localhost:" + port + "/any/path?and=query"
}

// tunnel opens a stream by extended CONNECT, RFC 8441 and RFC 9220.
func (b *browser) tunnel(protocol string, header http.Header) (*http.Response, *tunnel, error) {
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodConnect, b.url(), nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header = header.Clone()
	if _, ok := b.transport.(*http3.Transport); ok {
		r.Proto = protocol
	} else {
		r.Header[":protocol"] = []string{protocol}
	}
	in, out := io.Pipe()
	r.Body = in
	response, err := b.transport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	return response, &tunnel{body: response.Body, out: out}, nil
}

// tunnel is a stream that is used as a connection.
type tunnel struct {
	net.Conn // nil: no other methods are used
	body     io.ReadCloser
	out      *io.PipeWriter
	timer    *time.Timer
}

func (t *tunnel) Read(p []byte) (int, error)  { return t.body.Read(p) }
func (t *tunnel) Write(p []byte) (int, error) { return t.out.Write(p) }

// Close resets the stream, unless it has ended.
func (t *tunnel) Close() error { return t.body.Close() }

// CloseWrite ends the client's side of the stream.
func (t *tunnel) CloseWrite() error { return t.out.Close() }

func (t *tunnel) SetReadDeadline(deadline time.Time) error {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(time.Until(deadline), func() { t.body.Close() })
	return nil
}

// raw opens a stream whose frames the test writes byte by byte, once the
// server has a place for it.
func (b *browser) raw() (r *raw) {
	b.t.Helper()
	until(b.t, "the server takes a connection", func() bool {
		response, conn, err := b.tunnel("websocket", http.Header{"Sec-Websocket-Version": {"13"}})
		if err != nil {
			b.t.Fatalf("%v\n%s", err, b.logged())
		}
		r = &raw{b.t, conn, bufio.NewReader(conn)}
		return response.StatusCode == http.StatusOK
	})
	return r
}

// RoundTrip lets a library for WebSockets that knows HTTP/1.1 alone speak over
// the others.
func (b *browser) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, ok := b.transport.(*http.Transport); ok {
		return b.transport.RoundTrip(r)
	}
	key := r.Header.Get("Sec-WebSocket-Key")
	header := r.Header.Clone()
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Key"} {
		header.Del(name)
	}
	response, tunnel, err := b.tunnel("websocket", header)
	if err != nil {
		return nil, err
	}
	b.connect = response
	if response.StatusCode != http.StatusOK {
		return response, nil
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 1.3
	upgraded := *response
	upgraded.StatusCode = http.StatusSwitchingProtocols
	upgraded.Body = tunnel
	upgraded.Header = response.Header.Clone()
	upgraded.Header.Set("Connection", "Upgrade")
	upgraded.Header.Set("Upgrade", "websocket")
	upgraded.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	return &upgraded, nil
}

// choke opens a session that reads nothing, and asks for more than the server
// can send.
func (b *browser) choke() {
	b.t.Helper()
	skipped := func() float64 { return b.metrics().of("ticks_skipped_total") }
	before := skipped()
	r := b.raw()
	r.write(masked(0x81, "") + strings.Repeat(masked(0x81, "TZ LIST"), 1000))
	until(b.t, "a tick is skipped", func() bool { return skipped() > before })
}

// socket opens a connection that has not said anything yet.
func (b *browser) socket(subprotocols ...string) *client {
	b.t.Helper()
	conn, _, err := websocket.Dial(b.t.Context(), b.url(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: b}, Subprotocols: subprotocols})
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.logged())
	}
	conn.SetReadLimit(1 << 20)
	b.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: b.t, conn: conn}
}

func (b *browser) session(id string) *client {
	b.t.Helper()
	c := b.socket()
	c.hello(id)
	return c
}

// Page and socket work alike over all versions of HTTP.
func TestVersions(t *testing.T) {
	srv := startTLS(t, site{options: "page"})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := srv.browser(t, version)
			request, _ := http.NewRequest(http.MethodGet, b.url(), nil)
			page, err := b.transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer page.Body.Close()
			if body, err := io.ReadAll(page.Body); page.Proto != version || page.StatusCode != 200 || !strings.Contains(string(body), "<html") || err != nil {
				t.Errorf("the page: %s %s %v", page.Proto, page.Status, err)
			}

			c := b.session("")
			d := b.session(c.id)
			if d.id != c.id {
				t.Error("the session has another ID")
			}
			if details := c.ok("TZ SET europe/paris"); details != "Europe/Paris" {
				t.Errorf("TZ SET: %s", details)
			}
			for m := d.receive(); m != "TZN:CET" && m != "TZN:CEST"; m = d.receive() {
				parseTime(t, m)
			}
			last := c.tick()
			for range 2 {
				next := c.tick()
				if err := srv.follows(last.Unix(), next.Unix(), next.Unix()-last.Unix()-1); err != nil {
					t.Error(err)
				}
				last = next
			}
			if list := c.ok("TZ LIST"); len(list) < 8000 {
				t.Errorf("a list of %d bytes", len(list))
			}
			if b.connect != nil && (b.connect.Proto != version || b.connect.Header["Sec-Websocket-Accept"] != nil) {
				t.Errorf("handshake: %s %v", b.connect.Proto, b.connect.Header)
			}
		})
	}
}

func TestConnectIsRefused(t *testing.T) {
	for _, version := range versions[1:] {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := startTLS(t, site{
				options: "origins *.example.org\nmax_connections 2\nmax_connections_per_client 1",
				around:  "respond next 418",
				global:  "servers {\ntrusted_proxies static 127.0.0.1/32\n}",
			}).browser(t, version)
			status := func(protocol string, header ...string) *http.Response {
				h := http.Header{"Sec-Websocket-Version": {"13"}}
				for ; len(header) > 0; header = header[2:] {
					h[header[0]] = header[1:2]
				}
				response, conn, err := b.tunnel(protocol, h)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				return response
			}
			if r := status("websocket", "Sec-Websocket-Version", "12"); r.StatusCode != 400 || r.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("version 12: %s %v", r.Status, r.Header)
			}
			if r := status("connect-udp"); r.StatusCode != 418 {
				t.Errorf("another protocol: %s", r.Status)
			}
			if r := status("websocket", "Origin", "https://evil.example"); r.StatusCode != 403 {
				t.Errorf("a strange origin: %s", r.Status)
			}
			if r := status("websocket", "Origin", strings.TrimSuffix(b.url(), "/any/path?and=query"), "X-Forwarded-For", "192.0.2.1"); r.StatusCode != 200 {
				t.Errorf("the site's own origin: %s", r.Status)
			}
			if r := status("websocket", "X-Forwarded-For", "192.0.2.1"); r.StatusCode != 429 {
				t.Errorf("a client's second connection: %s", r.Status)
			}
			if r := status("websocket", "Origin", "https://a.example.org", "X-Forwarded-For", "192.0.2.2"); r.StatusCode != 200 {
				t.Errorf("an origin that may connect: %s", r.Status)
			}
			if r := status("websocket", "X-Forwarded-For", "192.0.2.3"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
				t.Errorf("the third connection: %s %v", r.Status, r.Header)
			}
		})
	}
}

// A stream lives past the idle timeouts of the server, and past those of whole
// requests.
func TestIdleStream(t *testing.T) {
	srv := startTLS(t, site{options: "ping_interval 1h", global: `servers {
		timeouts {
			read_body 3s
			read_body_idle 1s
			write 3s
			write_idle 1s
		}
	}`})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := srv.browser(t, version)
			silent := b.socket("time")
			c := b.session("") // from which nothing comes
			for range 5 {
				c.tick()
			}
			if details := c.ok("TZ GET"); details != "UTC" {
				t.Error(details)
			}
			silent.send(`{"c":1}`)
			if answer := silent.receive(); !strings.HasPrefix(answer, `{"c":1,`) {
				t.Errorf("%s", answer)
			}
		})
	}
}

// The close frame is the last of a stream that ends in good order.
func TestStreamEnds(t *testing.T) {
	srv := startTLS(t, site{})
	for _, version := range versions[1:] {
		for name, c := range map[string]struct {
			bytes  string
			status int
		}{
			"close":                {masked(0x88, "\x03\xe8"), 1000},
			"close without status": {masked(0x88, ""), 1005},
			"opened":               {masked(0x81, "") + masked(0x88, "\x0f\xa1bye"), 4001},
			"binary":               {masked(0x82, "x"), 1003},
			"too big":              {masked(0x81, strings.Repeat("x", 4097)), 1009},
			"deleted, no answer":   {masked(0x81, "") + masked(0x81, "SESSION DEL"), 1000},
			"deleted, answer":      {masked(0x81, "") + masked(0x81, "SESSION DEL") + masked(0x88, "\x03\xe8"), 1000},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				t.Parallel()
				r := srv.browser(t, version).raw()
				r.write(c.bytes)
				if got := r.status(); got != c.status {
					t.Errorf("closed with %d, want %d", got, c.status)
				}
			})
		}
		// Chromium ends its side with its close frame.
		t.Run(version+" at once", func(t *testing.T) {
			b := srv.browser(t, version)
			for range 20 {
				r := b.raw()
				r.write(masked(0x81, "") + masked(0x88, "\x0f\xa1bye"))
				if err := r.conn.(*tunnel).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got := r.status(); got != 4001 {
					t.Errorf("closed with %d", got)
				}
			}
		})
	}
}

// A client that goes without a word leaves nothing behind.
func TestStreamIsLost(t *testing.T) {
	srv := startTLS(t, site{options: "max_connections 1"})
	for _, version := range versions[1:] {
		for name, leave := range map[string]func(b *browser, conn *tunnel) error{
			"ends its side":    func(_ *browser, conn *tunnel) error { return conn.CloseWrite() },
			"resets":           func(_ *browser, conn *tunnel) error { return conn.Close() },
			"ends all streams": func(b *browser, _ *tunnel) error { return b.hangUp() },
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				b := srv.browser(t, version)
				r := b.raw()
				r.write(masked(0x81, ""))
				for range 4 {
					if opcode, _, err := r.next(); opcode != 0x81 || err != nil {
						t.Fatal(opcode, err)
					}
				}
				if err := leave(b, r.conn.(*tunnel)); err != nil {
					t.Error(err)
				}
				srv.browser(t, version).raw().conn.Close()
				srv.awaitHandlers()
			})
		}
	}
}

// awaitHandlers waits until no request is served.
func (s *server) awaitHandlers() {
	s.t.Helper()
	until(s.t, "all handlers have returned", func() bool {
		return !strings.Contains(s.get("/debug/pprof/goroutine?debug=2"), "pyws_clock.(*Handler).ServeHTTP")
	})
}

// A connection whose client reads nothing can be closed all the same.
func TestChokedStream(t *testing.T) {
	for _, version := range versions[1:] {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			srv := startTLS(t, site{options: "command_rate 1000000"})
			srv.browser(t, version).choke()
			if !strings.Contains(srv.get("/debug/pprof/goroutine?debug=2"), "pyws_clock.(*Handler).ServeHTTP") {
				t.Error("no request is served")
			}
			if status, body := srv.ask(http.MethodDelete, "/pyws_clock/connections/1"); status != http.StatusNoContent {
				t.Fatal(status, body)
			}
			srv.awaitHandlers()
		})
	}
}

// A server that stops tells so over all versions of HTTP, and does not wait
// for a client that reads nothing.
func TestStopOfStreams(t *testing.T) {
	srv := startTLS(t, site{options: "command_rate 1000000"})
	var clients []*client
	for _, version := range versions {
		b := srv.browser(t, version)
		clients = append(clients, b.session(""), b.socket(), b.socket("time"))
	}
	srv.browser(t, "HTTP/2.0").choke()
	srv.terminate()
	for i, c := range clients {
		if status, _ := c.closed(); status != 1012 {
			t.Errorf("client %d: closed with %d", i, status)
		}
	}
	srv.awaitExit()
}

// Streams outlive a reload, and their client opens new ones without noticing.
func TestReloadWithStreams(t *testing.T) {
	srv := startTLS(t, site{})
	var browsers []*browser
	var clients []*client
	for _, version := range versions {
		b := srv.browser(t, version)
		browsers, clients = append(browsers, b), append(clients, b.session(""))
	}
	all := srv.follow(clients, nil)
	for _, options := range []string{"precision us", "precision ms\nping_interval 2s", ""} {
		srv.site.options = options
		srv.mustLoad(srv.caddyfile())
	}
	all.awaitSeconds(3)
	for i, b := range browsers {
		clients[i].ok("TZ SET Asia/Tokyo")
		if zone, _ := b.socket().hello(clients[i].id); zone != "JST" {
			t.Errorf("the zone of a new connection is %s", zone)
		}
	}
}

// Where the new configuration has no clock, streams are closed, and the
// requests of the next handler are answered.
func TestReloadThatRemovesTheClock(t *testing.T) {
	srv := startTLS(t, site{around: "respond next 201"})
	var clients []*client
	for _, version := range versions {
		clients = append(clients, srv.browser(t, version).session(""))
	}
	srv.mustLoad(strings.Replace(srv.caddyfile(), "pyws_clock {", "handle {", 1))
	for i, c := range clients {
		if status, _ := c.closed(); status != 1001 {
			t.Errorf("client %d: closed with %d", i, status)
		}
	}
}
