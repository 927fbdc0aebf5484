package clock

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// desk is a session in virtual time, with somebody connected or not.
type desk struct {
	testing.TB
	at        At
	alarms    Alarms
	connected bool
}

// newDesk returns a session in Paris on Monday 2026-11-23, at a time of day. Alarms ring for a minute.
func newDesk(t testing.TB, clock string, alarms ...string) *desk {
	d := &desk{TB: t, at: At{Zone: mustZone(t, "Europe/Paris"), Ring: time.Minute}, connected: true}
	d.at.Now = d.time(clock)
	for _, args := range alarms {
		d.add(args)
	}
	return d
}

// time returns a time of the month, "15:04:05" on its 23rd or "02T15:04:05", in the session's zone.
func (d *desk) time(clock string) time.Time {
	d.Helper()
	if !strings.Contains(clock, "T") {
		clock = "23T" + clock
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", "2026-11-"+clock, d.at.Zone.Location())
	if err != nil {
		d.Fatal(err)
	}
	return t
}

func (d *desk) add(args string) {
	d.Helper()
	var err error
	if d.alarms, _, err = d.alarms.Add(d.at, args); err != nil {
		d.Fatal(err)
	}
}

// wait lets time pass, as it is when nothing goes wrong: a tick at each change.
func (d *desk) wait(clock string) {
	end := d.time(clock)
	for {
		next := d.alarms.NextChange(d.at)
		if next.IsZero() || next.After(end) {
			break
		}
		d.at.Now = next
		d.alarms = d.alarms.Advance(d.at, d.connected)
	}
	d.at.Now = end
}

// jump is a step of the clock, or the end of a suspend.
func (d *desk) jump(clock string) {
	d.at.Now = d.time(clock)
	d.alarms = d.alarms.Advance(d.at, d.connected)
}

// leave and join are what the session does when the last connection goes and the first one comes.
func (d *desk) leave() {
	d.alarms = d.alarms.Advance(d.at, true)
	d.connected = false
}

func (d *desk) join() {
	d.alarms = d.alarms.Advance(d.at, false)
	d.connected = true
}

// restart stores the alarms and loads them again.
func (d *desk) restart() {
	d.Helper()
	stored, err := json.Marshal(d.alarms)
	if err != nil {
		d.Fatal(err)
	}
	var loaded Alarms
	if err := json.Unmarshal(stored, &loaded); err != nil {
		d.Fatalf("%s: %v", stored, err)
	}
	if !slices.EqualFunc(loaded, d.alarms, Alarm.same) {
		d.Fatalf("stored %+v, loaded %+v", d.alarms, loaded)
	}
	d.alarms = loaded
}

// is compares the status of each alarm, as "on ringing 24T07:30:00 snoozed … missed …" with the next occurrence.
func (d *desk) is(want ...string) {
	d.Helper()
	var got []string
	for _, a := range d.alarms {
		i := slices.IndexFunc(d.alarms.List(d.at), func(s AlarmStatus) bool { return s.Name == a.name })
		got = append(got, describe(d.alarms.List(d.at)[i]))
	}
	if !slices.Equal(got, want) {
		d.Errorf("at %s:\n got %q\nwant %q", d.at.Now.Format("02T15:04:05"), got, want)
	}
}

func describe(s AlarmStatus) string {
	short := func(at string) string {
		return strings.TrimPrefix(strings.TrimPrefix(at[:len("2026-11-23T07:30:00")], "2026-11-"), "23T")
	}
	text := "off"
	if s.Enabled {
		text = "on"
	}
	if s.Ringing {
		text += " ringing"
	}
	if s.Next != nil {
		text += " " + short(*s.Next)
	}
	if s.SnoozedUntil != nil {
		text += " snoozed " + short(*s.SnoozedUntil)
	}
	if s.Missed != nil {
		text += " missed " + short(*s.Missed)
	}
	return text
}

func (d *desk) stop(name string, want ...string) {
	d.Helper()
	alarms, names, err := d.alarms.Stop(d.at, name)
	if err != nil || !slices.Equal(names, want) {
		d.Errorf("at %s: stopped %q, %v, want %q", d.at.Now.Format("02T15:04:05"), names, err, want)
	}
	d.alarms = alarms
}

func (d *desk) snooze(args string, want ...string) {
	d.Helper()
	alarms, names, err := d.alarms.Snooze(d.at, args)
	if err != nil || !slices.Equal(names, want) {
		d.Errorf("at %s: snoozed %q, %v, want %q", d.at.Now.Format("02T15:04:05"), names, err, want)
	}
	d.alarms = alarms
}

func (d *desk) turn(on bool, name string) {
	d.Helper()
	change := d.alarms.Off
	if on {
		change = d.alarms.On
	}
	var err error
	if d.alarms, _, err = change(d.at, name); err != nil {
		d.Error(err)
	}
}

func (d *desk) zone(name string) {
	zone := mustZone(d, name)
	d.alarms = d.alarms.Rezone(d.at, zone)
	d.at.Zone = zone
	d.at.Now = d.at.Now.In(zone.Location())
}

func TestRing(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30:30 b", "+1h c")
	d.is("on 07:30:00", "on 07:30:30", "on 08:00:00")
	d.wait("07:29:59")
	d.is("on 07:30:00", "on 07:30:30", "on 08:00:00")
	d.wait("07:30:00")
	d.is("on ringing 24T07:30:00", "on 07:30:30", "on 08:00:00")
	d.wait("07:30:45")
	if got := d.alarms.Ringing(d.at); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q ring", got)
	}
	d.is("on ringing 24T07:30:00", "on ringing", "on 08:00:00")
	d.wait("07:31:00")
	d.is("on 24T07:30:00", "on ringing", "on 08:00:00")
	d.wait("08:00:59")
	d.is("on 24T07:30:00", "off", "on ringing")
	d.wait("08:01:00")
	d.is("on 24T07:30:00", "off", "off")
	if next := d.alarms.NextChange(d.at); !next.Equal(d.time("24T07:30:00")) {
		t.Errorf("the next change is at %v", next)
	}
}

