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

// maxName is how many characters a name may have.
const maxName = 64

// Alarm is an alarm of a session. All about it follows from its <when>, the instant up to which its occurrences have
// been dealt with, and the time. It is stored as JSON, in Unix time.
//
// It rings from an occurrence, or the end of a snooze, until it has rung for so long or is stopped. What was over at an
// instant stays over, also if the clock is set back: nothing rings twice. If it is set back by no more than a ring takes,
// what rings rings on; if by more, that is over. What the clock was set forward over never rang: it is missed, and a
// recurring alarm whose occurrence is ahead once more, since the clock went back again, does ring.
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
	rang   instant // the last that was seen to ring
	heard  instant // the last that rang while somebody was connected
	since  instant // it has been ringing since then; 0: it is silent
	held   instant // what rang when the zone was set, and is none of the rule's in the new one; 0: nothing
	snooze instant // the end of the snooze, which rings like an occurrence; 0: it is not snoozed
	missed instant // the last occurrence or end of a snooze that nobody heard; 0: none
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
	if connected && a.since != 0 {
		a.heard = a.rang
	}
	w, now, ring := a.parse(), a.present(at), at.ring()
	a.stepBack(now)
	if a.since|a.held|a.snooze == 0 {
		if next, ok := w.after(at.Zone, a.done, never); ok && next > now {
			return a
		}
	}
	a.end(&w, at.Zone, now-ring)
	a.begin(&w, at.Zone, now, ring, connected)
	if _, more := w.after(at.Zone, max(a.done, now), never); !more && a.since|a.snooze == 0 {
		a.enabled = false
	}
	return a
}

// present returns the time that it is for the alarm: the clock does not go back a little behind what rang.
func (a *Alarm) present(at At) instant {
	now := at.now()
	if now < a.rang && a.rang-now <= at.ring() {
		return a.rang
	}
	return now
}

// stepBack deals with a clock that was set back behind what has been dealt with.
func (a *Alarm) stepBack(now instant) {
	if now < a.rang && a.since != 0 {
		if a.heard < a.rang {
			a.missed = a.rang
		}
		a.silence()
	}
	if now < a.done {
		a.done = max(now, a.rang)
	}
}

// silence ends what rings.
func (a *Alarm) silence() {
	a.done = max(a.done, a.rang)
	if a.snooze <= a.rang {
		a.snooze = 0
	}
	a.held, a.since = 0, 0
}

// end deals with the occurrences until t, whose ringing time is over.
func (a *Alarm) end(w *when, z *Zone, t instant) {
	over := w.latest(z, a.done, t)
	a.done = max(a.done, over)
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

// begin deals with the occurrences until now whose ringing time is not over.
func (a *Alarm) begin(w *when, z *Zone, now, ring instant, connected bool) {
	first, newest := instant(never), w.latest(z, a.done, now)
	if newest != 0 {
		first, _ = w.after(z, a.done, now)
	}
	for _, o := range []instant{a.held, a.snooze} {
		if o != 0 && o <= now {
			first, newest = min(first, o), max(newest, o)
		}
	}
	if newest == 0 {
		a.since = 0
		return
	}
	if a.since == 0 || a.rang+ring < first {
		a.since = first
	}
	a.rang = max(a.rang, newest)
	if connected {
		a.heard = a.rang
	}
}

// next returns the next occurrence of an alarm that has been advanced, or 0.
func (a *Alarm) next(at At) instant {
	if !a.enabled {
		return 0
	}
	w := a.parse()
	next, ok := w.after(at.Zone, max(a.done, a.rang, at.now()), never)
	if !ok {
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
	if a.since != 0 {
		change = min(change, a.rang+at.ring())
	}
	return change
}

// stop ends ringing, snooze and missed mark, and says whether there was any.
func (a *Alarm) stop() bool {
	if a.since|a.snooze|a.missed == 0 {
		return false
	}
	a.silence()
	a.snooze, a.missed = 0, 0
	return true
}

// putOff silences an alarm that has been advanced for so long, if it rings or is snoozed, and says whether it did.
func (a *Alarm) putOff(at At, wait time.Duration) bool {
	if a.since|a.snooze == 0 {
		return false
	}
	a.silence()
	a.snooze = max(instantFrom(at.Now.Add(wait)), a.present(at)+1)
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
		a.done = at.now()
		a.rang, a.heard = min(a.rang, a.done), min(a.heard, a.done)
		a.enabled, a.spent = true, false
	}
	if w.kind == atClock {
		a.hold()
		a.done = a.present(at)
		a.start, a.spent = nextClock(at.Zone, a.done, w.second), false
	}
	if a.next(at) == 0 {
		return fmt.Errorf("alarm %q is over: %s has passed, ALARM ADD makes a new one", a.name, a.when)
	}
	return nil
}

// hold makes what rings independent of the alarm's occurrences, which change.
func (a *Alarm) hold() {
	if a.since != 0 && a.rang != a.snooze {
		a.held = a.rang
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
	a.done = now
	if w.kind == atClock && !a.spent {
		a.start = nextClock(to, now, w.second)
	}
	at.Zone = to
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
