package clock

import (
	"math/bits"
	"slices"
	"time"
)

// frequency is how often the set of a recurrence rule repeats.
type frequency int8

const (
	yearly frequency = iota
	monthly
	weekly
	daily
	hourly
	minutely
	secondly
)

// unit returns the length in seconds of a sub-daily frequency's interval of one.
func (f frequency) unit() int64 {
	switch f {
	case hourly:
		return 3600
	case minutely:
		return 60
	}
	return 1
}

// horizon is how far ahead occurrences are looked for: the Gregorian calendar repeats itself after 400 years, to the
// weekday.
const horizon = 146097 * day

// maxWork is how many months, days and intervals one search looks at, at most: some milliseconds. An alarm's rule has to
// occur twice within firstWork, which is less, so that a hundred of them take milliseconds too.
const (
	maxWork   = 1 << 19
	firstWork = 1 << 13
)

// recurrence is a recurrence rule as RFC 5545, section 3.3.10, defines it, in local time without a zone: what it
// expands to is resolved in a zone afterwards, as no library does (section 3.3.5).
//
// The expansion is our own. The Go libraries are ports of python-dateutil's, which go through all intervals one by one,
// from the start of the rule and in search of the next: a rule that never occurs takes 100 ms or does not end, and one
// by the second is the slower the older it is. Nor can they be bounded from outside. (They also take BYDAY=MO,1TU for
// the intersection, BYWEEKNO=53 for some of week 52, and with WEEKLY the days from the start on for the first week of
// BYSETPOS.) Here the calendar is walked by months, each of which is a set of bits, at most those of the horizon, and
// where an interval of a sub-daily frequency begins is computed.
//
// Where the RFC leaves open what a rule means, it is what it is to python-dateutil: BYWEEKNO without BYDAY is all
// days of the week, and the year of BYWEEKNO is the calendar's, which shares its first and last week with others.
type recurrence struct {
	frequency frequency
	interval  int64
	weekStart time.Weekday
	start     local // DTSTART: intervals are counted from it, and occurrences come after it
	month     month // that it is in
	last      local // no occurrence is later

	// Sets of days; those that are empty allow any. The sets that are named back count from the end.
	months, monthDays, monthDaysBack, weeks, weeksBack, weekdays uint64
	yearDays, yearDaysBack                                       yearSet
	hasYearDays                                                  bool
	ordinals                                                     []ordinal

	limits    clockSet // of intervals shorter than a day: in which hours, minutes and seconds of the day they may begin
	times     clockSet // in an interval or, of days and longer, in a day
	positions []int    // BYSETPOS

	work, most int // what the last search took, and may take
}

// ordinal is a weekday with a number, such as 1MO or -1FR.
type ordinal struct {
	n       int
	weekday time.Weekday
}

// onDays returns the recurrence at a second of the day on each of a set of weekdays.
func onDays(weekdays uint64, second int) recurrence {
	return recurrence{
		frequency: daily,
		interval:  1,
		last:      lastLocal,
		most:      maxWork,
		weekdays:  weekdays,
		times:     clockSet{1 << (second / 3600), 1 << (second / 60 % 60), 1 << (second % 60)},
	}
}

// after returns the first occurrence after t, if there is one until limit and within the horizon.
func (r *recurrence) after(t, limit local) (local, bool) {
	t = max(t, r.start)
	limit = min(limit, r.last, t+horizon)
	r.work = 0
	if limit <= t {
		return 0, false
	}
	if len(r.positions) > 0 && r.frequency < daily {
		return r.afterInSets(t, limit)
	}
	return r.afterByDay(t, limit)
}

func (r *recurrence) afterByDay(t, limit local) (local, bool) {
	until := limit.date()
	for m := monthOf(t.date()); m.first <= until && r.work < r.most; m = m.next() {
		days := r.days(m) &^ (1<<(max(t.date()-m.first, 0)+1) - 1)
		for ; days != 0; days &= days - 1 {
			r.work++
			date := m.first + int64(bits.TrailingZeros64(days)) - 1
			if !r.hasDay(date) {
				continue
			}
			seen := -1
			if date == t.date() {
				seen = t.second()
			}
			if second, ok := r.afterInDay(date, seen); ok {
				found := on(date, second)
				return found, found <= limit
			}
		}
	}
	return 0, false
}

