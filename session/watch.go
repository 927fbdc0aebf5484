package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// startWatch begins to watch what other nodes do, once there is a session that it can matter to.
func (t *Table) startWatch() {
	b := t.backends.current()
	b.watch.Do(func() {
		t.running.Go(func() { t.watch(b) })
	})
}

func (t *Table) watch(b *backend) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := b.store.Watch(b.stopped, func() { wait = time.Second; t.resync() }, t.changed)
		if b.stopped.Err() != nil || errors.Is(err, ErrNoWatch) {
			return
		}
		b.log.Warn("watch of the session store ended", zap.Error(err), zap.Duration("again_in", wait))
		if !sleep(b.stopped, jitter(wait)) {
			return
		}
	}
}

// resync reads all live sessions again, in the background.
func (t *Table) resync() {
	for _, s := range t.sessions() {
		s.mu.Lock()
		s.rereadLater()
		s.mu.Unlock()
	}
}

// changed takes over a change that was made on another node.
func (t *Table) changed(e Event) {
	s := t.lookup(e.Key)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.writer; w != nil && len(w.turn) > 0 {
		w.event = &e
		return
	}
	s.takeOver(&e)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