func TestRingingInOrder(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30:20 third", "07:30 first", "07:30 second", "RRULE:FREQ=SECONDLY always")
	d.wait("07:30:40")
	if got := d.alarms.Ringing(d.at); !slices.Equal(got, []string{"always", "first", "second", "third"}) {
		t.Errorf("%q ring", got)
	}
	d.stop("first", "first")
	d.stop("always", "always")
	d.wait("07:30:41")
	if got := d.alarms.Ringing(d.at); !slices.Equal(got, []string{"second", "third", "always"}) {
		t.Errorf("%q ring", got)
	}
}

// What rings for longer than it takes to occur again began with the first of those that it rings for.
func TestRingingInOrderAfterARestart(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:29:30 second", "RRULE:FREQ=MINUTELY first")
	d.at.Ring = 10 * time.Minute
	d.restart()
	d.at.Now = d.time("07:30:10")
	d.join()
	if got := d.alarms.Ringing(d.at); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%q ring", got)
	}
}

func TestRingLengths(t *testing.T) {
	for ring, want := range map[time.Duration]string{
		time.Second:             "07:30:01",
		1500 * time.Millisecond: "07:30:02",
		time.Millisecond:        "07:30:01",
		time.Hour:               "08:30:00",
	} {
		d := newDesk(t, "07:00:00", "daily 07:30 a")
		d.at.Ring = ring
		d.wait("07:30:00")
		if end := d.alarms.NextChange(d.at); !end.Equal(d.time(want)) {
			t.Errorf("an alarm that rings for %v ends at %v, want %s", ring, end, want)
		}
	}
}

func TestStop(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b", "mon 08:00 c")
	d.stop("")
	d.stop("a")
	d.wait("07:30:10")
	d.stop("", "a", "b")
	d.is("on 24T07:30:00", "off", "on 08:00:00")
	d.wait("07:30:30")
	d.is("on 24T07:30:00", "off", "on 08:00:00")
	d.stop("")
	if _, _, err := d.alarms.Stop(d.at, "d"); err == nil || !strings.Contains(err.Error(), `no alarm "d"`) {
		t.Errorf("to stop an unknown one: %v", err)
	}
}

func TestSnooze(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 once", "daily 07:30 daily")
	d.snooze("5m")
	d.snooze("5m once")
	d.wait("07:30:10")
	d.snooze("5m", "once", "daily")
	d.is("on snoozed 07:35:10", "on 24T07:30:00 snoozed 07:35:10")
	d.wait("07:31:00")
	d.snooze("5m") // what is snoozed does not ring
	d.snooze("10m once", "once")
	d.is("on snoozed 07:41:00", "on 24T07:30:00 snoozed 07:35:10")
	d.wait("07:35:10")
	d.is("on snoozed 07:41:00", "on ringing 24T07:30:00")
	d.wait("07:36:10")
	d.is("on snoozed 07:41:00", "on 24T07:30:00")
	d.wait("07:41:59")
	d.is("on ringing", "on 24T07:30:00")
	d.snooze("1h", "once")
	d.stop("", "once")
	d.is("off", "on 24T07:30:00")
	d.wait("09:00:00")
	d.is("off", "on 24T07:30:00")
}

