package session_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

// quiet is a listener that does nothing.
type quiet struct{ _ byte }

func (*quiet) SessionChanged(_, _ *session.State) {}
func (*quiet) SessionDeleted()                    {}

// newBenchTable returns a table over a storage in memory, and a function that opens sessions there.
func newBenchTable(b *testing.B, memory *storetest.Memory, c session.Config) (*session.Table, func(id string, l session.Listener) *session.Session) {
	c.Zones = zones
	table := session.NewTable(c)
	table.Push(unwatched{memory.Node()}, nopLog)
	b.Cleanup(func() { _ = table.Close(context.Background()) })
	policy := session.Policy{Zone: zone(b, "Europe/Paris"), TTL: ttl, Ring: time.Minute, MaxAlarms: 100}
	return table, func(id string, l session.Listener) *session.Session {
		s, err := table.Open(context.Background(), id, l, func() session.Policy { return policy })
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
}

func addAlarm(b *testing.B, s *session.Session, args string) {
	err := s.Update(context.Background(), func(s *session.State) (err error) {
		s.Alarms, _, err = s.Alarms.Add(clock.At{Now: time.Now(), Zone: s.Zone, Ring: time.Minute}, args)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkOpenNew(b *testing.B) {
	_, open := newBenchTable(b, storetest.NewMemory(), session.Config{})
	b.ReportAllocs()
	l := new(quiet)
	for b.Loop() {
		open("", l).Leave(l)
	}
}

// BenchmarkOpenKnown opens a session with ten alarms: live, and from a storage in memory.
func BenchmarkOpenKnown(b *testing.B) {
	memory := storetest.NewMemory()
	_, open := newBenchTable(b, memory, session.Config{})
	l := new(quiet)
	s := open("", l)
	id := s.ID()
	for i := range 10 {
		addAlarm(b, s, fmt.Sprintf("daily 07:%02d Alarm", i)+fmt.Sprint(i))
	}
	b.Run("live", func(b *testing.B) {
		b.ReportAllocs()
		other := new(quiet)
		for b.Loop() {
			open(id, other).Leave(other)
		}
	})
	b.Run("stored", func(b *testing.B) {
		table, open := newBenchTable(b, memory, session.Config{MaxLinger: 1, Linger: time.Nanosecond})
		b.ReportAllocs()
		for b.Loop() {
			open(id, l).Leave(l)
			for table.Len() > 0 {
				runtime.Gosched()
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	_, open := newBenchTable(b, storetest.NewMemory(), session.Config{})
	s := open("", new(quiet))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Update(context.Background(), func(s *session.State) error {
			s.ZoneSet++
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAdvance is what a second costs with 100,000 live sessions: without alarms, with ten each of which none is
// near, and with a hundred sessions in which one begins or ends. It reports what a session takes of memory.
func BenchmarkAdvance(b *testing.B) {
	const sessions = 100_000
	for _, alarms := range []int{0, 10} {
		b.Run(fmt.Sprintf("%d alarms far away", alarms), func(b *testing.B) {
			table, open := newBenchTable(b, storetest.NewMemory(), session.Config{})
			before := heap()
			fill(b, open, sessions, alarms)
			perSession := float64(heap()-before) / sessions
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				table.Advance(now)
			}
			b.ReportMetric(perSession, "B/session")
		})
	}
	b.Run("ring in 100 sessions", func(b *testing.B) {
		table, open := newBenchTable(b, storetest.NewMemory(), session.Config{})
		l := new(quiet)
		now := time.Now()
		for range 100 {
			s := open("", l)
			for i := range 10 {
				addAlarm(b, s, fmt.Sprintf("daily %02d:30 Alarm%d", 6+i, i))
			}
		}
		table.Advance(now)
		b.ReportAllocs()
		// Each time is the next at which alarms begin or cease to ring.
		at := clock.At{Zone: zone(b, "Europe/Paris"), Ring: time.Minute}
		reference := open("", l)
		for i := range 10 {
			addAlarm(b, reference, fmt.Sprintf("daily %02d:30 Alarm%d", 6+i, i))
		}
		for b.Loop() {
			at.Now = now
			now = reference.State().Alarms.NextChange(at)
			table.Advance(now)
		}
	})
}

// fill opens sessions that stay, with alarms.
func fill(b *testing.B, open func(string, session.Listener) *session.Session, sessions, alarms int) {
	l := new(quiet)
	var template clock.Alarms
	at := clock.At{Now: time.Now(), Zone: zone(b, "Europe/Paris"), Ring: time.Minute}
	for i := range alarms {
		var err error
		if template, _, err = template.Add(at, fmt.Sprintf("2099-01-01T07:%02d Alarm %d", i, i)); err != nil {
			b.Fatal(err)
		}
	}
	for range sessions {
		s := open("", l)
		if alarms == 0 {
			continue
		}
		err := s.Update(context.Background(), func(s *session.State) error {
			s.Alarms = append(clock.Alarms(nil), template...)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
