package clock

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errWhen says what a <when> can be.
var errWhen = errors.New("want 07:30, daily 07:30, mon-fri 07:30, 2026-12-24T18:00, 2026-12-24T18:00:00Z, +10m or RRULE:FREQ=DAILY")

// lastYear is the last year that an alarm can be in, so that its date has four digits in every zone.
const lastYear = 9998

// lastLocal is the last second of that year.
const lastLocal local = 253_370_764_799

// kind is one of the forms of <when>.
type kind int8

const (
	atClock    kind = iota // 07:30: once, when a wall clock shows it next
	atLocal                // 2026-12-24T18:00: once, at that local time
	atInstant              // 2026-12-24T18:00:00Z: once, whatever the zone
	timer                  // +10m: once, that long from now; its alarm is then one of atInstant
	onWeekdays             // daily 07:30, mon-fri 07:30
	byRule                 // RRULE:…
)

// when is what a <when> says.
type when struct {
	kind    kind
	second  int           // of the day: atClock
	local   local         // atLocal
	instant instant       // atInstant
	wait    time.Duration // timer
	rule    recurrence    // onWeekdays, byRule
	end     ruleEnd       // byRule: what the rule says of its end, which is not applied to it
}

// cutWhen splits the arguments of ALARM ADD into <when>, of one word or two, and the name.
func cutWhen(args string) (text, name string) {
	first, rest, _ := strings.Cut(args, " ")
	if strings.HasPrefix(first, "+") || strings.Contains(first, ":") {
		return first, rest
	}
	second, name, _ := strings.Cut(rest, " ")
	return first + " " + second, name
}

// maxRule is the longest recurrence rule in bytes. It is part of the alarm's object, and so of each list.
const maxRule = 512

// parseWhen reads a <when>. An RRULE starts at start.
func parseWhen(text string, start local) (when, error) {
	if wait, ok := strings.CutPrefix(text, "+"); ok {
		d, err := ParseDuration(wait)
		return when{kind: timer, wait: d}, err
	}
	if upper := strings.ToUpper(text); strings.HasPrefix(upper, "RRULE:") {
		if len(text) > maxRule {
			return when{}, fmt.Errorf("a rule of %d bytes: want at most %d", len(text), maxRule)
		}
		rule, end, err := parseRule(upper[len("RRULE:"):], start)
		return when{kind: byRule, rule: rule, end: end}, err
	}
	if len(text) > 10 && (text[10] == 'T' || text[10] == 't') {
		return parseDate(text[:10], text[11:])
	}
	days, clock, two := strings.Cut(text, " ")
	if !two {
		second, err := parseClock(text)
		return when{kind: atClock, second: second}, err
	}
	if days != "" && '0' <= days[0] && days[0] <= '9' {
		return parseDate(days, clock)
	}
	weekdays, err := parseWeekdays(days)
	if err != nil {
		return when{}, err
	}
	second, err := parseClock(clock)
	return when{kind: onWeekdays, rule: onDays(weekdays, second)}, err
}

// parseClock reads a time of day, and returns the second of the day.
func parseClock(text string) (int, error) {
	layout := "15:04:05"
	if len(text) == len("07:30") {
		layout = "15:04"
	}
	t, err := time.Parse(layout, text)
	if err != nil || len(text) != len(layout) {
		return 0, fmt.Errorf("bad time of day %.64q: want HH:MM or HH:MM:SS, from 00:00 to 23:59:59", text)
	}
	return (t.Hour()*60+t.Minute())*60 + t.Second(), nil
}

// parseDate reads a date, and a time of day that may have an offset from UTC.
func parseDate(date, clock string) (when, error) {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil || len(date) != len(time.DateOnly) {
		return when{}, fmt.Errorf("no such date as %.64q: want YYYY-MM-DD of a day that exists", date)
	}
	if d.Year() > lastYear {
		return when{}, fmt.Errorf("date %q is too far away: want one until the year %d", date, lastYear)
	}
	at := strings.IndexAny(clock, "Zz+-")
	if at < 0 {
		second, err := parseClock(clock)
		return when{kind: atLocal, local: localOf(d) + local(second)}, err
	}
	second, err := parseClock(clock[:at])
	if err != nil {
		return when{}, err
	}
	offset, err := parseOffset(clock[at:])
	return when{kind: atInstant, instant: instantOf(d) + instant(second-offset)}, err
}

// parseOffset reads an offset from UTC as RFC 3339 writes it, and returns it in seconds east.
func parseOffset(text string) (int, error) {
	if text == "Z" || text == "z" {
		return 0, nil
	}
	offset, err := parseClock(text[1:])
	if err != nil || len(text) != len("+01:00") || text[0] != '+' && text[0] != '-' {
		return 0, fmt.Errorf("bad offset %.64q: want Z, or +HH:MM or -HH:MM", text)
	}
	if text[0] == '-' {
		return -offset, nil
	}
	return offset, nil
}

// parseWeekdays reads "daily", or weekdays and ranges of them with commas between; a range may go over the weekend.
func parseWeekdays(text string) (days uint64, err error) {
	text = strings.ToLower(text)
	if text == "daily" {
		return 1<<7 - 1, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			return 0, fmt.Errorf("bad <when> %.64q: %w", text, errWhen)
		}
		for i := range daysSince(time.Weekday(from), time.Weekday(to)) + 1 {
			days |= 1 << ((from + i) % 7)
		}
	}
	return days, nil
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// after returns the first instant after t at which it rings in the zone, if there is one until limit.
func (w *when) after(z *Zone, t, limit instant) (instant, bool) {
	at := w.instant
	switch w.kind {
	case onWeekdays, byRule:
		return w.rule.afterIn(z, t, limit)
	case atLocal:
		at = w.local.in(z)
	}
	return at, at > t && at <= limit
}

// first returns the first instant after t at which it rings in the zone, or never.
func (w *when) first(z *Zone, t instant) instant {
	if at, ok := w.after(z, t, never); ok {
		return at
	}
	return never
}

// latest returns the last instant after t, until limit, at which it rings in the zone, or 0. However many there are,
// it looks at few of them.
func (w *when) latest(z *Zone, t, limit instant) instant {
	last, ok := w.after(z, t, limit)
	if !ok {
		return 0
	}
	for last < limit { // nothing is after limit
		middle := last + (limit-last)/2
		if at, ok := w.after(z, middle, limit); ok {
			last = at
		} else {
			limit = middle
		}
	}
	return last
}
