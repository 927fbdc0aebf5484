package clock

import (
	"testing"
	"time"
)

// wallClock returns what a wall clock shows at t, typed as UTC.
func wallClock(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func TestResolve(t *testing.T) {
	const layout = "2006-01-02T15:04:05.999999999"
	for _, test := range []struct{ source, zone, local, want string }{
		{"RFC 5545, section 3.3.5: an overlap is the first", "America/New_York", "2007-11-04T01:30:00", "2007-11-04T01:30:00-04:00"},
		{"RFC 5545, section 3.3.5: a gap is by the offset before", "America/New_York", "2007-03-11T02:30:00", "2007-03-11T03:30:00-04:00"},
		{"New York: before the gap", "America/New_York", "2007-03-11T01:59:59", "2007-03-11T01:59:59-05:00"},
		{"New York: the start of the gap", "America/New_York", "2007-03-11T02:00:00", "2007-03-11T03:00:00-04:00"},
		{"New York: the end of the gap", "America/New_York", "2007-03-11T03:00:00", "2007-03-11T03:00:00-04:00"},
		{"New York: the start of the overlap", "America/New_York", "2007-11-04T01:00:00", "2007-11-04T01:00:00-04:00"},
		{"New York: the end of the overlap", "America/New_York", "2007-11-04T02:00:00", "2007-11-04T02:00:00-05:00"},
		{"Paris: the gap", "Europe/Paris", "2024-03-31T02:30:00", "2024-03-31T03:30:00+02:00"},
		{"Paris: the overlap", "Europe/Paris", "2024-10-27T02:30:00", "2024-10-27T02:30:00+02:00"},
		{"Paris: fractions are kept", "Europe/Paris", "2024-03-31T02:59:59.999999999", "2024-03-31T03:59:59.999999999+02:00"},
		{"Paris: beyond the table, a gap", "Europe/Paris", "2096-03-25T02:30:00", "2096-03-25T03:30:00+02:00"},
		{"Lord Howe: a gap of 30 minutes", "Australia/Lord_Howe", "2024-10-06T02:15:00", "2024-10-06T02:45:00+11:00"},
		{"Lord Howe: an overlap of 30 minutes", "Australia/Lord_Howe", "2024-04-07T01:45:00", "2024-04-07T01:45:00+11:00"},
		{"Cairo: a gap at midnight", "Africa/Cairo", "2024-04-26T00:30:00", "2024-04-26T01:30:00+03:00"},
		{"Cairo: an overlap that ends at midnight", "Africa/Cairo", "2024-10-31T23:30:00", "2024-10-31T23:30:00+03:00"},
		{"Havana: a gap at midnight", "America/Havana", "2024-03-10T00:00:00", "2024-03-10T01:00:00-04:00"},
		{"Havana: an overlap that starts at midnight", "America/Havana", "2024-11-03T00:30:00", "2024-11-03T00:30:00-04:00"},
		{"Troll: the first hour of a gap of two", "Antarctica/Troll", "2024-03-31T01:30:00", "2024-03-31T03:30:00+02:00"},
		{"Troll: the second hour of a gap of two", "Antarctica/Troll", "2024-03-31T02:30:00", "2024-03-31T04:30:00+02:00"},
		{"Troll: an overlap of two hours", "Antarctica/Troll", "2024-10-27T02:30:00", "2024-10-27T02:30:00+02:00"},
		{"Apia: the day that never was", "Pacific/Apia", "2011-12-30T12:00:00", "2011-12-31T12:00:00+14:00"},
		{"Apia: the day before", "Pacific/Apia", "2011-12-29T23:59:59", "2011-12-29T23:59:59-10:00"},
		{"Apia: the day after", "Pacific/Apia", "2011-12-31T00:00:00", "2011-12-31T00:00:00+14:00"},
		{"Casablanca: back at the start of Ramadan", "Africa/Casablanca", "2019-05-05T02:30:00", "2019-05-05T02:30:00+01:00"},
		{"Casablanca: forward at its end", "Africa/Casablanca", "2019-06-09T02:30:00", "2019-06-09T03:30:00+01:00"},
		{"Moscow: the offset moves, the name stays", "Europe/Moscow", "2011-03-27T02:30:00", "2011-03-27T03:30:00+04:00"},
		{"Moscow: and back", "Europe/Moscow", "2014-10-26T01:30:00", "2014-10-26T01:30:00+04:00"},
		{"Lisbon: the name moves, the offset stays", "Europe/Lisbon", "1992-09-27T02:00:00", "1992-09-27T02:00:00+01:00"},
		{"Monrovia: a gap of 44:30", "Africa/Monrovia", "1972-01-07T00:44:00", "1972-01-07T01:28:30Z"},
		{"UTC", "UTC", "2024-02-29T23:59:59", "2024-02-29T23:59:59Z"},
	} {
		t.Run(test.source, func(t *testing.T) {
			local, err := time.Parse(layout, test.local)
			if err != nil {
				t.Fatal(err)
			}
			zone := mustZone(t, test.zone)
			got := zone.Resolve(local)
			if want := mustTime(t, test.want); !got.Equal(want) {
				t.Errorf("got %v, want %s", got, test.want)
			}
			if got.Location() != zone.Location() {
				t.Errorf("in %v, want %s", got.Location(), test.zone)
			}
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	zone := mustZone(b, "Europe/Paris")
	for name, local := range map[string]time.Time{
		"plain":   time.Date(2026, time.November, 22, 7, 30, 0, 0, time.UTC),
		"gap":     time.Date(2026, time.March, 29, 2, 30, 0, 0, time.UTC),
		"overlap": time.Date(2026, time.October, 25, 2, 30, 0, 0, time.UTC),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				zone.Resolve(local)
			}
		})
	}
}
