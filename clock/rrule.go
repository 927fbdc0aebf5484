package clock

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The largest INTERVAL, the longest that one of hours, minutes or seconds may take, and the largest COUNT.
const (
	maxInterval     = 366 * day
	maxIntervalTime = 366 * day // seconds, as a timer
	maxCount        = 10_000
)

// ruleEnd is where a rule says that it ends: after a number of occurrences, at a time, or not.
type ruleEnd struct {
	count int
	until time.Time // of which the zone means nothing if it is local
	utc   bool
}

// parseRule reads what follows "RRULE:", in upper case. The rule starts at start, and its end is not applied yet.
//
// It takes what RFC 5545, section 3.3.10, allows and refuses what that forbids, parts that exclude each other
// included. What else it refuses would take unbounded work: an INTERVAL or COUNT out of all measure, and some sub-daily
// ones that would have to be followed for years to know whether they ever meet an hour, minute or second.
func parseRule(text string, start local) (recurrence, ruleEnd, error) {
	parts := make(map[string]string, 8)
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		if value == "" {
			return recurrence{}, ruleEnd{}, fmt.Errorf("bad part %.64q of the rule: want parts such as FREQ=DAILY, with ; between them", part)
		}
		if _, twice := parts[key]; twice {
			return recurrence{}, ruleEnd{}, fmt.Errorf("%.64s is twice in the rule: want each part once", key)
		}
		parts[key] = value
	}
	p := ruleParser{parts: parts, r: recurrence{interval: 1, start: start, month: monthOf(start.date()), last: lastLocal, most: maxWork}}
	p.parse()
	if p.err != nil {
		return recurrence{}, ruleEnd{}, p.err
	}
	return p.r, p.end, nil
}

// ruleParser reads the parts of a rule until the first that is wrong.
type ruleParser struct {
	parts map[string]string // those left
	given []string          // the BY parts that were there
	r     recurrence
	end   ruleEnd
	err   error
}

func (p *ruleParser) parse() {
	p.frequency()
	p.interval()
	p.bounds()
	if value, ok := p.take("WKST"); ok {
		p.r.weekStart = p.weekday(value)
	} else {
		p.r.weekStart = time.Monday
	}
	r := &p.r
	r.months = p.set("BYMONTH", 1, 12)
	r.monthDays, r.monthDaysBack = p.signedSet("BYMONTHDAY", 31)
	r.weeks, r.weeksBack = p.signedSet("BYWEEKNO", 53)
	p.yearDays()
	p.weekdays()
	hours, minutes, seconds := p.set("BYHOUR", 0, 23), p.set("BYMINUTE", 0, 59), p.set("BYSECOND", 0, 60)
	p.positions()
	for key := range p.parts {
		p.fail("unknown part %.64q of the rule: want FREQ, INTERVAL, COUNT, UNTIL, WKST or a BY part of RFC 5545", key)
	}
	if p.err != nil {
		return
	}
	p.exclusions()
	p.defaults()
	p.clock(hours, minutes, seconds)
}

