package pywsclock

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"reflect"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/coder/websocket"
	"golang.org/x/net/http/httpguts"

	clockpage "github.com/pyws-clock/pyws_clock/page"
	"github.com/pyws-clock/pyws_clock/wire"
)

// ServeHTTP makes a connection of a request for a WebSocket, and hands it to
// the hub. Over HTTP/1.1 it returns then, over HTTP/2 and 3 when the connection
// has ended. Other requests go to the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !isUpgrade(r) && !isConnect(r) {
		if h.Page && clockpage.Serve(w, r) {
			return nil
		}
		return next.ServeHTTP(w, r)
	}
	if err := h.checkOrigin(r); err != nil {
		h.noteRefusal(refusedOrigin, err)
		return caddyhttp.Error(http.StatusForbidden, err)
	}
	client := clientAddr(r)
	admission, err := h.shared.hub.Admit(client)
	switch {
	case errors.Is(err, wire.ErrClientFull):
		h.noteCrowd(refusedClientFull, client, err)
		hangUp(w, r)
		return caddyhttp.Error(http.StatusTooManyRequests, err)
	case err != nil:
		h.noteCrowd(refusedFull, client, err)
		hangUp(w, r)
		w.Header().Set("Retry-After", "10")
		// Caddy would log an error of the server with the whole request, for
		// each of those who come in vain.
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return nil
	}
	if isConnect(r) {
		return h.serveStream(admission, w, r)
	}
	conn, early, err := handshake(w, r)
	if err != nil {
		admission.Cancel()
		h.noteRefusal(refusedHandshake, err)
		return nil // the client has its answer
	}
	h.shared.hub.Serve(admission, role(r), conn, early, nil)
	return nil
}

// role is what the client wants the connection for.
func role(r *http.Request) wire.Role {
	if httpguts.HeaderValuesContainsToken(r.Header["Sec-Websocket-Protocol"], wire.TimeSubprotocol) {
		return wire.TimeSource
	}
	return wire.Clock
}

// isUpgrade reports whether a request asks for a WebSocket; RFC 6455, section
// 4.2.1.
func isUpgrade(r *http.Request) bool {
	return httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket")
}

// clientAddr is the address of the client as Caddy determines it. It is the
// zero address where there is none, as with Unix sockets.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(text)
	return addr
}

// handshake answers the opening handshake and returns the connection with what
// was read from it already. After an error the client has its answer.
func handshake(w http.ResponseWriter, r *http.Request) (conn net.Conn, early []byte, err error) {
	taker := &connTaker{ResponseWriter: w}
	_, err = websocket.Accept(taker, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // checkOrigin did it
		CompressionMode:    websocket.CompressionDisabled,
		Subprotocols:       []string{wire.TimeSubprotocol},
	})
	if taker.conn == nil {
		return nil, nil, err
	}
	return taker.conn, taker.early, nil
}

// connTaker lets the library do the handshake, and then takes the connection
// away from it. The library's own reads and writes messages; ticks go out as
// finished frames, and a connection that is idle is to cost next to nothing.
type connTaker struct {
	http.ResponseWriter
	conn  net.Conn
	early []byte
}

// errTaken is what the library hears in the place of the connection.
var errTaken = errors.New("the connection is taken")

// Hijack takes the connection. It asks the innermost writer: those around it
// wrap the connection to count bytes, which would hide the socket.
func (t *connTaker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(innermostWriter(t.ResponseWriter)).Hijack()
	if err != nil {
		return nil, nil, err
	}
	peeked, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	t.conn, t.early = innermost(conn), append([]byte(nil), peeked...)
	return nil, nil, errTaken
}

// WriteHeader and Write keep from the client what the library says of errTaken.
func (t *connTaker) WriteHeader(status int) {
	if t.conn == nil {
		t.ResponseWriter.WriteHeader(status)
	}
}

func (t *connTaker) Write(p []byte) (int, error) {
	if t.conn == nil {
		return t.ResponseWriter.Write(p)
	}
	return len(p), nil
}

// innermostWriter is the writer of the server itself.
func innermostWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// innermost is the socket within a connection of a server that speaks HTTP/1.1
// alone: Caddy wraps it to look for the preface of HTTP/2, which is over with
// the handshake. Other wrappers may change what they carry, and stay.
func innermost(conn net.Conn) net.Conn {
	wrapper := reflect.ValueOf(conn)
	if wrapper.Type().String() != "*caddyhttp.http2Conn" {
		return conn
	}
	if inner, ok := wrapper.Elem().FieldByName("Conn").Interface().(net.Conn); ok {
		return inner
	}
	return conn
}
