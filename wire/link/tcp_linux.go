//go:build linux && !portable

package link

import (
	"io"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tcp is a link over a socket that waits in the poller of this package. It is
// taken from the runtime: an idle one has neither goroutine nor buffer, nor
// anything of package net.
type tcp struct {
	owner  Owner
	poller *poller
	fd     int

	// users counts the calls that use fd, and has the bit closing once Close
	// was called: the last user closes fd, so that none meets a descriptor
	// that is somebody else's by now.
	users atomic.Int32

	reading turn
	refused atomic.Bool // Send took less than it was given, and no room came since
}

const closing = 1 << 30

// newTCP takes over the socket of conn. It returns nil where that cannot be.
func newTCP(conn *net.TCPConn, owner Owner) *tcp {
	poller, err := thePoller()
	if err != nil {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if err := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil || fd < 0 {
		return nil
	}
	_ = conn.Close() // the socket lives on as fd
	return &tcp{owner: owner, poller: poller, fd: fd}
}

func (l *tcp) Start(early []byte) {
	l.reading.begin()
	if err := l.register(); err != nil {
		_ = l.Close()
	}
	if len(early) == 0 && l.reading.end() {
		return // the poller tells what is there already
	}
	go func() {
		l.owner.Receive(early)
		l.receive()
	}()
}

// register makes the poller tell of the socket, unless it was closed already.
func (l *tcp) register() error {
	if !l.acquire() {
		return net.ErrClosed
	}
	defer l.release()
	return l.poller.add(l.fd, l)
}

// readable is called by the poller.
func (l *tcp) readable() {
	if l.reading.told() {
		go l.receive()
	}
}

// receive reads until there is nothing left, or the end.
func (l *tcp) receive() {
	in := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(in)
	for {
		n, err := l.read(in[:])
		switch {
		case err == unix.EAGAIN:
			if l.reading.end() {
				return
			}
		case err != nil:
			l.owner.Ended(os.NewSyscallError("read", err))
			return
		case n == 0:
			l.owner.Ended(io.EOF)
			return
		default:
			l.owner.Receive(in[:n])
		}
	}
}

func (l *tcp) read(p []byte) (int, error) {
	if !l.acquire() {
		return 0, net.ErrClosed
	}
	defer l.release()
	return retry(func() (int, error) { return unix.Read(l.fd, p) })
}

func (l *tcp) Send(p []byte) (int, error) {
	if !l.acquire() {
		return 0, net.ErrClosed
	}
	defer l.release()
	n, err := retry(func() (int, error) { return unix.Write(l.fd, p) })
	if err == unix.EAGAIN {
		n, err = 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("write", err)
	}
	if n < len(p) {
		l.awaitRoom()
	}
	return n, nil
}

// awaitRoom makes Ready follow once there is room.
func (l *tcp) awaitRoom() {
	l.refused.Store(true)
	if writable(l.fd) {
		l.writable() // it came before the poller would have told
	}
}

// writable is called when there may be room again.
func (l *tcp) writable() {
	if l.refused.CompareAndSwap(true, false) {
		go l.owner.Ready()
	}
}

func (l *tcp) CloseWrite() error {
	if !l.acquire() {
		return net.ErrClosed
	}
	defer l.release()
	return os.NewSyscallError("shutdown", unix.Shutdown(l.fd, unix.SHUT_WR))
}

func (l *tcp) Close() error {
	for {
		n := l.users.Load()
		if n&closing != 0 {
			return net.ErrClosed
		}
		if l.users.CompareAndSwap(n, n|closing) {
			break
		}
	}
	l.poller.remove(l.fd, l)
	if l.users.Load() == closing && l.users.CompareAndSwap(closing, closing|1) {
		_ = unix.Close(l.fd)
	}
	l.readable() // makes Ended follow
	return nil
}

// acquire keeps fd open until release; it reports whether it still was.
func (l *tcp) acquire() bool {
	for {
		n := l.users.Load()
		if n&closing != 0 {
			return false
		}
		if l.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *tcp) release() {
	if l.users.Add(-1) == closing && l.users.CompareAndSwap(closing, closing|1) {
		_ = unix.Close(l.fd)
	}
}
