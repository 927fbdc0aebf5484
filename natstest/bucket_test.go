package natstest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// keyValue is a bucket as an administrator sees it.
func keyValue(tb testing.TB, n *node, bucket string) jetstream.KeyValue {
	tb.Helper()
	kv, err := n.js().KeyValue(context.Background(), bucket)
	if err != nil {
		tb.Fatal(err)
	}
	return kv
}

// A bucket that somebody made by other means, with a history and no replicas, does.
func TestBucketIsTakenAsItIs(t *testing.T) {
	e := launch(t, setup{nodes: 3})
	bucket := newBucket()
	made, err := e.nodes[0].js().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, History: 5, Storage: jetstream.MemoryStorage})
	if err != nil {
		t.Fatal(err)
	}
	s := e.store(bucket, e.urls()...)
	key := newKey()
	revision := mustSave(t, s, key, "first", 0)
	revision = mustSave(t, s, key, "second", revision)
	mustLoad(t, s, key, "second")
	status := statusOf(t, s)
	if status.Bucket == nil || status.Bucket.Replicas != 1 || status.Bucket.Storage != "Memory" || len(status.Bucket.Warnings) != 2 {
		t.Errorf("status %+v: want 1 replica in memory, and warnings of both", status.Bucket)
	}
	if err := s.Delete(t.Context(), key, revision); err != nil {
		t.Fatal(err)
	}
	history, err := made.History(t.Context(), "s."+key.String()[:2]+"."+key.String())
	if err != nil || len(history) != 1 || history[0].Operation() == jetstream.KeyValuePut {
		t.Errorf("history of a deleted session: %v, %v; want the mark of its deletion alone", history, err)
	}
}

// What is no bucket is not written to.
func TestStreamThatIsNoBucket(t *testing.T) {
	e := launch(t, setup{})
	bucket := newBucket()
	if _, err := e.nodes[0].js().CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_" + bucket, Subjects: []string{"orders"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.store(bucket, e.urls()...).Secret(t.Context()); err == nil || !strings.Contains(err.Error(), "KV_"+bucket) {
		t.Errorf("secret in a stream that is no bucket: %v, want an error that names it", err)
	}
}

// More replicas than servers: an error that says so, in bounded time.
func TestTooFewServers(t *testing.T) {
	e := launch(t, setup{})
	s := provision(t, &natsstore.Store{Servers: e.urls(), Bucket: newBucket(), Replicas: "3"})
	if _, err := s.Secret(t.Context()); err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("secret: %v, want an error that speaks of replicas", err)
	}
}

