package clock

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// At is the place in time from which alarms are looked at.
type At struct {
	Now  time.Time
	Zone *Zone         // of the session: floating alarms follow it
	Ring time.Duration // how long an alarm rings; counted in whole seconds, of which a part is one
}

func (at At) now() instant { return instantOf(at.Now) }

func (at At) ring() instant { return max(1, instant((at.Ring+time.Second-1)/time.Second)) }

// maxBack is by how many seconds the clock may be set back and what rang not ring again.
const maxBack = 366 * day

// maxName is how many characters a name may have.
const maxName = 64

// Alarm is an alarm of a session. All about it follows from its <when>, the instant up to which its occurrences have
// been dealt with, and the time. It is stored as JSON, in Unix time.
//
// It rings from an occurrence, or the end of a snooze, until it has rung for so long or is stopped. What rang does not
// ring again if the clock is set back: by no more than a ring takes, what rings rings on; by more, that is over. What the
// clock was set forward over never rang: it is missed, and where it is ahead once more, since the clock went back, a
// recurring alarm does ring. A clock that is set back by more than 366 days was so wrong that what rang does not count.
//
// Occurrences are instants here: a daily alarm of 07:30 that rang in Paris rings at 07:30 in New York too if the zone is
// set in between.
type Alarm struct {
	name    string
	when    string // as it was given; a timer's is the instant that it names
	enabled bool
	spent   bool  // what is to ring once rings or is snoozed, and the zone was set: no occurrence is left
	start   local // DTSTART of an RRULE, and the local time for which a time of day is planned; else 0
	last    local // the end of an RRULE that has one; else 0

	done   instant // occurrences until then are over
	rang   instant // the last that ever rang; 0: none
	ring   instant // the last of those that ring; 0: it is silent
	since  instant // it has been ringing since then
	heard  instant // the last of those that ring that rang while somebody was connected; 0: none
	held   instant // what rang when its occurrences were moved, and is none of them any more; 0: nothing
	snooze instant // the end of the snooze, which rings like an occurrence; 0: it is not snoozed
	missed instant // the last occurrence or end of a snooze that nobody heard; 0: none

	// What follows from the above, and is not stored: the first occurrence after done in a zone, or never.
	zone     *Zone
	upcoming instant
}

// checkName returns an error if a name breaks the rules for names.
func checkName(name string) error {
	const want = "want 1 to 64 characters, none of them a control character, without space at either end"
	switch {
	case name == "":
		return fmt.Errorf("no name for the alarm: %s", want)
	case !utf8.ValidString(name):
		return fmt.Errorf("bad name %.64q: want UTF-8", name)
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("name %.64q has %d characters: %s", name, utf8.RuneCountInString(name), want)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("bad name %q: %s", name, want)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("bad name %q: %s", name, want)
	}
	return nil
}

// parse reads the alarm's <when>, which is known to be good.
func (a *Alarm) parse() when {
	w, _ := parseWhen(a.when, a.start)
	if w.kind == atClock {
		w.kind, w.local = atLocal, a.start
	}
	if a.last != 0 {
		w.rule.last = a.last
	}
	if a.spent {
		w.kind, w.instant = atInstant, 0
	}
	return w
}

// advance deals with all that happened up to now; see [Alarms.Advance].
func (a Alarm) advance(at At, connected bool) Alarm {
	if !a.enabled {
		return a
	}
	if connected {
		a.heard = a.ring
	}
	now, length := a.present(at), at.ring()
	a.stepBack(now)
	if upcoming := a.first(at.Zone); a.ring|a.snooze == 0 && now < upcoming && upcoming != never {
		return a
	}
	w := a.parse()
	a.end(&w, at.Zone, now-length)
	a.begin(&w, at.Zone, now, length, connected)
	if a.ring|a.snooze == 0 && a.next(at) == 0 {
		a.enabled = false
	}
	return a
}

// first returns the first occurrence after what is done, or never.
func (a *Alarm) first(z *Zone) instant {
	if a.zone != z {
		w := a.parse()
		a.zone, a.upcoming = z, w.first(z, a.done)
	}
	return a.upcoming
}

// setDone sets up to when occurrences are over.
func (a *Alarm) setDone(t instant) {
	if t != a.done {
		a.done, a.zone = t, nil
	}
}

// same says whether two alarms are the same but for what follows from the rest.
func (a Alarm) same(b Alarm) bool {
	a.zone, a.upcoming = b.zone, b.upcoming
	return a == b
}

// present returns the time that it is for the alarm: while it rings the clock does not go back a little behind that.
func (a *Alarm) present(at At) instant {
	now := at.now()
	if now < a.ring && a.ring-now <= at.ring() {
		return a.ring
	}
	return now
}

// stepBack deals with a clock that was set back behind what has been dealt with.
func (a *Alarm) stepBack(now instant) {
	if now < a.ring {
		if a.heard < a.ring {
			a.missed = a.ring
		}
		a.silence()
	}
	if a.rang > now+maxBack {
		a.rang = 0
	}
	if now < a.done {
		a.setDone(max(now, a.rang))
	}
}

