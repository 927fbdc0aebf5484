package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// ask runs an operation of the store in the session's turn. One that is given up keeps others from having a turn until
// it returns, when the background looks after the session.
func ask[T any](ctx context.Context, s *Session, name string, op func(context.Context, Store) (T, error)) (T, error) {
	q := &s.table.queue
	s.setAway(true)
	q.begin()
	result, err := attempt(ctx, s.table, name, op, func() {
		defer q.end()
		s.setAway(false)
		s.mu.Lock()
		defer s.mu.Unlock()
		q.add(s)
	})
	if !errors.Is(err, errLate) {
		s.setAway(false)
		q.end()
	}
	return result, err
}

func (s *Session) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writer.away = away
}

func (s *Session) load(ctx context.Context) (loaded, error) {
	return ask(ctx, s, "load", loading(s.key))
}

func (s *Session) save(ctx context.Context, record []byte, old Revision) (Revision, error) {
	return ask(ctx, s, "save", func(ctx context.Context, store Store) (Revision, error) {
		return store.Save(ctx, s.key, record, old)
	})
}

func (s *Session) discard(ctx context.Context, old Revision) error {
	_, err := ask(ctx, s, "delete", deleting(s.key, old))
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.revision = 0
	}
	return err
}

// saveState saves the state as it is.
func (s *Session) saveState(ctx context.Context, old Revision) error {
	s.mu.Lock()
	state, expires := s.state.Load(), s.expiry()
	s.unsaved = false
	s.mu.Unlock()
	record, err := encodeRecord(state, expires)
	if err != nil {
		return err
	}
	revision, err := s.save(ctx, record, old)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.unsaved = true
		return err
	}
	s.revision, s.expires = revision, expires.UnixMilli()
	s.schedule(s.table.now())
	return nil
}

// reread takes over what is stored, if it is not what this session stored.
func (s *Session) reread(ctx context.Context) error {
	found, err := s.load(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return s.vanished(err)
	case errors.Is(err, ErrDamaged):
		return s.damaged(err)
	case err != nil:
		return refusal(err)
	case found.revision == s.revision:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopt(found)
	return nil
}

// vanished deals with there being no record: it was deleted on another node, and the session is no more; or else the
// next save creates it anew.
func (s *Session) vanished(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored && errors.Is(err, ErrDeleted) {
		s.end()
		return ErrDeleted
	}
	s.revision = 0
	return nil
}

// damaged says in the log which record is damaged, and to a visitor that one is.
func (s *Session) damaged(err error) error {
	s.table.logDamaged(s.key, err)
	return fmt.Errorf("the stored session is %w: nothing was changed", ErrDamaged)
}

// adopt makes a record that was not written by this session its state.
func (s *Session) adopt(l loaded) {
	r := l.record
	connected := len(s.listeners) > 0 || s.unsaved
	s.stored, s.revision, s.expires, s.unsaved = true, l.revision, r.Expires.UnixMilli(), false
	now := s.table.now()
	before := s.state.Load()
	if after := s.table.stateOf(r, s.policy().Zone); !after.sameRecord(before) {
		after.ZoneSet = before.ZoneSet
		if after.Zone != before.Zone {
			after.ZoneSet++
		}
		stored := after.Alarms
		after.Alarms = stored.Advance(s.at(now, after.Zone), connected)
		if !sameAlarms(stored, after.Alarms) {
			s.saveLater()
		}
		s.install(after, now)
	}
	s.keepFresh(now)
	s.schedule(now)
}

// takeOver deals with what another node did, between turns.
func (s *Session) takeOver(e *Event) {
	switch w := s.writer; {
	case s.ended || e.Revision <= s.revision:
	case w != nil && (w.away || w.doubt != nil):
		s.rereadLater()
	case e.Record != nil:
		if r, err := decodeRecord(e.Record); err != nil {
			s.table.logDamaged(s.key, err) // the next save meets it as a conflict
		} else {
			s.adopt(loaded{e.Record, r, e.Revision})
		}
	case s.stored:
		s.end()
	}
}

func (s *Session) rereadLater() {
	s.stale = true
	s.table.queue.add(s)
}

// doubt is what may have become of the record.
type doubt struct {
	record []byte // nil: it may be deleted
}

// inDoubt deals with an error of saving, or deleting if record is nil: what became of it is in doubt then, unless the
// store says that nothing has changed.
func (s *Session) inDoubt(err error, record []byte) error {
	if !errors.Is(err, ErrConflict) && !errors.Is(err, errNoRoom) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writer.doubt = &doubt{record}
		if !errors.Is(err, errLate) { // else when it returns
			s.table.queue.add(s)
		}
	}
	return refusal(err)
}

// settle ends a doubt: what a visitor was told to have failed is undone.
func (s *Session) settle(ctx context.Context) error {
	d := s.writer.doubt
	if d == nil {
		return nil
	}
	err := s.undo(ctx, d)
	if errors.Is(err, ErrConflict) {
		return unavailable("is busy with other changes of this session", err)
	}
	if !errors.Is(err, ErrUnavailable) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writer.doubt = nil
	}
	return err
}

// undo makes the record what it was before the doubt. Where it is so already it is written once more all the same: a
// save that is still on its way conflicts with it then.
func (s *Session) undo(ctx context.Context, d *doubt) error {
	found, err := s.load(ctx)
	switch {
	case errors.Is(err, ErrNotFound) && d.record == nil && s.stored:
		return refusal(s.saveState(ctx, 0))
	case errors.Is(err, ErrNotFound):
		return s.vanished(err)
	case errors.Is(err, ErrDamaged):
		return s.damaged(err)
	case err != nil:
		return refusal(err)
	case found.revision != s.revision && !bytes.Equal(found.text, d.record):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.adopt(found)
		return nil
	case s.stored:
		return refusal(s.saveState(ctx, found.revision))
	case found.revision != s.revision:
		return refusal(s.discard(ctx, found.revision))
	}
	return nil
}

// catchUp does what was left to the background.
func (s *Session) catchUp(ctx context.Context) error {
	s.mu.Lock()
	stale := s.stale
	s.stale = false
	s.mu.Unlock()
	if stale {
		if err := s.reread(ctx); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.stale = errors.Is(err, ErrUnavailable)
			return err
		}
	}
	s.mu.Lock()
	unsaved := s.unsaved
	s.mu.Unlock()
	if !unsaved {
		return nil
	}
	return refusal(s.saveState(ctx, s.revision))
}