// deleteBucket deletes a bucket by hand.
func deleteBucket(t *testing.T, n *node, bucket string) {
	t.Helper()
	if err := n.js().DeleteKeyValue(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
}

// purgeBucket removes all that is in a bucket by hand, without a trace.
func purgeBucket(t *testing.T, n *node, bucket string) {
	t.Helper()
	stream, err := n.js().Stream(t.Context(), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A bucket that is deleted or emptied by hand under a running site: IDs stay good, live sessions stay live on all nodes
// and are stored with their next change, others are as new ones.
func TestBucketVanishes(t *testing.T) {
	for name, vanish := range map[string]func(*testing.T, *node, string){"deleted": deleteBucket, "emptied": purgeBucket} {
		t.Run(name, func(t *testing.T) {
			e := launch(t, setup{nodes: 3})
			bucket := newBucket()
			sites := e.sites(bucket)
			near, lost := sites[0].open(""), sites[0].open("")
			if err := errors.Join(near.add("before"), lost.add("before")); err != nil {
				t.Fatal(err)
			}
			far := sites[1].open(near.session.ID())
			id := lost.session.ID()
			lost.session.Leave(lost)
			before := revisionOf(t, sites[0].store)

			vanish(t, e.nodes[2], bucket)
			until(t, "a live session is changed on one node", func() bool { return near.add("after") == nil })
			until(t, "and the other one sees it", func() bool { return far.has("before") && far.has("after") })
			if err := far.add("back"); err != nil {
				t.Errorf("a change on the other node: %v", err)
			}
			until(t, "and so back", func() bool { return near.has("back") })
			if near.isDeleted() || far.isDeleted() {
				t.Error("a live session was taken for deleted")
			}
			if after := revisionOf(t, sites[0].store); after <= before {
				t.Errorf("revision %d after %d: want it to have grown", after, before)
			}
			// A node that knows nothing yet opens both.
			fresh := newSite(t, e.store(bucket, e.urls()...))
			if !fresh.open(near.session.ID()).has("after") {
				t.Error("a live session was not stored again")
			}
			if names := fresh.open(id).names(); len(names) > 0 {
				t.Errorf("a session that was not live has %q", names)
			}
		})
	}
}

// revisionOf saves something, and returns its revision.
func revisionOf(t *testing.T, s session.Store) session.Revision {
	t.Helper()
	return mustSave(t, s, newKey(), "record", 0)
}

// A node that starts while there is no bucket makes a secret of its own. Those that run do not go over to it: IDs that
// they issued would be refused after a restart.
func TestSecretIsReplaced(t *testing.T) {
	e := launch(t, setup{})
	bucket := newBucket()
	running, fresh := e.store(bucket, e.nodes[0].url()), e.store(bucket, e.nodes[0].url()+"/")
	if _, err := running.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	deleteBucket(t, e.nodes[0], bucket)
	if _, err := fresh.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Save(t.Context(), newKey(), []byte("record"), 0); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("a save under another secret: %v, want an error that speaks of the secret", err)
	}
}

// A secret that is no secret is left as it is.
func TestSecretIsDamaged(t *testing.T) {
	e := launch(t, setup{})
	bucket := newBucket()
	kv, err := e.nodes[0].js().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "secret", "not one"); err != nil {
		t.Fatal(err)
	}
	s := e.store(bucket, e.urls()...)
	if _, err := s.Secret(t.Context()); !errors.Is(err, session.ErrDamaged) {
		t.Errorf("secret: %v, want ErrDamaged", err)
	}
	if _, err := s.Save(t.Context(), newKey(), []byte("record"), 0); !errors.Is(err, session.ErrDamaged) {
		t.Errorf("save: %v, want ErrDamaged", err)
	}
	if entry, err := kv.Get(t.Context(), "secret"); err != nil || string(entry.Value()) != "not one" {
		t.Errorf("the damaged secret is %v, %v now: want it as it was", entry, err)
	}
}

// Marks of deletions go after a day, but nothing newer under their keys.
func TestMarksGo(t *testing.T) {
	e := launch(t, setup{}) // one server: a list of keys comes from a replica, which may be behind
	bucket := newBucket()
	later := 23 * time.Hour
	s := provision(t, &natsstore.Store{
		Servers: e.urls(), Bucket: bucket,
		Now: func() time.Time { return time.Now().Add(later) },
	})
	gone, back, late := newKey(), newKey(), newKey()
	gone[0], back[0], late[0] = 7, 7, 7
	for _, key := range []session.Key{gone, back, late} {
		if err := s.Delete(t.Context(), key, mustSave(t, s, key, "record", 0)); err != nil {
			t.Fatal(err)
		}
	}
	list := func(meanwhile func()) (keys []session.Key) {
		for key, err := range s.Keys(t.Context(), 7) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
			meanwhile()
		}
		return keys
	}
	list(func() {})
	if _, _, err := s.Load(t.Context(), gone); !errors.Is(err, session.ErrDeleted) {
		t.Errorf("load of what was deleted 23 hours ago: %v, want ErrDeleted", err)
	}
	revision := mustSave(t, s, back, "anew", 0)
	later = 25 * time.Hour
	if keys := list(func() { mustSave(t, s, late, "late", 0) }); len(keys) != 1 || keys[0] != back {
		t.Errorf("keys %v: want %v alone", keys, back)
	}
	mustLoad(t, s, late, "late")
	if _, _, err := s.Load(t.Context(), gone); !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrDeleted) {
		t.Errorf("load of what was deleted 25 hours ago: %v, want ErrNotFound and not ErrDeleted", err)
	}
	if loaded := mustLoad(t, s, back, "anew"); loaded != revision {
		t.Errorf("revision %d: want %d", loaded, revision)
	}
	status := statusOf(t, s)
	if status.Bucket == nil || status.Bucket.Keys != 3 {
		t.Errorf("bucket %+v: want 3 keys, the secret and two sessions", status.Bucket)
	}
	if err := s.Delete(t.Context(), gone, revision); err != nil {
		t.Errorf("delete of what has no mark any more: %v", err)
	}
}
