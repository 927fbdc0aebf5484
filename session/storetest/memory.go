package storetest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/pyws-clock/pyws_clock/session"
)

// Memory is a storage in memory that several nodes share, for tests: it has all that a [session.Store] can have. Nothing
// of it outlives the process.
type Memory struct {
	identity string
	secret   session.Secret

	mu       sync.Mutex
	revision session.Revision // the last one that was given
	entries  map[session.Key]entry
	watches  map[*watch]bool
}

type entry struct {
	record   []byte // nil: deleted
	revision session.Revision
}

var memories atomic.Int64

// NewMemory returns an empty storage.
func NewMemory() *Memory {
	return &Memory{
		identity: fmt.Sprintf("memory %d", memories.Add(1)),
		secret:   session.NewSecret(),
		entries:  make(map[session.Key]entry),
		watches:  make(map[*watch]bool),
	}
}

// Node returns a store over the storage, as one of the nodes that share it has it.
func (m *Memory) Node() session.Store { return node{m} }

// Get returns the record that is stored under a key, or nil.
func (m *Memory) Get(key session.Key) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.entries[key].record)
}

// Put stores what need not be a record, as an administrator can; nil removes what is there without a trace. Watches
// are not told.
func (m *Memory) Put(key session.Key, record []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if record == nil {
		delete(m.entries, key)
		return
	}
	m.revision++
	m.entries[key] = entry{bytes.Clone(record), m.revision}
}

// Keys returns the keys under which there are records.
func (m *Memory) Keys() (keys []session.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, e := range m.entries {
		if e.record != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// BreakWatches ends all watches with an error.
func (m *Memory) BreakWatches() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.watches {
		w.end(errBroken)
	}
}

var errBroken = fmt.Errorf("the watch was broken")

// put makes a change that nodes see. The mutex is held.
func (m *Memory) put(key session.Key, record []byte) session.Revision {
	m.revision++
	m.entries[key] = entry{record, m.revision}
	for w := range m.watches {
		w.tell(session.Event{Key: key, Record: record, Revision: m.revision})
	}
	return m.revision
}

type node struct{ m *Memory }

func (n node) Identity() string { return n.m.identity }

func (n node) Secret(ctx context.Context) (session.Secret, error) { return n.m.secret, ctx.Err() }

func (n node) Load(ctx context.Context, key session.Key) ([]byte, session.Revision, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	e, ok := n.m.entries[key]
	switch {
	case !ok:
		return nil, 0, session.ErrNotFound
	case e.record == nil:
		return nil, 0, session.ErrDeleted
	}
	return bytes.Clone(e.record), e.revision, nil
}

func (n node) Save(ctx context.Context, key session.Key, record []byte, old session.Revision) (session.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	if n.m.current(key) != old {
		return 0, session.ErrConflict
	}
	return n.m.put(key, bytes.Clone(record)), nil
}

func (n node) Delete(ctx context.Context, key session.Key, old session.Revision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	switch n.m.current(key) {
	case 0:
		return nil
	case old:
		n.m.put(key, nil)
		return nil
	}
	return session.ErrConflict
}

// current is the revision of the record under a key, or zero. The mutex is held.
func (m *Memory) current(key session.Key) session.Revision {
	if e := m.entries[key]; e.record != nil {
		return e.revision
	}
	return 0
}

func (n node) Keys(ctx context.Context, shard byte) iter.Seq2[session.Key, error] {
	return func(yield func(session.Key, error) bool) {
		for _, key := range n.m.Keys() {
			if err := ctx.Err(); err != nil {
				yield(session.Key{}, err)
				return
			}
			if key.Shard() == shard && !yield(key, nil) {
				return
			}
		}
	}
}

func (n node) Watch(ctx context.Context, resync func(), changed func(session.Event)) error {
	w := &watch{more: make(chan struct{}, 1)}
	n.m.mu.Lock()
	n.m.watches[w] = true
	n.m.mu.Unlock()
	defer func() {
		n.m.mu.Lock()
		defer n.m.mu.Unlock()
		delete(n.m.watches, w)
	}()
	resync()
	for {
		select {
		case <-w.more:
		case <-ctx.Done():
			return ctx.Err()
		}
		events, err := w.take()
		for _, e := range events {
			changed(e)
		}
		if err != nil {
			return err
		}
	}
}

// watch is a queue of events. It never makes those wait who change the storage.
type watch struct {
	more chan struct{}

	mu     sync.Mutex
	events []session.Event
	err    error
}

func (w *watch) tell(e session.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	w.wake()
}

func (w *watch) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	w.wake()
}

func (w *watch) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *watch) take() ([]session.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events, w.err
}
