package caddystore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/caddyserver/certmagic"

	"github.com/pyws-clock/pyws_clock/session"
)

// Where the storage has what.
const (
	root         = "pyws_clock"
	secretPath   = root + "/secret"
	sessionsPath = root + "/sessions"
	extension    = ".json"
)

func shardPath(shard byte) string { return fmt.Sprintf("%s/%02x", sessionsPath, shard) }

func recordPath(key session.Key) string {
	return shardPath(key.Shard()) + "/" + key.String() + extension
}

// New returns a store over a storage of Caddy.
func New(storage certmagic.Storage) *Store {
	s := &Store{storage: storage}
	s.shared = sharedBy(s.Identity())
	return s
}

// Identity tells storages apart by their directory, or by a hash of what their String method returns, or else by their
// type alone.
func (s *Store) Identity() string {
	switch storage := s.storage.(type) {
	case *certmagic.FileStorage:
		return storage.String()
	case fmt.Stringer:
		sum := sha256.Sum256([]byte(storage.String()))
		return fmt.Sprintf("%T:%x", storage, sum[:8])
	}
	return fmt.Sprintf("%T", s.storage)
}

// Load implements [session.Store].
func (s *Store) Load(ctx context.Context, key session.Key) ([]byte, session.Revision, error) {
	record, err := s.load(ctx, recordPath(key))
	if err != nil {
		return nil, 0, err
	}
	return record, revisionOf(record), nil
}

// Save implements [session.Store].
func (s *Store) Save(ctx context.Context, key session.Key, record []byte, old session.Revision) (session.Revision, error) {
	if err := s.shared.lock(ctx, recordPath(key)); err != nil {
		return 0, err
	}
	defer s.shared.unlock(recordPath(key))
	current, err := s.revision(ctx, key)
	if err != nil {
		return 0, err
	}
	if current != old {
		return 0, session.ErrConflict
	}
	if current == 0 {
		if err := s.keepSecret(ctx); err != nil {
			return 0, err
		}
	}
	if err := s.store(ctx, recordPath(key), record, current == 0); err != nil {
		return 0, err
	}
	return revisionOf(record), nil
}

// Delete implements [session.Store].
func (s *Store) Delete(ctx context.Context, key session.Key, old session.Revision) error {
	if err := s.shared.lock(ctx, recordPath(key)); err != nil {
		return err
	}
	defer s.shared.unlock(recordPath(key))
	current, err := s.revision(ctx, key)
	switch {
	case err != nil:
		return err
	case current == 0:
		return nil
	case current != old:
		return session.ErrConflict
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if err := s.storage.Delete(ctx, recordPath(key)); err != nil {
		return err
	}
	return s.sync(recordPath(key), false)
}

// Keys implements [session.Store]. What else is in the storage is passed over, such as files that are being written.
func (s *Store) Keys(ctx context.Context, shard byte) iter.Seq2[session.Key, error] {
	return func(yield func(session.Key, error) bool) {
		paths, err := s.list(ctx, shardPath(shard))
		if err != nil {
			yield(session.Key{}, err)
			return
		}
		for _, p := range paths {
			name, ok := strings.CutSuffix(path.Base(p), extension)
			if !ok {
				continue
			}
			key, err := session.ParseKey(name)
			if err == nil && key.Shard() == shard && !yield(key, nil) {
				return
			}
		}
	}
}

// Watch implements [session.Store]: there is none.
func (s *Store) Watch(context.Context, func(), func(session.Event)) error { return session.ErrNoWatch }

// revision is that of the record under a key, or zero.
func (s *Store) revision(ctx context.Context, key session.Key) (session.Revision, error) {
	record, err := s.load(ctx, recordPath(key))
	if errors.Is(err, session.ErrNotFound) {
		return 0, nil
	}
	return revisionOf(record), err
}

// revisionOf is a hash: records of one revision are equal.
func revisionOf(record []byte) session.Revision {
	sum := sha256.Sum256(record)
	return max(session.Revision(binary.BigEndian.Uint64(sum[:])), 1)
}

func (s *Store) load(ctx context.Context, path string) ([]byte, error) {
	value, err := s.storage.Load(ctx, path)
	if err == nil {
		return value, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	if info, statErr := s.storage.Stat(ctx, path); statErr == nil && !info.IsTerminal {
		return nil, fmt.Errorf("%w: %q is a directory", session.ErrDamaged, path)
	}
	return nil, err
}

func (s *Store) store(ctx context.Context, path string, value []byte, created bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.storage.Store(ctx, path, value); err != nil {
		return err
	}
	return s.sync(path, created)
}

// listTries is how often a listing is tried that fails since a file that was being written is gone.
const listTries = 5

func (s *Store) list(ctx context.Context, dir string) (paths []string, err error) {
	for range listTries {
		paths, err = s.storage.List(ctx, dir, false)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if !s.storage.Exists(ctx, dir) {
			return nil, nil
		}
	}
	return paths, err
}