// days returns the days of a month that the rule allows, from bit 1, whatever weekly and shorter intervals say.
func (r *recurrence) days(m month) uint64 {
	r.work++
	if r.months != 0 && !has(r.months, int(m.month())) || !r.hasMonth(m) {
		return 0
	}
	days := uint64(1)<<(m.length+1) - 2
	if r.monthDays|r.monthDaysBack != 0 {
		days &= r.monthDays | bits.Reverse64(r.monthDaysBack)>>(62-m.length)
	}
	if r.weekdays != 0 || len(r.ordinals) > 0 {
		days &= r.byWeekday(m)
	}
	if r.hasYearDays {
		days &= r.byYearDay(m)
	}
	if r.weeks|r.weeksBack != 0 {
		days &= r.byWeek(m)
	}
	return days
}

// hasMonth says whether a month is in a yearly or monthly interval.
func (r *recurrence) hasMonth(m month) bool {
	if r.interval == 1 || r.frequency > monthly {
		return true
	}
	if r.frequency == yearly {
		return int64(m.year()-r.month.year())%r.interval == 0
	}
	return (m.index-r.month.index)%r.interval == 0
}

// hasDay says whether a day is in a weekly or daily interval.
func (r *recurrence) hasDay(date int64) bool {
	if r.interval == 1 {
		return true
	}
	switch r.frequency {
	case weekly:
		return (date-r.weekOfStart())/7%r.interval == 0
	case daily:
		return (date-r.start.date())%r.interval == 0
	}
	return true
}

// weekOfStart returns the first day of the week that the rule starts in.
func (r *recurrence) weekOfStart() int64 {
	date := r.start.date()
	return date - int64(daysSince(r.weekStart, weekdayOf(date)))
}

// byWeekday returns the days of a month that BYDAY allows.
func (r *recurrence) byWeekday(m month) (days uint64) {
	const weeks = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28
	for set := r.weekdays; set != 0; set &= set - 1 {
		weekday := time.Weekday(bits.TrailingZeros64(set))
		days |= weeks << (1 + daysSince(m.weekday, weekday))
	}
	first, length, weekday := 0, m.length, m.weekday // of the stretch in which weekdays have a number
	if r.frequency == yearly && r.months == 0 {
		first, length = 1-m.yearDay, yearLength(m.year())
		weekday = weekdayOf(m.first + int64(first))
	}
	for _, o := range r.ordinals {
		d := 1 + daysSince(weekday, o.weekday) + 7*(o.n-1)
		if o.n < 0 {
			end := (weekday + time.Weekday(length-1)) % 7
			d = length - daysSince(o.weekday, end) + 7*(o.n+1)
		}
		if d += first; 1 <= d && d <= m.length {
			days |= 1 << d
		}
	}
	return days
}

// byYearDay returns the days of a month that BYYEARDAY allows.
func (r *recurrence) byYearDay(m month) uint64 {
	back := yearLength(m.year()) + 1 - m.yearDay // of the first day, counted from the end of the year
	return r.yearDays.from(m.yearDay)<<1 | bits.Reverse64(r.yearDaysBack.from(back-63))<<1
}

// byWeek returns the days of a month that BYWEEKNO allows.
func (r *recurrence) byWeek(m month) (days uint64) {
	allowed := false
	for d := range m.length {
		weekday := (m.weekday + time.Weekday(d)) % 7
		if d == 0 || weekday == r.weekStart {
			week, weeks := weekOf(m.year(), m.yearDay+d, weekday, r.weekStart)
			allowed = has(r.weeks, week) || has(r.weeksBack, weeks+1-week)
		}
		if allowed {
			days |= 1 << (d + 1)
		}
	}
	return days
}

