package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// ErrUnavailable is wrapped by the errors that say that the store is out of reach for now. Their text is for visitors;
// what the store said is in the log.
var ErrUnavailable = errors.New("the session store is out of reach")

type unavailableError struct {
	why   string
	cause error
}

func unavailable(why string, cause error) error { return &unavailableError{why, cause} }

func (e *unavailableError) Error() string {
	return "the session store " + e.why + ": nothing was changed, try again later"
}

func (e *unavailableError) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

var (
	errNoRoom = errors.New("too many operations of the store are under way")
	errLate   = errors.New("the operation was given up")
)

// refusal is what a visitor is told of an error of the store. A conflict is not for visitors, and stays as it is.
func refusal(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrConflict):
		return err
	case errors.Is(err, errNoRoom):
		return unavailable("is overloaded", err)
	case errors.Is(err, errLate) || errors.Is(err, context.DeadlineExceeded):
		return unavailable("did not answer in time", err)
	}
	return unavailable("failed", err)
}

// enter waits until there is room for an operation of the store. The error is errNoRoom.
func (t *Table) enter(ctx context.Context, name string) error {
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.health.note(t, name, errNoRoom)
		return errNoRoom
	}
}

// run runs an operation that there is room for, and returns when it does: maybe long after ctx has ended.
func run[T any](ctx context.Context, t *Table, name string, op func(context.Context, Store) (T, error)) (T, error) {
	defer func() { <-t.slots }()
	began := time.Now()
	result, err := op(ctx, t.backends.current().store)
	if o := t.config.Observer; o != nil {
		o.StoreOperation(name, time.Since(began), err)
	}
	t.health.note(t, name, err)
	return result, err
}

// call enters and runs an operation. The error is the store's, or errNoRoom.
func call[T any](ctx context.Context, t *Table, name string, op func(context.Context, Store) (T, error)) (T, error) {
	if err := t.enter(ctx, name); err != nil {
		var none T
		return none, err
	}
	return run(ctx, t, name, op)
}

// loaded is what [Store.Load] returns, and the record that it stands for.
type loaded struct {
	text     []byte
	record   *record
	revision Revision
}

// loading is the operation that loads a record. What is no record fails as a load that says so itself.
func loading(key Key) func(context.Context, Store) (loaded, error) {
	return func(ctx context.Context, store Store) (l loaded, err error) {
		if l.text, l.revision, err = store.Load(ctx, key); err != nil {
			return l, err
		}
		l.record, err = decodeRecord(l.text)
		return l, err
	}
}

func deleting(key Key, old Revision) func(context.Context, Store) (struct{}, error) {
	return func(ctx context.Context, store Store) (struct{}, error) {
		return struct{}{}, store.Delete(ctx, key, old)
	}
}

// attempt is a call that is given up when ctx ends. The error is errLate then; the operation goes on, and what it will
// have done is not known before late is called.
func attempt[T any](ctx context.Context, t *Table, name string, op func(context.Context, Store) (T, error), late func()) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	var none T
	if err := t.enter(ctx, name); err != nil {
		return none, err
	}
	done := make(chan outcome, 1)
	var settled atomic.Bool
	go func() {
		result, err := run(ctx, t, name, op)
		if settled.CompareAndSwap(false, true) {
			done <- outcome{result, err}
			return
		}
		late()
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
	}
	if settled.CompareAndSwap(false, true) {
		t.health.note(t, name, errLate)
		return none, errLate
	}
	o := <-done
	return o.result, o.err
}

// health logs when the store begins to fail and when it works again, at most once a minute.
type health struct {
	failing  atomic.Int32 // an access, or nothing
	mu       sync.Mutex
	logged   time.Time
	told     bool
	failures int // since the log said that it works
}

// What an operation does with the storage. One that is full or read-only can be read all the same, so that reading
// does not show that writing works again.
const (
	nothing int32 = iota
	reading
	writing
)

func access(operation string) int32 {
	if operation == "save" || operation == "delete" {
		return writing
	}
	return reading
}

const logInterval = time.Minute

func (h *health) note(t *Table, name string, err error) {
	if t.stopped.Err() != nil {
		return
	}
	damaged := errors.Is(err, ErrDamaged) && name != "secret" // one session's trouble, not the store's
	switch {
	case err == nil:
		h.worked(t, access(name))
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) || damaged:
		h.worked(t, reading)
	default:
		h.failed(t, name, err)
	}
}

func (h *health) worked(t *Table, what int32) {
	if f := h.failing.Load(); f == nothing || f > what {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing.Store(nothing)
	if h.told {
		t.backends.current().log.Info("session store works again", zap.Int("failed_operations", h.failures))
		h.told, h.failures = false, 0
	}
}

func (h *health) failed(t *Table, name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing.Store(max(h.failing.Load(), access(name)))
	h.failures++
	if h.logged.IsZero() || time.Since(h.logged) >= logInterval {
		h.logged, h.told = time.Now(), true
		t.backends.current().log.Error("session store fails",
			zap.String("operation", name), zap.Int("failed_operations", h.failures), zap.Error(err))
	}
}

// Failing says whether the store fails: whether an operation failed, and none like it has worked since.
func (t *Table) Failing() bool { return t.health.failing.Load() != nothing }
