package clock

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ringing is one occurrence, or the end of a snooze, while it rings in the model.
type ringing struct {
	at    instant
	heard bool
}

// model says what one alarm that recurs does, by keeping account of each occurrence.
type model struct {
	zone        *Zone
	length      instant
	occurrences map[*Zone][]instant // all there are, in order
	over        map[instant]bool    // rang, and ended
	skipped     map[instant]bool    // the clock was set forward over it
	planned     instant             // what is not after it was before the alarm was planned
	rang        instant             // the last that ever rang
	open        []ringing           // in order
	snooze      instant
	missed      instant
}

func (m *model) newest() instant {
	if len(m.open) == 0 {
		return 0
	}
	return m.open[len(m.open)-1].at
}

// end ends all that rings.
func (m *model) end() {
	for _, r := range m.open {
		m.over[r.at] = true
	}
	m.open = nil
}

// pending returns the occurrences that can ring yet.
func (m *model) pending() (pending []instant) {
	for _, o := range m.occurrences[m.zone] {
		rings := slices.ContainsFunc(m.open, func(r ringing) bool { return r.at == o })
		if o > m.planned && o > m.rang && !m.over[o] && !m.skipped[o] && !rings {
			pending = append(pending, o)
		}
	}
	return pending
}

// present is the time that it is to the alarm.
func (m *model) present(now instant) instant {
	if newest := m.newest(); now < newest && newest-now <= m.length {
		return newest
	}
	return now
}

func (m *model) advance(now instant, connected bool) {
	if connected {
		for i := range m.open {
			m.open[i].heard = true
		}
	}
	now = m.present(now)
	if now < m.newest() {
		if !m.open[len(m.open)-1].heard {
			m.missed = m.newest()
		}
		m.end()
	}
	m.planned = min(m.planned, now)
	for o := range m.skipped {
		if o > now {
			delete(m.skipped, o)
		}
	}
	due := m.pending()
	if m.snooze != 0 {
		due = append(due, m.snooze)
	}
	for _, o := range due {
		if o <= now {
			m.open = append(m.open, ringing{at: o})
			m.rang = max(m.rang, o)
			if o == m.snooze {
				m.snooze = 0
			}
		}
	}
	slices.SortStableFunc(m.open, func(a, b ringing) int { return int(a.at - b.at) })
	m.closeUntil(now - m.length)
	if connected {
		for i := range m.open {
			m.open[i].heard = true
		}
	}
}

// closeUntil ends what has rung long enough, or would have: that is missed if nobody heard the last of it.
func (m *model) closeUntil(t instant) {
	var last *ringing
	for len(m.open) > 0 && m.open[0].at <= t {
		last = &m.open[0]
		m.over[last.at] = true
		m.open = m.open[1:]
	}
	if last != nil && !last.heard {
		m.missed = last.at
	}
}
