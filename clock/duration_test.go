package clock

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10m":         10 * time.Minute,
		"1h30m":       90 * time.Minute,
		"90s":         90 * time.Second,
		"2d":          48 * time.Hour,
		"1s":          time.Second,
		"0d0h0m1s":    time.Second,
		"1h90m":       150 * time.Minute,
		"1d1h1m1s":    25*time.Hour + time.Minute + time.Second,
		"366d":        366 * 24 * time.Hour,
		"365d24h":     366 * 24 * time.Hour,
		"31622400s":   366 * 24 * time.Hour,
		"0000000010m": 10 * time.Minute,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                              "no duration",
		"0s":                            "too short",
		"0d0h":                          "too short",
		"367d":                          "too long",
		"366d1s":                        "too long",
		"31622401s":                     "too long",
		"99999999h":                     "too long",
		"366d8784h":                     "too long",
		"9223372036854775808s":          "too long",
		strings.Repeat("9", 4000) + "d": "too long",
		"10":                            "bad duration",
		"m":                             "bad duration",
		"10m5":                          "bad duration",
		"5m1h":                          "bad duration",
		"1m1m":                          "bad duration",
		"-5m":                           "bad duration",
		"+5m":                           "bad duration",
		"1.5h":                          "bad duration",
		"10M":                           "bad duration",
		"10 m":                          "bad duration",
		"1w":                            "bad duration",
		"٣m":                            "bad duration",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q is %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"1h30m", "366d", "0s", "5m1h", "99999999999999999999d", "-1s", "1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseDuration(text)
		if err != nil {
			if got != 0 || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%v with error %q", got, err)
			}
			return
		}
		if got < time.Second || got > 366*24*time.Hour || got%time.Second != 0 {
			t.Errorf("%q is %v", text, got)
		}
	})
}
