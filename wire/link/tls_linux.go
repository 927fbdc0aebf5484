//go:build linux && !portable

package link

import (
	"crypto/tls"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// tlsLink is a link over TLS whose socket waits in the poller of this package:
// an idle one has no goroutine, and no buffer but those of package tls.
type tlsLink struct {
	*secured
	tls     *tls.Conn
	poller  *poller
	reading turn
}

func newTLS(conn *tls.Conn, owner Owner) Link {
	poller, err := thePoller()
	if err != nil {
		return nil
	}
	l := newSecured(conn, owner)
	if l == nil {
		return nil
	}
	return &tlsLink{secured: l, tls: conn, poller: poller}
}

func (l *tlsLink) Start(early []byte) {
	l.reading.begin()
	var err error
	if err2 := l.raw.Control(func(fd uintptr) { err = l.poller.add(int(fd), l) }); err != nil || err2 != nil {
		_ = l.Close()
	}
	// What came with the handshake may be in the buffers of package tls, of
	// which the poller knows nothing.
	go func() {
		l.owner.Receive(early)
		l.receive()
	}()
}

func (l *tlsLink) readable() {
	if l.reading.told() {
		go l.receive()
	}
}

func (*tlsLink) writable() {} // the stream below waits for room itself

// longAgo is a deadline that ends a read as soon as it would have to wait.
var longAgo = time.Unix(1, 0)

// receive reads until there is nothing left, neither in the socket nor in the
// buffers of package tls, or the end. It waits for a record of which a part
// has come.
func (l *tlsLink) receive() {
	in := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(in)
	for {
		var deadline time.Time
		if !l.hasInput() {
			deadline = longAgo
		}
		err := l.tls.SetReadDeadline(deadline)
		n := 0
		if err == nil {
			n, err = l.tls.Read(in[:])
		}
		if n > 0 {
			l.owner.Receive(in[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if l.reading.end() {
				return
			}
		} else if err != nil {
			l.owner.Ended(err)
			return
		}
	}
}

// hasInput asks the socket whether there is something to read, or the end.
func (l *tlsLink) hasInput() bool {
	has := true
	_ = l.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := retry(func() (int, error) { return unix.Poll(fds, 0) })
		has = n > 0 || err != nil
	})
	return has
}

func (l *tlsLink) Close() error {
	_ = l.raw.Control(func(fd uintptr) { l.poller.remove(int(fd), l) })
	err := l.secured.Close()
	l.readable() // makes Ended follow
	return err
}
