//go:build unix

package link

import (
	"crypto/tls"
	"net"
	"syscall"
)

// secured is what all links over TLS on a TCP connection have: a tick goes out
// without a goroutine of its own where the socket has room.
type secured struct {
	stream
	raw syscall.RawConn // of the TCP connection

	// Result of a callback that is bound once.
	ask  func(fd uintptr)
	room bool
}

func newSecured(conn *tls.Conn, owner Owner) *secured {
	tcp, ok := conn.NetConn().(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	l := &secured{stream: stream{conn: conn, owner: owner}, raw: raw}
	l.ask = func(fd uintptr) { l.room = writable(int(fd)) }
	l.hasRoom = l.writableNow
	return l
}

func (l *secured) writableNow() bool { return l.raw.Control(l.ask) == nil && l.room }
