package natstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// watcher keeps what a watch tells.
type watcher struct {
	mu      sync.Mutex
	resyncs int
	records map[session.Key]string
	held    sync.Mutex // stops the watch while somebody has it
}

func watch(t *testing.T, s *natsstore.Store) *watcher {
	t.Helper()
	w := &watcher{records: make(map[session.Key]string)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Watch(ctx, w.resync, w.changed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("watch ended with %v", err)
		}
	})
	until(t, "the watch is in place", func() bool { return w.count() == 1 })
	return w
}

func (w *watcher) resync() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resyncs++
}

func (w *watcher) changed(e session.Event) {
	w.held.Lock()
	defer w.held.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[e.Key] = string(e.Record)
}

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resyncs
}

func (w *watcher) record(key session.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records[key]
}

// A watch whose server dies goes on at another one, and tells what was changed meanwhile, without having all read again.
func TestWatchGoesOn(t *testing.T) {
	e := launch(t, setup{nodes: 3, processes: true})
	bucket := newBucket()
	watched, writer := e.store(bucket, e.urls()...), e.store(bucket, append(e.urls()[1:], e.urls()[0])...)
	keys := make([]session.Key, 50)
	revisions := make([]session.Revision, len(keys))
	for i := range keys {
		keys[i] = newKey()
		revisions[i] = mustSave(t, writer, keys[i], "before", 0)
	}
	w := watch(t, watched)
	for round := range 3 {
		server := statusOf(t, watched).Server
		for _, n := range e.nodes {
			if n.url() == server {
				n.kill()
			}
		}
		record := fmt.Sprint("record ", round)
		for i := range keys {
			until(t, "a record is saved", func() bool {
				revision, err := writer.Save(t.Context(), keys[i], []byte(record), revisions[i])
				if errors.Is(err, session.ErrConflict) { // with an earlier try, of which nothing was heard
					revision = mustLoad(t, writer, keys[i], record)
					err = nil
				}
				if err == nil {
					revisions[i] = revision
				}
				return err == nil
			})
		}
		for _, key := range keys {
			until(t, "the watch tells "+record, func() bool { return w.record(key) == record })
		}
		for _, n := range e.nodes {
			if n.url() == server {
				n.start(true)
			}
		}
		e.awaitReady()
	}
	if n := w.count(); n != 1 {
		t.Errorf("resync was called %d times: want once", n)
	}
}

// A watch that is slow loses nothing of what was last, and slows nobody down. Other servers forget nothing for it.
func TestSlowWatch(t *testing.T) {
	e := launch(t, setup{nodes: 3})
	bucket := newBucket()
	stores := e.stores(bucket)
	w := watch(t, stores[0])
	w.held.Lock()
	large := strings.Repeat("0123456789abcdef", session.MaxRecord/16-1)
	keys := make([]session.Key, 300)
	for i := range keys {
		keys[i] = newKey()
		mustSave(t, stores[1], keys[i], large, 0) // 150 MB in all, more than a client keeps for a subscription
	}
	w.held.Unlock()
	for _, key := range keys {
		until(t, "all is told", func() bool { return len(w.record(key)) == len(large) })
	}
	if n := w.count(); n != 1 {
		t.Errorf("resync was called %d times: want once", n)
	}
}
