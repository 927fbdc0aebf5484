package clock

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The years that the oracles are asked about.
var (
	oracleFrom = time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)
	oracleTo   = time.Date(2038, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// eachDatabase runs a test on the zones of the system, which Debian compiles with every transition until 2037 in a
// table, and on those of the Go release, in which a rule takes over from the last change of the law.
func eachDatabase(t *testing.T, test func(t *testing.T, zones *Zones)) {
	t.Run("system", func(t *testing.T) {
		zones := LoadZones()
		if zones.Source() == "embedded" {
			t.Skip("the system has no time zones")
		}
		test(t, zones)
	})
	t.Run("go", func(t *testing.T) {
		zones, err := readZones(goZones(t))
		if err != nil {
			t.Fatal(err)
		}
		test(t, zones)
	})
}

// goZones unpacks the time zones that Go has in its tree, the source of those that it embeds.
func goZones(t *testing.T) string {
	archive, err := zip.OpenReader(goZonesFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, archive); err != nil {
		t.Fatal(err)
	}
	return dir
}

func goZonesFile(t *testing.T) string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip")
}

// TestPeriodAgainstZdump holds every transition of every zone against what zdump(8), of the C library or of the IANA
// itself, finds in the same file.
func TestPeriodAgainstZdump(t *testing.T) {
	zdump, err := exec.LookPath("zdump")
	if err != nil {
		t.Skip("no zdump here: it comes with the C library's programs (Debian: libc-bin)")
	}
	eachDatabase(t, func(t *testing.T, zones *Zones) {
		for _, name := range zones.Names("") {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				zone, err := zones.Zone(name)
				if err != nil {
					t.Fatal(err)
				}
				want := dumped(t, zdump, filepath.Join(zones.Source(), name))
				if got := periods(zone); !slices.Equal(got, want) {
					t.Errorf("got:\n%swant:\n%s", listing(got), listing(want))
				}
				checkInside(t, zone)
			})
		}
	})
}

// dumped returns the transitions that zdump prints, each as the last second before it and the first one after it.
func dumped(t *testing.T, zdump, file string) []Period {
	years := fmt.Sprintf("%d,%d", oracleFrom.Year(), oracleTo.Year())
	out, err := exec.Command(zdump, "-v", "-c", years, file).Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("zdump printed nothing")
	}
	var periods []Period
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if slices.Contains(words, "NULL") { // the ends of time
			continue
		}
		// /usr/share/zoneinfo/Europe/Paris Sat Mar 27 23:59:59 1976 UT = Sun Mar 28 00:59:59 1976 CET isdst=0 gmtoff=3600
		if len(words) != 16 {
			t.Fatalf("zdump: %q", line)
		}
		at, err := time.Parse(time.ANSIC, strings.Join(words[1:6], " "))
		if err != nil {
			t.Fatal(err)
		}
		offset, err := strconv.Atoi(strings.TrimPrefix(words[15], "gmtoff="))
		if err != nil {
			t.Fatal(err)
		}
		periods = append(periods, Period{Abbreviation: words[13], Offset: offset, DST: words[14] == "isdst=1", Start: at})
	}
	return periods
}

// periods returns the transitions of a zone as dumped does, as Period finds them one after the other.
func periods(zone *Zone) []Period {
	var all []Period
	for p := zone.Period(oracleFrom); !p.End.IsZero() && p.End.Before(oracleTo); {
		next := zone.Period(p.End)
		before, after := p, next
		before.Start, before.End = p.End.Add(-time.Second), time.Time{}
		after.Start, after.End = p.End, time.Time{}
		all = append(all, before, after)
		p = next
	}
	return all
}

// checkInside checks that a period is the same wherever in it one looks.
func checkInside(t *testing.T, zone *Zone) {
	for p := zone.Period(oracleFrom); !p.End.IsZero() && p.End.Before(oracleTo); {
		next := zone.Period(p.End)
		if next.Start != p.End {
			t.Errorf("the period after %v starts at %v", p, next.Start)
		}
		for _, at := range []time.Time{p.Start, p.End.Add(p.Start.Sub(p.End) / 2), p.End.Add(-time.Nanosecond)} {
			if got := zone.Period(at); got != p && !p.Start.IsZero() {
				t.Errorf("at %v:\n got %v\nwant %v", at, got, p)
			}
		}
		p = next
	}
}

