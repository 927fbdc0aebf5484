package clock

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is one alarm that keeps account of each of its occurrences, where [Alarm] has but the instants up to which they
// are dealt with.
type model struct {
	zone    *Zone
	length  instant // of a ring
	enabled bool
	spent   bool // it was to ring once, and that has come

	floating []local // the occurrences, or
	fixed    instant // the instant of one that does not float, or
	clock    int     // the second of the day of one that is planned for when the clock shows it next, and
	planned  local   // when that is

	resolved map[*Zone][]instant // the floating ones, in order

	after   instant          // when it was added or switched on, or the zone was set: occurrences come later
	over    map[instant]bool // rang, and ended
	skipped map[instant]bool // the clock was set forward over it
	rang    instant          // the last that ever rang
	open    []ringing        // what rings, in order
	snooze  instant
	missed  instant
}

type ringing struct {
	at    instant
	heard bool
}

func (m *model) clone() *model {
	c := *m
	c.over, c.skipped, c.open = maps.Clone(m.over), maps.Clone(m.skipped), slices.Clone(m.open)
	return &c
}

func (m *model) once() bool { return m.floating == nil || len(m.floating) == 1 }

func (m *model) occurrences() (all []instant) {
	switch {
	case m.fixed != 0:
		return []instant{m.fixed}
	case m.clock >= 0:
		return []instant{m.planned.in(m.zone)}
	}
	if all = m.resolved[m.zone]; all != nil {
		return all
	}
	for _, l := range m.floating {
		all = append(all, l.in(m.zone))
	}
	slices.Sort(all)
	m.resolved[m.zone] = slices.Compact(all)
	return m.resolved[m.zone]
}

// plan plans what rings when the clock shows it next.
func (m *model) plan(now instant) {
	for date := now.in(m.zone).date() - 2; m.clock >= 0; date++ {
		if m.planned = on(date, m.clock); m.planned.in(m.zone) > now {
			return
		}
	}
}

// pending returns the occurrences that can ring yet, in order.
func (m *model) pending() (pending []instant) {
	if m.spent || !m.enabled {
		return nil
	}
	for _, o := range m.occurrences() {
		if o > m.after && o > m.rang && !m.over[o] && !m.skipped[o] {
			pending = append(pending, o)
		}
	}
	return pending
}

func (m *model) newest() ringing {
	if len(m.open) == 0 {
		return ringing{}
	}
	return m.open[len(m.open)-1]
}

func (m *model) present(now instant) instant {
	if newest := m.newest().at; now < newest && newest-now <= m.length {
		return newest
	}
	return now
}

func (m *model) silence() {
	for _, r := range m.open {
		m.over[r.at] = true
	}
	m.open = nil
}

func (m *model) hear() {
	for i := range m.open {
		m.open[i].heard = true
	}
}

func (m *model) advance(now instant, connected bool) {
	if !m.enabled {
		return
	}
	if connected {
		m.hear()
	}
	now = m.present(now)
	if newest := m.newest(); now < newest.at {
		if !newest.heard {
			m.missed = newest.at
		}
		m.silence()
	}
	m.after = min(m.after, now)
	maps.DeleteFunc(m.skipped, func(o instant, _ bool) bool { return o > now })

	var ended ringing
	for len(m.open) > 0 && m.open[0].at+m.length <= now {
		ended = m.open[0]
		m.over[ended.at] = true
		m.open = m.open[1:]
	}
	due := m.pending()
	if m.snooze != 0 {
		due = append(due, m.snooze)
	}
	for _, o := range due {
		switch {
		case o > now:
			continue
		case o+m.length > now:
			m.open = append(m.open, ringing{at: o})
			m.rang = max(m.rang, o)
		case o != m.snooze:
			m.skipped[o] = true
			fallthrough
		default:
			if o > ended.at {
				ended = ringing{at: o}
			}
		}
		if o == m.snooze {
			m.snooze = 0
		}
		m.spent = m.once()
	}
	slices.SortFunc(m.open, func(a, b ringing) int { return int(a.at - b.at) })
	if ended.at != 0 && !ended.heard {
		m.missed = ended.at
	}
	if connected {
		m.hear()
	}
	if len(m.open) == 0 && m.snooze == 0 && len(m.pending()) == 0 {
		m.enabled = false
	}
}

