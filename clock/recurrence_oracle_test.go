package clock

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// expandInPython expands rules with python-dateutil: each line is a zone, the instant of adding and a rule. The rule
// floats; zoneinfo resolves it with fold=0, which is the rule of RFC 5545, section 3.3.5 (PEP 495). COUNT and UNTIL are
// applied here, since to dateutil the start counts where it fits the rule. Nothing is looked for after 2090.
const expandInPython = `
import datetime, sys
from zoneinfo import ZoneInfo
from dateutil.rrule import rrulestr
datetime.MAXYEAR = 2090
UTC = datetime.timezone.utc
def expand(zone, now, text):
    start = datetime.datetime.fromtimestamp(now, zone).replace(tzinfo=None, fold=0)
    parts = dict(part.split("=") for part in text.split(";"))
    count, until = int(parts.pop("COUNT", 1 << 30)), parts.pop("UNTIL", None)
    if until:
        end = datetime.datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S")
        until = end.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0) if until.endswith("Z") else end
    found = set()
    for local in rrulestr(";".join("=".join(part) for part in parts.items()), dtstart=start):
        if local <= start: continue
        if until and local > until or count == 0: break
        count -= 1
        if len(found) >= 20:
            last = sorted(found)[19]
            if local > datetime.datetime.fromtimestamp(last, zone).replace(tzinfo=None): break
        instant = int(local.replace(tzinfo=zone).timestamp())
        if instant > now: found.add(instant)
    return sorted(found)[:20]
for line in sys.stdin:
    name, now, rule = line.split()
    try: print(*expand(ZoneInfo(name), int(now), rule))
    except ValueError as e: print("never" if "rrule" in str(e) or "empty" in str(e) else e)
`

// dateutil returns a Python that has dateutil and zoneinfo.
func dateutil(t *testing.T) string {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import dateutil.rrule, zoneinfo").Run() == nil {
			return python
		}
	}
	t.Skip("no python3 with dateutil and zoneinfo here: Debian has python3-dateutil")
	return ""
}

// TestRulesAgainstDateutil holds the first 20 occurrences of random rules against those of python-dateutil.
func TestRulesAgainstDateutil(t *testing.T) {
	python := dateutil(t)
	zones := systemZones()
	if zones.Source() == "embedded" {
		t.Skip("the system has no time zones")
	}
	const rules = 1200
	var questions bytes.Buffer
	var got []string
	random := rand.New(rand.NewPCG(5545, 3310))
	for range rules {
		zone := mustZone(t, oracleZones[random.IntN(len(oracleZones))])
		now := randomTime(random, zone)
		rule := randomRule(random, now.In(zone.Location()))
		fmt.Fprintln(&questions, zone.Name(), now.Unix(), rule)
		got = append(got, first20(At{Now: now, Zone: zone}, rule))
	}
	asked := strings.Split(strings.TrimSpace(questions.String()), "\n")
	command := exec.Command(python, "-c", expandInPython)
	command.Env = append(os.Environ(), "PYTHONTZPATH="+zones.Source())
	command.Stdin, command.Stderr = &questions, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(want) != rules {
		t.Fatalf("%d answers for %d rules", len(want), rules)
	}
	empty, different := 0, 0
	for i := range want {
		if want[i] == "never" {
			want[i] = ""
		}
		if want[i] == "" {
			empty++
		}
		if got[i] != want[i] {
			if different++; different > 10 {
				t.Fatal("and more")
			}
			t.Errorf("%s\n got %s\nwant %s", asked[i], got[i], want[i])
		}
	}
	if empty > rules/5 {
		t.Errorf("%d of %d rules never occur: want rules that say more", empty, rules)
	}
}

var oracleZones = []string{
	"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Antarctica/Troll",
	"Pacific/Apia", "Africa/Casablanca", "Europe/Moscow", "Asia/Kolkata",
}

