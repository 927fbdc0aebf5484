package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMonths(t *testing.T) {
	m := monthOf(on(0, 0).date())
	for want := time.Unix(0, 0).UTC(); want.Year() < 2400; want = want.AddDate(0, 1, 0) {
		date := local(want.Unix()).date()
		got := monthOf(date + int64(m.length) - 1)
		if got != m || m.first != date || m.year() != want.Year() || m.month() != want.Month() ||
			m.weekday != want.Weekday() || m.yearDay != want.YearDay() || m.length != want.AddDate(0, 1, -1).Day() {
			t.Fatalf("%s: got %+v, and %+v of its last day", want.Format(time.DateOnly), m, got)
		}
		m = m.next()
	}
}

// TestWeeks holds the numbers of weeks that begin on Monday against ISO 8601's, which package time has.
func TestWeeks(t *testing.T) {
	for d := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2110; d = d.AddDate(0, 0, 1) {
		year, want := d.ISOWeek()
		_, wantWeeks := time.Date(year, 12, 28, 0, 0, 0, 0, time.UTC).ISOWeek()
		if got, weeks := weekOf(d.Year(), d.YearDay(), d.Weekday(), time.Monday); got != want || weeks != wantWeeks {
			t.Fatalf("%s is in week %d of %d, want %d of %d", d.Format(time.DateOnly), got, weeks, want, wantWeeks)
		}
		for start := range time.Saturday + 1 {
			if got, _ := weekOf(d.Year(), d.YearDay(), d.Weekday(), start); got != weekByFourDays(d, start) {
				t.Fatalf("%s is in week %d from %s, want %d", d.Format(time.DateOnly), got, start, weekByFourDays(d, start))
			}
		}
	}
}

// weekByFourDays returns the number of the week that a day is in, if weeks begin on start: a week is in the year that four
// of its days are in, and so is its fourth.
func weekByFourDays(d time.Time, start time.Weekday) int {
	for d.Weekday() != start {
		d = d.AddDate(0, 0, -1)
	}
	return (d.AddDate(0, 0, 3).YearDay()-1)/7 + 1
}

func TestClockSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := clockSet{
			rapid.Uint64Range(1, 1<<24-1).Draw(t, "hours"),
			rapid.Uint64Range(1, 1<<60-1).Draw(t, "minutes"),
			rapid.Uint64Range(1, 1<<60-1).Draw(t, "seconds"),
		}
		second := rapid.IntRange(0, day-1).Draw(t, "second")
		n := set.rank(second)
		if before := set.rank(second - 1); (n > before) != set.has(second) {
			t.Errorf("the rank of %d is %d, of the second before %d", second, n, before)
		}
		if n > 0 && set.at(n-1) > second {
			t.Errorf("%d is before %d, which has rank %d", set.at(n-1), second, n)
		}
		want := day
		if n < set.size() {
			want = set.at(n)
		}
		if got := set.next(min(second+1, day-1)); second < day-1 && got != want {
			t.Errorf("%d comes after %d, want %d", got, second, want)
		}
		if set.rank(day-1) != set.size() || set.rank(-1) != 0 {
			t.Errorf("ranks from %d to %d in a set of %d", set.rank(-1), set.rank(day-1), set.size())
		}
	})
}
