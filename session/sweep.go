package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

const (
	shards      = 256
	minSweep    = 10 * time.Millisecond // between two shards
	listTimeout = time.Minute           // for the keys of a shard
	maxForward  = time.Hour             // that the clock may be set forward without having to prove itself
)

// keepSweeping removes expired records, a shard at a time, until the table is closed. A clock that was set far forward
// is not believed for one pass: it would delete everything if it is wrong.
func (t *Table) keepSweeping() {
	shard := byte(rand.N(shards))
	doubted := 0
	for {
		wall, elapsed := t.now(), time.Now()
		if !sleep(t.stopped, jitter(max(t.config.SweepPass()/shards, minSweep))) {
			return
		}
		if t.now().Sub(wall)-time.Since(elapsed) > maxForward {
			doubted = shards
		}
		switch {
		case t.backends.current() == nil:
		case doubted > 0:
			doubted--
		default:
			t.sweep(shard)
			shard++
		}
	}
}

// sweep removes the expired records of a shard.
func (t *Table) sweep(shard byte) {
	ctx, cancel := context.WithTimeout(t.stopped, listTimeout)
	defer cancel()
	keys, err := call(ctx, t, "keys", func(ctx context.Context, store Store) (keys []Key, err error) {
		for key, err := range store.Keys(ctx, shard) {
			if err != nil {
				return keys, err
			}
			keys = append(keys, key)
		}
		return keys, nil
	})
	removed := 0
	for _, key := range keys {
		if err != nil || t.stopped.Err() != nil {
			break
		}
		// A live session sees to its record itself.
		if t.lookup(key) != nil {
			continue
		}
		var expired bool
		if expired, err = t.sweepRecord(key); expired {
			removed++
		}
	}
	t.backends.current().log.Debug("swept sessions",
		zap.Uint8("shard", shard), zap.Int("records", len(keys)), zap.Int("removed", removed), zap.Error(err))
}

// sweepRecord removes a record if it has expired. The error says that it is no use to go on.
func (t *Table) sweepRecord(key Key) (removed bool, err error) {
	ctx, cancel := context.WithTimeout(t.stopped, t.config.StoreTimeout)
	defer cancel()
	r, revision, err := t.read(ctx, key)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
		return false, nil
	}
	if err != nil || t.now().Before(r.Expires) {
		return false, err
	}
	_, err = call(ctx, t, "delete", deleting(key, revision))
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
