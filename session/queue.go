package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	maxWorkers = 4
	minPause   = time.Second
	maxPause   = 30 * time.Second
)

// queue holds the sessions that the background has to look after: whose records are to be written or read, with nobody
// waiting for it. There are workers as long as there is work. When the store fails they pause.
type queue struct {
	table *Table

	mu       sync.Mutex
	sessions []*Session
	workers  int
	asking   int           // operations of the store under way for sessions, also those that were given up
	pause    time.Duration // the last one; 0: none since the store last worked
	resume   *time.Timer   // not nil during a pause
	draining bool
	drained  chan struct{} // closed when there is nothing to do any more, while draining
}

// add queues a session, whose mutex is held, unless it is queued already.
func (q *queue) add(s *Session) {
	if s.queued || s.ended || q.table.stopped.Err() != nil {
		return
	}
	s.queued = true
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sessions = append(q.sessions, s)
	q.start()
}

// start sees to it that there are workers.
func (q *queue) start() {
	if q.resume == nil && q.workers < min(maxWorkers, len(q.sessions)) {
		q.workers++
		go q.work()
	}
}

func (q *queue) work() {
	for s := q.next(); s != nil; s = q.next() {
		s.mu.Lock()
		s.queued = false
		s.mu.Unlock()
		q.done(s, s.inTurn(context.Background(), s.catchUp))
	}
}

// next returns the session to look after next, or nil if there is nothing to do for a worker any more.
func (q *queue) next() *Session {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.resume != nil || len(q.sessions) == 0 {
		q.workers--
		q.signal()
		return nil
	}
	s := q.sessions[0]
	q.sessions[0] = nil
	q.sessions = q.sessions[1:]
	return s
}

// done queues a session again that the store failed for, after a pause. One whose operation was given up is queued when
// that returns.
func (q *queue) done(s *Session, err error) {
	failed := errors.Is(err, ErrUnavailable)
	q.mu.Lock()
	draining := q.draining
	switch {
	case !failed:
		q.pause = 0
	case q.resume == nil && !draining:
		q.pause = min(max(2*q.pause, minPause), maxPause)
		q.resume = time.AfterFunc(jitter(q.pause), q.goOn)
	}
	q.mu.Unlock()
	if failed && !draining && !errors.Is(err, errLate) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q.add(s)
	}
}

// goOn ends a pause.
func (q *queue) goOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.resume = nil
	for range maxWorkers {
		q.start()
	}
}

// drain waits until there is nothing to do any more, in which what fails is not tried again.
func (q *queue) drain(ctx context.Context) error {
	q.mu.Lock()
	q.draining = true
	if q.resume != nil {
		q.resume.Stop()
		q.resume = nil
	}
	for range maxWorkers {
		q.start()
	}
	q.drained = make(chan struct{})
	drained := q.drained
	q.signal()
	q.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin and end tell of an operation of the store for a session, which may bring work for the background.
func (q *queue) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking++
}

func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking--
	q.signal()
}

func (q *queue) signal() {
	if q.drained != nil && q.workers == 0 && q.asking == 0 && len(q.sessions) == 0 {
		close(q.drained)
		q.drained = nil
	}
}

// jitter spreads waits that would end at once on many nodes.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}
