package clock

import (
	"math/bits"
	"time"
)

// month is a month of the Gregorian calendar. Days are counted from 1970-01-01.
type month struct {
	index   int64 // months since January of year 0
	first   int64 // its first day
	length  int
	yearDay int          // of its first day, from 1
	weekday time.Weekday // of its first day
}

// monthOf returns the month that a day is in.
func monthOf(date int64) month {
	t := on(date, 0).time()
	first := date - int64(t.Day()-1)
	m := month{
		index:   int64(t.Year())*12 + int64(t.Month()-time.January),
		first:   first,
		yearDay: t.YearDay() - (t.Day() - 1),
		weekday: weekdayOf(first),
	}
	m.length = m.days()
	return m
}

func (m month) year() int { return int(floorDiv(m.index, 12)) }

func (m month) month() time.Month { return time.January + time.Month(m.index-int64(m.year())*12) }

func (m month) days() int {
	switch m.month() {
	case time.February:
		return 28 + leapDay(m.year())
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// next returns the month after m.
func (m month) next() month {
	n := month{
		index:   m.index + 1,
		first:   m.first + int64(m.length),
		yearDay: m.yearDay + m.length,
		weekday: (m.weekday + time.Weekday(m.length)) % 7,
	}
	if m.month() == time.December {
		n.yearDay = 1
	}
	n.length = n.days()
	return n
}

// firstOfMonth returns the first day of a month; those past December are in later years.
func firstOfMonth(year, month int) int64 {
	return local(time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC).Unix()).date()
}

func weekdayOf(date int64) time.Weekday {
	const thursday = 4 // 1970-01-01
	return time.Weekday(date + thursday - floorDiv(date+thursday, 7)*7)
}

// since returns the days from weekday b until the next weekday a: 0 to 6.
func daysSince(b, a time.Weekday) int { return int(a-b+7) % 7 }

func yearLength(year int) int { return 365 + leapDay(year) }

func leapDay(year int) int {
	if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 1
	}
	return 0
}

// weekOf returns the number of the week that a day of a year is in, and how many weeks the year has that the week
// belongs to. Weeks start on start; week 1 is the first with four days in the year (RFC 5545, section 3.3.10: BYWEEKNO).
func weekOf(year, yearDay int, weekday, start time.Weekday) (week, weeks int) {
	into := daysSince(start, weekday)
	january1 := (into - yearDay + 1 + 7*53) % 7 // how far into its week
	week, weeks = (yearDay-into+9)/7, weeksIn(year, january1)
	switch {
	case week < 1:
		weeks = weeksIn(year-1, (january1-yearLength(year-1)+7*53)%7)
		return weeks, weeks
	case week > weeks:
		return 1, weeksIn(year+1, (january1+yearLength(year))%7)
	}
	return week, weeks
}

// weeksIn returns how many weeks a year has of which January 1 is so many days into its week.
func weeksIn(year, january1 int) int {
	if january1 == 3 || january1 == 2 && leapDay(year) == 1 {
		return 53
	}
	return 52
}

// clockSet is a set of times of a day: every combination of one of its hours, minutes and seconds, which are bits.
type clockSet struct {
	hours, minutes, seconds uint64
}

func (c clockSet) size() int {
	return bits.OnesCount64(c.hours) * bits.OnesCount64(c.minutes) * bits.OnesCount64(c.seconds)
}

// rank returns how many of the set are not after a second of the day; -1 is before all.
func (c clockSet) rank(second int) int {
	if second < 0 {
		return 0
	}
	hour, minute, second := second/3600, second/60%60, second%60
	perMinute := bits.OnesCount64(c.seconds)
	n := bits.OnesCount64(below(c.hours, hour)) * bits.OnesCount64(c.minutes) * perMinute
	if !has(c.hours, hour) {
		return n
	}
	n += bits.OnesCount64(below(c.minutes, minute)) * perMinute
	if has(c.minutes, minute) {
		n += bits.OnesCount64(below(c.seconds, second+1))
	}
	return n
}

// next returns the first of the set that is not before a second of the day, or day where there is none.
func (c clockSet) next(second int) int {
	hour, minute, second := second/3600, second/60%60, second%60
	if has(c.hours, hour) {
		if s := from(c.seconds, second); has(c.minutes, minute) && s < 60 {
			return hour*3600 + minute*60 + s
		}
		if m := from(c.minutes, minute+1); m < 60 {
			return hour*3600 + m*60 + from(c.seconds, 0)
		}
	}
	h := from(c.hours, hour+1)
	if h > 23 {
		return day
	}
	return h*3600 + from(c.minutes, 0)*60 + from(c.seconds, 0)
}

// at returns the second of the day of the i-th of the set, from 0.
func (c clockSet) at(i int) int {
	perMinute := bits.OnesCount64(c.seconds)
	perHour := bits.OnesCount64(c.minutes) * perMinute
	return pick(c.hours, i/perHour)*3600 + pick(c.minutes, i%perHour/perMinute)*60 + pick(c.seconds, i%perMinute)
}

// has says whether a second of the day is in the set.
func (c clockSet) has(second int) bool {
	return has(c.hours, second/3600) && has(c.minutes, second/60%60) && has(c.seconds, second%60)
}

// yearSet is a set of days of a year, from 1.
type yearSet [6]uint64

func (y *yearSet) add(day int) { y[day/64] |= 1 << (day % 64) }

// from returns whether 64 days from a day on are in the set, from bit 0.
func (y *yearSet) from(day int) uint64 {
	if day < 0 {
		return y[0] << -day
	}
	days := y[day/64] >> (day % 64)
	if next := day/64 + 1; next < len(y) {
		days |= y[next] << (64 - day%64)
	}
	return days
}

// Sets of small numbers are bits of an integer.

func has(set uint64, n int) bool { return set>>n&1 != 0 }

// below returns those of a set that are less than n.
func below(set uint64, n int) uint64 { return set & (1<<n - 1) }

// from returns the least of a set that is not less than n, or 64.
func from(set uint64, n int) int { return bits.TrailingZeros64(set &^ (1<<n - 1)) }

// pick returns the i-th of a set, from 0.
func pick(set uint64, i int) int {
	for range i {
		set &= set - 1
	}
	return bits.TrailingZeros64(set)
}
