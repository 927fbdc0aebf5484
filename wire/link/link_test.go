package link

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
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

// A batch sends what Send would have sent, in the same order, and tells the
// same.
func TestBatch(t *testing.T) {
	b := NewBatch()
	defer b.Close()
	const links = 3 * BatchSize
	var owners []*owner
	var clients []net.Conn
	for range links {
		server, client := tcpPair(t)
		owners, clients = append(owners, newOwner(server, nil)), append(clients, client)
	}
	dead := 7
	owners[dead].link.Close()
	owners[dead].awaitEnd(t)
	for round := range 3 {
		message := fmt.Appendf(nil, "message %d", round)
		for from := 0; from < links; from += BatchSize {
			var added []int
			for i, o := range owners[from : from+BatchSize] {
				if b.Add(o.link, message) {
					added = append(added, from+i)
				} else if n, err := o.link.Send(message); (n != len(message) || err != nil) && from+i != dead {
					t.Fatalf("link %d: %d %v", from+i, n, err)
				}
			}
			b.Flush(func(i, n int, err error) {
				if n != len(message) || err != nil {
					t.Errorf("link %d: %d %v", added[i], n, err)
				}
			})
		}
	}
	for i, client := range clients {
		got := make([]byte, 3*len("message 0"))
		if i == dead {
			continue
		}
		if _, err := io.ReadFull(client, got); err != nil || string(got) != "message 0message 1message 2" {
			t.Fatalf("client %d: %q %v", i, got, err)
		}
	}
	for i, o := range owners {
		if i != dead {
			o.link.Close()
			o.awaitEnd(t)
		}
	}
}

// What a socket does not take is told, and Ready follows.
func TestBatchToSlowPeer(t *testing.T) {
	b := NewBatch()
	defer b.Close()
	server, client := tcpPair(t)
	o := newOwner(server, nil)
	message := bytes.Repeat([]byte("x"), 1<<20)
	total, refused := 0, false
	for !refused {
		o.mu.Lock()
		if !b.Add(o.link, message) {
			o.mu.Unlock()
			o.link.Close()
			t.Skip("no batches here")
		}
		b.Flush(func(_, n int, err error) {
			if err != nil {
				t.Fatal(err)
			}
			total += n
			if refused = n < len(message); refused {
				o.out = []byte("the rest")
			}
		})
		o.mu.Unlock()
	}
	got := make([]byte, total+len("the rest"))
	if _, err := io.ReadFull(client, got); err != nil || string(got[total:]) != "the rest" {
		t.Errorf("%v", err)
	}
	o.link.Close()
	o.awaitEnd(t)
}

func BenchmarkBatch(b *testing.B) {
	batch := NewBatch()
	defer batch.Close()
	if batch.ring == nil {
		b.Skip("no batches here")
	}
	var links []Link
	for range BatchSize {
		server, client := tcpPair(&testing.T{})
		go io.Copy(io.Discard, client)
		links = append(links, newOwner(server, nil).link)
	}
	message := []byte("\x81\x192026-11-22T17:05:01+01:00")
	b.Run("batch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, l := range links {
				batch.Add(l, message)
			}
			batch.Flush(func(int, int, error) {})
		}
	})
	b.Run("one by one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, l := range links {
				l.Send(message)
			}
		}
	})
	for _, l := range links {
		l.Close()
	}
}

// echo sends back what it receives, until the peer ends its side.
type echo struct{ link Link }

func (e *echo) Receive(p []byte) { _, _ = e.link.Send(p) }
func (*echo) Ready()             {}
func (e *echo) Ended(error)      { e.link.Close() }

// A peer that ends its side with its last message reads the answer.
func TestAnswerAfterEnd(t *testing.T) {
	for range 100 {
		server, client := tcpPair(t)
		e := new(echo)
		e.link = New(struct{ net.Conn }{server}, e)
		if _, err := client.Write([]byte("last")); err != nil {
			t.Fatal(err)
		}
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		e.link.Start(nil)
		if got, err := io.ReadAll(client); string(got) != "last" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
	}
}
