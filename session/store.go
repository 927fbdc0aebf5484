package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Errors of a [Store]. It may wrap them; callers test with errors.Is.
var (
	// ErrNotFound: there is no record under this key.
	ErrNotFound = errors.New("no such session is stored")

	// ErrDeleted: there is no record under this key because somebody deleted it, as opposed to one that never was or
	// that vanished. It is an ErrNotFound. Returned by a store, it closes the connections of the session; returned by
	// [Session.Update] and [Session.Delete], it says that this has happened.
	ErrDeleted = fmt.Errorf("the session was deleted: %w", ErrNotFound)

	// ErrConflict: the record is not at the revision that the caller names.
	ErrConflict = errors.New("the stored session was changed meanwhile")

	// ErrDamaged: what is stored is not a record, or not a secret, that this program wrote. It is left as it is.
	ErrDamaged = errors.New("damaged")

	// ErrNoWatch: only this process writes to the storage, or the storage cannot tell of changes.
	ErrNoWatch = errors.New("the session store has no watch")
)

// Revision is a version of the record under one key. The zero revision stands for no record. To a [Table] it is opaque:
// it only asks whether two are equal, but for revisions from [Store.Watch], which say so there.
type Revision uint64

// Store keeps the records of sessions. Its methods may be called by many goroutines at once.
//
// A record is a few hundred bytes of text, at most [MaxRecord]; a store does not look into it. Keys are no secrets, but
// the secret is.
//
// Every method ends with an error as soon as it can once its context has ended. A [Table] copes with methods that do
// not: it answers in time all the same, and undoes what they bring about later. Any error but those named here means
// that the store is out of reach for now. Error texts are logged: no credentials in them.
//
// Package storetest tests a store for all of this.
type Store interface {
	// Identity names the storage: two stores that have the same identity, in one process, see the same records and
	// the same secret. It never contains credentials, and does not reach out for the storage.
	Identity() string

	// Secret returns the storage's secret. The first call ever creates it, so that of two processes or nodes that do
	// so at once both return the same; from then on it never changes. A secret that is there but cannot be read as
	// one is an error that wraps ErrDamaged, and is not replaced, since all IDs would become invalid.
	Secret(ctx context.Context) (Secret, error)

	// Load returns the record under key, and its revision. It sees every save and deletion that was acknowledged
	// before it was called, on whichever node. Where there is no record, the error wraps ErrNotFound, and ErrDeleted
	// too if the store knows that the record was deleted by Delete on another node. It may wrap ErrDamaged.
	Load(ctx context.Context, key Key) (record []byte, revision Revision, err error)

	// Save puts record under key if what is there is at revision old: the one that Load, Save or Watch gave for
	// it, or zero where there must be none, which includes one that was deleted. It returns the new record's
	// revision once the record is durable: it outlives a crash of this process, and of the machine as far as the
	// storage allows.
	//
	// Where the record is at another revision, has vanished or was created meanwhile, the error wraps ErrConflict,
	// and nothing has changed. Any other error leaves open whether the record was saved.
	//
	// Save keeps no reference to record.
	Save(ctx context.Context, key Key, record []byte, old Revision) (Revision, error)

	// Delete removes the record under key if it is at revision old, and returns once this is durable. Where there is
	// no record it returns nil. Where the record is at another revision, the error wraps ErrConflict, and nothing
	// has changed. Any other error leaves open whether the record was deleted.
	Delete(ctx context.Context, key Key, old Revision) error

	// Keys iterates over the keys of a shard under which there are records, in no order. It may be behind by a moment: what
	// was just saved can be missing, and what was just deleted be there. An error ends the iteration. The cost is that of
	// the shard, a 256th of the store. The calls for a pass over all shards are spread over a long time.
	Keys(ctx context.Context, shard byte) iter.Seq2[Key, error]

	// Watch tells of the changes that other nodes make, within well under a second, until ctx ends, when it returns
	// the error of ctx. It may tell of this node's too. Where nobody else writes it returns ErrNoWatch at once. On
	// any other error it is called again after a while.
	//
	// It calls resync once it is in place, and again after each gap: what changed before may not have been told.
	// It calls changed for the changes of one key in the order in which they were made; it may leave out all but the
	// last. It calls neither while a call of either has not returned; both return soon.
	//
	// In a store that has a watch, a later revision of a key's record is greater than an earlier one, also across
	// a deletion.
	Watch(ctx context.Context, resync func(), changed func(Event)) error
}

// Event is a change that [Store.Watch] tells of.
type Event struct {
	Key      Key
	Record   []byte   // nil: the record was deleted
	Revision Revision // of the record, or of the deletion
}

// Informant is a [Store] that has more to tell an administrator than whether it fails.
type Informant interface {
	Store

	// Status returns what the store knows of the storage, without credentials, as [encoding/json] is to show it. It may
	// ask the storage, until ctx ends.
	Status(ctx context.Context) any
}
