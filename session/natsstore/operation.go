package natsstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How long things may take.
const (
	operationTimeout = 5 * time.Second // where the caller sets no deadline
	tryTimeout       = time.Second     // of one try: the server that was asked may be gone
	minPause         = 10 * time.Millisecond
	maxPause         = 300 * time.Millisecond
	moveAfter        = 4 * time.Second // of failures with a connection
)

// need is what an operation needs of the servers.
type need int

const (
	someLeader need = iota // one that leads the bucket: for a while, that can be one that is cut off from the others
	majority
)

// do runs an operation that needs the bucket, again and again while what keeps it from being done can pass soon, such as
// an election of a leader.
func (c *client) do(ctx context.Context, need need, op func(context.Context) error) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, operationTimeout)
		defer cancel()
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := c.await(ctx)
		if err == nil {
			err = c.bind(ctx)
		}
		if err == nil {
			err = op(ctx)
		}
		c.note(need, err)
		if !passing(err) || !sleep(ctx, jitter(pause)) {
			return err
		}
	}
}

// errNoAnswer: a server did not answer in time, or the connection was lost meanwhile.
var errNoAnswer = errors.New("no answer from NATS")

// passing says whether an operation that failed so can be done again, as the reason may pass soon.
func passing(err error) bool {
	for _, other := range []error{
		errNoAnswer, errNoLeader, errUntrue, nats.ErrNoResponders, nats.ErrReconnectBufExceeded,
		jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound,
	} {
		if errors.Is(err, other) {
			return true
		}
	}
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.Code == http.StatusServiceUnavailable
}

// try runs one try of what can be done again where it gets no answer.
func try[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	answer, err := ask(limited)
	var refused *jetstream.APIError
	if err == nil || ctx.Err() != nil || errors.As(err, &refused) || passing(err) {
		return answer, err
	}
	return answer, fmt.Errorf("%w: %w", errNoAnswer, err)
}

// note keeps in mind how an operation went. Where all fail that need the same, although there is a connection, its server
// may be cut off from the others, and another one is asked for.
func (c *client) note(need need, err error) {
	if missing(err) {
		c.bucket.Store(nil)
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	late := passing(err) || errors.Is(err, context.DeadlineExceeded)
	c.mu.Lock()
	defer c.mu.Unlock()
	failing := &c.failing[need]
	switch {
	case !late || !c.up:
		*failing = time.Time{}
	case failing.IsZero():
		*failing = time.Now()
	case time.Since(*failing) > moveAfter && time.Since(c.moved) > 2*moveAfter && len(c.nc.Servers()) > 1:
		c.moved, *failing = time.Now(), time.Time{}
		nc := c.nc
		go func() { _ = nc.ForceReconnect() }()
	}
}

// missing says whether an error can mean that there is no bucket any more.
func missing(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
