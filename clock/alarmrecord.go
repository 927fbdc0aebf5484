package clock

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// alarmRecord is an alarm as it is stored; see [Alarm] for the fields.
type alarmRecord struct {
	Name    string  `json:"name"`
	When    string  `json:"when"`
	Enabled bool    `json:"enabled,omitempty"`
	Spent   bool    `json:"spent,omitempty"`
	Start   local   `json:"start,omitempty"`
	Last    local   `json:"last,omitempty"`
	Done    instant `json:"done"`
	Rang    instant `json:"rang,omitempty"`
	Ring    instant `json:"ring,omitempty"`
	Since   instant `json:"since,omitempty"`
	Heard   instant `json:"heard,omitempty"`
	Held    instant `json:"held,omitempty"`
	Snooze  instant `json:"snooze,omitempty"`
	Missed  instant `json:"missed,omitempty"`
}

// MarshalJSON writes the alarm as it is stored.
func (a Alarm) MarshalJSON() ([]byte, error) {
	return json.Marshal(alarmRecord{
		a.name, a.when, a.enabled, a.spent, a.start, a.last,
		a.done, a.rang, a.ring, a.since, a.heard, a.held, a.snooze, a.missed,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote. Anything else is an error: a record with fields that are unknown, a
// <when> that cannot be read, or a state that no alarm can be in.
func (a *Alarm) UnmarshalJSON(data []byte) error {
	var r alarmRecord
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("alarm: %w", err)
	}
	read := Alarm{
		name: r.Name, when: r.When, enabled: r.Enabled, spent: r.Spent, start: r.Start, last: r.Last,
		done: r.Done, rang: r.Rang, ring: r.Ring, since: r.Since, heard: r.Heard, held: r.Held, snooze: r.Snooze, missed: r.Missed,
	}
	if err := read.check(); err != nil {
		return err
	}
	*a = read
	return nil
}

// check returns an error if the alarm is in a state that it cannot have come to.
func (a *Alarm) check() error {
	if err := checkName(a.name); err != nil {
		return err
	}
	w, err := parseWhen(a.when, a.start)
	if err != nil {
		return fmt.Errorf("alarm %q: %w", a.name, err)
	}
	wrong := ""
	switch {
	case w.kind == timer:
		wrong = "a timer that names no instant"
	case (a.start != 0) != (w.kind == atClock || w.kind == byRule):
		wrong = "a start without need, or none"
	case w.kind == atClock && a.start.second() != w.second:
		wrong = "planned for another time of day"
	case (a.last != 0) != (w.end != ruleEnd{}) || a.last != 0 && a.last <= a.start:
		wrong = "another end than its rule"
	case a.spent && w.kind != atClock && w.kind != atLocal:
		wrong = "spent, but not to ring once in local time"
	case !a.enabled && a.ring|a.snooze != 0:
		wrong = "off, but ringing or snoozed"
	case (a.since != 0) != (a.ring != 0) || a.ring < max(a.since, a.heard, a.held) || a.rang < a.ring:
		wrong = "ringing, and not"
	case !a.inRange():
		wrong = "at a time before 1970 or after 9999"
	default:
		return nil
	}
	return fmt.Errorf("alarm %q is %s", a.name, wrong)
}

func (a *Alarm) inRange() bool {
	const end = 253_402_300_800 // 10000-01-01
	low := min(a.done, a.rang, a.ring, a.since, a.heard, a.held, a.snooze, a.missed)
	high := max(a.done, a.rang, a.ring, a.since, a.heard, a.held, a.snooze, a.missed)
	return low >= 0 && high < end && min(a.start, a.last) > -2*day && max(a.start, a.last) < end
}

// UnmarshalJSON reads a list of alarms; names that are not unique are an error too.
func (l *Alarms) UnmarshalJSON(data []byte) error {
	var read []Alarm
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	names := make(map[string]bool, len(read))
	for _, a := range read {
		if names[a.name] {
			return fmt.Errorf("alarm %q is twice in the list", a.name)
		}
		names[a.name] = true
	}
	*l = read
	return nil
}
