package pywsclock

import (
	"slices"
	"testing"
	"time"
)

// Of however many that are refused a line a minute is logged, for each reason.
func TestCrowds(t *testing.T) {
	var cs crowds
	now := time.Now()
	var logged []int
	for range 3 {
		for range 10_000 {
			if n := cs.add(refusedFull, now); n > 0 {
				logged = append(logged, n)
			}
			now = now.Add(time.Millisecond)
		}
		if n := cs.add(refusedClientFull, now); n > 0 {
			logged = append(logged, -n)
		}
		now = now.Add(time.Minute)
	}
	if want := []int{1, -1, 10_000, -1, 10_000, -1}; !slices.Equal(logged, want) {
		t.Errorf("logged %v, want %v", logged, want)
	}
}
