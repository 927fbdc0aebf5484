package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzTimeRequest holds that a request for the time is answered with the
// number that it has, or refused.
func FuzzTimeRequest(f *testing.F) {
	for _, request := range []string{
		`{"c":1}`, `{ "c" : -1.50e+3 }`, `{"c":"1"}`, `{"c":1,"c":2}`, `{"c":[1]}`, `{"c":1,"d":2}`, `{"C":1}`, `{"\u0063":1}`, `{"c":01}`, `null`, `[1]`,
	} {
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, request string) {
		number, err := clientTime([]byte(request))
		if err != nil {
			return
		}
		var members map[string]float64
		if err := json.Unmarshal([]byte(request), &members); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") || len(members) > 1 {
			t.Errorf("%q was taken: %v", request, err)
		}
		answer, err := encode(timeAnswer{Client: number, Server: time.Now})
		if err != nil || !json.Valid([]byte(answer)) || !strings.HasPrefix(answer, `{"c":`+string(number)+`,"s":`) {
			t.Errorf("%q is answered %q, %v", request, answer, err)
		}
	})
}

// FuzzZoneCommands holds that what a client writes after TZ and SYNC comes
// back as JSON on one line, or as an error on one line.
func FuzzZoneCommands(f *testing.F) {
	for _, text := range []string{"Europe/Paris", "europe", "", "..", "Etc/GMT+5", "\x00", "a\r\nOK:b", "<script>", "\u202e", strings.Repeat("x", 64), "\\\"", "\u2028"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || len(text) > 4096 {
			return // the decoder takes no such message
		}
		inWorld(t, "2026-11-22T12:00:00Z", "UTC", func(t *testing.T, w *world) {
			p, _ := w.open("")
			p.want("TZN:UTC", "2026-11-22T12:00:00+00:00")
			for _, command := range []string{"SYNC ", "TZ LIST ", "TZ INFO ", "TZ SET "} {
				p.send(command + text)
				got := p.receive()
				details, ok := strings.CutPrefix(got, "OK:")
				switch {
				case strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || !ok && unicode.IsControl(r) }): // JSON allows DEL
					t.Errorf("%s%q is answered %q", command, text, got)
				case !ok && !strings.HasPrefix(got, "ERR:"), !ok && (len(got) > 310 || command == "SYNC " && text != "" && len(text) <= 64):
					t.Errorf("%s%q is answered %q", command, text, got)
				case ok && command == "TZ SET " && !strings.EqualFold(details, text):
					t.Errorf("%s%q is answered %q", command, text, got)
				case ok && command != "TZ SET " && !json.Valid([]byte(details)):
					t.Errorf("%s%q is answered %q", command, text, got)
				}
				if command != "SYNC " || !ok {
					continue
				}
				var sync struct{ Client string }
				if err := json.Unmarshal([]byte(details), &sync); err != nil || sync.Client != text {
					t.Errorf("SYNC %q is answered %q", text, got)
				}
			}
		})
	})
}
