package natsstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
)

// bind finds the bucket, and creates it if there is none. It does so before the first operation, and when the bucket
// seems to have gone.
//
// That of a running site, deleted by hand, is created again too: the secret is put back by the first node that needs it,
// and with it all IDs stay good. Records are gone then but for those of live sessions, each stored at its next change.
func (c *client) bind(ctx context.Context) error {
	if c.bucket.Load() != nil {
		return nil
	}
	select {
	case c.binding <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.binding }()
	if c.bucket.Load() != nil {
		return nil
	}
	info, err := c.lookUp(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		info, err = c.create(ctx)
	}
	if err != nil {
		return err
	}
	if !slices.Contains(info.Config.Subjects, c.subjects+">") || info.Config.NoAck || info.Config.Sealed {
		return errors.New("the stream " + c.stream + " is no key-value bucket that can be written")
	}
	c.tellDifferences(&info.Config)
	c.bucket.Store(info)
	return nil
}

// errNoLeader: those who keep the bucket are too few, or too few that reach each other, or have not agreed yet.
var errNoLeader = errors.New("the NATS bucket has no leader")

// lookUp asks for the state of the bucket. The leader answers, or any of those who keep it if they know none.
func (c *client) lookUp(ctx context.Context) (*jetstream.StreamInfo, error) {
	return try(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		stream, err := c.jetStream().Stream(ctx, c.stream)
		if err != nil {
			return nil, err
		}
		info := stream.CachedInfo()
		if info.Cluster != nil && info.Cluster.Leader == "" {
			return nil, errNoLeader
		}
		return info, nil
	})
}

// lookInterval is how often at least the bucket is looked at by those who watch it.
const lookInterval = 10 * time.Second

// keepLooking looks at the bucket until ctx ends. Where nothing is changed, that shows whether the server that there is a
// connection to is cut off from the others: the watch may be of a consumer on it, which has nothing to tell.
func (c *client) keepLooking(ctx context.Context) {
	for sleep(ctx, jitter(lookInterval)) {
		_, _ = c.look(ctx)
	}
}

// look looks the bucket up, again and again while there is no answer.
func (c *client) look(ctx context.Context) (info *jetstream.StreamInfo, err error) {
	err = c.do(ctx, someLeader, func(ctx context.Context) (err error) {
		if info, err = c.lookUp(ctx); err == nil {
			c.bucket.Store(info)
		}
		return err
	})
	return info, err
}

// create creates the bucket, unless another node does.
func (c *client) create(ctx context.Context) (*jetstream.StreamInfo, error) {
	stream, err := c.jetStream().CreateStream(ctx, c.config())
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return c.lookUp(ctx)
	}
	if err != nil {
		return nil, err
	}
	c.logs.last().Info("created the NATS bucket", zap.String("stream", c.stream), zap.Int("replicas", c.replicas))
	return stream.CachedInfo(), nil
}

// config is that of a key-value bucket, as other clients know it. Its first revision is the time in microseconds: so
// revisions go on growing where a bucket was deleted and created again, and one of the old bucket is never that of a
// record in the new one.
func (c *client) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              c.stream,
		Description:       "sessions of pyws_clock",
		Subjects:          []string{c.subjects + ">"},
		FirstSeq:          uint64(time.Now().UnixMicro()),
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgSize:        -1,
		MaxConsumers:      -1,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          c.replicas,
		AllowRollup:       true,
		AllowDirect:       true,
		DenyDelete:        true,
	}
}

// difference is what a bucket that exists has otherwise than one that this module creates.
type difference struct {
	what        string
	found, want any
}

func (c *client) differences(found *jetstream.StreamConfig) (differences []difference) {
	want := c.config()
	note := func(what string, differs bool, found, want any) {
		if differs {
			differences = append(differences, difference{what, found, want})
		}
	}
	note("replicas", found.Replicas != want.Replicas, found.Replicas, want.Replicas)
	note("storage", found.Storage != want.Storage, found.Storage.String(), want.Storage.String())
	note("persist_mode", found.PersistMode != want.PersistMode, found.PersistMode.String(), want.PersistMode.String())
	note("history", found.MaxMsgsPerSubject != 1, found.MaxMsgsPerSubject, 1)
	note("ttl", found.MaxAge != 0, found.MaxAge.String(), "none")
	note("max_bytes", found.MaxBytes > 0, found.MaxBytes, "no limit")
	note("max_messages", found.MaxMsgs > 0, found.MaxMsgs, "no limit")
	note("max_value_size", found.MaxMsgSize > 0 && found.MaxMsgSize < session.MaxRecord, found.MaxMsgSize, session.MaxRecord)
	note("discard", found.Discard != want.Discard, found.Discard.String(), want.Discard.String())
	note("allow_rollup_hdrs", !found.AllowRollup, false, true)
	note("deny_purge", found.DenyPurge, true, false)
	return differences
}

func (c *client) tellDifferences(found *jetstream.StreamConfig) {
	for _, d := range c.differences(found) {
		c.logs.last().Warn("the NATS bucket is not as this module would create it, and taken as it is",
			zap.String("stream", c.stream), zap.String("setting", d.what), zap.Any("found", d.found), zap.Any("want", d.want))
	}
}

func (c *client) jetStream() jetstream.JetStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.js
}