func TestSnoozeRoundsUp(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 a")
	d.wait("07:30:00")
	d.at.Now = d.at.Now.Add(time.Millisecond)
	d.snooze("10s", "a")
	d.is("on snoozed 07:30:11")
	d.add("+1s b")
	d.is("on snoozed 07:30:11", "on 07:30:02")
	if got := d.alarms[1].when; got != "2026-11-23T07:30:02+01:00" {
		t.Errorf("the timer is for %s", got)
	}
}

func TestSnoozeOverAnOccurrence(t *testing.T) {
	d := newDesk(t, "07:00:00", "RRULE:FREQ=HOURLY;BYMINUTE=30;BYSECOND=0 a")
	d.wait("07:30:00")
	d.snooze("90m", "a")
	d.wait("08:30:00")
	d.is("on ringing 09:30:00 snoozed 09:00:00")
	d.wait("08:31:00")
	d.is("on 09:30:00 snoozed 09:00:00")
	d.wait("09:00:00")
	d.is("on ringing 09:30:00")
	d.leave()
	d.wait("09:31:00")
	d.is("on 10:30:00 missed 09:30:00")
}

func TestMissed(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 once", "daily 07:30 daily")
	d.leave()
	d.wait("07:45:00")
	d.is("off missed 07:30:00", "on 24T07:30:00 missed 07:30:00")
	d.wait("25T07:30:30")
	d.is("off missed 07:30:00", "on ringing 26T07:30:00 missed 24T07:30:00")
	d.join()
	d.wait("25T07:45:00")
	d.is("off missed 07:30:00", "on 26T07:30:00 missed 24T07:30:00")
	d.turn(true, "once")
	d.turn(false, "daily")
	d.is("on 26T07:30:00 missed 07:30:00", "off missed 24T07:30:00")
	d.stop("once", "once")
	d.stop("", "daily")
	d.is("on 26T07:30:00", "off")
}

func TestMissedAfterASnooze(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 a")
	d.wait("07:30:00")
	d.snooze("10m", "a")
	d.leave()
	d.wait("07:50:00")
	d.is("off missed 07:40:00")
}

// Somebody who is there at any time of a ring has heard it.
func TestHeard(t *testing.T) {
	for name, do := range map[string]func(*desk){
		"leaves before its end": func(d *desk) {
			d.wait("07:30:01")
			d.leave()
		},
		"comes before its end": func(d *desk) {
			d.leave()
			d.wait("07:30:59")
			d.join()
		},
		"comes and goes": func(d *desk) {
			d.leave()
			d.wait("07:30:10")
			d.join()
			d.wait("07:30:20")
			d.leave()
		},
		"comes, and the server restarts": func(d *desk) {
			d.leave()
			d.wait("07:30:10")
			d.join()
			d.wait("07:30:20")
			d.leave()
			d.restart()
			d.jump("07:50:00")
		},
	} {
		d := newDesk(t, "07:00:00", "07:30 a")
		do(d)
		d.wait("08:00:00")
		if got := describe(d.alarms.List(d.at)[0]); got != "off" {
			t.Errorf("who %s: %s", name, got)
		}
	}
}

func TestClockSetForward(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 once", "daily 07:59:30 daily", "08:30 later")
	d.jump("08:00:00") // over one, and into the ring of the other
	d.is("off missed 07:30:00", "on ringing 24T07:59:30", "on 08:30:00")
	d.wait("08:00:30")
	d.is("off missed 07:30:00", "on 24T07:59:30", "on 08:30:00")
	d.wait("08:30:10")
	d.jump("09:30:10") // in the middle of a ring that was heard
	d.is("off missed 07:30:00", "on 24T07:59:30", "off")
}

func TestClockSetBack(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 stopped", "daily 07:30 ended", "07:30 once", "daily 07:10 early")
	d.wait("07:30:10")
	d.stop("stopped", "stopped")
	d.wait("07:45:00")
	d.jump("06:45:00")
	d.is("on 24T07:30:00", "on 24T07:30:00", "off", "on 24T07:10:00")
	d.wait("07:50:00")
	d.is("on 24T07:30:00", "on 24T07:30:00", "off", "on 24T07:10:00")
}

func TestClockSetBackWhileRinging(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "07:30 b")
	d.wait("07:30:05")
	d.jump("07:29:40") // less than it rings: it rings on
	d.is("on ringing 24T07:30:00", "on ringing")
	d.wait("07:30:59")
	d.is("on ringing 24T07:30:00", "on ringing")
	d.jump("06:30:59") // an hour: that was it
	d.is("on 24T07:30:00", "off")
	d.wait("07:31:00")
	d.is("on 24T07:30:00", "off")
}

