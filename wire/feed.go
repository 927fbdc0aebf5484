package wire

import (
	"fmt"
	"sync"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/wire/frame"
)

// Precision is the number of digits of the fraction in time messages: 0, 3 or 6.
type Precision int

// ParsePrecision reads s, ms or us.
func ParsePrecision(text string) (Precision, error) {
	switch text {
	case "s":
		return 0, nil
	case "ms":
		return 3, nil
	case "us":
		return 6, nil
	}
	return 0, fmt.Errorf("unknown precision %q: want s, ms or us", text)
}

// layout is the one of RFC 3339, the offset always numeric.
func (p Precision) layout() string {
	switch p {
	case 3:
		return "2006-01-02T15:04:05.000-07:00"
	case 6:
		return "2006-01-02T15:04:05.000000-07:00"
	}
	return "2006-01-02T15:04:05-07:00"
}

// sign is what a TZN message stands for: the abbreviation that it tells, and
// the offset that holds as long.
type sign struct {
	abbreviation string
	offset       int
}

// feed is what all connections in one zone are told each second, rendered
// once for all of them.
type feed struct {
	zone *clock.Zone

	// Rendered by the ticker while no worker reads.
	second int64
	time   []byte
	sign   sign

	mu     sync.Mutex
	users  int          // connections, guarded by feeds.mu
	period clock.Period // holds the instant that was rendered last
}

// render renders the messages of one second.
func (f *feed) render(now time.Time, p Precision) {
	f.second = now.Unix()
	f.time = f.appendTime(f.time[:0], now, p)
	f.sign = f.signAt(now)
}

// appendTime appends the time message of an instant.
func (f *feed) appendTime(dst []byte, now time.Time, p Precision) []byte {
	layout := p.layout()
	dst = frame.AppendHeader(dst, frame.Text, len(layout))
	return now.In(f.zone.Location()).AppendFormat(dst, layout)
}

// signAt is the sign that holds at an instant.
func (f *feed) signAt(now time.Time) sign {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(f.period, now) {
		f.period = f.zone.Period(now)
	}
	return sign{f.period.Abbreviation, f.period.Offset}
}

func within(p clock.Period, t time.Time) bool {
	return p.Abbreviation != "" && !t.Before(p.Start) && (p.End.IsZero() || t.Before(p.End))
}

func appendTZN(dst []byte, s sign) []byte {
	return appendText(dst, "TZN:", s.abbreviation)
}

// appendText appends a text message of two parts.
func appendText(dst []byte, prefix, rest string) []byte {
	dst = frame.AppendHeader(dst, frame.Text, len(prefix)+len(rest))
	return append(append(dst, prefix...), rest...)
}

// feeds are the feeds in use, by zone.
type feeds struct {
	mu     sync.Mutex
	byZone map[*clock.Zone]*feed
}

// use returns the feed of a zone, for one more connection.
func (s *feeds) use(zone *clock.Zone) *feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byZone[zone]
	if f == nil {
		f = &feed{zone: zone}
		if s.byZone == nil {
			s.byZone = make(map[*clock.Zone]*feed)
		}
		s.byZone[zone] = f
	}
	f.users++
	return f
}

// leave gives a feed back; one that nobody uses any more is forgotten.
func (s *feeds) leave(f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.users--; f.users == 0 {
		delete(s.byZone, f.zone)
	}
}

// render renders a second for all zones in use.
func (s *feeds) render(now time.Time, p Precision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.byZone {
		f.render(now, p)
	}
}
