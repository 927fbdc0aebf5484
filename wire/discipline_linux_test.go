package wire

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestKernelDiscipline(t *testing.T) {
	for _, c := range []struct {
		state    int
		maxError time.Duration
		want     time.Duration
		leap     leapIndicator
	}{
		{unix.TIME_OK, 1500 * time.Microsecond, 1500 * time.Microsecond, 0},
		{unix.TIME_INS, time.Millisecond, time.Millisecond, 1},
		{unix.TIME_OOP, time.Millisecond, time.Millisecond, 1},
		{unix.TIME_WAIT, time.Millisecond, time.Millisecond, 0},
		{unix.TIME_DEL, time.Millisecond, time.Millisecond, 2},
		{unix.TIME_ERROR, 0, 16 * time.Second, 3},
		{unix.TIME_ERROR, time.Minute, time.Minute, 3},
	} {
		if maxError, leap := kernelDiscipline(c.state, c.maxError); maxError != c.want || leap != c.leap {
			t.Errorf("state %d, %s: %s %d, want %s %d", c.state, c.maxError, maxError, leap, c.want, c.leap)
		}
	}
}

// What is told of this machine's clock is what the kernel says.
func TestDiscipline(t *testing.T) {
	var kernel unix.Timex
	state, err := unix.Adjtimex(&kernel)
	if err != nil {
		t.Skip(err)
	}
	want, wantLeap := kernelDiscipline(state, time.Duration(kernel.Maxerror)*time.Microsecond)
	maxError, leap := discipline()
	if leap != wantLeap || maxError < want || maxError > want+time.Second {
		t.Errorf("%s %d, want %s %d", maxError, leap, want, wantLeap)
	}
}
