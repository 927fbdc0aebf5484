package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// maxChanged is the size in bytes of the largest record that a visitor can bring about. What happens to alarms later
// may make it a little larger.
const maxChanged = MaxRecord * 3 / 4

// maxTries is how often a change is made again, since another node changed the record meanwhile.
const maxTries = 10

// writer is what a session needs to be written.
type writer struct {
	turn chan struct{} // holds one element while somebody reads or writes the record

	// All else is guarded by the session's mutex.
	away     bool      // an operation of the store was given up, and has not returned
	doubt    *doubt    // the record may hold what a visitor was told to have failed
	event    *Event    // came during a turn
	changing bool      // a change is being made, during which
	advances []advance // the alarms were dealt with
}

type advance struct {
	now       time.Time
	connected bool
}

// Update changes the session. It calls change with a copy of the state, stores what change made of it, makes it the
// session's state and tells all listeners; then it returns nil. A change that leaves the state as it is is not stored.
// Changes of one session are made one after another. Change may be called several times, each time with a new copy, of
// which it must not change what slices refer to; it must not block, nor call the session or the table.
//
// The error is that of change; or it wraps [ErrUnavailable], [ErrDamaged], or [ErrDeleted] where the session was
// deleted before or meanwhile. Then the session is as it was before. Whatever the store does, Update returns within the
// store timeout. The end of ctx ends the wait for other changes; once the change is being stored, Update sees it through.
func (s *Session) Update(ctx context.Context, change func(*State) error) error {
	return s.inTurn(ctx, func(ctx context.Context) error {
		return s.change(ctx, change)
	})
}

// Delete deletes the session and all that is stored of it, and tells all listeners. Its ID opens an empty session
// then. Errors are those of [Session.Update].
func (s *Session) Delete(ctx context.Context) error {
	return s.inTurn(ctx, s.remove)
}

// inTurn does what changes the record when it is this one's turn, and again where somebody else has changed it.
func (s *Session) inTurn(ctx context.Context, do func(context.Context) error) error {
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.table.config.StoreTimeout)
	defer cancel()
	if err := s.takeTurn(ctx, work); err != nil {
		return err
	}
	defer s.giveTurn()
	if err := s.settle(work); err != nil {
		return err
	}
	for try := range maxTries {
		err := do(work)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if try > 0 && !sleep(work, rand.N(10*time.Millisecond<<min(try, 5))) {
			break
		}
		if err := s.reread(work); err != nil {
			return err
		}
	}
	return unavailable("has too many changes of this session at once", ErrConflict)
}

// takeTurn waits until nobody else changes the session.
func (s *Session) takeTurn(ctx, work context.Context) error {
	s.mu.Lock()
	if s.writer == nil {
		s.writer = &writer{turn: make(chan struct{}, 1)}
	}
	w := s.writer
	s.mu.Unlock()
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return unavailable("was not asked", ctx.Err())
	case <-work.Done():
		return unavailable("is busy with other changes of this session", work.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	switch {
	case s.ended:
		err = ErrDeleted
	case w.away:
		err = unavailable("has not come back from an earlier change of this session", errLate)
	}
	if err != nil {
		<-w.turn
	}
	return err
}

func (s *Session) giveTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.writer
	w.changing, w.advances = false, nil
	if w.event != nil {
		s.takeOver(w.event)
		w.event = nil
	}
	<-w.turn
}

// change makes a change of the state, and saves it.
func (s *Session) change(ctx context.Context, change func(*State) error) error {
	before, expires := s.beginChange()
	after := *before
	if err := change(&after); err != nil {
		return err
	}
	if after.same(before) {
		return nil
	}
	if after.Zone != before.Zone || after.ZoneSet != before.ZoneSet {
		after.lost = ""
	}
	record, err := encodeRecord(&after, expires)
	if err != nil {
		return err
	}
	if len(record) > maxChanged {
		return fmt.Errorf("the session would be too large, %d bytes: want at most %d, delete an alarm first", len(record), maxChanged)
	}
	revision, err := s.save(ctx, record, s.revision)
	if err != nil {
		return s.inDoubt(err, record)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.revision, s.expires = true, revision, expires.UnixMilli()
	s.commit(&after)
	return nil
}

// beginChange returns the state to change, and the expiry of its record. From then on what Advance does to the alarms
// is kept, to be done again to what the change makes of them.
func (s *Session) beginChange() (before *State, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer.changing, s.writer.advances = true, nil
	return s.state.Load(), s.expiry()
}

// commit makes a state that was saved the session's.
func (s *Session) commit(after *State) {
	now := s.table.now()
	saved := after.Alarms
	s.table.updateZone(after)
	for _, a := range s.writer.advances {
		after.Alarms = after.Alarms.Advance(s.at(a.now, after.Zone), a.connected)
	}
	s.unsaved = false
	if !sameAlarms(saved, after.Alarms) {
		s.saveLater()
	}
	s.install(after, now)
	s.schedule(now)
}

// remove deletes the record, and then the session.
func (s *Session) remove(ctx context.Context) error {
	if s.revision == 0 {
		if err := s.reread(ctx); err != nil {
			return err
		}
	}
	if old := s.revision; old != 0 {
		if err := s.discard(ctx, old); err != nil {
			return s.inDoubt(err, nil)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	return nil
}
