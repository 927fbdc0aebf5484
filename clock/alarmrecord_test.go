package clock

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestRecord(t *testing.T) {
	d := newDesk(t, "07:00:00", "daily 07:30 a", "RRULE:FREQ=DAILY;COUNT=3 b")
	d.wait("07:30:00")
	got, err := json.Marshal(d.alarms)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"a","when":"daily 07:30","enabled":true,"done":1795413600,"rang":1795415400,"ring":1795415400,"since":1795415400,"heard":1795415400},` +
		`{"name":"b","when":"RRULE:FREQ=DAILY;COUNT=3","enabled":true,"start":1795417200,"last":1795676400,"done":1795413600}]`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	d.restart()
}

// TestBadRecords has records that no alarm can have left.
func TestBadRecords(t *testing.T) {
	for record, want := range map[string]string{
		`[{"name":"a","when":"daily 07:30","done":1}]`:                                            "",
		`[{"name":"a","when":"daily 07:30","done":1,"missed":7}]`:                                 "",
		`[{"name":"a","when":"07:30","start":1795419000,"done":1,"spent":true}]`:                  "",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"ring":9,"since":8}]`: "",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"snooze":9}]`:                  "",
		`null`: "",
		`[]`:   "",
		`{}`:   "cannot unmarshal",
		`[7]`:  "cannot unmarshal",
		`[{}]`: "no name",
		`[{"name":"a","when":"daily 07:30","done":1},{"name":"a","when":"daily 07:30","done":1}]`:  "twice",
		`[{"name":"a","when":"daily 07:30","done":1,"colour":"red"}]`:                              "unknown field",
		`[{"name":"a","when":"daily 07:30","done":"1"}]`:                                           "cannot unmarshal",
		`[{"name":"a","when":"daily 07:30","done":1.5}]`:                                           "cannot unmarshal",
		`[{"name":" a","when":"daily 07:30","done":1}]`:                                            "bad name",
		`[{"name":"a","when":"","done":1}]`:                                                        "bad time of day",
		`[{"name":"a","when":"daily 27:30","done":1}]`:                                             "bad time of day",
		`[{"name":"a","when":"RRULE:FREQ=NEVER","start":1,"done":1}]`:                              "bad FREQ",
		`[{"name":"a","when":"+10m","done":1}]`:                                                    "names no instant",
		`[{"name":"a","when":"07:30","done":1}]`:                                                   "start",
		`[{"name":"a","when":"07:30","start":1795419001,"done":1}]`:                                "another time of day",
		`[{"name":"a","when":"RRULE:FREQ=DAILY","done":1}]`:                                        "start",
		`[{"name":"a","when":"daily 07:30","start":1795419000,"done":1}]`:                          "start",
		`[{"name":"a","when":"RRULE:FREQ=DAILY;COUNT=3","start":5,"done":1}]`:                      "end",
		`[{"name":"a","when":"RRULE:FREQ=DAILY;COUNT=3","start":5,"last":5,"done":1}]`:             "end",
		`[{"name":"a","when":"RRULE:FREQ=DAILY","start":5,"last":9,"done":1}]`:                     "end",
		`[{"name":"a","when":"daily 07:30","done":1,"spent":true}]`:                                "spent",
		`[{"name":"a","when":"daily 07:30","done":1,"snooze":9}]`:                                  "off",
		`[{"name":"a","when":"daily 07:30","done":1,"rang":9,"ring":9,"since":9}]`:                 "off",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"ring":9}]`:            "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"since":9}]`:           "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"ring":9,"since":10}]`: "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":8,"ring":9,"since":9}]`:  "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"heard":9}]`:           "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1,"rang":9,"held":9}]`:            "ringing",
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":-1}]`:                             "before 1970",
		`[{"name":"a","when":"daily 07:30","done":1,"missed":253402300800}]`:                       "after 9999",
		`[{"name":"a","when":"RRULE:FREQ=DAILY","start":9223372036854764200,"done":1}]`:            "after 9999",
		`[{"name":"a","when":"RRULE:FREQ=DAILY","start":-9223372036854764200,"done":1}]`:           "before 1970",
		`[{"name":"a","when":"daily 07:30","done":99999999999999999999}]`:                          "cannot unmarshal",
	} {
		var got Alarms
		err := json.Unmarshal([]byte(record), &got)
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || len(got) > 0 {
			t.Errorf("%s: %+v, %v, want an error with %q", record, got, err, want)
		}
	}
}

func FuzzAlarmJSON(f *testing.F) {
	for _, record := range []string{
		`[{"name":"a","when":"daily 07:30","enabled":true,"done":1795413600,"rang":1795415400,"ring":1795415400,"since":1795415400,"heard":1795415400}]`,
		`[{"name":"b","when":"RRULE:FREQ=DAILY;COUNT=3","enabled":true,"start":1795417200,"last":1795676400,"done":1795413600,"snooze":1795414000}]`,
		`[{"name":"c","when":"07:30","start":1795419000,"done":1,"spent":true,"missed":5},{"name":"d","when":"2026-12-24T18:00:00Z","done":0}]`,
	} {
		f.Add([]byte(record), int64(1795415400))
	}
	f.Fuzz(func(t *testing.T, record []byte, now int64) {
		var alarms Alarms
		if json.Unmarshal(record, &alarms) != nil {
			if alarms != nil {
				t.Errorf("%s was refused, and left %+v", record, alarms)
			}
			return
		}
		stored, err := json.Marshal(alarms)
		if err != nil {
			t.Fatal(err)
		}
		var again Alarms
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Errorf("%s, once more %s: %v", record, stored, err)
		}
		// Whatever is accepted can be used, and stays good.
		at := At{Now: time.Unix(now&(1<<32-1), 0), Zone: mustZone(t, "Europe/Paris"), Ring: time.Minute}
		for range 3 {
			alarms = alarms.Advance(at, true)
			if next := alarms.NextChange(at); !next.IsZero() && !next.After(at.Now) {
				t.Errorf("%s: at %v the next change is at %v", record, at.Now, next)
			}
			alarms.List(at)
			at.Now = at.Now.Add(time.Hour)
		}
		stored, err = json.Marshal(alarms)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored, &again); err != nil {
			t.Errorf("%s became %s: %v", record, stored, err)
		}
	})
}
