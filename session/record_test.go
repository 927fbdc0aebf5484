package session

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
)

var (
	testZones = clock.LoadZones()
	testNow   = time.Date(2026, 11, 22, 17, 5, 1, 0, time.UTC)
)

func mustZone(t testing.TB, name string) *clock.Zone {
	t.Helper()
	zone, err := testZones.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func stateWithAlarms(t testing.TB, alarms ...string) *State {
	t.Helper()
	s := &State{Zone: mustZone(t, "Europe/Paris")}
	at := clock.At{Now: testNow, Zone: s.Zone, Ring: time.Minute}
	for _, args := range alarms {
		var err error
		if s.Alarms, _, err = s.Alarms.Add(at, args); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

var someAlarms = []string{
	"07:30 <Tea & \"Cake\"> ☕", "mon-fri 07:30:15 Wake up", "2031-12-24T18:00 Eve", "2031-12-24T18:00:00Z UTC", "+10m Timer",
	"RRULE:FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0 Rent",
}

func TestRecord(t *testing.T) {
	for _, s := range []*State{stateWithAlarms(t), stateWithAlarms(t, someAlarms...), {Zone: mustZone(t, "UTC"), lost: "Atlantis/Capital"}} {
		expires := testNow.Add(1234567 * time.Microsecond)
		p, err := encodeRecord(s, expires)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(p)
		if err != nil {
			t.Fatalf("record %s: %v", p, err)
		}
		if r.Zone != s.zoneName() || !r.Expires.Equal(testNow.Add(1234*time.Millisecond)) {
			t.Errorf("record %s: want zone %q and expiry %v", p, s.zoneName(), expires)
		}
		if again := (&State{Zone: s.Zone, lost: s.lost, Alarms: r.Alarms}); !again.sameRecord(s) {
			t.Errorf("record %s: the alarms differ from what was stored", p)
		}
		if bytes.Count(p, []byte("\n")) != 1 || !bytes.HasSuffix(p, []byte("}\n")) {
			t.Errorf("record %q: want one line", p)
		}
	}
}

// TestRecordStaysReadable has records as the first version of the format had them. The checksum of the first was worked
// out by another implementation of CRC-32C.
func TestRecordStaysReadable(t *testing.T) {
	for alarms, stored := range []string{
		`{"checksum":"cf938964","version":1,"zone":"Europe/Paris","expires":"2026-11-22T17:05:01Z"}`,
		`{"checksum":"da9149e1","version":1,"zone":"Europe/Paris","alarms":[{"name":"Tea","when":"07:30","enabled":true,"start":1795419000,"done":1795367101}],"expires":"2026-11-22T17:05:01Z"}`,
	} {
		r, err := decodeRecord([]byte(stored + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if r.Zone != "Europe/Paris" || len(r.Alarms) != alarms || !r.Expires.Equal(testNow) {
			t.Errorf("record %s read as %+v", stored, r)
		}
	}
}

func TestDamagedRecord(t *testing.T) {
	good, err := encodeRecord(stateWithAlarms(t, someAlarms...), testNow)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		flipped := bytes.Clone(good)
		flipped[i/8] ^= 1 << (i % 8)
		if _, err := decodeRecord(flipped); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d of byte %d flipped: %v, want ErrDamaged", i%8, i/8, err)
		}
	}
	for i := range good {
		if _, err := decodeRecord(good[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v, want ErrDamaged", i, err)
		}
	}
}

const goodBody = `"version":1,"zone":"UTC","expires":"2026-11-22T17:05:01Z"`

// damagedBodies are what follows the checksum in records that are no good though it is right.
var damagedBodies = []string{
	"", "}", goodBody, goodBody + ",}", goodBody + "}}", goodBody + "} {}", goodBody + "}\n0", goodBody + `,"more":1}`, goodBody + `,"alarms":{}}`, goodBody + `,"alarms":[{}]}`,
	goodBody + `,"alarms":[{"name":"a","when":"funday 07:30","done":0}]}`, goodBody + `,"alarms":[null]}`, goodBody + `,"alarms":"07:30"}`,
	strings.Replace(goodBody, ":1", ":2", 1) + "}", strings.Replace(goodBody, ":1", ":0", 1) + "}", strings.Replace(goodBody, ":1", `:"1"`, 1) + "}",
	strings.Replace(goodBody, `"version":1,`, "", 1) + "}", strings.Replace(goodBody, `"zone":"UTC",`, "", 1) + "}", strings.Replace(goodBody, `"UTC"`, `""`, 1) + "}",
	strings.Replace(goodBody, `"UTC"`, `5`, 1) + "}", `"version":1,"zone":"UTC"}`, strings.Replace(goodBody, "2026-11-22T", "2026-11-22 ", 1) + "}",
	strings.Replace(goodBody, "UTC", strings.Repeat("U", MaxRecord), 1) + "}",
}

func TestDamagedWithChecksum(t *testing.T) {
	if _, err := decodeRecord(withChecksum(goodBody + "}\n")); err != nil {
		t.Fatalf("record that the others are made from: %v", err)
	}
	for _, body := range damagedBodies {
		if r, err := decodeRecord(withChecksum(body)); !errors.Is(err, ErrDamaged) {
			t.Errorf("record %.200q read as %+v, %v; want ErrDamaged", body, r, err)
		}
	}
}

// withChecksum makes a record of what follows the checksum.
func withChecksum(body string) []byte {
	return fmt.Appendf(nil, `{"checksum":"%08x",%s`, checksum([]byte(body)), body)
}

func FuzzRecord(f *testing.F) {
	good, err := encodeRecord(stateWithAlarms(f, someAlarms...), testNow)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[recordBody:])
	f.Add([]byte(goodBody + "}"))
	for _, body := range damagedBodies {
		f.Add([]byte(body))
	}
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, p := range [][]byte{p, withChecksum(string(p))} {
			r, err := decodeRecord(p)
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("record %q: %v, want ErrDamaged", p, err)
				}
				continue
			}
			again, err := encodeRecord(&State{Zone: mustZone(t, "UTC"), lost: r.Zone, Alarms: r.Alarms}, r.Expires)
			if err != nil {
				t.Fatalf("record %q cannot be written again: %v", p, err)
			}
			if _, err := decodeRecord(again); err != nil && len(again) <= MaxRecord {
				t.Fatalf("record %q was written again as %q: %v", p, again, err)
			}
		}
	})
}
