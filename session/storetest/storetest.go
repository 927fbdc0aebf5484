// Package storetest tests implementations of [session.Store]: [Run] for every store, and [RunNodes] for those that
// several nodes share. Its [Memory] and [Faulty] are stores for tests of what uses one.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/session"
)

// Run tests a store. Open returns one over an empty storage of its own, each time that it is called.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, session.Store)
	}{
		{"Identity", testIdentity},
		{"Secret", testSecret},
		{"NothingStored", testNothingStored},
		{"SaveAndLoad", testSaveAndLoad},
		{"SaveNeedsRevision", testSaveNeedsRevision},
		{"Delete", testDelete},
		{"RecordsAreCopied", testRecordsAreCopied},
		{"LargestRecord", testLargestRecord},
		{"Keys", testKeys},
		{"KeysWhileSaving", testKeysWhileSaving},
		{"OneCreates", testOneCreates},
		{"NoLostUpdate", testNoLostUpdate},
		{"EndedContext", testEndedContext},
		{"WatchEnds", testWatchEnds},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// RunNodes tests a store that several nodes share, and that has a watch. Open returns two stores over an empty storage of
// their own, as two nodes have them.
func RunNodes(t *testing.T, open func(t *testing.T) (a, b session.Store)) {
	tests := []struct {
		name string
		run  func(t *testing.T, a, b session.Store)
	}{
		{"OneSecret", testOneSecret},
		{"SeesSaves", testSeesSaves},
		{"TellsDeletions", testTellsDeletions},
		{"NoLostUpdate", testNoLostUpdateOfNodes},
		{"WatchTells", testWatchTells},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := open(t)
			test.run(t, a, b)
		})
	}
}

func testIdentity(t *testing.T, s session.Store) {
	first, again := s.Identity(), s.Identity()
	if first == "" || again != first {
		t.Errorf("identity %q, then %q: want the same, not empty", first, again)
	}
}

func testSecret(t *testing.T, s session.Store) {
	secrets := inParallel(16, func(int) session.Secret {
		secret, err := s.Secret(t.Context())
		if err != nil {
			t.Errorf("secret: %v", err)
		}
		return secret
	})
	for _, secret := range secrets {
		if secret != secrets[0] || secret == (session.Secret{}) {
			t.Fatal("secrets differ, or are zero: want the same each time")
		}
	}
}

func testNothingStored(t *testing.T, s session.Store) {
	key := newKey()
	if _, _, err := s.Load(t.Context(), key); !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrDeleted) {
		t.Errorf("load of what never was: %v, want ErrNotFound and not ErrDeleted", err)
	}
	if err := s.Delete(t.Context(), key, 1); err != nil {
		t.Errorf("delete of what is not there: %v, want nil", err)
	}
	if _, err := s.Save(t.Context(), key, []byte("record"), 1); !errors.Is(err, session.ErrConflict) {
		t.Errorf("save over a revision of what is not there: %v, want ErrConflict", err)
	}
	if keys := keysOf(t, s, key.Shard()); len(keys) > 0 {
		t.Errorf("keys %v: want none", keys)
	}
}

func testSaveAndLoad(t *testing.T, s session.Store) {
	key := newKey()
	var revision session.Revision
	for i := range 3 {
		record := fmt.Appendf(nil, "record %d\n\x00é", i)
		saved := mustSave(t, s, key, record, revision)
		if saved == 0 || saved == revision {
			t.Errorf("revision %d after %d: want another, not zero", saved, revision)
		}
		if loaded := mustLoad(t, s, key, record); loaded != saved {
			t.Errorf("revision loaded %d: want %d as saved", loaded, saved)
		}
		revision = saved
	}
}

func testSaveNeedsRevision(t *testing.T, s session.Store) {
	key := newKey()
	first := mustSave(t, s, key, []byte("first"), 0)
	second := mustSave(t, s, key, []byte("second"), first)
	for _, old := range []session.Revision{0, first} {
		if _, err := s.Save(t.Context(), key, []byte("third"), old); !errors.Is(err, session.ErrConflict) {
			t.Errorf("save over revision %d, which is no more: %v, want ErrConflict", old, err)
		}
	}
	if revision := mustLoad(t, s, key, []byte("second")); revision != second {
		t.Errorf("revision %d after conflicts: want %d", revision, second)
	}
}

