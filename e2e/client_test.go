package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// client is a connection that somebody else's library made.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	id   string
}

func (s *server) dial(header http.Header) (*client, *http.Response, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, "ws://"+s.address+"/any/path?and=query", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, response, err
	}
	conn.SetReadLimit(1 << 20)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: s.t, conn: conn}, response, nil
}

// connect makes a connection and does not say anything yet.
func (s *server) connect() *client {
	s.t.Helper()
	c, _, err := s.dial(nil)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.logged())
	}
	return c
}

// open makes a connection and opens the session with an ID.
func (s *server) open(id string) *client {
	s.t.Helper()
	c := s.connect()
	c.hello(id)
	return c
}

var (
	timeMessage = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$`)
	sessionID   = regexp.MustCompile(`^[A-Za-z0-9_-]{22,64}$`)
)

// hello sends the first message, and checks what answers it.
func (c *client) hello(id string) (zone string, first time.Time) {
	c.t.Helper()
	c.send(id)
	session, ok := strings.CutPrefix(c.receive(), "SESSION:")
	if !ok || !sessionID.MatchString(session) {
		c.t.Fatalf("the session is %q", session)
	}
	c.id = session
	zone, ok = strings.CutPrefix(c.receive(), "TZN:")
	if !ok {
		c.t.Fatalf("the zone is %q", zone)
	}
	return zone, parseTime(c.t, c.receive())
}

func parseTime(t *testing.T, message string) time.Time {
	t.Helper()
	if !timeMessage.MatchString(message) {
		t.Fatalf("%q is no time message", message)
	}
	at, err := time.Parse(time.RFC3339, message)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (c *client) send(message string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		c.t.Fatalf("sending %.80q: %v", message, err)
	}
}

func (c *client) read() (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, message, err := c.conn.Read(ctx)
	return string(message), err
}

func (c *client) receive() string {
	c.t.Helper()
	message, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return message
}

// tick is the next time message.
func (c *client) tick() time.Time {
	c.t.Helper()
	for {
		if m := c.receive(); timeMessage.MatchString(m) {
			return parseTime(c.t, m)
		}
	}
}

// result sends a command and returns its result. What was under way already
// may come before it.
func (c *client) result(command string) string {
	c.t.Helper()
	c.send(command)
	for {
		if m := c.receive(); strings.HasPrefix(m, "OK:") || strings.HasPrefix(m, "ERR:") {
			return m
		}
	}
}

func (c *client) ok(command string) string {
	c.t.Helper()
	details, ok := strings.CutPrefix(c.result(command), "OK:")
	if !ok {
		c.t.Fatalf("%.80q failed: %s", command, details)
	}
	return details
}

func (c *client) err(command string) string {
	c.t.Helper()
	reason, ok := strings.CutPrefix(c.result(command), "ERR:")
	if !ok || len(reason) < 8 || strings.ContainsAny(reason, "\r\n") {
		c.t.Fatalf("%.80q answers %q, want ERR: and a reason", command, reason)
	}
	return reason
}

// into decodes the details of a command.
func (c *client) into(v any, command string) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.ok(command)), v); err != nil {
		c.t.Fatal(err)
	}
}

// closed reads to the end and returns the status of the close frame, or -1
// where there was none.
func (c *client) closed() (websocket.StatusCode, string) {
	c.t.Helper()
	for late := time.Now().Add(patience); ; {
		if time.Now().After(late) {
			c.t.Fatal("the connection goes on")
		}
		if _, err := c.read(); err != nil {
			var closed websocket.CloseError
			errors.As(err, &closed)
			if errors.Is(err, context.DeadlineExceeded) {
				c.t.Fatal("the connection was not closed")
			}
			return websocket.CloseStatus(err), closed.Reason
		}
	}
}
