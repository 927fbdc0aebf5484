package pywsclock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pyws-clock/pyws_clock/wire"
)

// isConnect reports whether a request asks for a WebSocket by extended
// CONNECT: RFC 8441, section 4, for HTTP/2, and RFC 9220 for HTTP/3. The
// servers of the two keep the pseudo-header :protocol in different places.
func isConnect(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	return r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket"
}

// serveStream makes a connection of a stream of HTTP/2 or 3, and returns when
// the connection has ended: with the return the server ends the stream.
func (h *Handler) serveStream(a *wire.Admission, w http.ResponseWriter, r *http.Request) error {
	s, err := accept(w, r)
	if err != nil {
		a.Cancel()
		h.noteRefusal(refusedHandshake, err)
		return nil // the client has its answer
	}
	// A client may end the server's side of a stream alone, which a server
	// that writes nothing sees only so.
	defer context.AfterFunc(r.Context(), func() { s.Close() })()
	h.shared.hub.Serve(a, role(r), s, nil, func() { close(s.done) })
	s.wait()
	return nil
}

// accept answers the opening handshake; RFC 8441, section 5. After an error
// the client has its answer.
func accept(w http.ResponseWriter, r *http.Request) (*stream, error) {
	if version := r.Header.Get("Sec-WebSocket-Version"); version != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		err := fmt.Errorf("unsupported WebSocket version %q: want 13", version)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	if role(r) == wire.TimeSource {
		w.Header().Set("Sec-WebSocket-Protocol", wire.TimeSubprotocol)
	}
	w.WriteHeader(http.StatusOK)
	s := newStream(w, r)
	return s, s.begin()
}

// stream is a stream of HTTP/2 or 3 in the place of a connection.
type stream struct {
	body    io.Reader
	w       http.ResponseWriter
	control *http.ResponseController
	done    chan struct{} // closed when the hub has ended the connection

	writing sync.Mutex // held by Write

	mu       sync.Mutex
	closed   bool
	returned bool // the handler no longer has the stream
}

// newStream takes body and writer from below what Caddy wraps them in: idle
// timeouts, which end requests that are silent for a minute, and counters.
// From HTTP/1.1 connections the handshake takes the same.
func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{body: r.Body, w: innermostWriter(w), done: make(chan struct{})}
	if timed, _ := caddyhttp.IdleTimeoutsFromContext(r.Context()); timed != nil {
		s.body = timed.ReadCloser
	}
	s.control = http.NewResponseController(s.w)
	return s
}

// begin lifts the deadlines of the request and sends the response's header.
func (s *stream) begin() error {
	never := time.Time{}
	return errors.Join(s.control.SetReadDeadline(never), s.control.SetWriteDeadline(never), s.control.Flush())
}

func (s *stream) Read(p []byte) (int, error) { return s.body.Read(p) }

// Write returns when the bytes are in the server's hands, which may wait for
// the client to make room.
func (s *stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := s.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, s.control.Flush()
}

func (s *stream) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// longAgo is a deadline that ends what waits.
var longAgo = time.Unix(1, 0)

// CloseBoth ends the stream in good order, after what was written. A handler
// can end its side of a stream by returning only: so nothing more is read,
// which lets the hub end the connection.
func (s *stream) CloseBoth() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returned {
		return nil
	}
	return s.control.SetReadDeadline(longAgo)
}

// Close ends Read, and resets the stream if Write waits.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.returned {
		return nil
	}
	if s.writing.TryLock() {
		s.writing.Unlock() // the next one finds it closed
	} else if err := s.control.SetWriteDeadline(longAgo); err != nil {
		return err
	}
	return s.control.SetReadDeadline(longAgo)
}

// wait returns when nothing uses request and response any more.
func (s *stream) wait() {
	<-s.done
	s.mu.Lock()
	s.returned = true
	s.mu.Unlock()
	s.writing.Lock()
	defer s.writing.Unlock()
}
