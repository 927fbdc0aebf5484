// Package link carries the bytes of a connection: it receives without holding
// a buffer while nothing comes, and sends without ever waiting for a slow
// peer. What is below, a TCP connection, TLS, or a stream of HTTP/2 or 3,
// makes no difference to the owner of a link.
package link

import (
	"crypto/tls"
	"io"
	"net"
)

// Owner is told what happens on its link.
type Owner interface {
	// Receive takes bytes in the order in which they came, one call at a
	// time. The bytes are the owner's to change until it returns; while it
	// does not return, nothing more is read.
	Receive(p []byte)

	// Ready says that there is room again after Send took less than it was
	// given. It may be called on any goroutine, at most once for each such Send.
	Ready()

	// Ended says, once, that nothing more will be received: the error is
	// io.EOF where the peer ended its side in good order. Unless the owner
	// closed the link already, it still has to.
	Ended(err error)
}

// Link is one connection's bytes. Send and CloseWrite are called one at a
// time; Close may be called at any time, on any goroutine.
type Link interface {
	// Start begins to receive: first the bytes that were read already, then
	// what the connection has.
	Start(early []byte)

	// Send sends what goes out without waiting, and returns how many bytes
	// of p that was. Where it is fewer than all, Ready follows, and Send must
	// not be called before. The link does not keep p.
	Send(p []byte) (n int, err error)

	// CloseWrite ends the sending side, after what Send took. Where the two
	// sides end only together, see [HalfCloses], it ends both.
	CloseWrite() error

	// Close ends the link at once and makes Ended follow, if it was not called yet.
	Close() error
}

// sendBuffer is what the kernel may keep for a client that does not read. The
// default is megabytes, by which a client could make it keep as much, and be
// found out only when they are full.
const sendBuffer = 32 << 10

// HalfCloses reports whether a connection can end its sending side alone.
func HalfCloses(conn io.ReadWriteCloser) bool {
	_, ok := conn.(interface{ CloseWrite() error })
	return ok
}

// New makes a link of conn, which it will close. A connection that is no
// [net.Conn] has the method CloseWrite if it can end its sending side alone,
// or else CloseBoth, which ends both sides after what was written.
func New(conn io.ReadWriteCloser, owner Owner) Link {
	switch conn := conn.(type) {
	case *net.TCPConn:
		_ = conn.SetWriteBuffer(sendBuffer)
		if l := newTCP(conn, owner); l != nil {
			return l
		}
	case *tls.Conn:
		if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer)
		}
		if l := newTLS(conn, owner); l != nil {
			return l
		}
	}
	return &stream{conn: conn, owner: owner}
}
