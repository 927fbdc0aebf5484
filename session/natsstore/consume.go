package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	heartbeat    = time.Second      // of an idle consumer
	silence      = 3 * heartbeat    // that ends it
	consumerGone = 30 * time.Second // after which the server forgets one that nobody listens to
)

var (
	errSilence = errors.New("the server that sends changes is silent")
	errGap     = errors.New("a change was lost on its way")
)

// consume reads the messages of sessions that a consumer is for, one after another: all that there are if it is for the
// last ones under each subject, or else those to come, without end. It calls begun once the consumer is in place.
//
// The server pushes messages, as a consumer that is asked for them may not be known yet where the question arrives. It
// sends no more than it was told to have arrived (flow control), and says when idle what it sent last.
func (c *client) consume(ctx context.Context, config jetstream.ConsumerConfig, begun func(), each func(named)) error {
	js := c.jetStream()
	inbox, err := js.Conn().SubscribeSync(js.Conn().NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = inbox.Unsubscribe() }()
	config.DeliverSubject = inbox.Subject
	config.AckPolicy = jetstream.AckNonePolicy
	config.FlowControl = true
	config.IdleHeartbeat = heartbeat
	config.InactiveThreshold = consumerGone
	config.MemoryStorage = true
	config.Replicas = 1
	consumer, err := try(ctx, func(ctx context.Context) (jetstream.PushConsumer, error) {
		return js.CreatePushConsumer(ctx, c.stream, config)
	})
	c.note(majority, err)
	if err != nil {
		return err
	}
	begun()
	endless := config.DeliverPolicy != jetstream.DeliverLastPerSubjectPolicy
	pending := consumer.CachedInfo().NumPending
	for delivered := uint64(0); endless || pending > 0; {
		m, err := next(ctx, inbox)
		if err != nil {
			return err
		}
		if m.Header.Get("Status") != "" {
			if err := control(m, delivered); err != nil {
				return err
			}
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("a message without its place in the bucket: %w", err)
		}
		if delivered++; meta.Sequence.Consumer != delivered {
			return errGap
		}
		pending = meta.NumPending
		if key, ok := c.keyOf(m.Subject); ok {
			each(named{entryOf(m.Header, m.Data, meta.Sequence.Stream, meta.Timestamp), key})
		}
	}
	return nil
}

func next(ctx context.Context, inbox *nats.Subscription) (*nats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	m, err := inbox.NextMsgWithContext(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, errSilence
	}
	return m, err
}

// control deals with a message that is about the consumer: a heartbeat, a question of flow control, or its end.
func control(m *nats.Msg, delivered uint64) error {
	if m.Header.Get("Status") != "100" {
		return fmt.Errorf("the server ended the consumer: %s", m.Header.Get("Description"))
	}
	if m.Reply != "" {
		return m.Respond(nil)
	}
	if sent := m.Header.Get("Nats-Last-Consumer"); sent != strconv.FormatUint(delivered, 10) {
		return errGap
	}
	if stalled := m.Header.Get("Nats-Consumer-Stalled"); stalled != "" { // the question, or our answer, was lost
		m.Reply = stalled
		return m.Respond(nil)
	}
	return nil
}