// first20 returns the first occurrences of a rule added at a time, until 2090, in Unix time.
func first20(at At, rule string) string {
	a, err := newAlarm(at, "RRULE:"+rule+" x")
	if err != nil {
		return ""
	}
	w := a.parse()
	end := local(time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	var found []string
	for t, ok := w.after(at.Zone, a.done, never); ok && t.in(at.Zone) < end && len(found) < 20; t, ok = w.after(at.Zone, t, never) {
		found = append(found, strconv.FormatInt(int64(t), 10))
	}
	return strings.Join(found, " ")
}

// randomTime returns a time from 2005 to 2034, every other time in the days around a transition.
func randomTime(random *rand.Rand, zone *Zone) time.Time {
	from := time.Date(2005, 1, 1, 0, 0, 0, 0, time.UTC)
	t := from.Add(time.Duration(random.Int64N(30*366*day)) * time.Second)
	if end := zone.Period(t).End; !end.IsZero() && random.IntN(2) == 0 {
		t = end.Add(time.Duration(random.Int64N(3*day)-2*day) * time.Second)
	}
	return t
}

// randomRule returns a rule that RFC 5545 allows, for a start. It is not one of those that dateutil has another mind
// of: BYDAY with and without numbers, which is no intersection; the last weeks of a year, whose days in the next year
// it finds only some of; and the first week of BYSETPOS, which it begins with the start.
func randomRule(random *rand.Rand, start time.Time) string {
	f := frequency(random.IntN(7))
	rule := "FREQ=" + frequencies[f]
	add := func(key string, chance, most int, value func() string) {
		if random.Float64() >= float64(chance)/100 {
			return
		}
		var values []string
		for range 1 + random.IntN(most) {
			if v := value(); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		rule += ";" + key + "=" + strings.Join(values, ",")
	}
	number := func(low, high int) func() string {
		return func() string { return strconv.Itoa(low + random.IntN(high-low+1)) }
	}
	signed := func(high int) func() string {
		return func() string { return strconv.Itoa((1 + random.IntN(high)) * (1 - 2*random.IntN(2))) }
	}
	weekday := func() string { return []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}[random.IntN(7)] }

	if random.IntN(2) == 0 {
		most := map[frequency]int{yearly: 4, monthly: 15, weekly: 6, daily: 20, hourly: 60, minutely: 400, secondly: 9000}[f]
		rule += ";INTERVAL=" + strconv.Itoa(1+random.IntN(most))
	}
	add("WKST", 30, 1, weekday)
	add("BYMONTH", 25, 4, number(1, 12))
	byWeek := f == yearly && random.IntN(5) == 0
	switch {
	case byWeek:
		add("BYWEEKNO", 100, 4, func() string { return strconv.Itoa((2 + random.IntN(49)) * (1 - 2*random.IntN(2))) })
		add("BYDAY", 70, 3, weekday)
	case f <= monthly && random.IntN(3) == 0:
		add("BYDAY", 100, 3, func() string { return strconv.Itoa((1+random.IntN(5))*(1-2*random.IntN(2))) + weekday() })
	default:
		add("BYDAY", 30, 4, weekday)
	}
	if f != weekly && !byWeek {
		add("BYMONTHDAY", 20, 4, signed(31))
	}
	if (f == yearly || f > daily) && !strings.Contains(rule, "BYMONTH=") {
		add("BYYEARDAY", 10, 8, signed(366))
	}
	add("BYHOUR", 25, 4, number(0, 23))
	add("BYMINUTE", 25, 4, number(0, 59))
	add("BYSECOND", 25, 4, number(0, 59))
	if f != weekly && f <= daily && strings.Contains(rule, ";BY") {
		add("BYSETPOS", 20, 3, signed(8))
	}
	if f > daily && strings.Contains(rule, ";BY") {
		add("BYSETPOS", 10, 1, signed(1))
	}
	switch random.IntN(10) {
	case 0:
		rule += ";COUNT=" + strconv.Itoa(1+random.IntN(15))
	case 1:
		rule += ";UNTIL=" + start.AddDate(0, random.IntN(40), random.IntN(30)).UTC().Format("20060102T150405Z")
	case 2:
		rule += ";UNTIL=" + start.AddDate(0, random.IntN(40), random.IntN(30)).Format("20060102T150405")
	}
	return rule
}
