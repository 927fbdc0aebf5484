package clock

import (
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

var systemZones = sync.OnceValue(LoadZones)

func mustZone(t testing.TB, name string) *Zone {
	t.Helper()
	zone, err := systemZones().Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func mustTime(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC()
}

func TestPeriod(t *testing.T) {
	for _, test := range []struct {
		source       string
		zone, at     string
		abbreviation string
		offset       int
		dst          bool
		start, end   string
	}{
		{
			"directive 2000/84/EC: the last second of winter", "Europe/Paris", "2024-03-31T00:59:59Z",
			"CET", 3600, false, "2023-10-29T01:00:00Z", "2024-03-31T01:00:00Z",
		},
		{
			"directive 2000/84/EC: the last nanosecond of winter", "Europe/Paris", "2024-03-31T00:59:59.999999999Z",
			"CET", 3600, false, "2023-10-29T01:00:00Z", "2024-03-31T01:00:00Z",
		},
		{
			"directive 2000/84/EC: the first second of summer", "Europe/Paris", "2024-03-31T01:00:00Z",
			"CEST", 7200, true, "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z",
		},
		{
			"go.dev/issue/70633: new year", "Europe/Paris", "2025-01-01T00:00:00Z",
			"CET", 3600, false, "2024-10-27T01:00:00Z", "2025-03-30T01:00:00Z",
		},
		{
			"go.dev/issue/70633: the last day of a leap year, beyond any table", "Europe/Paris", "2096-12-31T12:00:00Z",
			"CET", 3600, false, "2096-10-28T01:00:00Z", "2097-03-31T01:00:00Z",
		},
		{
			"go.dev/issue/70633: new year in summer, beyond any table", "Australia/Sydney", "2097-01-01T00:00:00Z",
			"AEDT", 39600, true, "2096-10-06T16:00:00Z", "2097-04-06T16:00:00Z",
		},
		{
			"2100 is no leap year", "America/New_York", "2100-12-31T12:00:00Z",
			"EST", -18000, false, "2100-11-07T06:00:00Z", "2101-03-13T07:00:00Z",
		},
		{
			"IANA: the offset moves, the name stays", "Europe/Moscow", "2011-03-26T23:00:00Z",
			"MSK", 14400, false, "2011-03-26T23:00:00Z", "2014-10-25T22:00:00Z",
		},
		{
			"IANA: the name moves, the offset stays", "Europe/Lisbon", "1992-09-27T00:59:59Z",
			"WEST", 3600, true, "1992-03-29T01:00:00Z", "1992-09-27T01:00:00Z",
		},
		{
			"IANA: only daylight saving time moves", "Europe/London", "1968-10-26T22:59:59Z",
			"BST", 3600, true, "1968-02-18T02:00:00Z", "1968-10-26T23:00:00Z",
		},
		{
			"IANA: half an hour of summer time", "Australia/Lord_Howe", "2024-01-01T00:00:00Z",
			"+11", 39600, true, "2023-09-30T15:30:00Z", "2024-04-06T15:00:00Z",
		},
		{
			"IANA: two hours of summer time", "Antarctica/Troll", "2024-07-01T00:00:00Z",
			"+02", 7200, true, "2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z",
		},
		{
			"IANA: the day that never was", "Pacific/Apia", "2011-12-30T10:00:00Z",
			"+14", 50400, true, "2011-12-30T10:00:00Z", "2012-03-31T14:00:00Z",
		},
		{
			"IANA: in Ramadan the clocks go back", "Africa/Casablanca", "2019-05-05T02:00:00Z",
			"+00", 0, true, "2019-05-05T02:00:00Z", "2019-06-09T02:00:00Z",
		},
		{
			"IANA: no transition to come", "Asia/Tokyo", "2024-01-01T00:00:00Z",
			"JST", 32400, false, "1951-09-08T15:00:00Z", "",
		},
		{
			"IANA: before the first transition", "Asia/Tokyo", "1800-01-01T00:00:00Z",
			"LMT", 33539, false, "", "1887-12-31T15:00:00Z",
		},
		{
			"IANA: no transition at all", "UTC", "2024-12-31T23:59:59Z",
			"UTC", 0, false, "", "",
		},
		{
			"IANA: east is minus in these names", "Etc/GMT+5", "2024-12-31T23:59:59Z",
			"-05", -18000, false, "", "",
		},
	} {
		t.Run(test.source, func(t *testing.T) {
			want := Period{test.abbreviation, test.offset, test.dst, mustTime(t, test.start), mustTime(t, test.end)}
			if got := mustZone(t, test.zone).Period(mustTime(t, test.at)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestPeriodOfOddData is about zone data that no release holds today, but that the format allows (RFC 9636).
func TestPeriodOfOddData(t *testing.T) {
	types := []localType{{"AAA", 3600, false}, {"BBB", 7200, true}, {"CCC", 0, false}}
	for _, test := range []struct {
		what  string
		data  zoneData
		at    int64
		want  Period
		start int64 // 0: none
		end   int64
	}{
		{
			"summer time all year, RFC 9636 section 3.3.1: no transition",
			zoneData{types: types[:1], rule: "AAA0BBB,0/0,J365/25"},
			1_700_000_000, Period{Abbreviation: "BBB", Offset: 3600, DST: true}, 0, 0,
		},
		{
			"transitions that change nothing",
			zoneData{types: types, transitions: []transition{{-1000, 0}, {1000, 1}, {2000, 1}, {3000, 1}, {4000, 2}}},
			2500, Period{Abbreviation: "BBB", Offset: 7200, DST: true}, 1000, 4000,
		},
		{
			"the rule takes over after the table left summer time and came back",
			zoneData{
				types:       types,
				transitions: []transition{{1_700_000_000, 0}, {1_711_846_800, 1}, {1_715_000_000, 2}, {1_718_000_000, 1}},
				rule:        "AAA-1BBB,M3.5.0,M10.5.0/3",
			},
			1_720_000_000, Period{Abbreviation: "BBB", Offset: 7200, DST: true}, 1_718_000_000, 1_729_990_800,
		},
	} {
		t.Run(test.what, func(t *testing.T) {
			location, err := time.LoadLocationFromTZData("Test/Zone", test.data.encode())
			if err != nil {
				t.Fatal(err)
			}
			zone := &Zone{name: "Test/Zone", location: location}
			want := test.want
			if test.start != 0 {
				want.Start = time.Unix(test.start, 0).UTC()
			}
			if test.end != 0 {
				want.End = time.Unix(test.end, 0).UTC()
			}
			if got := zone.Period(time.Unix(test.at, 0)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestFarTimes checks that every method returns for any time that there is.
func TestFarTimes(t *testing.T) {
	for _, name := range []string{"Europe/Paris", "Australia/Sydney", "Asia/Tokyo", "UTC"} {
		zone := mustZone(t, name)
		for _, seconds := range []int64{math.MinInt64, -1 << 62, -1 << 40, 1 << 40, 1 << 62, 9223371974719179007, math.MaxInt64} {
			at := time.Unix(seconds, 0).UTC()
			if got, want := zone.Period(at).Offset, zone.at(at).Offset; got != want {
				t.Errorf("%s: offset %d at %d, want %d", name, got, seconds, want)
			}
			zone.Resolve(at)
		}
		for _, local := range []string{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
			if got := wallClock(zone.Resolve(mustTime(t, local))); !got.Equal(mustTime(t, local)) {
				t.Errorf("%s: got %v, want %s", name, got, local)
			}
		}
	}
}

type localType struct {
	abbreviation string
	offset       int32
	dst          bool
}

type transition struct {
	at   int64
	kind uint8
}

// zoneData is what a TZif file holds (RFC 9636).
type zoneData struct {
	types       []localType
	transitions []transition
	rule        string
}

func (d zoneData) encode() []byte {
	var names strings.Builder
	var types []byte
	for _, kind := range d.types {
		types = binary.BigEndian.AppendUint32(types, uint32(kind.offset))
		dst := byte(0)
		if kind.dst {
			dst = 1
		}
		types = append(types, dst, byte(names.Len()))
		names.WriteString(kind.abbreviation + "\x00")
	}
	header := func(times, types, names int) []byte {
		b := append([]byte("TZif2"), make([]byte, 27)...)
		for _, count := range []int{times, types, names} {
			b = binary.BigEndian.AppendUint32(b, uint32(count))
		}
		return b
	}
	b := header(0, 1, 1)
	b = append(b, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, header(len(d.transitions), len(d.types), names.Len())...)
	for _, transition := range d.transitions {
		b = binary.BigEndian.AppendUint64(b, uint64(transition.at))
	}
	for _, transition := range d.transitions {
		b = append(b, transition.kind)
	}
	b = append(append(b, types...), names.String()...)
	return append(b, "\n"+d.rule+"\n"...)
}

func BenchmarkPeriod(b *testing.B) {
	at := time.Date(2026, time.November, 22, 17, 5, 1, 0, time.UTC)
	for _, name := range []string{"UTC", "Europe/Paris", "Africa/Casablanca"} {
		zone := mustZone(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				zone.Period(at)
			}
		})
	}
	b.Run("beyond the table", func(b *testing.B) {
		zone := mustZone(b, "Europe/Paris")
		b.ReportAllocs()
		for b.Loop() {
			zone.Period(at.AddDate(100, 0, 0))
		}
	})
}