func TestClockSetBackWhileNobodyHears(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a")
	d.leave()
	d.wait("07:30:05")
	d.jump("06:30:00")
	d.is("on 24T07:30:00 missed 07:30:00")
}

// A clock that was wrong for a while does not silence what it had jumped over.
func TestClockSetForwardAndBack(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "RRULE:FREQ=HOURLY b")
	d.at.Now = d.at.Now.AddDate(10, 0, 0)
	d.alarms = d.alarms.Advance(d.at, true)
	d.jump("07:00:10")
	d.is("on 07:30:00 missed 2036-11-22T07:30:00", "on 08:00:00 missed 2036-11-23T06:00:00")
	d.wait("08:00:00")
	d.is("on 24T07:30:00 missed 2036-11-22T07:30:00", "on ringing 09:00:00 missed 2036-11-23T06:00:00")
}

func TestSnoozeAfterClockSetBack(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a")
	d.wait("07:30:05")
	d.jump("07:29:40")
	d.snooze("10s", "a")
	d.is("on 24T07:30:00 snoozed 07:29:50")
	d.wait("07:29:50")
	d.is("on ringing 24T07:30:00")
	d.jump("06:29:50")
	d.is("on 24T07:30:00")

	d = newDesk(t, "07:00:00", "daily 07:30 a")
	d.wait("07:30:05")
	d.snooze("10m", "a")
	d.jump("06:30:00")
	d.snooze("10m a", "a")
	d.leave()
	d.wait("06:41:00")
	d.is("on 24T07:30:00 missed 06:40:00")
	d.wait("07:59:00")
	d.is("on 24T07:30:00 missed 06:40:00")
}

// A snooze that is to come stays when the clock is set back over the beginning of a ring.
func TestSnoozeStaysWhenClockIsSetBack(t *testing.T) {
	d := newDesk(t, "07:00:00", "RRULE:FREQ=HOURLY;BYMINUTE=30;BYSECOND=0 a")
	d.wait("07:30:00")
	d.snooze("90m", "a")
	d.wait("08:30:00")
	d.jump("08:00:00")
	d.is("on 09:30:00 snoozed 09:00:00")
}

func TestSuspendOverAnOccurrence(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 once", "daily 07:30 daily")
	d.jump("11:00:00")
	d.is("off missed 07:30:00", "on 24T07:30:00 missed 07:30:00")
}

func TestRestartWhileRinging(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 a", "daily 07:30 b", "daily 07:29:50 c")
	d.wait("07:30:20")
	d.snooze("10m c", "c")
	d.leave()
	d.restart()
	d.at.Now = d.time("07:30:40")
	d.join()
	d.is("on ringing", "on ringing 24T07:30:00", "on 24T07:29:50 snoozed 07:40:20")
	d.wait("07:31:00")
	d.is("off", "on 24T07:30:00", "on 24T07:29:50 snoozed 07:40:20")
}

// A restart from a record that was written before the ring began.
func TestRestartFromAnOlderRecord(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 a", "daily 07:29 b")
	d.restart()
	d.at.Now = d.time("07:30:30")
	d.join()
	d.is("on ringing", "on 24T07:29:00 missed 07:29:00")
}

func TestNightOffline(t *testing.T) {
	d := newDesk(t, "07:00:00", "RRULE:FREQ=SECONDLY a", "RRULE:FREQ=MINUTELY b", "daily 03:00 c", "RRULE:FREQ=HOURLY;COUNT=3 d")
	d.leave()
	d.jump("24T07:00:30")
	d.is("on ringing 24T07:00:31 missed 24T06:59:30", "on ringing 24T07:01:00 missed 24T06:59:00",
		"on 25T03:00:00 missed 24T03:00:00", "off missed 10:00:00")
	d.jump("30T23:59:59")
	d.at.Now = d.at.Now.AddDate(1, 0, 0)
	d.alarms = d.alarms.Advance(d.at, false)
	d.is("on ringing 2027-12-01T00:00:00 missed 2027-11-30T23:58:59", "on ringing 2027-12-01T00:00:00 missed 2027-11-30T23:58:00",
		"on 2027-12-01T03:00:00 missed 2027-11-30T03:00:00", "off missed 10:00:00")
}