func (m *model) setZone(now instant, zone *Zone) {
	m.advance(now, true)
	if !m.enabled || m.fixed != 0 {
		m.zone = zone
		return
	}
	if newest := m.newest(); newest.at != 0 {
		m.open = m.open[:len(m.open)-1]
		m.silence()
		m.open = []ringing{newest}
	}
	m.after, m.skipped, m.zone = m.present(now), map[instant]bool{}, zone
	m.plan(m.after)
	m.advance(now, true)
}

func (m *model) switchOff(now instant) {
	m.advance(now, true)
	m.silence()
	m.snooze, m.enabled = 0, false
}

// switchOn is for a model that is off. It says whether there is anything to come.
func (m *model) switchOn(now instant) bool {
	on := m.clone()
	on.enabled, on.spent, on.after, on.rang = true, false, now, min(m.rang, now)
	on.over, on.skipped = map[instant]bool{}, map[instant]bool{}
	on.plan(now)
	if len(on.pending()) == 0 {
		return false
	}
	*m = *on
	return true
}

// status is what ALARM LIST shows to somebody.
func (m *model) status(at At) string {
	now := at.now()
	seen := m.clone()
	seen.advance(now, true)
	s := AlarmStatus{Enabled: seen.enabled, Ringing: len(seen.open) > 0, Missed: at.format(seen.missed)}
	if seen.snooze > now {
		s.SnoozedUntil = at.format(seen.snooze)
	}
	for _, o := range seen.pending() {
		if o > seen.present(now) {
			s.Next = at.format(o)
			break
		}
	}
	return describe(s)
}

// drawModel draws an alarm and its model.
func drawModel(t *rapid.T, at At) (string, *model) {
	start := at.now().in(at.Zone)
	m := &model{zone: at.Zone, length: at.ring(), enabled: true, clock: -1, after: at.now()}
	m.over, m.skipped, m.resolved = map[instant]bool{}, map[instant]bool{}, map[*Zone][]instant{}
	every := func(first, step local) {
		for l := first; l < start+30*day; l += step {
			m.floating = append(m.floating, l)
		}
	}
	clock := rapid.IntRange(0, 24*4-1).Draw(t, "quarter") * 15 * 60
	midnight := on(start.date(), 0)
	text := (midnight + local(clock)).time().Format("15:04:05")
	switch form := rapid.IntRange(0, 7).Draw(t, "form"); form {
	case 0:
		every(midnight-30*day+local(clock), day)
		return "daily " + text, m
	case 1:
		every(midnight-30*day+local(clock), day)
		m.floating = slices.DeleteFunc(m.floating, func(l local) bool { return l.time().Weekday()%6 == 0 })
		return "mon-fri " + text, m
	case 2:
		every(start-start%3600+30*60, 3600)
		m.floating = slices.DeleteFunc(m.floating, func(l local) bool { return l <= start })
		return "RRULE:FREQ=HOURLY;BYMINUTE=30;BYSECOND=0", m
	case 3:
		every(start+7*60, 7*60)
		return "RRULE:FREQ=MINUTELY;INTERVAL=7", m
	case 4:
		every(start+day, day)
		m.floating = m.floating[:3]
		return "RRULE:FREQ=DAILY;COUNT=3", m
	case 5:
		m.clock = clock
		m.plan(at.now())
		return text, m
	case 6:
		m.floating = []local{midnight + local(clock) + day}
		return m.floating[0].time().Format("2006-01-02T15:04:05"), m
	default:
		m.fixed = at.now() + instant(clock+60)
		return fmt.Sprintf("+%ds", clock+60), m
	}
}

