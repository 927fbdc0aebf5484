//go:build linux

package main

import (
	"math"
	"slices"
	"time"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

// tally counts what the connections received in a phase of the run.
type tally struct {
	from, to int64 // Unix seconds; to is the first that is no longer in the phase
	ticks    int
	missed   int
	doubled  int
	disorder int             // a second before one that came already
	early    int             // before the second began
	late     []time.Duration // after the second began, of each tick
}

// newTally has room for so many ticks, and a phase that is not planned yet.
func newTally(ticks int) *tally {
	return &tally{from: math.MaxInt64, to: math.MaxInt64, late: make([]time.Duration, 0, ticks)}
}

// count takes one time message; last is the connection's second before it.
func (t *tally) count(second, last int64, at time.Time) {
	switch {
	case second == last:
		t.doubled++
		return
	case second < last:
		t.disorder++
		return
	}
	t.ticks++
	late := at.Sub(time.Unix(second, 0))
	if late < 0 {
		t.early++
	}
	t.late = append(t.late, late)
}

// miss counts the seconds from first up to but without end that lie in the phase.
func (t *tally) miss(first, end int64) {
	t.missed += int(max(0, min(end, t.to)-max(first, t.from)))
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func (t *tally) counts() result.Counts {
	slices.Sort(t.late)
	return result.Counts{
		Ticks: t.ticks, Missed: t.missed, Doubled: t.doubled, Disorder: t.disorder, Early: t.early,
		LateP50: millis(percentile(t.late, 0.5)),
		LateP99: millis(percentile(t.late, 0.99)),
		LateMax: millis(percentile(t.late, 1)),
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
