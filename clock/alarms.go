package clock

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Alarms are the alarms of a session in the order of adding. Every method leaves its receiver as it was and returns a
// new list, or the receiver itself where nothing changed. An error says what was wrong and what would be right.
//
// Commands come from somebody who is connected: what rings at the time of one has been heard.
type Alarms []Alarm

// AlarmStatus is an alarm as the protocol's ALARM LIST shows it. Times are in RFC 3339, in the session's zone.
type AlarmStatus struct {
	Name         string  `json:"name"`
	When         string  `json:"when"` // as it was given; a timer's as the instant that it names
	Next         *string `json:"next"` // the next occurrence: later than now
	Enabled      bool    `json:"enabled"`
	Ringing      bool    `json:"ringing"`
	SnoozedUntil *string `json:"snoozed_until"`
	Missed       *string `json:"missed"` // the newest occurrence, or end of a snooze, that nobody heard
}

// Add adds the alarm of "<when> <name>". It is enabled, and rings after now. A time of day is planned for when the
// session's wall clock shows it next. An RRULE starts at the local second of now, which does not count as an occurrence;
// an UNTIL in UTC becomes the local time of that instant, and floats from then on as the rule does.
func (l Alarms) Add(at At, args string) (Alarms, AlarmStatus, error) {
	a, err := newAlarm(at, args)
	if err != nil {
		return l, AlarmStatus{}, err
	}
	if l.find(a.name) >= 0 {
		return l, AlarmStatus{}, fmt.Errorf("there is an alarm %q already: want another name", a.name)
	}
	return append(slices.Clip(l), a), a.status(at, a.next(at)), nil
}

// Delete removes an alarm.
func (l Alarms) Delete(name string) (Alarms, error) {
	i := l.find(name)
	if i < 0 {
		return l, errUnknown(name)
	}
	return slices.Delete(slices.Clone(l), i, i+1), nil
}

// On enables an alarm from now on. A time of day is planned anew, also for an alarm that is on. It is an error if the
// alarm has no occurrence to come.
func (l Alarms) On(at At, name string) (Alarms, AlarmStatus, error) {
	return l.change(at, name, func(a *Alarm) error { return a.switchOn(at) })
}

// Off disables an alarm, and ends its ringing and its snooze.
func (l Alarms) Off(at At, name string) (Alarms, AlarmStatus, error) {
	return l.change(at, name, func(a *Alarm) error {
		a.switchOff()
		return nil
	})
}

// Stop ends ringing, snooze and missed mark of an alarm, or of all for "". It returns the names of those that had any, in
// the order of adding.
func (l Alarms) Stop(at At, name string) (Alarms, []string, error) {
	return l.quieten(at, name, func(a *Alarm) bool { return a.stop() })
}

// Snooze puts off an alarm, in "<duration> <name>", if it rings or is snoozed, or with "<duration>" all that ring. It
// returns their names in the order of adding. The snooze ends at the first whole second that is not before now and the
// duration.
func (l Alarms) Snooze(at At, args string) (Alarms, []string, error) {
	duration, name, named := strings.Cut(args, " ")
	wait, err := ParseDuration(duration)
	if err != nil {
		return l, nil, err
	}
	if named && name == "" {
		return l, nil, errors.New("no name after the space: want ALARM SNOOZE <duration> [name]")
	}
	return l.quieten(at, name, func(a *Alarm) bool { return (named || a.ring != 0) && a.putOff(at, wait) })
}

// Rezone moves the alarms to another zone: those of local time float, those of an instant stay. What the new zone has
// passed already does not ring and is not missed, and an alarm of a date that it has passed is switched off. A time of
// day is planned for when the wall clock of the new zone shows it next. What rings rings on, and a snooze ends when it
// would have. Later calls are to have the new zone in at.
func (l Alarms) Rezone(at At, to *Zone) Alarms {
	if to == at.Zone {
		return l
	}
	return l.each(func(a Alarm) Alarm { return a.rezone(at, to) })
}

// Advance deals with all that happened up to now: what rings, rang or was missed, and alarms that are over, which it
// switches off. However long ago the last call was, and however many occurrences there were, it looks at few of them.
//
// It is to be called whenever [Alarms.NextChange] has come, when the first connection comes and when the last one goes;
// after a restart, a time without connections or a suspend, once. Connected says whether anybody was connected since the
// last call. What began to ring by one call and has ended by the next is heard if somebody was connected then; what has
// both begun and ended since the last call did not ring, so it is missed whoever was connected.
func (l Alarms) Advance(at At, connected bool) Alarms {
	return l.each(func(a Alarm) Alarm { return a.advance(at, connected) })
}

