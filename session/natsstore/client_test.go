package natsstore

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pyws-clock/pyws_clock/session"
)

// nowhere is the URL of a server that is not there.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "nats://" + l.Addr().String()
}

// Without a server a store is provisioned all the same, and what it is asked for fails in time.
func TestNoServer(t *testing.T) {
	s := &Store{Servers: []string{nowhere(t)}}
	if err := provision(t, s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(t.Context()); err == nil {
		t.Error("secret: want an error")
	}
	if _, _, err := s.Load(t.Context(), session.Key{}); err == nil {
		t.Error("load: want an error")
	}
	if _, err := s.Save(t.Context(), session.Key{}, []byte("record"), 0); err == nil {
		t.Error("save: want an error")
	}
	if err := s.Delete(t.Context(), session.Key{}, 1); err == nil {
		t.Error("delete: want an error")
	}
	for _, err := range s.Keys(t.Context(), 0) {
		if err == nil {
			t.Error("keys: want an error")
		}
	}
	status := s.Status(t.Context()).(Status)
	if status.Connected || status.Bucket != nil || status.Error == "" {
		t.Errorf("status %+v: want it to say that there is no connection, and why", status)
	}
}

// A store that is set up anew as it was, as by a reload, has the same connection, and another one has not.
func TestSharedConnection(t *testing.T) {
	url := nowhere(t)
	one, same, other := &Store{Servers: []string{url}}, &Store{Servers: []string{url}}, &Store{Servers: []string{url}, Bucket: "other"}
	for _, s := range []*Store{one, same, other} {
		if err := provision(t, s); err != nil {
			t.Fatal(err)
		}
	}
	if one.client != same.client || one.client == other.client {
		t.Error("want one connection for each set of options")
	}
}

// A connection that is closed leaves nothing behind, though it never was one.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	s := &Store{Servers: []string{nowhere(t)}, Bucket: "b"}
	options, err := s.connectOptions()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient("b", 1, options)
	c.connect()
	if c.nc == nil {
		t.Error("nobody tries to connect: the test shows nothing")
	}
	c.close()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines: want %d as before", runtime.NumGoroutine(), before)
		}
	}
}

func TestDifferences(t *testing.T) {
	c := newClient("b", 3, nats.Options{})
	config := c.config()
	if d := c.differences(&config); len(d) > 0 {
		t.Errorf("differences of what this module creates: %v", d)
	}
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"replicas":          func(s *jetstream.StreamConfig) { s.Replicas = 1 },
		"storage":           func(s *jetstream.StreamConfig) { s.Storage = jetstream.MemoryStorage },
		"persist_mode":      func(s *jetstream.StreamConfig) { s.PersistMode = jetstream.AsyncPersistMode },
		"history":           func(s *jetstream.StreamConfig) { s.MaxMsgsPerSubject = 5 },
		"ttl":               func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour },
		"max_bytes":         func(s *jetstream.StreamConfig) { s.MaxBytes = 1 << 20 },
		"max_messages":      func(s *jetstream.StreamConfig) { s.MaxMsgs = 1000 },
		"max_value_size":    func(s *jetstream.StreamConfig) { s.MaxMsgSize = 1000 },
		"discard":           func(s *jetstream.StreamConfig) { s.Discard = jetstream.DiscardOld },
		"allow_rollup_hdrs": func(s *jetstream.StreamConfig) { s.AllowRollup = false },
		"deny_purge":        func(s *jetstream.StreamConfig) { s.DenyPurge = true },
	} {
		changed := config
		change(&changed)
		if d := c.differences(&changed); len(d) != 1 || d[0].what != name {
			t.Errorf("%s: differences %v, want this one", name, d)
		}
	}
}
