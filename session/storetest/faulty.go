package storetest

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/pyws-clock/pyws_clock/session"
)

// Faulty is a store some of whose operations fail, or hang, as the test wants.
type Faulty struct {
	session.Store
	plan atomic.Pointer[Plan]
}

// Plan says what goes wrong with an operation: "secret", "load", "save", "delete" or "keys". Key is zero for the first
// and the last. It may be called by many goroutines at once.
type Plan func(operation string, key session.Key) Fault

// Fault is what goes wrong. The zero Fault is nothing.
type Fault struct {
	// Before, where it is not nil, is waited for before the operation is done, and After before its result is
	// returned; whatever the context says, as a file system that hangs does not look at it.
	Before, After <-chan struct{}

	// Heedless has the operation done even if its context has ended.
	Heedless bool

	// Err, where it is not nil, is returned in place of what the operation returns. It is not done then, but for Done.
	Err  error
	Done bool
}

// Set puts a plan in force for operations that begin from now on. With nil, nothing goes wrong.
func (f *Faulty) Set(plan Plan) { f.plan.Store(&plan) }

// fail runs an operation as planned.
func (f *Faulty) fail(ctx context.Context, name string, key session.Key, op func(context.Context) error) error {
	plan := f.plan.Load()
	if plan == nil || *plan == nil {
		return op(ctx)
	}
	fault := (*plan)(name, key)
	if fault.Heedless {
		ctx = context.WithoutCancel(ctx)
	}
	if fault.Before != nil {
		<-fault.Before
	}
	err := fault.Err
	if err == nil || fault.Done {
		err = op(ctx)
	}
	if fault.Err != nil {
		err = fault.Err
	}
	if fault.After != nil {
		<-fault.After
	}
	return err
}

// Secret implements [session.Store].
func (f *Faulty) Secret(ctx context.Context) (secret session.Secret, err error) {
	err = f.fail(ctx, "secret", session.Key{}, func(ctx context.Context) (err error) {
		secret, err = f.Store.Secret(ctx)
		return err
	})
	return secret, err
}

// Load implements [session.Store].
func (f *Faulty) Load(ctx context.Context, key session.Key) (record []byte, revision session.Revision, err error) {
	err = f.fail(ctx, "load", key, func(ctx context.Context) (err error) {
		record, revision, err = f.Store.Load(ctx, key)
		return err
	})
	return record, revision, err
}

// Save implements [session.Store].
func (f *Faulty) Save(ctx context.Context, key session.Key, record []byte, old session.Revision) (revision session.Revision, err error) {
	err = f.fail(ctx, "save", key, func(ctx context.Context) (err error) {
		revision, err = f.Store.Save(ctx, key, record, old)
		return err
	})
	return revision, err
}

// Delete implements [session.Store].
func (f *Faulty) Delete(ctx context.Context, key session.Key, old session.Revision) error {
	return f.fail(ctx, "delete", key, func(ctx context.Context) error {
		return f.Store.Delete(ctx, key, old)
	})
}

// Keys implements [session.Store].
func (f *Faulty) Keys(ctx context.Context, shard byte) iter.Seq2[session.Key, error] {
	return func(yield func(session.Key, error) bool) {
		var keys iter.Seq2[session.Key, error]
		err := f.fail(ctx, "keys", session.Key{}, func(ctx context.Context) error {
			keys = f.Store.Keys(ctx, shard)
			return nil
		})
		if err != nil {
			yield(session.Key{}, err)
			return
		}
		keys(yield)
	}
}
