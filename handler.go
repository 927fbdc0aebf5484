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
	"go.uber.org/zap"
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
	admission, err := h.shared.hub.Admit(clientAddr(r))
	switch {
	case errors.Is(err, wire.ErrClientFull):
		h.noteRefusal(refusedClientFull, err)
		return caddyhttp.Error(http.StatusTooManyRequests, err)
	case err != nil:
		w.Header().Set("Retry-After", "10")
		h.noteRefusal(refusedFull, err)
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
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

// noteRefusal counts and logs that a handshake was refused.
func (h *Handler) noteRefusal(reason string, err error) {
	h.shared.metrics.refused[reason].Inc()
	h.config.Logger.Debug("handshake refused", zap.String("reason", reason), zap.Error(err))
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
	c, err := websocket.Accept(taker, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // checkOrigin did it
		CompressionMode:    websocket.CompressionDisabled,
		Subprotocols:       []string{wire.TimeSubprotocol},
	})
	if err != nil {
		return nil, nil, err
	}
	_ = c.CloseNow() // closes the other end of a pipe, see Hijack
	return taker.conn, taker.early, nil
}

// connTaker lets the library do the handshake, and keeps the connection for
// the hub. The library's own connection reads and writes messages; ticks go
// out as finished frames, and a connection that is idle is to cost next to
// nothing.
type connTaker struct {
	http.ResponseWriter
	conn  net.Conn
	early []byte
}

// Hijack takes the connection and gives the library an end of a pipe in its
// stead. It asks the innermost writer: those around it wrap the connection to
// count bytes, which would hide the socket.
func (t *connTaker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(innermostWriter(t.ResponseWriter)).Hijack()
	if err != nil {
		return nil, nil, err
	}
	peeked, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	t.conn, t.early = innermost(conn), append([]byte(nil), peeked...)

	stub, other := net.Pipe()
	_ = other.Close()
	return stub, bufio.NewReadWriter(bufio.NewReaderSize(stub, 16), bufio.NewWriterSize(stub, 16)), nil
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
