package session

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
)

// State is what a session is at one time. It is a snapshot, and never changes.
type State struct {
	Zone    *clock.Zone
	ZoneSet uint32       // grows each time that the zone is set, also to the one that it is; it is not stored
	Alarms  clock.Alarms // in the order of adding
	Ringing []string     // the names of the alarms that ring, as of the last [Table.Advance] or change

	// lost is the zone's name in the record where the zone data does not have it; Zone is that of new sessions then.
	// It is stored again until the zone is set.
	lost string
}

// zoneName is the zone as it is stored.
func (s *State) zoneName() string {
	if s.lost != "" {
		return s.lost
	}
	return s.Zone.Name()
}

// same says whether two states are the same to a listener.
func (s *State) same(o *State) bool {
	return s.Zone == o.Zone && s.ZoneSet == o.ZoneSet && sameAlarms(s.Alarms, o.Alarms) && slices.Equal(s.Ringing, o.Ringing)
}

// sameRecord says whether two states are stored alike.
func (s *State) sameRecord(o *State) bool {
	if s.zoneName() != o.zoneName() {
		return false
	}
	if sameAlarms(s.Alarms, o.Alarms) {
		return true
	}
	a, errA := json.Marshal(s.Alarms)
	b, errB := json.Marshal(o.Alarms)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// sameAlarms says whether two lists are one: the methods of [clock.Alarms] return their receiver where nothing changed.
func sameAlarms(a, b clock.Alarms) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// missed returns how many of the alarms are marked as missed, by what is stored of them: [clock.Alarms.List] would also
// show what is missed since then.
func missed(l clock.Alarms) (n int) {
	var stored []struct {
		Missed int64 `json:"missed"`
	}
	p, err := json.Marshal(l)
	if err != nil || json.Unmarshal(p, &stored) != nil {
		return 0
	}
	for _, a := range stored {
		if a.Missed != 0 {
			n++
		}
	}
	return n
}

// Policy is what an administrator decides about sessions.
type Policy struct {
	Zone      *clock.Zone   // of new sessions
	TTL       time.Duration // how long a session is kept after its last listener left
	Ring      time.Duration // how long an alarm rings
	MaxAlarms int           // in one session; whoever adds one sees to it
}

// Listener is told what happens to a session: a connection, say. It is comparable, such as a pointer. Its methods are
// called in the order of the events, one at a time, and by the time that they are, [Session.State] is the new state. They
// must not block, nor call methods of the session but State and ID, nor of the table. They may be called before
// [Table.Open] has returned.
type Listener interface {
	// SessionChanged tells of a new state.
	SessionChanged(before, after *State)

	// SessionDeleted tells that the session is no more. Nothing is called after that.
	SessionDeleted()
}

// Observer is told what a [Table] does, for metrics. Its methods must not block, nor call the table.
type Observer interface {
	// StoreOperation tells of an operation of the store that has ended: "secret", "load", "save", "delete" or "keys".
	StoreOperation(name string, took time.Duration, err error)

	// AlarmsRang tells how many alarms began to ring for somebody, and AlarmsMissed how many rang with nobody there.
	AlarmsRang(n int)
	AlarmsMissed(n int)
}