// List returns the alarms in the order in which they ring next, at their next occurrence or at the end of their snooze;
// those that will not ring come last, and all that is equal is in the order of adding.
func (l Alarms) List(at At) []AlarmStatus {
	type entry struct {
		status AlarmStatus
		rings  instant
	}
	entries := make([]entry, 0, len(l))
	for _, a := range l {
		a = a.advance(at, true)
		next, rings := a.next(at), instant(never)
		for _, t := range []instant{next, a.snoozedUntil(at)} {
			if t != 0 {
				rings = min(rings, t)
			}
		}
		entries = append(entries, entry{a.status(at, next), rings})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.rings, b.rings) })
	list := make([]AlarmStatus, 0, len(l))
	for _, e := range entries {
		list = append(list, e.status)
	}
	return list
}

// Ringing returns the names of the alarms that ring, in the order in which they began to.
func (l Alarms) Ringing(at At) []string {
	var ringing []Alarm
	for _, a := range l {
		if a = a.advance(at, true); a.ring != 0 {
			ringing = append(ringing, a)
		}
	}
	slices.SortStableFunc(ringing, func(a, b Alarm) int { return cmp.Compare(a.since, b.since) })
	var names []string
	for _, a := range ringing {
		names = append(names, a.name)
	}
	return names
}

// NextChange returns the first instant after now at which an alarm begins or ceases to ring, or the zero time if none
// does.
func (l Alarms) NextChange(at At) time.Time {
	change := instant(never)
	for _, a := range l {
		a = a.advance(at, true)
		change = min(change, a.nextChange(at))
	}
	if change == never {
		return time.Time{}
	}
	return change.time()
}

func (l Alarms) find(name string) int {
	return slices.IndexFunc(l, func(a Alarm) bool { return a.name == name })
}

func errUnknown(name string) error {
	return fmt.Errorf("no alarm %.64q: want a name that ALARM LIST shows", name)
}

// each changes every alarm.
func (l Alarms) each(change func(Alarm) Alarm) Alarms {
	changed, same := make(Alarms, len(l)), true
	for i, a := range l {
		changed[i] = change(a)
		same = same && changed[i].same(a)
	}
	if same {
		return l
	}
	return changed
}

// change changes one alarm, after it has been advanced.
func (l Alarms) change(at At, name string, change func(*Alarm) error) (Alarms, AlarmStatus, error) {
	i := l.find(name)
	if i < 0 {
		return l, AlarmStatus{}, errUnknown(name)
	}
	a := l[i].advance(at, true)
	if err := change(&a); err != nil {
		return l, AlarmStatus{}, err
	}
	status := a.status(at, a.next(at))
	if a.same(l[i]) {
		return l, status, nil
	}
	l = slices.Clone(l)
	l[i] = a
	return l, status, nil
}

// quieten changes one alarm or, for "", all, after they have been advanced, and returns the names of those that did
// change.
func (l Alarms) quieten(at At, name string, change func(*Alarm) bool) (Alarms, []string, error) {
	if name != "" && l.find(name) < 0 {
		return l, nil, errUnknown(name)
	}
	names := []string{}
	changed := l.each(func(a Alarm) Alarm {
		if name != "" && a.name != name {
			return a
		}
		b := a.advance(at, true)
		if !change(&b) {
			return a
		}
		names = append(names, a.name)
		return b.advance(at, true)
	})
	return changed, names, nil
}

// newAlarm makes an alarm of the arguments of ALARM ADD.
func newAlarm(at At, args string) (Alarm, error) {
	text, name := cutWhen(args)
	now := at.now()
	a := Alarm{name: name, when: text, enabled: true, done: now}
	w, err := parseWhen(text, now.in(at.Zone))
	if err != nil {
		return a, err
	}
	if err := checkName(name); err != nil {
		return a, err
	}
	switch w.kind {
	case atClock:
		a.start = nextClock(at.Zone, now, w.second)
	case timer:
		w = when{kind: atInstant, instant: instantFrom(at.Now.Add(w.wait))}
		a.when = *at.format(w.instant)
	case byRule:
		if err := w.rule.setEnd(at.Zone, w.end); err != nil {
			return a, err
		}
		a.start = w.rule.start
		if w.end != (ruleEnd{}) {
			a.last = w.rule.last
		}
	}
	if a.next(at) == 0 {
		return a, fmt.Errorf("%s has passed: want a time to come", a.when)
	}
	return a, nil
}

// status returns an alarm that has been advanced, and its next occurrence, as ALARM LIST shows it.
func (a *Alarm) status(at At, next instant) AlarmStatus {
	return AlarmStatus{
		Name:         a.name,
		When:         a.when,
		Next:         at.format(next),
		Enabled:      a.enabled,
		Ringing:      a.ring != 0,
		SnoozedUntil: at.format(a.snoozedUntil(at)),
		Missed:       at.format(a.missed),
	}
}

// format returns an instant as the protocol writes it, or nil for none.
func (at At) format(t instant) *string {
	if t == 0 {
		return nil
	}
	text := t.time().In(at.Zone.Location()).Format("2006-01-02T15:04:05-07:00")
	return &text
}