// TestAgainstModel does all that can happen to an alarm, in any order, and holds it against the model: what rings is an
// occurrence that has not rung, and none passes without ringing or being marked as missed, at most the last is shown.
// What comes next is later than now, and nothing begins or ends to ring before the next change.
func TestAgainstModel(t *testing.T) {
	var zones []*Zone
	for _, name := range []string{"Europe/Paris", "Europe/London", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Algiers"} {
		zones = append(zones, mustZone(t, name))
	}
	transition := mustTime(t, "2026-03-29T01:00:00Z")
	rapid.Check(t, func(t *rapid.T) {
		at := At{
			Now:  transition.Add(time.Duration(rapid.IntRange(-3*day, day).Draw(t, "start")) * time.Second),
			Zone: rapid.SampledFrom(zones).Draw(t, "zone"),
			Ring: rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 10 * time.Minute, 2 * time.Hour}).Draw(t, "ring"),
		}
		form, m := drawModel(t, at)
		alarms, _, err := Alarms(nil).Add(at, form+" x")
		if err != nil {
			t.Fatal(err)
		}
		connected := true
		advance := func(now time.Time, connected bool) {
			at.Now = now
			alarms = alarms.Advance(at, connected)
			m.advance(at.now(), connected)
		}
		wait := func(seconds int) {
			end := at.Now.Add(time.Duration(seconds) * time.Second)
			for next := alarms.NextChange(at); !next.IsZero() && !next.After(end); next = alarms.NextChange(at) {
				if !next.After(at.Now) {
					t.Fatalf("at %v the next change is at %v", at.Now, next)
				}
				before := at
				before.Now = next.Add(-time.Second)
				if got, want := alarms.Ringing(before), alarms.Ringing(at); !slices.Equal(got, want) {
					t.Fatalf("at %v %q ring, and at %v, before the next change, %q", at.Now, want, before.Now, got)
				}
				advance(next, connected)
			}
			at.Now = end
		}
		seconds := func(low, high int) int { return rapid.IntRange(low, high).Draw(t, "seconds") }
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { // after each of the others
				status := alarms.List(at)[0]
				if got, want := describe(status), m.status(at); got != want {
					t.Fatalf("at %v %s is %q, want %q", at.Now.In(at.Zone.Location()), form, got, want)
				}
				if status.Next == nil {
					return
				}
				if next, err := time.Parse(time.RFC3339, *status.Next); err != nil || !next.After(at.Now) {
					t.Fatalf("at %v %s rings next at %v, %v", at.Now, form, next, err)
				}
			},
			"wait":      func(t *rapid.T) { wait(seconds(0, 4*3600)) },
			"wait long": func(t *rapid.T) { wait(seconds(0, day)) },
			"next": func(t *rapid.T) {
				if next := alarms.NextChange(at); !next.IsZero() && next.Before(at.Now.AddDate(0, 0, 2)) {
					advance(next, connected)
				}
			},
			"step a little": func(t *rapid.T) { advance(at.Now.Add(time.Duration(seconds(-90, 90))*time.Second), connected) },
			"step an hour":  func(t *rapid.T) { advance(at.Now.Add(time.Duration(1-2*seconds(0, 1))*time.Hour), connected) },
			"step":          func(t *rapid.T) { advance(at.Now.Add(time.Duration(seconds(-day, day))*time.Second), connected) },
			"come or go": func(t *rapid.T) {
				advance(at.Now, connected)
				connected = !connected
			},
			"restart": func(t *rapid.T) {
				stored, err := json.Marshal(alarms)
				if err != nil {
					t.Fatal(err)
				}
				alarms = nil
				if err := json.Unmarshal(stored, &alarms); err != nil {
					t.Fatalf("%s: %v", stored, err)
				}
			},
			"stop": func(t *rapid.T) {
				m.advance(at.now(), true)
				m.silence()
				m.snooze, m.missed = 0, 0
				m.advance(at.now(), true)
				alarms, _, _ = alarms.Advance(at, true).Stop(at, "")
			},
			"snooze": func(t *rapid.T) {
				wait := seconds(1, 2*3600)
				if m.advance(at.now(), true); len(m.open) > 0 || m.snooze != 0 {
					m.silence()
					m.snooze = at.now() + instant(wait)
				}
				alarms, _, _ = alarms.Advance(at, true).Snooze(at, fmt.Sprintf("%ds x", wait))
			},
			"on or off": func(t *rapid.T) {
				m.advance(at.now(), true)
				alarms = alarms.Advance(at, true)
				if m.enabled {
					m.switchOff(at.now())
					alarms, _, _ = alarms.Off(at, "x")
					return
				}
				on := m.switchOn(at.now())
				changed, _, err := alarms.On(at, "x")
				if on != (err == nil) {
					t.Fatalf("switched on: %v, want %v", err, on)
				}
				alarms = changed
			},
			"zone": func(t *rapid.T) {
				zone := rapid.SampledFrom(zones).Draw(t, "zone")
				if zone != at.Zone {
					m.setZone(at.now(), zone)
				}
				alarms = alarms.Rezone(at, zone)
				at.Zone = zone
			},
		})
	})
}
