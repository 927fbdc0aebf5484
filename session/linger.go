package session

import (
	"container/list"
	"sync"
	"time"
)

// lingering are the sessions that nobody listens to any more, or yet, those first that have been left longest.
type lingering struct {
	mu   sync.Mutex
	list list.List     // of lingerer
	look chan struct{} // says that there is one, or that there are too many
}

// restBusy is the least time between two looks at more sessions than may linger.
const restBusy = 100 * time.Millisecond

type lingerer struct {
	session *Session
	left    time.Time
}

func (l *lingering) add(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.lingering = l.list.PushBack(lingerer{s, time.Now()})
}

func (l *lingering) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.lingering != nil {
		l.list.Remove(s.lingering)
		s.lingering = nil
	}
}

func (l *lingering) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list.Len()
}

// first returns the session that was left first, and when.
func (l *lingering) first() (lingerer, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if front := l.list.Front(); front != nil {
		return front.Value.(lingerer), true
	}
	return lingerer{}, false
}

// linger puts a session that nobody listens to among those to be forgotten.
func (s *Session) linger() {
	l := &s.table.lingering
	l.add(s)
	if n := l.len(); n == 1 || n > s.table.config.MaxLinger {
		select {
		case l.look <- struct{}{}:
		default:
		}
	}
}

// keepForgetting forgets sessions that nobody has listened to for the linger time, until the table is closed.
func (t *Table) keepForgetting() {
	timer := time.NewTimer(t.config.Linger)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-t.lingering.look:
		case <-t.stopped.Done():
			return
		}
		if wait := t.forgetIdle(); wait > 0 {
			timer.Reset(wait)
		}
		if t.lingering.len() > t.config.MaxLinger { // busy ones, as the store fails: do not look again at each that comes
			sleep(t.stopped, restBusy)
		}
	}
}

// forgetIdle forgets the sessions whose time it is, and those left first where there are too many. It returns how long
// it is until the next one's time, or zero if there is none.
func (t *Table) forgetIdle() time.Duration {
	for n := t.lingering.len(); n > 0; n-- {
		first, ok := t.lingering.first()
		if !ok {
			break
		}
		if wait := t.config.Linger - time.Since(first.left); wait > 0 && n <= t.config.MaxLinger {
			return wait
		}
		first.session.forgetIfIdle()
	}
	if t.lingering.len() == 0 {
		return 0
	}
	return t.config.Linger
}

// forgetIfIdle forgets the session if nobody listens. One that the background still has to look after lingers on,
// unless there are far too many of these, as the store has failed for long.
func (s *Session) forgetIfIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) > 0 || s.ended {
		return
	}
	if !s.busy() || s.table.lingering.len() > 2*s.table.config.MaxLinger {
		s.forget()
		return
	}
	s.table.lingering.remove(s)
	s.table.lingering.add(s)
}

// busy says whether the session is being written, or still has to be.
func (s *Session) busy() bool {
	w := s.writer
	return s.queued || w != nil && (len(w.turn) > 0 || w.away || w.doubt != nil)
}
