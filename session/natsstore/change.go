package natsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/pyws-clock/pyws_clock/session"
)

// change is a message that is to take the place of what is under its subject.
type change struct {
	message  *nats.Msg
	old      uint64 // sequence of the value there; 0: there is to be none
	expected uint64 // sequence of the message there: of the value, or of the mark in its place
	unheard  bool   // a try got no answer, and may have succeeded
}

func newChange(subject string, value []byte, old uint64) *change {
	m := nats.NewMsg(subject)
	m.Data = value
	m.Header.Set(changeHeader, nuid.Next())
	return &change{message: m, old: old, expected: old}
}

var (
	// errAbsent: there is no value where one was to be replaced.
	errAbsent = fmt.Errorf("%w: there is none any more", session.ErrConflict)

	// errUntrue: the servers refused a change for a mismatch that there is not.
	errUntrue = errors.New("NATS refused a change because of another one that is under way")

	// errUnheard: it is not known what became of a change.
	errUnheard = errors.New("NATS did not tell whether it made a change before others came")
)

// apply makes a change, and returns its sequence once the servers have acknowledged it. It can be called again with the
// same change after an error that passes.
//
// What the servers say of a mismatch is not taken as it is. It is one with the mark in the place of a deleted value too, or
// with this very change, made by a try whose answer was lost; and it is untrue while another change is under way, which
// may fail yet.
func (c *client) apply(ctx context.Context, ch *change) (uint64, error) {
	ack, err := try(ctx, func(ctx context.Context) (*jetstream.PubAck, error) {
		return c.jetStream().PublishMsg(ctx, ch.message, jetstream.WithExpectLastSequencePerSubject(ch.expected),
			jetstream.WithExpectStream(c.stream), jetstream.WithRetryAttempts(0))
	})
	if err == nil {
		return ack.Sequence, nil
	}
	if !mismatch(err) {
		ch.unheard = ch.unheard || errors.Is(err, errNoAnswer)
		return 0, err
	}
	found, err := c.last(ctx, ch.message.Subject)
	switch {
	case err != nil:
		return 0, err
	case found.change == ch.message.Header.Get(changeHeader):
		return found.sequence, nil
	case ch.unheard && found.sequence != ch.expected:
		return 0, errUnheard
	case found.value != nil && found.sequence == ch.old, found.value == nil && ch.old == 0:
		if found.sequence == ch.expected {
			c.untrue.Add(1)
		}
		ch.expected = found.sequence
		return 0, errUntrue
	case found.value == nil:
		return 0, errAbsent
	}
	return 0, session.ErrConflict
}

// mismatch says whether an error means that the last message under the subject is not the expected one. There are two
// codes: the second is that of replicated buckets for what could not be compared.
func mismatch(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
