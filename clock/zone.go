package clock

import "time"

// Zone is a time zone of the IANA database.
type Zone struct {
	name     string
	location *time.Location
}

// Name returns the name of the zone as the IANA database spells it, such as "Europe/Paris".
func (z *Zone) Name() string { return z.name }

// Location returns the zone for use with package time.
func (z *Zone) Location() *time.Location { return z.location }

// Period is a stretch of time in which nothing changes in a zone: from one transition until before the next.
type Period struct {
	Abbreviation string    // such as "CET" or "+03"
	Offset       int       // seconds east of UTC
	DST          bool      // whether this is daylight saving time
	Start, End   time.Time // the transitions, in UTC; zero: there is none
}

// Period returns the period that t is in. A period ends where the abbreviation, the offset or daylight saving time
// changes, and only there: time.Time.ZoneBounds also ends one at a year's end (https://go.dev/issue/70633).
func (z *Zone) Period(t time.Time) Period {
	p := z.at(t)
	p.Start, p.End = z.start(t), z.end(t)
	return p
}

// at returns the period that t is in without its bounds.
func (z *Zone) at(t time.Time) Period {
	t = t.In(z.location)
	abbreviation, offset := t.Zone()
	return Period{Abbreviation: abbreviation, Offset: offset, DST: t.IsDST()}
}

// maxBounds is how many bounds in a row at which nothing changes are looked past. A rule has at most four in a year, and
// a transition in each; the bounds of a rule without effect, such as summer time all year, go on for ever.
const maxBounds = 16

// end returns the first transition after t.
func (z *Zone) end(t time.Time) time.Time {
	now := z.at(t)
	for range maxBounds {
		_, bound := t.In(z.location).ZoneBounds()
		if bound.IsZero() {
			break
		}
		if !bound.After(t) { // on the last day of a leap year
			bound = time.Date(t.UTC().Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC)
		}
		if !bound.After(t) { // at the end of the range of time.Time
			break
		}
		if z.at(bound) != now {
			return bound.UTC()
		}
		t = bound
	}
	return time.Time{}
}

// start returns the last transition that is not after t.
func (z *Zone) start(t time.Time) time.Time {
	now := z.at(t)
	for range maxBounds {
		bound, _ := t.In(z.location).ZoneBounds()
		if bound.IsZero() {
			break
		}
		// Where a rule takes over from the table, the bound is the rule's, and the table may have later ones.
		if last := z.last(bound, t); !last.IsZero() {
			return last
		}
		before := bound.Add(-1)
		if z.at(before) != now {
			return bound.UTC()
		}
		t = before
	}
	return time.Time{}
}

// last returns the last transition that is after from, but not after t.
func (z *Zone) last(from, t time.Time) time.Time {
	var last time.Time
	for next := z.end(from); !next.IsZero() && !next.After(t); next = z.end(next) {
		last = next
	}
	return last
}
