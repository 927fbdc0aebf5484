//go:build linux

package main

import (
	"math"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/bench/internal/result"
)

func TestRatio(t *testing.T) {
	used := func(cpu time.Duration) sample {
		return sample{cpu: cpu, Result: result.Result{Idle: result.Counts{Ticks: 10}}}
	}
	s := &series{samples: map[string][]sample{
		"c":  {used(10), used(40), used(20)},
		ours: {used(20), used(20), used(30)},
	}}
	if got, want := s.ratio(cpuPerTick, ours, "c").String(), "1.00 (2.00 0.50 1.50)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := s.ratio(cpuPerTick, ours, "python").String(), "not measured"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMedian(t *testing.T) {
	values := []float64{3, 1, 2}
	if got := median(values); got != 2 || values[0] != 3 {
		t.Errorf("got %v of %v, want 2 and the order as it was", got, values)
	}
	if got := median([]float64{4, 1}); got != 2.5 {
		t.Errorf("got %v, want 2.5", got)
	}
}

func TestGoal(t *testing.T) {
	for _, test := range []struct {
		goal  goal
		value float64
		want  string
	}{
		{goal{must: 1.25, aim: 0.9}, 0.9, "aim"},
		{goal{must: 1.25, aim: 0.9}, 1.25, "must"},
		{goal{must: 1.25, aim: 0.9}, 1.26, "no"},
		{goal{must: 0.5, aim: 0.8, least: true}, 0.8, "aim"},
		{goal{must: 0.5, aim: 0.8, least: true}, 0.49, "no"},
		{goal{must: math.Inf(1), aim: 16}, 20, "must"},
		{goal{must: 0.5}, 0.4, "must"},
		{goal{must: 1}, math.NaN(), "no"},
	} {
		if got := test.goal.reached(test.value); got != test.want {
			t.Errorf("%+v of %v: got %q, want %q", test.goal, test.value, got, test.want)
		}
	}
}
