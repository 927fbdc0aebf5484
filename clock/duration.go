package clock

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest timer and the longest snooze.
const maxDuration = 366 * day * time.Second

// ParseDuration reads whole numbers of days, hours, minutes and seconds in this order, each at most once, such as
// "10m", "1h30m", "90s" or "2d". A number may be larger than the next unit. The sum is one second to 366 days of 24
// hours; the error says what else text is.
func ParseDuration(text string) (time.Duration, error) {
	const want = "want 1s to 366d, whole numbers with d, h, m and s in this order, such as 1h30m"
	units := "dhms"
	seconds := map[byte]time.Duration{'d': day * time.Second, 'h': time.Hour, 'm': time.Minute, 's': time.Second}
	var sum time.Duration
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) {
			return 0, fmt.Errorf("bad duration %.64q: %s", text, want)
		}
		at := strings.IndexByte(units, rest[digits])
		if at < 0 {
			return 0, fmt.Errorf("bad duration %.64q: %s", text, want)
		}
		unit := seconds[units[at]]
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil || n > int64(maxDuration/unit) {
			return 0, fmt.Errorf("duration %.64q is too long: %s", text, want)
		}
		sum += time.Duration(n) * unit
		units, rest = units[at+1:], rest[digits+1:]
	}
	switch {
	case text == "":
		return 0, fmt.Errorf("no duration: %s", want)
	case sum < time.Second:
		return 0, fmt.Errorf("duration %.64q is too short: %s", text, want)
	case sum > maxDuration:
		return 0, fmt.Errorf("duration %.64q is too long: %s", text, want)
	}
	return sum, nil
}