func (p *ruleParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// take takes the value of a part, if it is there.
func (p *ruleParser) take(key string) (string, bool) {
	value, ok := p.parts[key]
	delete(p.parts, key)
	if ok && strings.HasPrefix(key, "BY") {
		p.given = append(p.given, key)
	}
	return value, ok
}

var frequencies = []string{"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"}

func (p *ruleParser) frequency() {
	value, ok := p.take("FREQ")
	if !ok {
		p.fail("no FREQ in the rule: want one of %s", strings.Join(frequencies, ", "))
		return
	}
	i := slices.Index(frequencies, value)
	if i < 0 {
		p.fail("bad FREQ %.64q: want one of %s", value, strings.Join(frequencies, ", "))
		return
	}
	p.r.frequency = frequency(i)
}

func (p *ruleParser) interval() {
	value, ok := p.take("INTERVAL")
	if !ok {
		return
	}
	n := p.number("INTERVAL", value, 1, maxInterval)
	if p.r.frequency >= hourly && int64(n) > maxIntervalTime/p.r.frequency.unit() {
		p.fail("INTERVAL=%d is more than 366 days: want less, or a longer FREQ", n)
	}
	p.r.interval = int64(n)
}

// bounds reads COUNT and UNTIL.
func (p *ruleParser) bounds() {
	if value, ok := p.take("COUNT"); ok {
		p.end.count = p.number("COUNT", value, 1, maxCount)
	}
	value, ok := p.take("UNTIL")
	if !ok {
		return
	}
	if p.end.count > 0 {
		p.fail("COUNT and UNTIL in one rule: want one of them")
	}
	var err error
	p.end.until, err = time.Parse("20060102T150405", strings.TrimSuffix(value, "Z"))
	p.end.utc = strings.HasSuffix(value, "Z")
	if err != nil || len(value) > len("20060102T150405Z") {
		p.fail("bad UNTIL %.64q: want a date and time such as 20261224T180000 or 20261224T170000Z", value)
	}
}

// number reads digits.
func (p *ruleParser) number(key, digits string, low, high int) int {
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || int(n) < low || int(n) > high {
		p.fail("bad %s %.64q: want %d to %d", key, digits, low, high)
		return low
	}
	return int(n)
}

// signed reads digits that may have a sign: what counts from the end has a minus.
func (p *ruleParser) signed(key, text string, low, high int) int {
	if digits, ok := strings.CutPrefix(text, "-"); ok {
		return -p.number(key, digits, low, high)
	}
	return p.number(key, strings.TrimPrefix(text, "+"), low, high)
}

// list reads numbers with commas between them.
func (p *ruleParser) list(key string, low, high int, number func(key, text string, low, high int) int) (numbers []int) {
	text, ok := p.take(key)
	if !ok {
		return nil
	}
	for item := range strings.SplitSeq(text, ",") {
		numbers = append(numbers, number(key, item, low, high))
	}
	return numbers
}

// set reads a list into a set.
func (p *ruleParser) set(key string, low, high int) (set uint64) {
	for _, n := range p.list(key, low, high, p.number) {
		set |= 1 << n
	}
	return set
}

// signedSet reads a list into one set, and those that count from the end into another.
func (p *ruleParser) signedSet(key string, high int) (set, back uint64) {
	for _, n := range p.list(key, 1, high, p.signed) {
		if n < 0 {
			back |= 1 << -n
		} else {
			set |= 1 << n
		}
	}
	return set, back
}

func (p *ruleParser) yearDays() {
	for _, n := range p.list("BYYEARDAY", 1, 366, p.signed) {
		p.r.hasYearDays = true
		if n < 0 {
			p.r.yearDaysBack.add(-n)
		} else {
			p.r.yearDays.add(n)
		}
	}
}

func (p *ruleParser) weekdays() {
	text, ok := p.take("BYDAY")
	if !ok {
		return
	}
	for item := range strings.SplitSeq(text, ",") {
		number, name := item[:max(len(item)-2, 0)], item[max(len(item)-2, 0):]
		weekday := p.weekday(name)
		if number == "" {
			p.r.weekdays |= 1 << weekday
			continue
		}
		if o := (ordinal{p.signed("BYDAY", number, 1, 53), weekday}); !slices.Contains(p.r.ordinals, o) {
			p.r.ordinals = append(p.r.ordinals, o)
		}
	}
}

func (p *ruleParser) weekday(name string) time.Weekday {
	i := slices.Index([]string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}, name)
	if i < 0 {
		p.fail("bad weekday %.64q: want MO, TU, WE, TH, FR, SA or SU", name)
	}
	return time.Weekday(max(i, 0))
}

func (p *ruleParser) positions() {
	p.r.positions = p.list("BYSETPOS", 1, 366, p.signed)
	slices.Sort(p.r.positions)
	p.r.positions = slices.Compact(p.r.positions)
}

// exclusions refuses what the RFC says must not be together.
func (p *ruleParser) exclusions() {
	f := p.r.frequency
	with := func(key string) bool { return slices.Contains(p.given, key) }
	switch {
	case f == weekly && with("BYMONTHDAY"):
		p.fail("BYMONTHDAY with FREQ=WEEKLY: want another FREQ")
	case with("BYYEARDAY") && (f == daily || f == weekly || f == monthly):
		p.fail("BYYEARDAY with FREQ=%s: want YEARLY, HOURLY, MINUTELY or SECONDLY", frequencies[f])
	case with("BYWEEKNO") && f != yearly:
		p.fail("BYWEEKNO with FREQ=%s: want YEARLY", frequencies[f])
	case len(p.r.ordinals) > 0 && f != yearly && f != monthly:
		p.fail("BYDAY with a number with FREQ=%s: want MONTHLY or YEARLY", frequencies[f])
	case len(p.r.ordinals) > 0 && with("BYWEEKNO"):
		p.fail("BYDAY with a number together with BYWEEKNO: want one of them")
	case with("BYSETPOS") && len(p.given) == 1:
		p.fail("BYSETPOS alone: want another BY part with it")
	}
}