func listing(periods []Period) string {
	var text strings.Builder
	for _, p := range periods {
		fmt.Fprintln(&text, p.Start, p.Abbreviation, p.Offset, p.DST)
	}
	return text.String()
}

// resolveInPython reads lines of a zone and local times in seconds, and writes the same with the instants.
const resolveInPython = `
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, TZPATH
print(*TZPATH)
epoch = datetime(1970, 1, 1)
for line in sys.stdin:
    name, *times = line.split()
    zone = ZoneInfo(name)
    for i, local in enumerate(map(int, times)):
        offset = (epoch + timedelta(seconds=local)).replace(tzinfo=zone).utcoffset()
        times[i] = local - offset // timedelta(seconds=1)
    print(name, *times)
`

// TestResolveAgainstPython holds the local times around and in every gap and overlap of every zone against Python's
// zoneinfo, whose fold=0 is the rule of RFC 5545 (PEP 495).
func TestResolveAgainstPython(t *testing.T) {
	if err := exec.Command("python3", "-c", "import zoneinfo").Run(); err != nil {
		t.Skipf("no python3 with zoneinfo here: %v", err)
	}
	eachDatabase(t, func(t *testing.T, zones *Zones) {
		var locals, instants bytes.Buffer
		fmt.Fprintln(&instants, zones.Source())
		for _, name := range zones.Names("") {
			zone, err := zones.Zone(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(&locals, name)
			fmt.Fprint(&instants, name)
			for _, local := range localsAtTransitions(zone) {
				fmt.Fprint(&locals, " ", local.Unix())
				fmt.Fprint(&instants, " ", zone.Resolve(local).Unix())
			}
			fmt.Fprintln(&locals)
			fmt.Fprintln(&instants)
		}
		python := exec.Command("python3", "-c", resolveInPython)
		python.Env = append(os.Environ(), "PYTHONTZPATH="+zones.Source())
		python.Stdin = bytes.NewReader(locals.Bytes())
		python.Stderr = os.Stderr
		out, err := python.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, instants.Bytes()) {
			reportDifferences(t, locals.String(), instants.String(), string(out))
		}
	})
}

// localsAtTransitions returns the local times at both edges of each gap and overlap, and in its middle; where a zone
// has none, one in each year.
func localsAtTransitions(zone *Zone) []time.Time {
	var locals []time.Time
	for year := oracleFrom.Year(); year < oracleTo.Year(); year++ {
		locals = append(locals, time.Date(year, time.July, 1, 12, 0, 0, 0, time.UTC))
	}
	p := zone.Period(oracleFrom)
	for !p.End.IsZero() && p.End.Before(oracleTo) {
		next := zone.Period(p.End)
		from, to := p.End.Add(p.offset()), p.End.Add(next.offset())
		if to.Before(from) {
			from, to = to, from
		}
		locals = append(locals, from.Add(-time.Second), from, from.Add(to.Sub(from)/2), to.Add(-time.Second), to, to.Add(time.Second))
		p = next
	}
	return locals
}

func reportDifferences(t *testing.T, locals, got, want string) {
	_, got, _ = strings.Cut(got, "\n")
	source, want, _ := strings.Cut(want, "\n")
	t.Logf("python reads %s", source)
	gots, wants := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i, line := range strings.Split(locals, "\n") {
		if i >= len(wants) || gots[i] == wants[i] {
			continue
		}
		g, w := strings.Fields(gots[i]), strings.Fields(wants[i])
		for j, local := range strings.Fields(line) {
			if g[j] != w[j] {
				t.Errorf("%s: local time %s: got %s, want %s", g[0], local, g[j], w[j])
			}
		}
	}
	t.Error("the answers differ")
}