// silence ends what rings.
func (a *Alarm) silence() {
	a.setDone(max(a.done, a.ring))
	if a.snooze <= a.ring {
		a.snooze = 0
	}
	a.ring, a.since, a.heard, a.held = 0, 0, 0, 0
}

// end deals with the occurrences until t, whose ringing time is over.
func (a *Alarm) end(w *when, z *Zone, t instant) {
	over := w.latest(z, a.done, t)
	a.setDone(max(a.done, over))
	for _, o := range []*instant{&a.held, &a.snooze} {
		if *o != 0 && *o <= t {
			over = max(over, *o)
			*o = 0
		}
	}
	if over > a.heard {
		a.missed = over
	}
}

// begin deals with the occurrences until now whose ringing time, of a length, is not over.
func (a *Alarm) begin(w *when, z *Zone, now, length instant, connected bool) {
	first, last := instant(never), w.latest(z, a.done, now)
	if last != 0 {
		first, _ = w.after(z, a.done, now)
	}
	for _, o := range []instant{a.held, a.snooze} {
		if o != 0 && o <= now {
			first, last = min(first, o), max(last, o)
		}
	}
	if last == 0 {
		a.ring, a.since, a.heard = 0, 0, 0
		return
	}
	if a.ring == 0 || a.ring+length < first {
		a.since = first
	}
	a.ring, a.rang = last, max(a.rang, last)
	if connected {
		a.heard = last
	}
}

// next returns the next occurrence of an alarm that has been advanced, or 0.
func (a *Alarm) next(at At) instant {
	if !a.enabled {
		return 0
	}
	next, from := a.first(at.Zone), max(a.ring, at.now())
	if next <= from {
		w := a.parse()
		next = w.first(at.Zone, from)
	}
	if next == never {
		return 0
	}
	return next
}

// snoozedUntil returns the end of the snooze of an alarm that has been advanced, if it is to come, or 0.
func (a *Alarm) snoozedUntil(at At) instant {
	if a.snooze <= a.present(at) {
		return 0
	}
	return a.snooze
}

// nextChange returns when an alarm that has been advanced next begins or ceases to ring, or never.
func (a *Alarm) nextChange(at At) instant {
	change := instant(never)
	if !a.enabled {
		return change
	}
	for _, t := range []instant{a.next(at), a.snoozedUntil(at)} {
		if t != 0 {
			change = min(change, t)
		}
	}
	if a.ring != 0 {
		change = min(change, a.ring+at.ring())
	}
	return change
}

// stop ends ringing, snooze and missed mark, and says whether there was any.
func (a *Alarm) stop() bool {
	if a.ring|a.snooze|a.missed == 0 {
		return false
	}
	a.silence()
	a.snooze, a.missed = 0, 0
	return true
}

// putOff silences an alarm that has been advanced for so long, if it rings or is snoozed, and says whether it did.
func (a *Alarm) putOff(at At, wait time.Duration) bool {
	if a.ring|a.snooze == 0 {
		return false
	}
	a.silence()
	a.snooze = instantFrom(at.Now.Add(wait))
	return true
}

// switchOff ends ringing and snooze.
func (a *Alarm) switchOff() {
	a.silence()
	a.snooze, a.enabled = 0, false
}

// switchOn plans an alarm that has been advanced: one of a time of day anew from now on, others if they were off. What
// rings rings on.
func (a *Alarm) switchOn(at At) error {
	w, _ := parseWhen(a.when, a.start)
	if !a.enabled {
		a.setDone(at.now())
		a.rang = min(a.rang, a.done)
		a.enabled, a.spent, a.zone = true, false, nil
	}
	if w.kind == atClock {
		a.hold()
		a.done = a.present(at)
		a.start, a.spent, a.zone = nextClock(at.Zone, a.done, w.second), false, nil
	}
	if a.next(at) == 0 {
		return fmt.Errorf("alarm %q is over: %s has passed, ALARM ADD makes a new one", a.name, a.when)
	}
	return nil
}

// hold makes what rings independent of the alarm's occurrences, which change.
func (a *Alarm) hold() {
	if a.ring != a.snooze {
		a.held = a.ring
	}
}

// rezone is [Alarms.Rezone] for an alarm.
func (a Alarm) rezone(at At, to *Zone) Alarm {
	a = a.advance(at, true)
	w, _ := parseWhen(a.when, a.start)
	if !a.enabled || w.kind == atInstant {
		return a
	}
	now := a.present(at)
	if a.next(at) == 0 && (w.kind == atClock || w.kind == atLocal) {
		a.spent = true
	}
	a.hold()
	a.done = max(now, a.rang)
	if w.kind == atClock && !a.spent {
		a.start = nextClock(to, now, w.second)
	}
	at.Zone, a.zone = to, nil
	return a.advance(at, true)
}

// nextClock returns the local time at a second of the day that comes first after t.
func nextClock(z *Zone, t instant, second int) local {
	for date := t.in(z).date() - 1; ; date++ {
		if l := on(date, second); l.in(z) > t {
			return l
		}
	}
}