// defaults takes the days that the rule leaves open from its start.
func (p *ruleParser) defaults() {
	r := &p.r
	start := r.start.time()
	switch {
	case r.monthDays|r.monthDaysBack|r.weeks|r.weeksBack|r.weekdays != 0 || r.hasYearDays || len(r.ordinals) > 0:
	case r.frequency == weekly:
		r.weekdays = 1 << start.Weekday()
	case r.frequency <= monthly:
		if r.frequency == yearly && r.months == 0 {
			r.months = 1 << start.Month()
		}
		r.monthDays = 1 << start.Day()
	}
}

// clock sets the times of day: what is shorter than the frequency's unit expands an interval, the rest limits them.
func (p *ruleParser) clock(hours, minutes, seconds uint64) {
	r := &p.r
	if has(seconds, 60) { // a leap second, which is 59 to who has none (RFC 5545, section 3.3.12)
		seconds = seconds&^(1<<60) | 1<<59
	}
	start := r.start.time()
	unit := func(f frequency, by uint64, n, begin int) (limit, times uint64) {
		limit, times = 1<<n-1, 1<<begin
		switch {
		case r.frequency >= f && by != 0:
			return by, 1
		case r.frequency >= f:
			return limit, 1
		case by != 0:
			times = by
		}
		return limit, times
	}
	r.limits.hours, r.times.hours = unit(hourly, hours, 24, start.Hour())
	r.limits.minutes, r.times.minutes = unit(minutely, minutes, 60, start.Minute())
	r.limits.seconds, r.times.seconds = unit(secondly, seconds, 60, start.Second())
}

// maxGap is how many intervals of a sub-daily frequency, or days if they are longer, may go by without one that begins
// at a time of day that the rule allows.
const maxGap = 1500

// longestGap returns the most intervals from one that begins at an allowed time of day to the next such, whatever the
// day, or 0 if none ever does. After a number of intervals they begin at the same times again.
func (r *recurrence) longestGap() (longest int64) {
	unit := r.frequency.unit()
	step := r.interval * unit
	turn := day / gcd(step, day)
	first, last := int64(-1), int64(0)
	for i := range turn {
		if !r.limits.has(int((int64(r.start.second())/unit*unit + i*(step%day)) % day)) {
			continue
		}
		if first < 0 {
			first, last = i, i
		}
		longest, last = max(longest, i-last), i
	}
	if first < 0 {
		return 0
	}
	return max(longest, first+turn-last)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// errNever and errRare say why a rule cannot be used.
var (
	errNever = errors.New("the rule never occurs before its end, nor in 400 years: want one that does")
	errRare  = errors.New("the rule never occurs, or so rarely that it takes too long to find when: want a longer FREQ, or fewer BY parts")
)

// setEnd applies the end of a rule that starts now in a zone. It refuses rules that never occur, or so rarely that the
// search for an occurrence would not be worth its work.
func (r *recurrence) setEnd(z *Zone, end ruleEnd) error {
	if err := r.checkLimits(); err != nil {
		return err
	}
	switch {
	case end.utc:
		r.last = min(r.last, instantOf(end.until).in(z))
	case !end.until.IsZero():
		r.last = min(r.last, localOf(end.until))
	}
	return r.find(end.count)
}

// find looks for the first two occurrences and, where the rule has a count, for the last.
func (r *recurrence) find(count int) error {
	left, l := firstWork, r.start
	for i := range max(count, 2) {
		if i == 2 {
			left = maxWork
		}
		r.most = left
		next, ok := r.after(l, lastLocal)
		switch left -= r.work; {
		case left <= 0:
			return errRare
		case !ok && i == 0:
			return errNever
		case !ok:
			return nil
		}
		l = next
		if i+1 == count {
			r.last = l
		}
	}
	return nil
}

// checkLimits refuses intervals of a sub-daily frequency that never begin at a time of day that the rule allows, or that
// drift through the day so slowly that years may go by before one does, and a BYSETPOS that is beyond all sets.
func (r *recurrence) checkLimits() error {
	days := map[frequency]int{yearly: 366, monthly: 31, weekly: 7}[r.frequency]
	if _, ok := r.position(0, max(days, 1)*r.times.size()); !ok && len(r.positions) > 0 {
		return errNever
	}
	if r.frequency < hourly || r.limits.size() == day {
		return nil
	}
	gap := r.longestGap()
	switch step := r.interval * r.frequency.unit(); {
	case gap == 0:
		return errNever
	case gap > maxGap && gap*step > maxGap*day:
		return errRare
	}
	return nil
}
