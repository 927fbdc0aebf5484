package clock

import "time"

// instant is Unix time in whole seconds: a point of time, whatever the zone. 0 is none.
type instant int64

// never is later than any instant at which something happens.
const never = 1 << 62

// instantOf returns the second that t is in.
func instantOf(t time.Time) instant { return instant(t.Unix()) }

// instantFrom returns the first whole second that is not before t.
func instantFrom(t time.Time) instant {
	s := instantOf(t)
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

func (t instant) time() time.Time { return time.Unix(int64(t), 0) }

// in returns what wall clocks show in the zone.
func (t instant) in(z *Zone) local {
	return local(t) + local(z.at(t.time()).Offset)
}

// local is what a wall clock shows: a date and a time of day in no zone, as seconds since 1970-01-01T00:00:00. RFC 5545
// calls it floating.
type local int64

const day = 24 * 60 * 60 // seconds

// on returns the local time at a second of a day, which is counted from 1970-01-01.
func on(date int64, second int) local { return local(date*day + int64(second)) }

// date returns the day, counted from 1970-01-01.
func (l local) date() int64 { return floorDiv(int64(l), day) }

// second returns the second of the day.
func (l local) second() int { return int(int64(l) - l.date()*day) }

func (l local) time() time.Time { return time.Unix(int64(l), 0).UTC() }

// in returns the instant at which wall clocks in the zone show l, as [Zone.Resolve] has it.
func (l local) in(z *Zone) instant { return instantOf(z.Resolve(l.time())) }

func localOf(t time.Time) local {
	_, offset := t.Zone()
	return local(t.Unix() + int64(offset))
}

// floorDiv divides by a positive number, rounding down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
