package natsstore

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pyws-clock/pyws_clock/session"
)

const (
	listTimeout = time.Minute
	markerAge   = 24 * time.Hour // after which a mark of a deletion is removed: all nodes know by then
)

// Keys implements [session.Store]. It also removes the marks of the shard's deletions that are older than a day.
func (s *Store) Keys(ctx context.Context, shard byte) iter.Seq2[session.Key, error] {
	return func(yield func(session.Key, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		all, err := s.client.list(ctx, shard)
		if err != nil {
			yield(session.Key{}, err)
			return
		}
		var old []named
		for _, e := range all {
			switch {
			case e.value == nil && e.deleted && s.now().Sub(e.at) > markerAge:
				old = append(old, e)
			case e.value != nil && !yield(e.key, nil):
				return
			}
		}
		for _, e := range old {
			if err := s.client.purge(ctx, e); err != nil {
				yield(session.Key{}, err)
				return
			}
		}
	}
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// named is what is under a session's key. Lists have it without its value, which is not nil all the same.
type named struct {
	entry
	key session.Key
}

// list returns what is under the keys of a shard.
func (c *client) list(ctx context.Context, shard byte) (all []named, err error) {
	config := jetstream.ConsumerConfig{
		FilterSubject: c.shard(shard) + "*",
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		HeadersOnly:   true,
	}
	err = c.do(ctx, majority, func(ctx context.Context) error {
		all = nil
		return c.consume(ctx, config, func() {}, func(e named) { all = append(all, e) })
	})
	return all, err
}

// purge removes a mark for good, unless there is something newer under its key by now.
func (c *client) purge(ctx context.Context, e named) error {
	return c.do(ctx, majority, func(ctx context.Context) error {
		stream, err := c.jetStream().Stream(ctx, c.stream)
		if err != nil {
			return err
		}
		return stream.Purge(ctx, jetstream.WithPurgeSubject(c.subject(e.key)), jetstream.WithPurgeSequence(e.sequence+1))
	})
}

// keyOf returns the session's key that a subject is for.
func (c *client) keyOf(subject string) (session.Key, bool) {
	name := subject[strings.LastIndexByte(subject, '.')+1:]
	key, err := session.ParseKey(name)
	return key, err == nil && subject == c.subject(key)
}
