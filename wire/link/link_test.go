package link

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"
)

// owner collects what a link tells.
type owner struct {
	link Link

	mu    sync.Mutex
	got   []byte
	out   []byte // still to be sent
	ended chan error
}

func newOwner(conn io.ReadWriteCloser, early []byte) *owner {
	o := &owner{ended: make(chan error, 2)}
	o.link = New(conn, o)
	o.link.Start(early)
	return o
}

func (o *owner) Receive(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, p...)
	clear(p) // they are the owner's to change
}

func (o *owner) Ended(err error) { o.ended <- err }

func (o *owner) Ready() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sendOut()
}

func (o *owner) send(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := len(o.out) > 0
	if o.out = append(o.out, p...); !waiting {
		o.sendOut()
	}
}

func (o *owner) sendOut() {
	n, err := o.link.Send(o.out)
	if err != nil {
		n = len(o.out)
	}
	o.out = o.out[n:]
}

func (o *owner) received() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.got)
}

// pairs are the two ends of connections of each kind: the server's and the
// client's.
var pairs = map[string]func(t *testing.T) (server, client net.Conn){
	"tcp": tcpPair,
	"tls": func(t *testing.T) (server, client net.Conn) {
		server, client = tcpPair(t)
		certificates := httptest.NewUnstartedServer(nil)
		certificates.StartTLS()
		defer certificates.Close()
		inner := tls.Server(server, certificates.TLS)
		outer := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
		done := make(chan error, 1)
		go func() { done <- inner.Handshake() }()
		if err := errors.Join(outer.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		return inner, outer
	},
	"pipe": func(*testing.T) (server, client net.Conn) { return net.Pipe() },
}

func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client
}

func eachPair(t *testing.T, test func(t *testing.T, server, client net.Conn)) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t)
			test(t, server, client)
		})
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("in vain waited for this: %s", what)
}

func (o *owner) awaitEnd(t *testing.T) error {
	t.Helper()
	select {
	case err := <-o.ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Ended was not called")
		return nil
	}
}

func TestReceive(t *testing.T) {
	eachPair(t, func(t *testing.T, server, client net.Conn) {
		o := newOwner(server, []byte("early "))
		want := []byte("early ")
		for range 200 {
			part := make([]byte, 1+rand.IntN(3000))
			for i := range part {
				part[i] = byte(rand.Uint32())
			}
			want = append(want, part...)
			if _, err := client.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "all has come", func() bool { return len(o.received()) == len(want) })
		if !bytes.Equal(o.received(), want) {
			t.Error("other bytes have come")
		}
		client.Close()
		if err := o.awaitEnd(t); err != io.EOF {
			t.Error(err)
		}
		o.link.Close()
	})
}

// Send never waits, and what it did not take goes out once there is room.
func TestSendToSlowPeer(t *testing.T) {
	eachPair(t, func(t *testing.T, server, client net.Conn) {
		o := newOwner(server, nil)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // more than any buffer on the way
		for part := want; len(part) > 0; part = part[1<<16:] {
			o.send(part[:1<<16])
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("other bytes have come")
		}
		o.link.Close()
		o.awaitEnd(t)
	})
}

func TestCloseWrite(t *testing.T) {
	eachPair(t, func(t *testing.T, server, client net.Conn) {
		if _, ok := server.(interface{ CloseWrite() error }); !ok {
			t.Skip("cannot be half-closed")
		}
		o := newOwner(server, nil)
		o.send([]byte("last"))
		if err := o.link.CloseWrite(); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(client); string(got) != "last" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		if _, err := client.Write([]byte("still read")); err != nil {
			t.Error(err)
		}
		until(t, "the other direction goes on", func() bool { return string(o.received()) == "still read" })
		o.link.Close()
		o.awaitEnd(t)
	})
}

// Close ends everything, whoever calls it and whatever goes on meanwhile, and
// Ended is called once.
func TestCloseRaces(t *testing.T) {
	before := runtime.NumGoroutine()
	eachPair(t, func(t *testing.T, server, client net.Conn) {
		o := newOwner(server, nil)
		go io.Copy(io.Discard, client)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 100 {
				o.send([]byte("tick"))
			}
		})
		wg.Go(func() {
			for range 100 {
				if _, err := client.Write([]byte("command")); err != nil {
					return
				}
			}
		})
		for range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
				o.link.Close()
			})
		}
		wg.Wait()
		o.awaitEnd(t)
		client.Close()
		if _, err := o.link.Send([]byte("x")); err == nil {
			// A stream learns of it as it writes.
			until(t, "Send fails", func() bool { _, err := o.link.Send([]byte("x")); return err != nil })
		}
		select {
		case err := <-o.ended:
			t.Errorf("ended twice: %v", err)
		default:
		}
	})
	// The poller's goroutine stays.
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+1 })
}

func BenchmarkSend(b *testing.B) {
	for name, pair := range pairs {
		if name == "pipe" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			server, client := pair(&testing.T{})
			go io.Copy(io.Discard, client)
			o := newOwner(server, nil)
			message := []byte("\x81\x192026-11-22T17:05:01+01:00")
			b.ReportAllocs()
			for b.Loop() {
				for {
					if n, err := o.link.Send(message); err != nil {
						b.Fatal(err)
					} else if n > 0 {
						break
					}
					runtime.Gosched()
				}
			}
			o.link.Close()
		})
	}
}
