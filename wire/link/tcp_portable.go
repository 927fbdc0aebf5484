//go:build unix && (!linux || portable)

package link

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tcp is a link over a TCP connection that the runtime polls: it reads into a
// shared buffer once there is something to read, and writes only what the
// socket takes at once.
type tcp struct {
	conn  *net.TCPConn
	raw   syscall.RawConn
	owner Owner

	// Arguments and results of the callbacks, which are bound once: a
	// closure for each call would be garbage for each message.
	readSome  func(fd uintptr) bool
	writeSome func(fd uintptr) bool
	in        *[bufferSize]byte
	got       int
	readErr   error
	out       []byte
	sent      int
	writeErr  error
}

func newTCP(conn *net.TCPConn, owner Owner) *tcp {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	l := &tcp{conn: conn, raw: raw, owner: owner}
	l.readSome, l.writeSome = l.tryRead, l.tryWrite
	return l
}

func (l *tcp) Start(early []byte) { go l.receive(early) }

func (l *tcp) receive(early []byte) {
	if len(early) > 0 {
		l.owner.Receive(early)
	}
	for {
		err := l.raw.Read(l.readSome)
		if err == nil {
			err = l.readErr
		}
		if err == nil && l.got == 0 {
			err = io.EOF
		}
		if err == nil {
			l.owner.Receive(l.in[:l.got])
		}
		if l.in != nil {
			buffers.Put(l.in)
			l.in = nil
		}
		if err != nil {
			l.owner.Ended(err)
			return
		}
	}
}

// tryRead is a callback of RawConn.Read: it takes a buffer only where there is
// something to put into it.
func (l *tcp) tryRead(fd uintptr) bool {
	l.in = buffers.Get().(*[bufferSize]byte)
	l.got, l.readErr = retry(func() (int, error) { return unix.Read(int(fd), l.in[:]) })
	if l.readErr == unix.EAGAIN {
		buffers.Put(l.in)
		l.in = nil
		return false
	}
	l.readErr = os.NewSyscallError("read", l.readErr)
	return true
}

func (l *tcp) Send(p []byte) (int, error) {
	l.out = p
	err := l.raw.Write(l.writeSome)
	l.out = nil
	if err == nil {
		err = l.writeErr
	}
	if err == nil && l.sent < len(p) {
		go l.awaitRoom()
	}
	return l.sent, err
}

// tryWrite is a callback of RawConn.Write that never asks to wait.
func (l *tcp) tryWrite(fd uintptr) bool {
	l.sent, l.writeErr = retry(func() (int, error) { return unix.Write(int(fd), l.out) })
	if l.writeErr == unix.EAGAIN {
		l.sent, l.writeErr = 0, nil
	}
	l.sent = max(l.sent, 0)
	l.writeErr = os.NewSyscallError("write", l.writeErr)
	return true
}

// awaitRoom tells the owner when the socket takes bytes again. It asks the
// socket itself first: the poller forgets room that came before it waits.
func (l *tcp) awaitRoom() {
	err := l.raw.Write(func(fd uintptr) bool { return writable(int(fd)) })
	if err == nil {
		l.owner.Ready()
	}
}

func (l *tcp) CloseWrite() error { return l.conn.CloseWrite() }

func (l *tcp) Close() error { return l.conn.Close() }