// afterInDay returns the first second of a day after seen, where that allows any, or false.
func (r *recurrence) afterInDay(date int64, seen int) (int, bool) {
	if r.frequency < hourly {
		return r.afterInSet(seen)
	}
	unit := int(r.frequency.unit())
	for begin := (seen + 1) / unit * unit; ; begin += unit {
		if begin = r.beginFrom(date, begin); begin >= day {
			return 0, false
		}
		if second, ok := r.afterInSet(seen - begin); ok {
			return begin + second, true
		}
	}
}

// beginFrom returns the second of a day at which the first interval begins that does not begin before a second, or
// day where none does.
func (r *recurrence) beginFrom(date int64, begin int) int {
	unit := r.frequency.unit()
	step := r.interval * unit
	origin := floorDiv(int64(r.start), unit)*unit - int64(on(date, 0))
	for r.work < r.most {
		r.work++
		aligned := origin - floorDiv(origin-int64(begin), step)*step
		if aligned >= day {
			return day
		}
		if begin = r.limits.next(int(aligned)); begin == int(aligned) {
			return begin
		}
	}
	return day
}

// afterInSet returns the first of the times after seen that BYSETPOS allows, in the one day or shorter interval that
// all of them are in.
func (r *recurrence) afterInSet(seen int) (int, bool) {
	if len(r.positions) == 0 {
		second := r.times.next(max(seen+1, 0))
		return second, second < day
	}
	i, ok := r.position(r.times.rank(seen), r.times.size())
	if !ok {
		return 0, false
	}
	return r.times.at(i), true
}

// afterInSets is after for a rule with BYSETPOS that has several days in an interval.
func (r *recurrence) afterInSets(t, limit local) (local, bool) {
	perDay := r.times.size()
	var buffer [366]int64
	for i := r.intervalOf(t); r.work < r.most; i++ {
		first, end := r.intervalDays(i)
		if on(first, 0) > limit {
			break
		}
		dates := r.dates(buffer[:0], first, end)
		n, seen := slices.BinarySearch(dates, t.date())
		n *= perDay
		if seen {
			n += r.times.rank(t.second())
		}
		if n, ok := r.position(n, len(dates)*perDay); ok {
			found := on(dates[n/perDay], r.times.at(n%perDay))
			return found, found <= limit
		}
	}
	return 0, false
}

// intervalOf returns the number of the interval that t is in or, between two, of the one before.
func (r *recurrence) intervalOf(t local) int64 {
	switch r.frequency {
	case yearly:
		return int64(monthOf(t.date()).year()-r.month.year()) / r.interval
	case monthly:
		return (monthOf(t.date()).index - r.month.index) / r.interval
	}
	return (t.date() - r.weekOfStart()) / (7 * r.interval)
}

// intervalDays returns the first day of an interval and the first after it.
func (r *recurrence) intervalDays(i int64) (first, end int64) {
	i *= r.interval
	switch r.frequency {
	case yearly:
		year := r.month.year() + int(i)
		return firstOfMonth(year, 1), firstOfMonth(year+1, 1)
	case monthly:
		m := int(r.month.month() + time.Month(i))
		return firstOfMonth(r.month.year(), m), firstOfMonth(r.month.year(), m+1)
	}
	first = r.weekOfStart() + 7*i
	return first, first + 7
}

// dates appends the days that the rule allows from the day first until before end.
func (r *recurrence) dates(dates []int64, first, end int64) []int64 {
	for m := monthOf(first); m.first < end; m = m.next() {
		for days := r.days(m); days != 0; days &= days - 1 {
			date := m.first + int64(bits.TrailingZeros64(days)) - 1
			r.work++
			if first <= date && date < end {
				dates = append(dates, date)
			}
		}
	}
	return dates
}

// position returns the least index of a set of n, not below i, that BYSETPOS allows.
func (r *recurrence) position(i, n int) (int, bool) {
	least := n
	for _, p := range r.positions {
		if p < 0 {
			p += n + 1
		}
		if p > i && p <= least {
			least = p - 1
		}
	}
	return least, least < n
}
