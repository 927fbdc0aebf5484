package natstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// deafener carries a client's connections to a server. When it is armed, it lets one message to the bucket through, and
// ends the connection before the client hears of it.
type deafener struct {
	t       *testing.T
	armed   atomic.Bool
	arrived func() bool // whether the message has done what it was to do
	lost    atomic.Int64
}

func (d *deafener) listen(target string) (address string) {
	d.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			go d.carry(near, far)
		}
	}()
	return listener.Addr().String()
}

func (d *deafener) carry(near, far net.Conn) {
	defer near.Close()
	defer far.Close()
	var deaf atomic.Bool
	go func() {
		defer near.Close()
		for buffer := make([]byte, 64<<10); ; {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			if !deaf.Load() {
				_, _ = near.Write(buffer[:n])
			}
		}
	}()
	for buffer := make([]byte, 64<<10); ; {
		n, err := near.Read(buffer)
		if err == io.EOF || err != nil {
			return
		}
		if bytes.Contains(buffer[:n], []byte("HPUB $KV.")) && d.armed.CompareAndSwap(true, false) {
			deaf.Store(true)
		}
		_, _ = far.Write(buffer[:n])
		if deaf.Load() {
			until(d.t, "what the client is not to hear of has happened", d.arrived)
			d.lost.Add(1)
			return
		}
	}
}

// A change whose acknowledgement is lost is told as made, once, and not as a conflict with itself.
func TestAnswerIsLost(t *testing.T) {
	e := launch(t, setup{})
	bucket := newBucket()
	d := &deafener{t: t}
	s := provision(t, &natsstore.Store{Servers: []string{"nats://" + d.listen(e.nodes[0].address)}, Bucket: bucket})
	key := newKey()
	revision := mustSave(t, s, key, "first", 0)
	last := func() uint64 {
		stream, err := e.nodes[0].js().Stream(context.Background(), "KV_"+bucket)
		if err != nil {
			t.Error(err)
			return 0
		}
		return stream.CachedInfo().State.LastSeq
	}
	lose := func() {
		before := last()
		d.arrived = func() bool { return last() > before }
		d.armed.Store(true)
	}
	for i := range 5 {
		lose()
		record := fmt.Sprint("record ", i)
		saved := mustSave(t, s, key, record, revision)
		if saved != revision+1 {
			t.Errorf("revision %d after %d: want the next one", saved, revision)
		}
		if loaded := mustLoad(t, s, key, record); loaded != saved {
			t.Errorf("revision %d loaded: want %d", loaded, saved)
		}
		revision = saved
	}
	lose()
	if err := s.Delete(t.Context(), key, revision); err != nil {
		t.Errorf("delete: %v", err)
	}
	key = newKey()
	lose()
	revision = mustSave(t, s, key, "anew", 0)

	// Where somebody else's change comes before it is asked again, it is not known.
	other := e.store(bucket, e.nodes[0].url())
	lose()
	arrived := d.arrived
	d.arrived = func() bool {
		if !arrived() {
			return false
		}
		mustSave(t, other, key, "on top", revision+1)
		return true
	}
	if _, err := s.Save(t.Context(), key, []byte("below"), revision); err == nil || errors.Is(err, session.ErrConflict) {
		t.Errorf("save that was made and is no longer to be seen: %v, want an error that is no conflict", err)
	}
	if d.lost.Load() != 8 {
		t.Errorf("%d answers were lost: want 8, or the test shows nothing", d.lost.Load())
	}
}
