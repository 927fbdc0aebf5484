package clock

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStatusJSON holds the object that ALARM LIST sends against the protocol: all fields, null where there is nothing.
func TestStatusJSON(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b", "07:29:30 c")
	d.wait("07:30:10")
	d.snooze("5m b", "b")
	d.leave()
	d.wait("24T07:00:00")
	got, err := json.Marshal(d.alarms.List(d.at))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"a","when":"daily 07:30","next":"2026-11-24T07:30:00+01:00","enabled":true,"ringing":false,"snoozed_until":null,"missed":null},` +
		`{"name":"b","when":"07:30","next":null,"enabled":false,"ringing":false,"snoozed_until":null,"missed":"2026-11-23T07:35:10+01:00"},` +
		`{"name":"c","when":"07:29:30","next":null,"enabled":false,"ringing":false,"snoozed_until":null,"missed":null}]`
	if string(got) != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
	if got, err := json.Marshal(Alarms(nil).List(d.at)); string(got) != "[]" || err != nil {
		t.Errorf("no alarms are %s, %v", got, err)
	}
	d.zone("UTC")
	if got := d.alarms.List(d.at)[1]; *got.Missed != "2026-11-23T06:35:10+00:00" {
		t.Errorf("in UTC it was missed at %s", *got.Missed)
	}
}

func TestListOrder(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:10 over", "08:00 late", "07:20 snoozed", "07:30 twin", "2026-11-23 07:30 twin 2", "daily 07:05 off", "daily 06:59 tomorrow")
	d.turn(false, "off")
	d.wait("07:20:30")
	d.snooze("15m snoozed", "snoozed")
	var names []string
	for _, s := range d.alarms.List(d.at) {
		names = append(names, s.Name)
	}
	if want := []string{"twin", "twin 2", "snoozed", "late", "tomorrow", "over", "off"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestReceiverStays calls every method and looks whether the list that it was called on is as before.
func TestReceiverStays(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b", "+30m c")
	d.wait("07:30:10")
	before := slices.Clone(d.alarms)
	l, at := append(make(Alarms, 0, 8), d.alarms...), d.at
	spare := append(l, Alarm{name: "spare"})
	at.Now = d.time("07:30:30")
	l.Add(at, "daily 08:00 d")
	l.Delete("a")
	l.On(at, "b")
	l.Off(at, "b")
	l.Stop(at, "")
	l.Snooze(at, "5m")
	l.Rezone(at, mustZone(t, "Asia/Tokyo"))
	at.Now = d.time("09:00:00")
	l.Advance(at, true)
	l.List(at)
	l.Ringing(at)
	l.NextChange(at)
	if !slices.Equal(l, before) || spare[3].name != "spare" {
		t.Errorf("the list changed from %+v to %+v", before, spare)
	}
}

// TestNothingChanged has what changes nothing: the very list is returned.
func TestNothingChanged(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b", "+30m c")
	same := func(what string, got Alarms) {
		if &got[0] != &d.alarms[0] || len(got) != len(d.alarms) {
			t.Errorf("%s changed the list", what)
		}
	}
	for _, args := range []string{"", "daily 08:00 a", "daily 25:00 d", "daily 08:00"} {
		got, _, err := d.alarms.Add(d.at, args)
		if err == nil {
			t.Errorf("%q was added", args)
		}
		same("an error", got)
	}
	for _, name := range []string{"", "A", "x"} {
		got, err := d.alarms.Delete(name)
		if err == nil {
			t.Errorf("%q was deleted", name)
		}
		same("an error", got)
		for _, change := range []func(At, string) (Alarms, AlarmStatus, error){d.alarms.On, d.alarms.Off} {
			got, _, err := change(d.at, name)
			if err == nil {
				t.Errorf("%q was changed", name)
			}
			same("an error", got)
		}
	}
	for _, args := range []string{"", "0s", "5m x", "5m ", "x", " a", "a"} {
		got, names, err := d.alarms.Snooze(d.at, args)
		if err == nil || names != nil {
			t.Errorf("%q: snoozed %q", args, names)
		}
		same("an error", got)
	}
	for _, name := range []string{"", "a"} {
		got, names, err := d.alarms.Stop(d.at, name)
		if err != nil || names == nil || len(names) > 0 {
			t.Errorf("stopped %q, %v, want []", names, err)
		}
		same("a stop of nothing", got)
	}
	got, names, err := d.alarms.Snooze(d.at, "5m")
	if err != nil || names == nil || len(names) > 0 {
		t.Errorf("snoozed %q, %v, want []", names, err)
	}
	same("a snooze of nothing", got)
	on, _, err := d.alarms.On(d.at, "a")
	if err != nil {
		t.Error(err)
	}
	same("on when on", on)
	d.turn(false, "a")
	off, _, err := d.alarms.Off(d.at, "a")
	if err != nil {
		t.Error(err)
	}
	same("off when off", off)
	same("time", d.alarms.Advance(d.at, true))
	d.wait("07:30:10")
	same("time within a ring", d.alarms.Advance(d.at, true))
	d.wait("09:00:00")
	same("time after the last ring", d.alarms.Advance(d.at, false))
	if next := d.alarms.NextChange(d.at); !next.IsZero() {
		t.Errorf("all is over, but something changes at %v", next)
	}
}

func TestDelete(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b", "+30m c")
	got, err := d.alarms.Delete("b")
	if err != nil || len(got) != 2 || got[0].name != "a" || got[1].name != "c" {
		t.Errorf("left %+v, %v", got, err)
	}
}

// TestUpdatedZoneData has zone data change under the alarms, as an update of the time zone database does: here it is an
// hour later of a sudden. What has passed by that is missed.
func TestUpdatedZoneData(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "2026-12-24 18:00 b", "+26h c")
	d.wait("24T07:10:00")
	d.at.Zone = mustZone(t, "Europe/Athens")
	d.is("on 25T07:30:00 missed 24T07:30:00", "on 2026-12-24T18:00:00", "on 24T10:00:00")
}

func benchmarkAlarms(b *testing.B, n int) (At, Alarms) {
	at := At{Now: mustTime(b, "2026-11-22T10:00:00Z"), Zone: mustZone(b, "Europe/Paris"), Ring: time.Minute}
	var l Alarms
	forms := []string{
		"daily 07:30", "mon-fri 07:30", "2031-12-24 18:00", "2031-12-24T18:00:00Z", "23:59", "+300d",
		"RRULE:FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
		"RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=500", "RRULE:FREQ=HOURLY;INTERVAL=5",
	}
	for i := range n {
		var err error
		if l, _, err = l.Add(at, fmt.Sprintf("%s alarm %d", forms[i%len(forms)], i)); err != nil {
			b.Fatal(err)
		}
	}
	return at, l
}

// Each of these is for a session with ten alarms, one of each form; the last for one with a hundred.
func BenchmarkAlarms(b *testing.B) {
	at, l := benchmarkAlarms(b, 10)
	b.Run("advance", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Advance(at, true)
		}
	})
	b.Run("next change", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.NextChange(at)
		}
	})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.List(at)
		}
	})
	b.Run("a year offline", func(b *testing.B) {
		b.ReportAllocs()
		later := at
		later.Now = at.Now.AddDate(1, 0, 0)
		for b.Loop() {
			l.Advance(later, false)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		stored, err := json.Marshal(l)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(stored)))
		for b.Loop() {
			var loaded Alarms
			if err := json.Unmarshal(stored, &loaded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list a hundred", func(b *testing.B) {
		at, l := benchmarkAlarms(b, 100)
		b.ReportAllocs()
		for b.Loop() {
			l.List(at)
		}
	})
}

// BenchmarkNext reads a <when> and finds its next occurrence, when the alarm was added and a year later.
func BenchmarkNext(b *testing.B) {
	at, _ := benchmarkAlarms(b, 0)
	for _, text := range []string{
		"daily 07:30", "2031-12-24 18:00", "RRULE:FREQ=SECONDLY", "RRULE:FREQ=SECONDLY;INTERVAL=7;BYHOUR=3;BYMINUTE=5",
		"RRULE:FREQ=MINUTELY;BYMINUTE=1,2,3", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
	} {
		a, err := newAlarm(at, text+" x")
		if err != nil {
			b.Fatal(err)
		}
		for name, now := range map[string]instant{"now": a.done, "later": a.done + 366*day} {
			b.Run(strings.TrimPrefix(text, "RRULE:")+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w := a.parse()
					w.first(at.Zone, now)
				}
			})
		}
	}
}
