package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw is a connection whose frames the test writes byte by byte.
type raw struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *server) raw() *raw {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	r := &raw{s.t, conn, bufio.NewReader(conn)}
	r.write("GET / HTTP/1.1\r\nHost: " + s.address + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	response, err := http.ReadResponse(r.in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	// RFC 6455, section 1.3, has this example.
	if response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		s.t.Fatalf("handshake: %v", response)
	}
	return r
}

func (r *raw) write(bytes string) {
	r.t.Helper()
	if _, err := r.conn.Write([]byte(bytes)); err != nil {
		r.t.Fatal(err)
	}
}

// masked is a client's frame, masked with zeros.
func masked(first byte, payload string) string {
	head := []byte{first, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

// next is the server's next frame.
func (r *raw) next() (opcode byte, payload []byte, err error) {
	_ = r.conn.SetReadDeadline(time.Now().Add(patience))
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, err
	}
	length := int(head[1])
	if length == 126 {
		var extended [2]byte
		if _, err := io.ReadFull(r.in, extended[:]); err != nil {
			return 0, nil, err
		}
		length = int(binary.BigEndian.Uint16(extended[:]))
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(r.in, payload)
	return head[0], payload, err
}

// status reads up to the close frame and the end of the connection.
func (r *raw) status() int {
	r.t.Helper()
	for {
		opcode, payload, err := r.next()
		if err != nil {
			r.t.Fatalf("no close frame: %v", err)
		}
		if opcode != 0x88 {
			continue
		}
		if _, err := r.in.ReadByte(); err != io.EOF {
			r.t.Errorf("after the close frame: %v", err)
		}
		if len(payload) == 0 {
			return 1005
		}
		return int(binary.BigEndian.Uint16(payload))
	}
}

// The rows of "Errors and closing", RFC 6455, sections 5 and 7.
func TestViolations(t *testing.T) {
	srv := start(t, site{})
	big := strings.Repeat("x", 4097)
	for name, c := range map[string]struct {
		bytes  string
		status int
	}{
		"binary":               {masked(0x82, "x"), 1003},
		"not UTF-8":            {masked(0x81, "\xff\xfe"), 1007},
		"too big":              {masked(0x81, big), 1009},
		"too big in fragments": {masked(0x01, big[:4000]) + masked(0x80, big[:97]), 1009},
		"too big, unread rest": {masked(0x81, big) + strings.Repeat(masked(0x81, big[:4000]), 20), 1009},
		"unmasked":             {"\x81\x01x", 1002},
		"reserved bit":         {masked(0xc1, "x"), 1002},
		"unknown opcode":       {masked(0x83, "x"), 1002},
		"stray continuation":   {masked(0x80, "x"), 1002},
		"message in message":   {masked(0x01, "x") + masked(0x81, "x"), 1002},
		"fragmented ping":      {masked(0x09, "x"), 1002},
		"long ping":            {masked(0x89, big[:126]), 1002},
		"close of one byte":    {masked(0x88, "x"), 1002},
		"close with 1005":      {masked(0x88, "\x03\xed"), 1002},
		"close":                {masked(0x88, "\x03\xe8"), 1000},
		"close of an app":      {masked(0x88, "\x0f\xa1bye"), 4001},
		"close without status": {masked(0x88, ""), 1005},
	} {
		for _, opened := range []bool{false, true} {
			r := srv.raw()
			if opened {
				r.write(masked(0x81, ""))
				for range 3 {
					if opcode, _, err := r.next(); opcode != 0x81 || err != nil {
						t.Fatal(opcode, err)
					}
				}
			}
			r.write(c.bytes)
			if got := r.status(); got != c.status {
				t.Errorf("%s (opened: %t): closed with %d, want %d", name, opened, got, c.status)
			}
		}
	}
}

func TestPingIsAnswered(t *testing.T) {
	r := start(t, site{}).raw()
	r.write(masked(0x89, "are you there?"))
	if opcode, payload, err := r.next(); opcode != 0x8a || !bytes.Equal(payload, []byte("are you there?")) || err != nil {
		t.Errorf("%x %s %v", opcode, payload, err)
	}
}

// A frame may come a byte at a time, and several in one segment.
func TestSplitAndJoined(t *testing.T) {
	r := start(t, site{}).raw()
	for frame := masked(0x81, ""); frame != ""; frame = frame[1:] {
		r.write(frame[:1])
	}
	r.write(masked(0x81, "TZ GET") + masked(0x81, "TZ GET")[:5])
	results := 0
	for results < 2 {
		_, payload, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if string(payload) == "OK:UTC" {
			if results++; results == 1 {
				r.write(masked(0x81, "TZ GET")[5:])
			}
		}
	}
}

func TestHelloTimeout(t *testing.T) {
	srv := start(t, site{options: "hello_timeout 1s"})
	if status, _ := srv.connect().closed(); status != 1008 {
		t.Errorf("closed with %d", status)
	}
	c := srv.open("")
	for range 3 {
		c.tick() // it is opened, and does not end
	}
}

// A client that answers no ping is dropped, one that does stays.
func TestPings(t *testing.T) {
	srv := start(t, site{options: "ping_interval 1s"})
	good := srv.open("")
	silent := srv.raw()
	silent.write(masked(0x81, ""))
	pings := 0
	for {
		opcode, _, err := silent.next()
		if err != nil {
			break
		}
		if opcode == 0x89 {
			pings++
		}
	}
	if pings < 2 {
		t.Errorf("dropped after %d pings", pings)
	}
	good.tick()
}

func TestCommandRate(t *testing.T) {
	c := start(t, site{options: "command_rate 2"}).open("")
	refused := 0
	for range 30 {
		if strings.HasPrefix(c.result("TZ GET"), "ERR:too many commands") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("30 commands at once were all taken")
	}
	for strings.HasPrefix(c.result("TZ GET"), "ERR:") { // it recovers
		c.tick()
	}
}

func TestLimits(t *testing.T) {
	srv := start(t, site{
		global:  "servers {\ntrusted_proxies static 127.0.0.1/32\n}",
		options: "max_connections 3\nmax_connections_per_client 2",
	})
	from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }
	status := func(address string) int {
		_, response, err := srv.dial(from(address))
		if err == nil {
			return 101
		}
		if response == nil {
			t.Fatal(err)
		}
		if response.StatusCode == 503 && response.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		return response.StatusCode
	}
	for i, c := range []struct {
		address string
		want    int
	}{
		{"2001:db8:1:2::1", 101},
		{"2001:db8:1:2:ffff::2", 101},
		{"2001:db8:1:2::3", 429}, // the third of a /64
		{"192.0.2.1", 101},
		{"192.0.2.2", 503},
	} {
		if got := status(c.address); got != c.want {
			t.Errorf("%d: %s gets %d, want %d", i, c.address, got, c.want)
		}
	}
}

func TestOrigins(t *testing.T) {
	srv := start(t, site{options: "origins *.example.org https://secure.example:8443"})
	for origin, want := range map[string]int{
		"":                               101,
		"http://" + srv.address:          101,
		"https://a.example.org":          101,
		"http://a.example.org:8080":      101,
		"https://example.org":            403,
		"https://secure.example:8443":    101,
		"https://secure.example":         403,
		"http://secure.example:8443":     403,
		"https://evil.example":           403,
		"https://a.example.org.evil.com": 403,
		"null":                           403,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		got := 101
		if _, response, err := srv.dial(header); err != nil {
			if response == nil {
				t.Fatal(err)
			}
			got = response.StatusCode
		}
		if got != want {
			t.Errorf("origin %q: %d, want %d", origin, got, want)
		}
	}
}

// What is no WebSocket goes to the next handler.
func TestNextHandler(t *testing.T) {
	srv := start(t, site{around: "respond next 201"})
	response, err := http.Get("http://" + srv.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != 201 || string(body) != "next" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	srv.open("") // and what is one does not
}

func TestStop(t *testing.T) {
	srv := start(t, site{})
	clients := []*client{srv.open(""), srv.open(""), srv.connect()}
	srv.terminate()
	for i, c := range clients {
		if status, _ := c.closed(); status != 1012 {
			t.Errorf("client %d: closed with %d", i, status)
		}
	}
	srv.awaitExit()
}
