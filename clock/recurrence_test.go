package clock

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// rfcRules are the examples of RFC 5545, section 3.8.5.3, unless they say otherwise, in America/New_York: the start, the
// rule, and the occurrences after the start as far as the RFC lists them. Their COUNT, which includes the start there,
// is one less here. Months and years are given where they change.
var rfcRules = []struct{ start, rule, want string }{
	{"19970902T090000", "FREQ=DAILY;COUNT=9", "0903 04 05 06 07 08 09 10 11 end"},
	{"19971220T090000", "FREQ=DAILY;UNTIL=19971224T000000Z", "1221 22 23 end"},
	{"19970902T090000", "FREQ=DAILY;INTERVAL=2", "0904 06 08 10 12 14 16 18 20 22 24 26 28 30 1002 04 06 08 10 12 14 16 18 20 22 24 26 28 30 1101"},
	{"19970902T090000", "FREQ=DAILY;INTERVAL=10;COUNT=4", "0912 22 1002 12 end"},
	{"19980101T090000", "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA", "0102 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 19990101 02"},
	{"19980101T090000", "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1", "0102 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 19990101 02"},
	{"19970902T090000", "FREQ=WEEKLY;COUNT=9", "0909 16 23 30 1007 14 21 28 1104 end"},
	{"19970902T090000", "FREQ=WEEKLY;UNTIL=19971224T000000Z", "0909 16 23 30 1007 14 21 28 1104 11 18 25 1202 09 16 23 end"},
	{"19970902T090000", "FREQ=WEEKLY;INTERVAL=2;WKST=SU", "0916 30 1014 28 1111 25 1209 23 19980106 20 0203 17"},
	{"19970902T090000", "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "0904 09 11 16 18 23 25 30 1002 end"},
	{"19970901T090000", "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR", "0903 05 15 17 19 29 1001 03 13 15 17 27 29 31 1110 12 14 24 26 28 1208 10 12 22 end"},
	{"19970902T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=7;WKST=SU;BYDAY=TU,TH", "0904 16 18 30 1002 14 16 end"},
	{"19970905T090000", "FREQ=MONTHLY;COUNT=9;BYDAY=1FR", "1003 1107 1205 19980102 0206 0306 0403 0501 0605 end"},
	{"19970905T090000", "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR", "1003 1107 1205 end"},
	{"19970907T090000", "FREQ=MONTHLY;INTERVAL=2;COUNT=9;BYDAY=1SU,-1SU", "0928 1102 30 19980104 25 0301 29 0503 31 end"},
	{"19970922T090000", "FREQ=MONTHLY;COUNT=5;BYDAY=-2MO", "1020 1117 1222 19980119 0216 end"},
	{"19970928T090000", "FREQ=MONTHLY;BYMONTHDAY=-3", "1029 1128 1229 19980129 0226"},
	{"19970902T090000", "FREQ=MONTHLY;COUNT=9;BYMONTHDAY=2,15", "0915 1002 15 1102 15 1202 15 19980102 15 end"},
	{"19970930T090000", "FREQ=MONTHLY;COUNT=9;BYMONTHDAY=1,-1", "1001 31 1101 30 1201 31 19980101 31 0201 end"},
	{"19970910T090000", "FREQ=MONTHLY;INTERVAL=18;COUNT=9;BYMONTHDAY=10,11,12,13,14,15", "0911 12 13 14 15 19990310 11 12 13 end"},
	{"19970902T090000", "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "0909 16 23 30 1104 11 18 25 19980106 13 20 27 0303 10 17 24 31"},
	{"19970610T090000", "FREQ=YEARLY;COUNT=9;BYMONTH=6,7", "0710 19980610 0710 19990610 0710 20000610 0710 20010610 0710 end"},
	{"19970310T090000", "FREQ=YEARLY;INTERVAL=2;COUNT=9;BYMONTH=1,2,3", "19990110 0210 0310 20010110 0210 0310 20030110 0210 0310 end"},
	{"19970101T090000", "FREQ=YEARLY;INTERVAL=3;COUNT=9;BYYEARDAY=1,100,200", "0410 0719 20000101 0409 0718 20030101 0410 0719 20060101 end"},
	{"19970519T090000", "FREQ=YEARLY;BYDAY=20MO", "19980518 19990517"},
	{"19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "19980511 19990517"},
	{"19970313T090000", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "0320 27 19980305 12 19 26 19990304 11 18 25"},
	{"19970605T090000", "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8", "0612 19 26 0703 10 17 24 31 0807 14 21 28 19980604 11 18 25 0702 09 16 23 30 0806 13 20 27"},
	{"19970902T090000", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19980213 0313 1113 19990813 20001013"},
	{"19970913T090000", "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "1011 1108 1213 19980110 0207 0307 0411 0509 0613"},
	{"19961105T090000", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "20001107 20041102"},
	{"19970904T090000", "FREQ=MONTHLY;COUNT=2;BYDAY=TU,WE,TH;BYSETPOS=3", "1007 1106 end"},
	{"19970929T090000", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1030 1127 1230 19980129 0226 0330"},
	{"19970902T090000", "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", "T12:00 T15:00 end"}, // UNTIL as erratum 3883 has it; it does not list 17:00 either
	{"19970902T090000", "FREQ=MINUTELY;INTERVAL=15;COUNT=5", "T09:15 T09:30 T09:45 T10:00 T10:15 end"},
	{"19970902T090000", "FREQ=MINUTELY;INTERVAL=90;COUNT=3", "T10:30 T12:00 T13:30 end"},
	{"19970902T090000", "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40", "T09:20 T09:40 T10:00 T10:20 T10:40 T11:00 T11:20 T11:40 T12:00 T12:20 T12:40 T13:00 T13:20 T13:40 T14:00 T14:20 T14:40 T15:00 T15:20 T15:40 T16:00 T16:20 T16:40 0903T09:00"},
	{"19970902T090000", "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16", "T09:20 T09:40 T10:00 T10:20 T10:40 T11:00 T11:20 T11:40 T12:00 T12:20 T12:40 T13:00 T13:20 T13:40 T14:00 T14:20 T14:40 T15:00 T15:20 T15:40 T16:00 T16:20 T16:40 0903T09:00"},
	{"19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=MO", "10 19 24 end"},
	{"19970805T090000", "FREQ=WEEKLY;INTERVAL=2;COUNT=3;BYDAY=TU,SU;WKST=SU", "17 19 31 end"},
	{"20070115T090000", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=4", "30 0215 0315 30 end"},
	// Section 3.3.10.
	{"19970105T083000", "FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU;BYHOUR=8,9;BYMINUTE=30", "T09:30 12T08:30 T09:30 19T08:30 T09:30 26T08:30 T09:30 19990103T08:30 T09:30"},
	{"19970930T090000", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "1031 1128 1231 19980130 0227"},
	// What is implied there: BYDAY with and without numbers is a union; the set of BYSETPOS is the whole week; the last
	// week of a year has days in the next one; what a month does not have is skipped; there is no second 60.
	{"19970902T090000", "FREQ=MONTHLY;BYDAY=MO,1TU;COUNT=5", "08 15 22 29 1006 end"},
	{"19970903T090000", "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1;COUNT=2", "08 15 end"},
	{"20210601T090000", "FREQ=YEARLY;BYWEEKNO=52;BYDAY=SA,SU", "20220101 02 1231 20230101 1230 31 20241228 29"},
	{"20210601T090000", "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=SU", "20220102 20230101 1231 20241229 20251228 20270103"},
	{"20230131T090000", "FREQ=MONTHLY", "0331 0531 0731 0831 1031 1231 20240131"},
	{"20240229T090000", "FREQ=YEARLY", "20280229 20320229"},
	{"19970902T090000", "FREQ=MINUTELY;BYSECOND=60;COUNT=1", "T09:00:59 end"},
}

func TestRFCRules(t *testing.T) {
	zone := mustZone(t, "America/New_York")
	for _, c := range rfcRules {
		start, err := time.ParseInLocation("20060102T150405", c.start, zone.Location())
		if err != nil {
			t.Fatal(err)
		}
		a, err := newAlarm(At{Now: start, Zone: zone}, "RRULE:"+c.rule+" x")
		if err != nil {
			t.Errorf("%s %s: %v", c.start, c.rule, err)
			continue
		}
		w := a.parse()
		at := a.done
		shown := start.Format("20060102T15:04:05")
		for want := range strings.FieldsSeq(c.want) {
			next, ok := w.after(zone, at, never)
			if want == "end" {
				if ok {
					t.Errorf("%s %s: then %s, want none", c.start, c.rule, next.time().In(zone.Location()))
				}
				break
			}
			if shown = apply(shown, want); !ok || next.time().In(zone.Location()).Format("20060102T15:04:05") != shown {
				t.Errorf("%s %s: got %s, want %s", c.start, c.rule, next.time().In(zone.Location()), shown)
				break
			}
			at = next
		}
	}
}

// apply replaces the end of the date and the beginning of the time that shown is by what want has of them.
func apply(shown, want string) string {
	date, clock, _ := strings.Cut(want, "T")
	oldDate, oldClock, _ := strings.Cut(shown, "T")
	return oldDate[:len(oldDate)-len(date)] + date + "T" + clock + oldClock[len(clock):]
}

// TestBadRules are rules that ALARM ADD refuses, and what the error says.
func TestBadRules(t *testing.T) {
	at := At{Now: mustTime(t, "2026-11-22T10:00:00Z"), Zone: mustZone(t, "Europe/Paris")}
	for rule, want := range map[string]string{
		"":                                          "bad part",
		"FREQ":                                      "bad part",
		"FREQ=":                                     "bad part",
		"FREQ=DAILY;":                               "bad part",
		";FREQ=DAILY":                               "bad part",
		"COUNT=3":                                   "no FREQ",
		"FREQ=NEVER":                                "bad FREQ",
		"FREQ=DAILY;FREQ=DAILY":                     "twice",
		"FREQ=DAILY;BYDAY=MO;BYDAY=TU":              "BYDAY is twice",
		"FREQ=DAILY;BYEASTER=1":                     "unknown part \"BYEASTER\"",
		"FREQ=DAILY;DTSTART=20200101T000000":        "unknown part",
		"FREQ=DAILY;RSCALE=GREGORIAN":               "unknown part",
		"FREQ=DAILY;COUNT=0":                        "bad COUNT",
		"FREQ=DAILY;COUNT=-1":                       "bad COUNT",
		"FREQ=DAILY;COUNT=+1":                       "bad COUNT",
		"FREQ=DAILY;COUNT=10001":                    "bad COUNT",
		"FREQ=DAILY;COUNT=99999999999999999999":     "bad COUNT",
		"FREQ=DAILY;INTERVAL=0":                     "bad INTERVAL",
		"FREQ=DAILY;INTERVAL=1.5":                   "bad INTERVAL",
		"FREQ=SECONDLY;INTERVAL=999999999":          "bad INTERVAL",
		"FREQ=MINUTELY;INTERVAL=527041":             "more than 366 days",
		"FREQ=HOURLY;INTERVAL=8785":                 "more than 366 days",
		"FREQ=DAILY;COUNT=3;UNTIL=20300101T000000Z": "COUNT and UNTIL",
		"FREQ=DAILY;UNTIL=20300101":                 "bad UNTIL",
		"FREQ=DAILY;UNTIL=20300230T000000":          "bad UNTIL",
		"FREQ=DAILY;UNTIL=20300101T000000+0100":     "bad UNTIL",
		"FREQ=DAILY;UNTIL=20200101T000000Z":         "never occurs",
		"FREQ=DAILY;UNTIL=20261122T110000":          "never occurs", // the second of adding
		"FREQ=DAILY;WKST=XX":                        "bad weekday",
		"FREQ=DAILY;BYDAY=":                         "bad part",
		"FREQ=DAILY;BYDAY=M":                        "bad weekday",
		"FREQ=DAILY;BYDAY=MO,":                      "bad weekday",
		"FREQ=MONTHLY;BYDAY=0MO":                    "bad BYDAY",
		"FREQ=YEARLY;BYDAY=54MO":                    "bad BYDAY",
		"FREQ=YEARLY;BYDAY=+-1MO":                   "bad BYDAY",
		"FREQ=DAILY;BYDAY=1MO":                      "BYDAY with a number with FREQ=DAILY",
		"FREQ=YEARLY;BYDAY=1MO;BYWEEKNO=20":         "together with BYWEEKNO",
		"FREQ=DAILY;BYMONTH=0":                      "bad BYMONTH",
		"FREQ=DAILY;BYMONTH=13":                     "bad BYMONTH",
		"FREQ=DAILY;BYMONTH=-1":                     "bad BYMONTH",
		"FREQ=DAILY;BYMONTHDAY=0":                   "bad BYMONTHDAY",
		"FREQ=DAILY;BYMONTHDAY=-32":                 "bad BYMONTHDAY",
		"FREQ=WEEKLY;BYMONTHDAY=1":                  "BYMONTHDAY with FREQ=WEEKLY",
		"FREQ=YEARLY;BYYEARDAY=367":                 "bad BYYEARDAY",
		"FREQ=YEARLY;BYYEARDAY=-367":                "bad BYYEARDAY",
		"FREQ=MONTHLY;BYYEARDAY=1":                  "BYYEARDAY with FREQ=MONTHLY",
		"FREQ=YEARLY;BYWEEKNO=54":                   "bad BYWEEKNO",
		"FREQ=MONTHLY;BYWEEKNO=1":                   "BYWEEKNO with FREQ=MONTHLY",
		"FREQ=DAILY;BYHOUR=24":                      "bad BYHOUR",
		"FREQ=DAILY;BYMINUTE=60":                    "bad BYMINUTE",
		"FREQ=DAILY;BYSECOND=61":                    "bad BYSECOND",
		"FREQ=DAILY;BYHOUR=1,,2":                    "bad BYHOUR",
		"FREQ=DAILY;BYSETPOS=1":                     "BYSETPOS alone",
		"FREQ=DAILY;BYHOUR=1;BYSETPOS=0":            "bad BYSETPOS",
		"FREQ=DAILY;BYHOUR=1;BYSETPOS=367":          "bad BYSETPOS",
		// What never occurs, or takes too long to find.
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30":                               "never occurs",
		"FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31":                              "never occurs",
		"FREQ=DAILY;INTERVAL=7;BYDAY=MO":                                   "never occurs", // it starts on a Sunday
		"FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1":                              "never occurs",
		"FREQ=YEARLY;BYWEEKNO=30;BYMONTH=1":                                "never occurs",
		"FREQ=MONTHLY;BYDAY=6MO":                                           "never occurs",
		"FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29":                   "never occurs", // from 2026
		"FREQ=DAILY;BYHOUR=1;BYSETPOS=2":                                   "never occurs",
		"FREQ=WEEKLY;BYDAY=MO;BYSETPOS=8":                                  "never occurs",
		"FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2":                                  "so rarely",
		"FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1":                              "never occurs", // from an even minute
		"FREQ=HOURLY;INTERVAL=24;BYHOUR=3":                                 "never occurs",
		"FREQ=SECONDLY;INTERVAL=10;BYSECOND=5":                             "never occurs",
		"FREQ=SECONDLY;INTERVAL=86399;BYHOUR=3;BYMINUTE=0":                 "so rarely",
		"FREQ=SECONDLY;INTERVAL=7;BYDAY=MO;BYHOUR=3;BYMINUTE=0;BYSECOND=1": "so rarely", // each Monday at the same
		"FREQ=DAILY;INTERVAL=31622400":                                     "never occurs",
	} {
		_, err := newAlarm(at, "RRULE:"+rule+" x")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", rule, err, want)
		}
	}
}

// TestBoundedWork counts what searches look at: months, days and intervals. A hundred alarms take each of these.
func TestBoundedWork(t *testing.T) {
	zone := mustZone(t, "Europe/Paris")
	at := At{Now: mustTime(t, "2026-11-22T10:00:00Z"), Zone: zone}
	sixty := "0"
	for i := 1; i < 60; i++ {
		sixty += "," + strconv.Itoa(i)
	}
	for _, rule := range []string{
		"FREQ=SECONDLY", "FREQ=SECONDLY;COUNT=10000", "FREQ=SECONDLY;INTERVAL=31622400", "FREQ=SECONDLY;INTERVAL=31622399",
		"FREQ=SECONDLY;BYSECOND=" + sixty, "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=SECONDLY;INTERVAL=7;BYHOUR=3",
		"FREQ=MINUTELY", "FREQ=MINUTELY;INTERVAL=1441;BYHOUR=9", "FREQ=MINUTELY;INTERVAL=59;BYMINUTE=1;BYHOUR=1",
		"FREQ=HOURLY;INTERVAL=25;BYHOUR=3;BYDAY=MO", "FREQ=HOURLY;INTERVAL=8784",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "FREQ=DAILY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "FREQ=DAILY;INTERVAL=1000",
		"FREQ=DAILY;COUNT=10000", "FREQ=YEARLY;COUNT=10000", "FREQ=YEARLY;BYYEARDAY=366;BYDAY=SU", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU",
		"FREQ=YEARLY;BYDAY=53MO", "FREQ=YEARLY;INTERVAL=100", "FREQ=YEARLY;BYDAY=SU,MO,TU,WE,TH,FR,SA;BYSETPOS=366,-366", "FREQ=WEEKLY;INTERVAL=500",
		"FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=" + sixty + ";BYSECOND=" + sixty, "FREQ=MONTHLY;BYMONTHDAY=31;BYDAY=MO;BYMONTH=12",
	} {
		a, err := newAlarm(at, "RRULE:"+rule+" x")
		if err != nil {
			t.Errorf("%.80s: %v", rule, err)
			continue
		}
		for _, later := range []time.Duration{0, time.Second, 24 * time.Hour, 366 * 24 * time.Hour, 20 * 366 * 24 * time.Hour} {
			w := a.parse()
			now := at.now() + instant(later/time.Second)
			most := 0
			for _, l := range []local{now.in(zone), now.in(zone) + 12345} {
				w.rule.after(l, lastLocal)
				most = max(most, w.rule.work)
			}
			if most > firstWork {
				t.Errorf("%.80s: the next after %v is found after looking at %d months, days and intervals, want at most %d", rule, later, most, firstWork)
			}
		}
	}
}
