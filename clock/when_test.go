package clock

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestForms has every form of <when> that the protocol names, added on Sunday 2026-11-22 at 10:00:00 in Paris: the first
// occurrence, and what ALARM LIST shows as the <when> where it is not as given.
func TestForms(t *testing.T) {
	at := At{Now: mustTime(t, "2026-11-22T09:00:00Z"), Zone: mustZone(t, "Europe/Paris")}
	for _, c := range []struct{ when, next, shown string }{
		{"10:00:01", "2026-11-22T10:00:01+01:00", ""},
		{"10:00", "2026-11-23T10:00:00+01:00", ""},
		{"00:00", "2026-11-23T00:00:00+01:00", ""},
		{"23:59:59", "2026-11-22T23:59:59+01:00", ""},
		{"daily 07:30", "2026-11-23T07:30:00+01:00", ""},
		{"DAILY 11:30:15", "2026-11-22T11:30:15+01:00", ""},
		{"mon-fri 07:30", "2026-11-23T07:30:00+01:00", ""},
		{"sat,sun 09:00", "2026-11-28T09:00:00+01:00", ""},
		{"sun 10:00", "2026-11-29T10:00:00+01:00", ""},
		{"Fri-Mon 12:00", "2026-11-22T12:00:00+01:00", ""},
		{"mon,wed-fri 12:00", "2026-11-23T12:00:00+01:00", ""},
		{"wed-fri,mon,wed 12:00", "2026-11-23T12:00:00+01:00", ""},
		{"tue-tue 12:00", "2026-11-24T12:00:00+01:00", ""},
		{"2026-12-24T18:00", "2026-12-24T18:00:00+01:00", ""},
		{"2026-12-24t18:00", "2026-12-24T18:00:00+01:00", ""},
		{"2026-12-24 18:00:30", "2026-12-24T18:00:30+01:00", ""},
		{"2028-02-29 00:00", "2028-02-29T00:00:00+01:00", ""},
		{"9998-12-31 23:59:59", "9998-12-31T23:59:59+01:00", ""},
		{"2026-12-24T18:00:00Z", "2026-12-24T19:00:00+01:00", ""},
		{"2026-12-24T18:00z", "2026-12-24T19:00:00+01:00", ""},
		{"2026-12-24T18:00:00+01:00", "2026-12-24T18:00:00+01:00", ""},
		{"2026-12-24 18:00:00-05:30", "2026-12-25T00:30:00+01:00", ""},
		{"2026-07-24T18:00:00+02:00", "", ""},
		{"2027-07-24T18:00:00+14:00", "2027-07-24T06:00:00+02:00", ""},
		{"+10m", "2026-11-22T10:10:00+01:00", "2026-11-22T10:10:00+01:00"},
		{"+1h30m", "2026-11-22T11:30:00+01:00", "2026-11-22T11:30:00+01:00"},
		{"+90s", "2026-11-22T10:01:30+01:00", "2026-11-22T10:01:30+01:00"},
		{"+200d", "2027-06-10T11:00:00+02:00", "2027-06-10T11:00:00+02:00"},
		{"RRULE:FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "2026-12-07T09:00:00+01:00", ""},
		{"rrule:freq=daily", "2026-11-23T10:00:00+01:00", ""},
		{"RRULE:FREQ=DAILY;UNTIL=20261123T090000Z", "2026-11-23T10:00:00+01:00", ""},
	} {
		alarms, status, err := Alarms(nil).Add(at, c.when+" My  alarm")
		if c.next == "" {
			if err == nil || !strings.Contains(err.Error(), "has passed") {
				t.Errorf("%s: %v", c.when, err)
			}
			continue
		}
		if err != nil || status.Next == nil || *status.Next != c.next {
			t.Errorf("%s rings first at %v, %v, want %s", c.when, status.Next, err, c.next)
			continue
		}
		if c.shown == "" {
			c.shown = c.when
		}
		if status.When != c.shown || status.Name != "My  alarm" || !status.Enabled || status.Ringing {
			t.Errorf("%s is %+v", c.when, status)
		}
		if again, _, err := Alarms(nil).Add(at, status.When+" x"); err != nil || again[0].next(at) != alarms[0].next(at) {
			t.Errorf("%s cannot be added again: %v", status.When, err)
		}
	}
}

func TestUntilIsLocal(t *testing.T) {
	at := At{Now: mustTime(t, "2026-11-22T09:00:00Z"), Zone: mustZone(t, "Europe/Paris")}
	for rule, want := range map[string]string{
		"FREQ=DAILY;UNTIL=20261124T090000Z": "2026-11-24T10:00:00",
		"FREQ=DAILY;UNTIL=20261124T085959Z": "2026-11-23T10:00:00",
		"FREQ=DAILY;UNTIL=20261124T100000":  "2026-11-24T10:00:00",
		"FREQ=DAILY;UNTIL=20270701T080000Z": "2027-07-01T10:00:00",
		"FREQ=DAILY;COUNT=2":                "2026-11-24T10:00:00",
	} {
		a, err := newAlarm(at, "RRULE:"+rule+" x")
		if err != nil {
			t.Fatal(err)
		}
		for _, zone := range []string{"Europe/Paris", "America/New_York"} {
			w := a.parse()
			last := w.latest(mustZone(t, zone), a.done, a.done+400*day).in(mustZone(t, zone)).time().Format("2006-01-02T15:04:05")
			if last != want {
				t.Errorf("%s ends at %s in %s, want %s", rule, last, zone, want)
			}
		}
	}
}

// TestBadWhen has arguments of ALARM ADD that are refused, and what the error says; see also TestBadRules.
func TestBadWhen(t *testing.T) {
	at := At{Now: mustTime(t, "2026-11-22T09:00:00Z"), Zone: mustZone(t, "Europe/Paris")}
	alarms, _, err := Alarms(nil).Add(at, "daily 07:30 taken")
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"":                                       "bad <when>",
		" ":                                      "bad <when>",
		"x":                                      "bad <when>",
		"07:30":                                  "no name",
		"07:30 ":                                 "no name",
		"daily 07:30":                            "no name",
		"daily":                                  "bad time of day",
		"daily x":                                "bad time of day",
		"funday 07:30 x":                         "bad <when>",
		"monday 07:30 x":                         "bad <when>",
		"mon- 07:30 x":                           "bad <when>",
		"-fri 07:30 x":                           "bad <when>",
		"mon,,fri 07:30 x":                       "bad <when>",
		"mon-wed-fri 07:30 x":                    "bad <when>",
		"daily,mon 07:30 x":                      "bad <when>",
		"daily  07:30 x":                         "bad time of day",
		"24:00 x":                                "bad time of day",
		"25:00 x":                                "bad time of day",
		"07:60 x":                                "bad time of day",
		"07:30:60 x":                             "bad time of day",
		"7:30 x":                                 "bad time of day",
		"07:3 x":                                 "bad time of day",
		"07:30:5 x":                              "bad time of day",
		"07:30:15.5 x":                           "bad time of day",
		"07:30,5 x":                              "bad time of day",
		"7:30:15. x":                             "bad time of day",
		"07:30Z x":                               "bad time of day",
		"-1:30 x":                                "bad time of day",
		"2020-01-01 00:00 past":                  "has passed",
		"2026-11-22 10:00 now":                   "has passed",
		"2026-11-22T09:00:00Z now":               "has passed",
		"0000-01-01 00:00 x":                     "has passed",
		"2031-02-30 10:00 x":                     "no such date",
		"2031-02-29 10:00 x":                     "no such date",
		"2031-13-01 10:00 x":                     "no such date",
		"2031-1-01 10:00 x":                      "no such date",
		"31-01-01 10:00 x":                       "no such date",
		"12031-01-01 10:00 x":                    "no such date",
		"20310101 10:00 x":                       "no such date",
		"9999-01-01 10:00 x":                     "too far",
		"2031-01-01 24:00 x":                     "bad time of day",
		"2031-01-01T10:00:00.5 x":                "bad time of day",
		"2031-01-01T x":                          "bad time of day",
		"2031-01-01T10:00:00+1 x":                "bad",
		"2031-01-01T10:00:00+0100 x":             "bad",
		"2031-01-01T10:00:00+24:00 x":            "bad offset",
		"2031-01-01T10:00:00ZZ x":                "bad",
		"2031-01-01T10:00:00Z+01:00 x":           "bad",
		"2031-01-01T10:00:00+01:00:00 x":         "bad offset",
		"+ x":                                    "no duration",
		"+0s x":                                  "too short",
		"+-5m x":                                 "bad duration",
		"+99999999h x":                           "too long",
		"+367d x":                                "too long",
		"RRULE: x":                               "bad part",
		"RRULE:FREQ=DAILY":                       "no name",
		"daily 07:30 taken":                      "already",
		"daily 07:30  a":                         "space",
		"daily 07:30 a ":                         "space",
		"daily 07:30 \u00a0a":                    "space",
		"daily 07:30 a\u2029":                    "space",
		"daily 07:30 a\nb":                       "control",
		"daily 07:30 a\x00b":                     "control",
		"daily 07:30 a\u0085b":                   "control",
		"daily 07:30 a\x7fb":                     "control",
		"daily 07:30 a\xffb":                     "UTF-8",
		"daily 07:30 " + strings.Repeat("n", 65): "65 characters",
		"daily 07:30 " + strings.Repeat("☕", 65):             "65 characters",
		"daily 07:30 " + strings.Repeat("n", 4000):           "4000 characters",
		strings.Repeat("mon,", 1000) + "x 07:30 x":           "bad <when>",
		strings.Repeat("9", 4000) + " 07:30 x":               "no such date",
		"RRULE:" + strings.Repeat("FREQ=DAILY;", 3) + " x":   "twice",
		"RRULE:" + strings.Repeat("FREQ=DAILY;", 300) + " x": "at most 512",
	} {
		got, _, err := alarms.Add(at, args)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want an error with %q", args, err, want)
			continue
		}
		if len(got) != 1 || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("%.60q: %d alarms after %q", args, len(got), err)
		}
	}
	for _, name := range []string{"a", "Tea time ☕", strings.Repeat("☕", 64), "a  b", `"<>&\`, "Taken"} {
		if _, status, err := alarms.Add(at, "daily 07:30 "+name); err != nil || status.Name != name {
			t.Errorf("the name %q: %q, %v", name, status.Name, err)
		}
	}
}

func FuzzAdd(f *testing.F) {
	for _, args := range []string{
		"07:30 a", "daily 07:30:15 b", "sat,Fri-Mon 09:00 c", "2031-03-30 02:30 d", "2031-07-24T18:00:00+05:30 e", "+1h30m f",
		"RRULE:FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU,-1MO;BYHOUR=8,9;BYMINUTE=30;UNTIL=20400101T000000Z g",
		"RRULE:FREQ=SECONDLY;INTERVAL=7;BYYEARDAY=-1,366;BYSECOND=60;COUNT=9 h", "RRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1;WKST=SU i",
	} {
		f.Add(args, int64(1774746000))
	}
	f.Fuzz(func(t *testing.T, args string, now int64) {
		at := At{Now: time.Unix(1e9+now&(1<<31-1), 0), Zone: mustZone(t, "Europe/Paris"), Ring: time.Minute}
		alarms, status, err := Alarms(nil).Add(at, args)
		if err != nil {
			if len(alarms) != 0 || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%d alarms with error %q", len(alarms), err)
			}
			return
		}
		next, err := time.Parse(time.RFC3339, *status.Next)
		if err != nil || !next.After(at.Now) {
			t.Errorf("%q rings next at %v, %v, which is not after %v", args, next, err, at.Now)
		}
		stored, err := json.Marshal(alarms)
		if err != nil {
			t.Fatal(err)
		}
		var loaded Alarms
		if err := json.Unmarshal(stored, &loaded); err != nil || !loaded[0].same(alarms[0]) {
			t.Errorf("%s: loaded %+v, %v", stored, loaded, err)
		}
		if change := alarms.NextChange(at); !change.Equal(next) {
			t.Errorf("%q rings next at %v, but the next change is at %v", args, next, change)
		}
		at.Now = next
		if ringing := alarms.Advance(at, true).Ringing(at); len(ringing) != 1 {
			t.Errorf("%q does not ring at %v", args, next)
		}
	})
}
