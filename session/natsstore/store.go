package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pyws-clock/pyws_clock/session"
)

// Headers of the messages in a bucket.
const (
	operationHeader = "KV-Operation"       // of one that is no value
	reasonHeader    = "Nats-Marker-Reason" // of one that the server put in the place of what it removed
	changeHeader    = "Pyws-Clock-Change"  // tells a change from all others
)

// Load implements [session.Store].
func (s *Store) Load(ctx context.Context, key session.Key) (record []byte, revision session.Revision, err error) {
	err = s.client.do(ctx, someLeader, func(ctx context.Context) error {
		found, err := s.client.last(ctx, s.client.subject(key))
		record, revision = found.value, session.Revision(found.sequence)
		if err == nil && record == nil {
			revision = 0
			return found.absence()
		}
		return err
	})
	return record, revision, err
}

// Save implements [session.Store].
func (s *Store) Save(ctx context.Context, key session.Key, record []byte, old session.Revision) (revision session.Revision, err error) {
	change := newChange(s.client.subject(key), record, uint64(old))
	err = s.client.do(ctx, majority, func(ctx context.Context) error {
		if old == 0 {
			// Without the secret, nobody could open the session after a restart.
			if _, err := s.client.loadSecret(ctx); err != nil {
				return err
			}
		}
		sequence, err := s.client.apply(ctx, change)
		revision = session.Revision(sequence)
		return err
	})
	return revision, err
}

// Delete implements [session.Store]. It leaves a mark under the key, by which other nodes know. [Store.Keys] removes it
// in time.
func (s *Store) Delete(ctx context.Context, key session.Key, old session.Revision) error {
	change := newChange(s.client.subject(key), nil, uint64(old))
	change.message.Header.Set(operationHeader, "PURGE")
	change.message.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject) // what a longer history has of it goes too
	err := s.client.do(ctx, majority, func(ctx context.Context) error {
		_, err := s.client.apply(ctx, change)
		return err
	})
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

func (c *client) subject(key session.Key) string { return c.shard(key.Shard()) + key.String() }

func (c *client) shard(shard byte) string { return fmt.Sprintf("%ss.%02x.", c.subjects, shard) }

// entry is what is under a key.
type entry struct {
	value    []byte // nil: none
	sequence uint64 // of the value, or of the mark in its place; 0: there is neither
	deleted  bool   // and not lost by age, say
	change   string // that made it so
	at       time.Time
}

func entryOf(header nats.Header, value []byte, sequence uint64, at time.Time) entry {
	e := entry{sequence: sequence, change: header.Get(changeHeader), at: at}
	switch {
	case header.Get(operationHeader) != "":
		e.deleted = true
	case header.Get(reasonHeader) != "":
	case value == nil:
		e.value = []byte{}
	default:
		e.value = value
	}
	return e
}

// absence says why there is no value.
func (e *entry) absence() error {
	if e.deleted {
		return session.ErrDeleted
	}
	return session.ErrNotFound
}

// last returns what is under a subject, as the leader of the bucket has it. Any replica answers the client's own Get.
func (c *client) last(ctx context.Context, subject string) (entry, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return entry{}, err
	}
	reply, err := try(ctx, func(ctx context.Context) (*nats.Msg, error) {
		return c.jetStream().Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+c.stream, request)
	})
	if err != nil {
		return entry{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Sequence uint64    `json:"seq"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return entry{}, fmt.Errorf("the answer of NATS is not understood: %w", err)
	}
	switch m := answer.Message; {
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return entry{}, nil
	case answer.Error != nil:
		return entry{}, answer.Error
	case m == nil:
		return entry{}, errors.New("the answer of NATS has no message")
	case len(m.Header) == 0:
		return entryOf(nil, m.Data, m.Sequence, m.Time), nil
	default:
		header, err := nats.DecodeHeadersMsg(m.Header)
		return entryOf(header, m.Data, m.Sequence, m.Time), err
	}
}
