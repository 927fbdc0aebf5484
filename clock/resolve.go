package clock

import "time"

// maxOffset is the furthest that local time can be from UTC in zone data (RFC 9636, section 3.2).
const maxOffset = 26 * time.Hour

// Resolve returns the instant, in the zone's location, at which its wall clocks show local, a date and time of day
// without a zone, typed as UTC. As RFC 5545, section 3.3.5, has it, a time that occurs twice is the first of the two,
// and one that does not occur, in a gap, is taken with the offset before the gap.
func (z *Zone) Resolve(local time.Time) time.Time {
	var before Period
	p := z.Period(local.Add(-maxOffset))
	for {
		t := local.Add(-p.offset())
		switch {
		case !p.End.IsZero() && !t.Before(p.End):
			before, p = p, z.Period(p.End)
		case !p.Start.IsZero() && t.Before(p.Start):
			return local.Add(-before.offset()).In(z.location)
		default:
			return t.In(z.location)
		}
	}
}

func (p Period) offset() time.Duration { return time.Duration(p.Offset) * time.Second }
