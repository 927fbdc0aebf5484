// Package session keeps the sessions of visitors: their IDs, what is stored of them, and those that are live, which
// the connections of a visitor share. It knows clocks, but neither connections nor Caddy.
//
// A [Table] holds the live sessions of one storage, a [Store] keeps their records. What a visitor is told to be
// changed is durable; what fails has changed nothing, even if the store does it later: then it is undone. Alarms
// ring without the store.
package session

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
)

// Session is a live session. All who opened the same one have the same *Session. Its methods may be called by many
// goroutines at once; Update and Delete are for those who opened it and did not leave yet.
type Session struct {
	table *Table
	id    id
	key   Key
	state atomic.Pointer[State]

	mu        sync.Mutex // never held while the store is asked
	listeners []Listener
	policy    func() Policy // of who opened it last
	ended     bool          // deleted or forgotten: no longer in the table
	stored    bool          // there is a record, or should be
	revision  Revision      // of the record, as far as is known
	expires   int64         // of the record, Unix time in milliseconds
	writer    *writer       // nil until the first write

	queued  bool // for the background, which is to
	unsaved bool // save the state
	stale   bool // read the record again

	lingering *list.Element
	due       appointment
}

// ID returns the session's ID: a secret of its visitor.
func (s *Session) ID() string { return s.id.String() }

// State returns the session as it is now.
func (s *Session) State() *State { return s.state.Load() }

// join subscribes a listener, unless the session is no longer to be had under its ID.
func (s *Session) join(l Listener, policy func() Policy) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.table.now()
	if len(s.listeners) == 0 && s.stored && s.expires <= now.UnixMilli() {
		s.forget()
	}
	if s.ended {
		return false
	}
	s.policy = policy
	if len(s.listeners) == 0 {
		s.table.lingering.remove(s)
		s.advance(now, false)
	}
	s.renewZone(now) // it may have been loaded before an update of the zone data
	s.listeners = append(s.listeners, l)
	s.keepFresh(now)
	s.schedule(now)
	return true
}

// Leave ends what [Table.Open] began for l: nothing of l is called once Leave has returned. The session's time to live
// begins when the last listener leaves.
func (s *Session) Leave(l Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.listeners, l)
	if i < 0 {
		return
	}
	s.listeners = slices.Delete(s.listeners, i, i+1)
	if len(s.listeners) > 0 {
		return
	}
	s.listeners = nil
	now := s.table.now()
	s.advance(now, true)
	s.keepFresh(now)
	s.schedule(now)
	s.linger()
}

// at is an instant as the session's alarms see it.
func (s *Session) at(now time.Time, zone *clock.Zone) clock.At {
	return clock.At{Now: now, Zone: zone, Ring: s.policy().Ring}
}

// advance deals with the alarms up to now. Connected says whether anybody listened since the last time.
func (s *Session) advance(now time.Time, connected bool) {
	before := s.state.Load()
	if len(before.Alarms) == 0 {
		return
	}
	if w := s.writer; w != nil && w.changing {
		w.advances = append(w.advances, advance{now, connected})
	}
	after := *before
	after.Alarms = before.Alarms.Advance(s.at(now, before.Zone), connected)
	if !sameAlarms(before.Alarms, after.Alarms) {
		s.saveLater()
	}
	s.install(&after, now)
}

// install makes after the session's state, and tells the listeners.
func (s *Session) install(after *State, now time.Time) {
	before := s.state.Load()
	after.Ringing = after.Alarms.Ringing(s.at(now, after.Zone))
	if after.same(before) && after.lost == before.lost {
		return
	}
	s.state.Store(after)
	s.table.count(before, after)
	for _, l := range s.listeners {
		l.SessionChanged(before, after)
	}
}

// keepFresh sees to it that the record outlives everybody's leaving by the time to live. Records are written to last a
// sixteenth longer than that, so that this is needed only now and then, and not when all leave at once.
func (s *Session) keepFresh(now time.Time) {
	if s.stored && s.expires < now.Add(s.policy().TTL).UnixMilli() {
		s.saveLater()
	}
}

// expiry is that of a record written now.
func (s *Session) expiry() time.Time {
	ttl := s.policy().TTL
	return s.table.now().Add(ttl + ttl/16)
}

func (s *Session) saveLater() {
	if s.stored {
		s.unsaved = true
		s.table.queue.add(s)
	}
}

// schedule makes an appointment for the next time that the session needs [Table.Advance]: none while nobody listens.
func (s *Session) schedule(now time.Time) {
	var at time.Time
	if len(s.listeners) > 0 {
		state := s.state.Load()
		at = state.Alarms.NextChange(s.at(now, state.Zone))
		if s.stored && !s.unsaved {
			stale := time.UnixMilli(s.expires).Add(-s.policy().TTL)
			if at.IsZero() || stale.Before(at) {
				at = stale
			}
		}
	}
	s.table.due.set(s, at)
}

// refresh looks at the session as if for the first time.
func (s *Session) refresh(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.renewZone(now)
	if len(s.listeners) > 0 {
		s.advance(now, true)
		s.keepFresh(now)
		s.schedule(now)
	}
}

// renewZone makes the session's zone what the zone data in use has.
func (s *Session) renewZone(now time.Time) {
	after := *s.state.Load()
	s.table.updateZone(&after)
	if after.Zone != s.state.Load().Zone {
		s.install(&after, now)
	}
}

// tick is [Table.Advance] for this session.
func (s *Session) tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 {
		return
	}
	s.advance(now, true)
	s.keepFresh(now)
	s.schedule(now)
}

// end takes the session out of the table, because it was deleted.
func (s *Session) end() {
	for _, l := range s.listeners {
		l.SessionDeleted()
	}
	s.listeners = nil
	s.forget()
}

// forget takes the session out of the table.
func (s *Session) forget() {
	if s.ended {
		return
	}
	s.ended = true
	s.table.due.set(s, time.Time{})
	s.table.lingering.remove(s)
	s.table.remove(s)
}
