package clock

import (
	"slices"
	"testing"
	"time"
)

// TestTransitions has the occurrences of alarms around transitions, as wall clocks show them. The sources are RFC 5545,
// section 3.3.5, and the IANA time zone database's record of the transitions.
func TestTransitions(t *testing.T) {
	for _, c := range []struct {
		name, zone, now, when string
		want                  []string
	}{
		{"section 3.3.5: a gap, by the offset before it", "America/New_York", "2007-03-10T12:00:00-05:00", "2007-03-11 02:30", []string{"2007-03-11T03:30:00-04:00"}},
		{"section 3.3.5: an overlap, the first", "America/New_York", "2007-11-03T12:00:00-04:00", "2007-11-04T01:30", []string{"2007-11-04T01:30:00-04:00"}},
		{"New York, spring", "America/New_York", "2026-03-07T12:00:00-05:00", "daily 02:30", []string{"2026-03-08T03:30:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"New York, autumn", "America/New_York", "2026-10-31T12:00:00-04:00", "daily 01:30", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"Paris, spring", "Europe/Paris", "2026-03-28T12:00:00+01:00", "daily 02:30", []string{"2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"Paris, autumn", "Europe/Paris", "2026-10-24T12:00:00+02:00", "daily 02:30", []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"Paris, added between the two", "Europe/Paris", "2026-10-25T02:30:00+02:00", "02:30", []string{"2026-10-26T02:30:00+01:00"}},
		{"Paris, added in the second hour", "Europe/Paris", "2026-10-25T02:10:00+01:00", "daily 02:30", []string{"2026-10-26T02:30:00+01:00"}},
		{"Paris, each hour in spring: 02:00 and 03:00 are one", "Europe/Paris", "2026-03-29T00:30:00+01:00", "RRULE:FREQ=HOURLY;BYMINUTE=0",
			[]string{"2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"}},
		{"Paris, each hour in autumn: 02:00 once", "Europe/Paris", "2026-10-25T00:30:00+02:00", "RRULE:FREQ=HOURLY;BYMINUTE=0",
			[]string{"2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"}},
		{"Paris, in the order of the instants", "Europe/Paris", "2026-03-29T00:30:00+01:00", "RRULE:FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45;BYSECOND=0;BYSETPOS=2,3",
			[]string{"2026-03-29T03:15:00+02:00", "2026-03-29T03:45:00+02:00", "2026-03-30T02:45:00+02:00", "2026-03-30T03:15:00+02:00"}},
		{"Lord Howe, half an hour, spring", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", "daily 02:15", []string{"2026-10-04T02:45:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"Lord Howe, half an hour, autumn", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", "daily 01:45", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"Cairo, the gap at midnight", "Africa/Cairo", "2024-04-25T12:00:00+02:00", "daily 00:00", []string{"2024-04-26T01:00:00+03:00", "2024-04-27T00:00:00+03:00"}},
		{"Cairo, the overlap before midnight", "Africa/Cairo", "2024-10-31T12:00:00+03:00", "daily 23:30", []string{"2024-10-31T23:30:00+03:00", "2024-11-01T23:30:00+02:00"}},
		{"Havana, the gap at midnight", "America/Havana", "2026-03-07T12:00:00-05:00", "sun 00:30", []string{"2026-03-08T01:30:00-04:00", "2026-03-15T00:30:00-04:00"}},
		{"Havana, the overlap after midnight", "America/Havana", "2026-10-31T12:00:00-04:00", "daily 00:30", []string{"2026-11-01T00:30:00-04:00", "2026-11-02T00:30:00-05:00"}},
		{"Troll, two hours, spring", "Antarctica/Troll", "2026-03-28T12:00:00Z", "daily 01:30", []string{"2026-03-29T03:30:00+02:00", "2026-03-30T01:30:00+02:00"}},
		{"Troll, two hours, autumn", "Antarctica/Troll", "2026-10-24T12:00:00+02:00", "daily 01:30", []string{"2026-10-25T01:30:00+02:00", "2026-10-26T01:30:00Z"}},
		{"Apia, the day that never was", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "daily 07:30", []string{"2011-12-31T07:30:00+14:00", "2012-01-01T07:30:00+14:00"}},
		{"Apia, a date on it", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-30 07:30", []string{"2011-12-31T07:30:00+14:00"}},
		{"Apia, the Friday that never was", "Pacific/Apia", "2011-12-28T12:00:00-10:00", "fri 07:30", []string{"2011-12-31T07:30:00+14:00", "2012-01-06T07:30:00+14:00"}},
		{"Casablanca, Ramadan begins", "Africa/Casablanca", "2025-02-22T12:00:00+01:00", "daily 02:30", []string{"2025-02-23T02:30:00+01:00", "2025-02-24T02:30:00Z"}},
		{"Casablanca, Ramadan ends", "Africa/Casablanca", "2025-04-05T12:00:00Z", "daily 02:30", []string{"2025-04-06T03:30:00+01:00", "2025-04-07T02:30:00+01:00"}},
		{"Moscow 2011, for ever to summer time", "Europe/Moscow", "2011-03-26T12:00:00+03:00", "daily 02:30", []string{"2011-03-27T03:30:00+04:00", "2011-03-28T02:30:00+04:00"}},
		{"Moscow 2014, and back", "Europe/Moscow", "2014-10-25T12:00:00+04:00", "daily 01:30", []string{"2014-10-26T01:30:00+04:00", "2014-10-27T01:30:00+03:00"}},
		{"an instant in a gap's place", "Europe/Paris", "2026-03-28T12:00:00+01:00", "2026-03-29T01:30:00Z", []string{"2026-03-29T03:30:00+02:00"}},
	} {
		zone := mustZone(t, c.zone)
		a, err := newAlarm(At{Now: mustTime(t, c.now), Zone: zone}, c.when+" x")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		w, at := a.parse(), a.done
		for _, want := range c.want {
			next, ok := w.after(zone, at, never)
			if !ok || !next.time().Equal(mustTime(t, want)) {
				t.Errorf("%s: %s from %s rings at %v, want %s", c.name, c.when, c.now, next.time().In(zone.Location()), want)
				break
			}
			at = next
		}
	}
}

// TestOrderInEveryTransition holds the occurrences around each kind of transition since 1970, in every zone, against all
// that the resolver makes of local time there, put in order.
func TestOrderInEveryTransition(t *testing.T) {
	rule, _, err := parseRule("FREQ=MINUTELY;INTERVAL=47", on(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	type kind struct {
		before, after int   // offsets
		clock         int64 // the second of the day in UTC
		close         bool  // the next transition is within days
	}
	seen := make(map[kind]bool)
	for _, name := range systemZones().Names("") {
		zone := mustZone(t, name)
		for p := zone.Period(oracleFrom); !p.End.IsZero() && p.End.Before(oracleTo); {
			next := zone.Period(p.End)
			k := kind{p.Offset, next.Offset, p.End.Unix() % day, !next.End.IsZero() && next.End.Sub(p.End) < 100*time.Hour}
			if !seen[k] || k.close {
				seen[k] = true
				checkOrder(t, zone, rule, p.End)
			}
			p = next
		}
		if t.Failed() {
			return
		}
	}
	if len(seen) < 200 {
		t.Errorf("only %d kinds of transitions", len(seen))
	}
}

func checkOrder(t *testing.T, zone *Zone, rule recurrence, transition time.Time) {
	const step = 47 * 60
	const around = 30 * 60 * 60
	middle := instantOf(transition)
	var want []instant
	for l := (local(middle) - 2*around) / step * step; l < local(middle)+2*around; l += step {
		if at := l.in(zone); at > middle-6*60*60 && at <= middle+around {
			want = append(want, at)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	at := middle - 6*60*60
	for _, next := range want {
		got, ok := rule.afterIn(zone, at, never)
		if !ok || got != next {
			t.Errorf("%s: after %s comes %s, want %s", zone.Name(), at.time().UTC(), got.time().UTC(), next.time().UTC())
			return
		}
		at = got
	}
	w := when{kind: byRule, rule: rule}
	if got := w.latest(zone, middle-6*60*60, middle+around); got != want[len(want)-1] {
		t.Errorf("%s: the last until %s is %s, want %s", zone.Name(), (middle + around).time().UTC(), got.time().UTC(), want[len(want)-1].time().UTC())
	}
}

// TestLatest holds the search for the last occurrence against going through all.
func TestLatest(t *testing.T) {
	zone := mustZone(t, "Europe/Paris")
	at := At{Now: mustTime(t, "2026-03-20T10:00:00Z"), Zone: zone}
	for _, text := range []string{"daily 07:30", "RRULE:FREQ=HOURLY;INTERVAL=7", "RRULE:FREQ=MINUTELY;BYHOUR=2", "RRULE:FREQ=DAILY;COUNT=3", "23:00", "2026-03-29 02:30"} {
		a, err := newAlarm(at, text+" x")
		if err != nil {
			t.Fatal(err)
		}
		w := a.parse()
		for limit := a.done; limit < a.done+12*day; limit += 7777 {
			want := instant(0)
			for next, ok := w.after(zone, a.done, limit); ok; next, ok = w.after(zone, next, limit) {
				want = next
			}
			if got := w.latest(zone, a.done, limit); got != want {
				t.Errorf("%s: the last until %d is %d, want %d", text, limit, got, want)
			}
		}
	}
}