func testDelete(t *testing.T, s session.Store) {
	key := newKey()
	first := mustSave(t, s, key, []byte("first"), 0)
	second := mustSave(t, s, key, []byte("second"), first)
	if err := s.Delete(t.Context(), key, first); !errors.Is(err, session.ErrConflict) {
		t.Errorf("delete of a revision that is no more: %v, want ErrConflict", err)
	}
	mustLoad(t, s, key, []byte("second"))
	if err := s.Delete(t.Context(), key, second); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, _, err := s.Load(t.Context(), key); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("load of what was deleted: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), key, second); err != nil {
		t.Errorf("delete of what was deleted: %v, want nil", err)
	}
	if _, err := s.Save(t.Context(), key, []byte("third"), second); !errors.Is(err, session.ErrConflict) {
		t.Errorf("save over what was deleted: %v, want ErrConflict", err)
	}
	mustSave(t, s, key, []byte("anew"), 0)
	mustLoad(t, s, key, []byte("anew"))
}

func testRecordsAreCopied(t *testing.T, s session.Store) {
	key, record := newKey(), []byte("record")
	mustSave(t, s, key, record, 0)
	record[0] = 'X'
	loaded, _, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if string(loaded) != "record" {
		t.Fatalf("loaded %q after the saved slice was changed: want %q", loaded, "record")
	}
	loaded[0] = 'X'
	mustLoad(t, s, key, []byte("record"))
}

func testLargestRecord(t *testing.T, s session.Store) {
	key, record := newKey(), []byte(strings.Repeat("0123456789abcdef", session.MaxRecord/16))
	mustSave(t, s, key, record, 0)
	mustLoad(t, s, key, record)
}

func testKeys(t *testing.T, s session.Store) {
	var want []session.Key
	revisions := make(map[session.Key]session.Revision)
	for range 8 {
		key := newKey()
		key[0] = 0xa5
		want = append(want, key)
		revisions[key] = mustSave(t, s, key, []byte("record"), 0)
		key[0] = 0x5a
		mustSave(t, s, key, []byte("record of another shard"), 0)
	}
	if err := s.Delete(t.Context(), want[0], revisions[want[0]]); err != nil {
		t.Fatal(err)
	}
	want = want[1:]
	slices.SortFunc(want, compareKeys)
	eventually(t, fmt.Sprintf("the keys are %v", want), func() bool { return slices.Equal(keysOf(t, s, 0xa5), want) })
	for range s.Keys(t.Context(), 0xa5) {
		break // ends the iteration without harm
	}
}

func testKeysWhileSaving(t *testing.T, s session.Store) {
	steady := newKey()
	mustSave(t, s, steady, []byte("record"), 0)
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		for i := range 50 {
			key := newKey()
			key[0] = steady[0]
			saved := mustSave(t, s, key, fmt.Appendf(nil, "record %d", i), 0)
			if err := s.Delete(t.Context(), key, saved); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
	})
	for !done.Load() {
		keysOf(t, s, steady.Shard()) // ends without an error
	}
	wg.Wait()
	eventually(t, fmt.Sprintf("%v is the only key", steady), func() bool {
		return slices.Equal(keysOf(t, s, steady.Shard()), []session.Key{steady})
	})
}

func testOneCreates(t *testing.T, s session.Store) {
	key := newKey()
	created := inParallel(16, func(i int) bool {
		_, err := s.Save(t.Context(), key, fmt.Appendf(nil, "record %d", i), 0)
		if err != nil && !errors.Is(err, session.ErrConflict) {
			t.Errorf("save: %v", err)
		}
		return err == nil
	})
	winner := slices.Index(created, true)
	if winner < 0 || slices.Contains(created[winner+1:], true) {
		t.Fatalf("creations that succeeded: %v, want one", created)
	}
	mustLoad(t, s, key, fmt.Appendf(nil, "record %d", winner))
}

func testNoLostUpdate(t *testing.T, s session.Store) { countUp(t, s, s) }

func testNoLostUpdateOfNodes(t *testing.T, a, b session.Store) { countUp(t, a, b) }

// countUp has many goroutines count up one record, and counts with them.
func countUp(t *testing.T, nodes ...session.Store) {
	const counters, times = 8, 10
	key := newKey()
	mustSave(t, nodes[0], key, binary.BigEndian.AppendUint64(nil, 0), 0)
	inParallel(counters, func(i int) bool {
		s := nodes[i%len(nodes)]
		for counted := 0; counted < times && !t.Failed(); {
			record, old, err := s.Load(t.Context(), key)
			if err != nil {
				t.Errorf("load: %v", err)
				return false
			}
			next := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(record)+1)
			_, err = s.Save(t.Context(), key, next, old)
			switch {
			case err == nil:
				counted++
			case !errors.Is(err, session.ErrConflict):
				t.Errorf("save: %v", err)
			}
		}
		return true
	})
	mustLoad(t, nodes[0], key, binary.BigEndian.AppendUint64(nil, counters*times))
}

