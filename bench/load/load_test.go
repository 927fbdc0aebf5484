//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

// noon is the first second measured; there are three, and two more with commands.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testLoad(t *testing.T) (*load, *conn) {
	t.Helper()
	l, err := newLoad(options{connections: 1, seconds: 3, commandSeconds: 2, wait: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{state: open}
	l.conns[0], l.asked = c, true
	l.start <- startOrError{second: noon.Unix()}
	if err := l.plan(noon.Add(-3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return l, c
}

// ticks receives a tick for each second after noon, a millisecond after it began.
func ticks(t *testing.T, l *load, c *conn, seconds ...int) {
	t.Helper()
	for _, s := range seconds {
		second := noon.Add(time.Duration(s) * time.Second)
		text := second.Format("2006-01-02T15:04:05") + "+00:00"
		data := append([]byte{0x81, byte(len(text))}, text...)
		for len(data) > 0 { // split over reads
			n := min(len(data), 10)
			if err := l.take(c, data[:n], second.Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
	}
}

func TestCounts(t *testing.T) {
	type counts = result.Counts
	for name, test := range map[string]struct {
		seconds                 []int
		opening, idle, commands counts
	}{
		"all":               {[]int{-2, -1, 0, 1, 2, 3, 4}, counts{Ticks: 2}, counts{Ticks: 3}, counts{Ticks: 2}},
		"too many":          {[]int{-1, 0, 1, 2, 3, 4, 5, 6}, counts{Ticks: 1}, counts{Ticks: 3}, counts{Ticks: 2}},
		"missed":            {[]int{-1, 1, 2, 3, 4}, counts{Ticks: 1}, counts{Ticks: 2, Missed: 1}, counts{Ticks: 2}},
		"missed in two":     {[]int{-1, 0, 4}, counts{Ticks: 1}, counts{Ticks: 1, Missed: 2}, counts{Ticks: 1, Missed: 1}},
		"missed in three":   {[]int{-3, 4}, counts{Ticks: 1, Missed: 2}, counts{Missed: 3}, counts{Ticks: 1, Missed: 1}},
		"missed at the end": {[]int{-1, 0, 1}, counts{Ticks: 1}, counts{Ticks: 2, Missed: 1}, counts{Missed: 2}},
		"doubled":           {[]int{-1, 0, 1, 1, 2, 3, 4}, counts{Ticks: 1}, counts{Ticks: 3, Doubled: 1}, counts{Ticks: 2}},
		"out of order":      {[]int{-1, 0, 2, 1, 3, 4}, counts{Ticks: 1}, counts{Ticks: 2, Missed: 1, Disorder: 1}, counts{Ticks: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := testLoad(t)
			ticks(t, l, c, test.seconds...)
			l.cpu = make([]time.Duration, 3)
			r := l.result()
			r.Idle.LateP50, r.Idle.LateP99, r.Idle.LateMax = 0, 0, 0
			r.Commands.LateP50, r.Commands.LateP99, r.Commands.LateMax = 0, 0, 0
			if r.Opening != test.opening || r.Idle != test.idle || r.Commands != test.commands {
				t.Errorf("got %+v, %+v, %+v, want %+v, %+v, %+v", r.Opening, r.Idle, r.Commands, test.opening, test.idle, test.commands)
			}
		})
	}
}

func TestLateness(t *testing.T) {
	l, c := testLoad(t)
	for i, late := range []time.Duration{5 * time.Millisecond, -time.Millisecond, 1500 * time.Millisecond} {
		second := noon.Add(time.Duration(i) * time.Second)
		l.received(c, second.Unix(), second.Add(late))
	}
	got := l.phases[1].counts()
	want := result.Counts{Ticks: 3, Early: 1, LateP50: 5, LateP99: 1500, LateMax: 1500}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDone(t *testing.T) {
	l, c := testLoad(t)
	end := noon.Add(5 * time.Second)
	ticks(t, l, c, 0, 1, 2, 3)
	if l.done(end.Add(500 * time.Millisecond)) {
		t.Error("done while the last tick may still come")
	}
	if !l.done(end.Add(time.Second)) {
		t.Error("not done a second after the end")
	}
	ticks(t, l, c, 4)
	if l.done(end.Add(-time.Millisecond)) || !l.done(end) {
		t.Error("with all ticks there, not done exactly from the end on")
	}
	c.sent = end.Add(-time.Millisecond)
	if l.done(end) {
		t.Error("done while an answer may still come")
	}
}

func TestUnexpected(t *testing.T) {
	for _, text := range []string{"ERR:no", "OK:to nothing", "SESSION:again", "noise"} {
		l, c := testLoad(t)
		if err := l.take(c, append([]byte{0x81, byte(len(text))}, text...), noon); err == nil {
			t.Errorf("message %q: no error", text)
		}
	}
}
