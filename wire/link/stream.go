package link

import (
	"crypto/tls"
	"io"
	"sync"
)

// stream is a link over anything that reads and writes, and waits as it does
// so: what it sends goes out on a goroutine that lives as long as the write.
type stream struct {
	conn  io.ReadWriteCloser
	owner Owner

	// hasRoom, if it is not nil, says that a short write will not wait.
	hasRoom func() bool

	mu       sync.Mutex
	out      []byte // is being written while writing is true
	writing  bool
	refused  bool // Send took less than it was given meanwhile
	closeOut bool // CloseWrite was called meanwhile
	err      error
	writers  int           // goroutines in write
	settled  chan struct{} // closed when there are none; nil while nobody waits
}

// streamBuffer is what a stream holds while it waits for bytes: enough for a
// command; a longer message takes several reads.
const streamBuffer = 512

// shortWrite is what fits into a socket that says that it has room, with what
// TLS adds.
const shortWrite = 1024

func (l *stream) Start(early []byte) { go l.receive(early) }

func (l *stream) receive(early []byte) {
	if len(early) > 0 {
		l.owner.Receive(early)
	}
	in := make([]byte, streamBuffer)
	for {
		n, err := l.conn.Read(in)
		if n > 0 {
			l.owner.Receive(in[:n])
		}
		if err == io.EOF {
			l.settle()
		}
		if err != nil {
			l.owner.Ended(err)
			return
		}
	}
}

// settle waits for what is being written: a peer that ended its side with its
// last message still reads the answer.
func (l *stream) settle() {
	l.mu.Lock()
	if l.writers == 0 {
		l.mu.Unlock()
		return
	}
	settled := make(chan struct{})
	l.settled = settled
	l.mu.Unlock()
	<-settled
}

func (l *stream) Send(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	if l.writing {
		l.refused = true
		return 0, nil
	}
	if len(p) <= shortWrite && l.hasRoom != nil && l.hasRoom() {
		var n int
		n, l.err = l.conn.Write(p)
		return n, l.err
	}
	l.out = append(l.out[:0], p...)
	l.writing = true
	l.writers++
	go l.write()
	return len(p), nil
}

func (l *stream) write() {
	_, err := l.conn.Write(l.out)

	l.mu.Lock()
	l.writing, l.err = false, err
	l.out = l.out[:0]
	if cap(l.out) > streamBuffer {
		l.out = nil
	}
	refused, closeOut := l.refused, l.closeOut
	l.refused = false
	l.mu.Unlock()

	if closeOut {
		closeWrite(l.conn)
	}
	if refused && err == nil {
		l.owner.Ready()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writers--; l.writers == 0 && l.settled != nil {
		close(l.settled)
		l.settled = nil
	}
}

func (l *stream) CloseWrite() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing {
		l.closeOut = true
		return nil
	}
	go closeWrite(l.conn) // TLS has a last word to send, and may wait with it
	return nil
}

// Close does not wait for a last word of TLS. CloseWrite has sent it before
// where there was time.
func (l *stream) Close() error {
	if tls, ok := l.conn.(*tls.Conn); ok {
		return tls.NetConn().Close()
	}
	return l.conn.Close()
}

// closeWrite ends the sending side, or both, where that can be had.
func closeWrite(conn io.ReadWriteCloser) {
	switch conn := conn.(type) {
	case interface{ CloseWrite() error }:
		_ = conn.CloseWrite()
	case interface{ CloseBoth() error }:
		_ = conn.CloseBoth()
	}
}
