package session

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
)

// backend is a store that a table works with, and where it logs meanwhile.
type backend struct {
	store Store
	log   *zap.Logger

	watch     sync.Once
	stopped   context.Context // ends the watch
	stopWatch context.CancelFunc
}

// backends are those of all configurations in force. The newest is in use.
type backends struct {
	inUse atomic.Pointer[backend]
	mu    sync.Mutex
	stack []*backend
}

// Push makes the table work with store, and log to log, until pop is called: then it goes back to what was pushed
// before. The last one stays in use even then, for what is still to be written. All stores that are pushed to a table
// have the same Identity. Operations under way end on the store that they began on.
//
// Push and pop do not reach out for the storage.
func (t *Table) Push(store Store, log *zap.Logger) (pop func()) {
	b := &backend{store: store, log: log}
	b.stopped, b.stopWatch = context.WithCancel(t.stopped)
	t.backends.push(b)
	if t.Len() > 0 {
		t.startWatch()
	}
	return func() { t.backends.pop(b) }
}

func (bs *backends) push(b *backend) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if last := bs.inUse.Load(); last != nil && len(bs.stack) == 0 {
		last.stopWatch()
	}
	bs.stack = append(bs.stack, b)
	bs.inUse.Store(b)
}

func (bs *backends) pop(b *backend) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.stack = slices.DeleteFunc(bs.stack, func(other *backend) bool { return other == b })
	if len(bs.stack) == 0 {
		return
	}
	bs.inUse.Store(bs.stack[len(bs.stack)-1])
	b.stopWatch()
}

func (bs *backends) current() *backend { return bs.inUse.Load() }

// StoreStatus returns what the store tells of itself, or nil if it is no [Informant]. It may ask the storage, until ctx
// ends.
func (t *Table) StoreStatus(ctx context.Context) any {
	b := t.backends.current()
	if b == nil {
		return nil
	}
	informant, ok := b.store.(Informant)
	if !ok {
		return nil
	}
	return informant.Status(ctx)
}
