package natstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

func newKey() (k session.Key) {
	rand.Read(k[:])
	return k
}

func mustSave(t *testing.T, s session.Store, key session.Key, record string, old session.Revision) session.Revision {
	t.Helper()
	revision, err := s.Save(t.Context(), key, []byte(record), old)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	return revision
}

func mustLoad(t *testing.T, s session.Store, key session.Key, want string) session.Revision {
	t.Helper()
	record, revision, err := s.Load(t.Context(), key)
	if err != nil || string(record) != want {
		t.Fatalf("load: %q, %v; want %q", record, err, want)
	}
	return revision
}

// What was acknowledged to one node is what all others load from then on. The client's own Get does not have this: how
// often it was behind is logged.
func TestLoadSeesWhatWasAcknowledged(t *testing.T) {
	e := launch(t, setup{nodes: 3})
	bucket := newBucket()
	stores := e.stores(bucket)
	key := newKey()
	subject := fmt.Sprintf("s.%02x.%s", key.Shard(), key)
	var revision session.Revision
	behind := 0
	for i := range 300 {
		record := fmt.Sprint("record ", i)
		revision = mustSave(t, stores[i%3], key, record, revision)
		for j, store := range stores {
			kv := keyValue(t, e.nodes[j], bucket)
			if entry, err := kv.Get(t.Context(), subject); err != nil || entry.Revision() != uint64(revision) {
				behind++
			}
			if loaded := mustLoad(t, store, key, record); loaded != revision {
				t.Fatalf("revision %d through node %d: want %d", loaded, j, revision)
			}
		}
	}
	t.Logf("%d of 900 Gets of the client were behind", behind)
	for i := range 30 {
		if err := stores[i%3].Delete(t.Context(), key, revision); err != nil {
			t.Fatal(err)
		}
		for j, store := range stores {
			if _, _, err := store.Load(t.Context(), key); !errors.Is(err, session.ErrDeleted) {
				t.Fatalf("load through node %d after the deletion: %v", j, err)
			}
		}
		revision = mustSave(t, stores[(i+1)%3], key, "anew", 0)
	}
}

// Of many who save over one revision at once exactly one succeeds, though the servers then refuse others for a message
// that is only under way. Those refusals are looked into: the test goes on until there was one.
func TestConflictsAreTrue(t *testing.T) {
	e := launch(t, setup{nodes: 3})
	bucket := newBucket()
	var stores []*natsstore.Store
	var untrue func() float64
	for _, n := range e.nodes {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		s := &natsstore.Store{Servers: []string{n.url()}, Bucket: bucket, Replicas: "3"}
		if err := s.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cancel()
			_ = s.Cleanup()
		})
		stores = append(stores, s)
		before := untrue
		untrue = func() (sum float64) {
			if before != nil {
				sum = before()
			}
			return sum + metric(t, ctx, "caddy_pyws_clock_nats_untrue_conflicts_total")
		}
	}
	key := newKey()
	revision := mustSave(t, stores[0], key, "first", 0)
	rounds := 0
	until(t, "a conflict that was none", func() bool {
		rounds++
		revision = race(t, stores, key, revision)
		return untrue() > 0
	})
	t.Logf("%v untrue conflicts in %d rounds", untrue(), rounds)
}

// race has 24 writers save over one revision, and returns that of the one who did.
func race(t *testing.T, stores []*natsstore.Store, key session.Key, old session.Revision) session.Revision {
	t.Helper()
	revisions := make([]session.Revision, 24)
	errs := make([]error, len(revisions))
	var wg sync.WaitGroup
	for i := range revisions {
		wg.Go(func() {
			revisions[i], errs[i] = stores[i%3].Save(t.Context(), key, fmt.Append(nil, "record ", i), old)
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Fatalf("writers %d and %d both saved over revision %d", winner, i, old)
		case !errors.Is(err, session.ErrConflict):
			t.Fatalf("save: %v", err)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody saved over revision %d, which was the last", old)
	}
	if loaded := mustLoad(t, stores[0], key, fmt.Sprint("record ", winner)); loaded != revisions[winner] {
		t.Fatalf("revision %d: want %d", loaded, revisions[winner])
	}
	return revisions[winner]
}

// metric is the value of a metric without labels but those that are constant.
func metric(t *testing.T, ctx caddy.Context, name string) float64 {
	t.Helper()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %q", name)
	return 0
}