func testEndedContext(t *testing.T, s session.Store) {
	key := newKey()
	revision := mustSave(t, s, key, []byte("record"), 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Save(ctx, key, []byte("late"), revision); err == nil {
		t.Error("save with a context that has ended: want an error")
	}
	if err := s.Delete(ctx, key, revision); err == nil {
		t.Error("delete with a context that has ended: want an error")
	}
	mustLoad(t, s, key, []byte("record"))
}

func testWatchEnds(t *testing.T, s session.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Watch(ctx, cancel, func(session.Event) {})
	if !errors.Is(err, session.ErrNoWatch) && !errors.Is(err, context.Canceled) {
		t.Errorf("watch: %v, want ErrNoWatch, or else that it calls resync, and returns the context's error", err)
	}
}

func testOneSecret(t *testing.T, a, b session.Store) {
	nodes := []session.Store{a, b}
	secrets := inParallel(16, func(i int) session.Secret {
		secret, err := nodes[i%2].Secret(t.Context())
		if err != nil {
			t.Errorf("secret: %v", err)
		}
		return secret
	})
	for _, secret := range secrets {
		if secret != secrets[0] {
			t.Fatal("two nodes have two secrets: want one")
		}
	}
	if a.Identity() != b.Identity() {
		t.Errorf("identities %q and %q: want the same", a.Identity(), b.Identity())
	}
}

func testSeesSaves(t *testing.T, a, b session.Store) {
	key := newKey()
	for i := range 20 {
		old := session.Revision(0)
		if i > 0 {
			old = mustLoad(t, a, key, fmt.Appendf(nil, "record %d", i-1))
		}
		saved := mustSave(t, a, key, fmt.Appendf(nil, "record %d", i), old)
		if loaded := mustLoad(t, b, key, fmt.Appendf(nil, "record %d", i)); loaded != saved {
			t.Errorf("revision %d on the other node: want %d", loaded, saved)
		}
		a, b = b, a
	}
}

func testTellsDeletions(t *testing.T, a, b session.Store) {
	key := newKey()
	saved := mustSave(t, a, key, []byte("record"), 0)
	if err := a.Delete(t.Context(), key, saved); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Load(t.Context(), key); !errors.Is(err, session.ErrDeleted) {
		t.Errorf("load of what another node deleted: %v, want ErrDeleted", err)
	}
	if again := mustSave(t, b, key, []byte("anew"), 0); again <= saved {
		t.Errorf("revision %d after a deletion: want it greater than %d", again, saved)
	}
}

func testWatchTells(t *testing.T, a, b session.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	inPlace := make(chan struct{}, 1)
	events := make(chan session.Event, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Watch(ctx, func() { inPlace <- struct{}{} }, func(e session.Event) { events <- e })
	}()
	<-inPlace
	key := newKey()
	saved := mustSave(t, a, key, []byte("record"), 0)
	if e := <-events; e.Key != key || string(e.Record) != "record" || e.Revision != saved {
		t.Errorf("event %+v: want the record at revision %d", e, saved)
	}
	if err := a.Delete(t.Context(), key, saved); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Key != key || e.Record != nil || e.Revision <= saved {
		t.Errorf("event %+v: want the deletion, at a revision after %d", e, saved)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v: want %v", err, context.Canceled)
	}
}

func newKey() (k session.Key) {
	rand.Read(k[:])
	return k
}

func compareKeys(a, b session.Key) int { return bytes.Compare(a[:], b[:]) }

func keysOf(t *testing.T, s session.Store, shard byte) (keys []session.Key) {
	t.Helper()
	for key, err := range s.Keys(t.Context(), shard) {
		if err != nil {
			t.Errorf("keys: %v", err)
			break
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// eventually waits for what a store may be behind with.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if t.Failed() || time.Now().After(end) {
			t.Fatalf("in vain waited for this: %s", what)
		}
	}
}

func mustSave(t *testing.T, s session.Store, key session.Key, record []byte, old session.Revision) session.Revision {
	t.Helper()
	revision, err := s.Save(t.Context(), key, record, old)
	if err != nil {
		t.Errorf("save: %v", err)
	}
	return revision
}

func mustLoad(t *testing.T, s session.Store, key session.Key, want []byte) session.Revision {
	t.Helper()
	record, revision, err := s.Load(t.Context(), key)
	if err != nil || !bytes.Equal(record, want) {
		t.Errorf("load: %.40q, %v; want %.40q", record, err, want)
	}
	return revision
}

// inParallel calls f with 0 to n-1, each on a goroutine of its own, and returns what they return.
func inParallel[T any](n int, f func(i int) T) []T {
	results := make([]T, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i] = f(i) })
	}
	wg.Wait()
	return results
}
