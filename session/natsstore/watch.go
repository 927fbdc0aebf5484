package natsstore

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
)

// maxWatchPause is how long to wait at most before a watch that broke is put in place again.
const maxWatchPause = 2 * time.Second

// Watch implements [session.Store]. After a gap it goes on where it was: the bucket keeps the last message of each key,
// so that nothing needs to be read again. It calls resync anew only if the bucket is another one, or lost something.
func (s *Store) Watch(ctx context.Context, resync func(), changed func(session.Event)) error {
	w := &watch{client: s.client, resync: resync, changed: changed}
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxWatchPause) {
		err := w.follow(ctx)
		if w.inPlace {
			w.inPlace, pause = false, minPause
			s.client.watching.Add(-1)
		}
		if ctx.Err() == nil && pause == minPause {
			s.client.logs.last().Warn("the watch of the NATS bucket was interrupted", zap.Error(err))
		}
		sleep(ctx, jitter(pause))
	}
	return ctx.Err()
}

// watch follows the changes of a bucket.
type watch struct {
	client  *client
	resync  func()
	changed func(session.Event)
	created time.Time // the bucket
	seen    uint64    // up to where in the stream
	inPlace bool
}

// follow tells of changes until something breaks.
func (w *watch) follow(ctx context.Context) error {
	info, err := w.client.look(ctx)
	if err != nil {
		return err
	}
	anew := !info.Created.Equal(w.created) || info.State.LastSeq < w.seen
	if anew {
		w.created, w.seen = info.Created, info.State.LastSeq
	}
	config := jetstream.ConsumerConfig{
		FilterSubject: w.client.subjects + "s.>",
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   w.seen + 1,
	}
	looking, stop := context.WithCancel(ctx)
	var looks sync.WaitGroup
	defer looks.Wait()
	defer stop()
	looks.Go(func() { w.client.keepLooking(looking) })
	return w.client.consume(ctx, config, func() {
		if anew {
			w.resync()
		}
		w.inPlace = true
		w.client.watching.Add(1)
	}, w.tell)
}

func (w *watch) tell(e named) {
	w.seen = e.sequence
	if e.value != nil || e.deleted {
		w.changed(session.Event{Key: e.key, Record: e.value, Revision: session.Revision(e.sequence)})
	}
}