func TestOnAndOff(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 bare", "daily 07:30 daily", "2026-11-23 07:30 date", "+30m timer")
	d.wait("07:30:10")
	for _, name := range []string{"bare", "daily", "date", "timer"} {
		d.turn(false, name)
	}
	d.is("off", "off", "off", "off")
	d.turn(true, "bare")
	d.turn(true, "daily")
	d.is("on 24T07:30:00", "on 24T07:30:00", "off", "off")
	for _, name := range []string{"date", "timer"} {
		if alarms, _, err := d.alarms.On(d.at, name); err == nil || !strings.Contains(err.Error(), "has passed") || !slices.EqualFunc(alarms, d.alarms, Alarm.same) {
			t.Errorf("%s was switched on: %v", name, err)
		}
	}
	d.wait("24T06:00:00")
	d.turn(false, "daily")
	d.wait("24T08:00:00")
	d.turn(true, "daily")
	d.is("off", "on 25T07:30:00", "off", "off")
}

func TestOffEndsSnooze(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 a")
	d.wait("07:30:10")
	d.snooze("10m", "a")
	d.turn(false, "a")
	d.is("off")
	d.turn(true, "a")
	d.wait("08:00:00")
	d.is("on 24T07:30:00")
}

// ON plans a time of day anew and nothing else, and what rings rings on.
func TestOnWhenOn(t *testing.T) {
	d := newDesk(t, "07:00:00", "07:30 bare", "daily 07:30 daily", "2026-11-23 07:30 date")
	d.wait("07:30:10")
	d.turn(true, "bare")
	d.turn(true, "daily")
	d.is("on ringing 24T07:30:00", "on ringing 24T07:30:00", "on ringing")
	d.wait("07:31:00")
	d.is("on 24T07:30:00", "on 24T07:30:00", "off")
	d.wait("24T07:30:30")
	d.is("on ringing", "on ringing 25T07:30:00", "off")
}

func TestRezone(t *testing.T) {
	d := newDesk(t, "12:00:00", "14:30 bare", "daily 14:30 daily", "2026-11-23 14:30 date", "2026-11-23T14:30:00+01:00 instant", "+150m timer",
		"RRULE:FREQ=DAILY;BYHOUR=14;BYMINUTE=30 rule", "10:00 tomorrow")
	d.is("on 14:30:00", "on 14:30:00", "on 14:30:00", "on 14:30:00", "on 14:30:00", "on 14:30:00", "on 24T10:00:00")
	d.zone("Europe/London") // 11:00: all of it is to come
	d.is("on 14:30:00", "on 14:30:00", "on 14:30:00", "on 13:30:00", "on 13:30:00", "on 14:30:00", "on 24T10:00:00")
	d.zone("Asia/Tokyo") // 20:00: it has passed
	d.is("on 24T14:30:00", "on 24T14:30:00", "off", "on 22:30:00", "on 22:30:00", "on 24T14:30:00", "on 24T10:00:00")
	d.zone("America/Los_Angeles") // 03:00: once more to come, as is 10:00 today
	d.is("on 14:30:00", "on 14:30:00", "off", "on 05:30:00", "on 05:30:00", "on 14:30:00", "on 10:00:00")
	d.turn(true, "date")
	d.wait("14:30:10")
	d.is("on ringing", "on ringing 24T14:30:00", "on ringing", "off", "off", "on ringing 24T14:30:00", "off")
}

func TestRezoneWhileRinging(t *testing.T) {
	d := newDesk(t, "12:00:00", "12:30 bare", "daily 12:30 daily", "2026-11-23 12:30 date", "+30m timer", "daily 12:29:50 snoozed")
	d.wait("12:30:10")
	d.snooze("5m snoozed", "snoozed")
	for _, zone := range []string{"Europe/London", "Asia/Tokyo", "Europe/Paris", "America/New_York"} {
		d.zone(zone)
		if got := d.alarms.Ringing(d.at); len(got) != 4 {
			t.Errorf("in %s %q ring", zone, got)
		}
		d.restart()
	}
	d.is("on ringing", "on ringing 12:30:00", "on ringing", "on ringing", "on 12:29:50 snoozed 06:35:10") // 06:30:10
	d.wait("06:31:00")
	d.is("off", "on 12:30:00", "off", "off", "on 12:29:50 snoozed 06:35:10")
	d.wait("12:30:10")
	d.is("off", "on ringing 24T12:30:00", "off", "off", "on ringing 24T12:29:50")
}

func TestRezoneToTheSame(t *testing.T) {
	d := newDesk(t, "12:00:00", "12:30 a", "daily 11:00 b")
	if got := d.alarms.Rezone(d.at, d.at.Zone); &got[0] != &d.alarms[0] {
		t.Error("a zone that is the same changed the alarms")
	}
}
