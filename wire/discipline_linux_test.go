package wire

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestKernelDiscipline(t *testing.T) {
	for _, c := range []struct {
		state  int
		kernel unix.Timex
		want   time.Duration
		leap   leapIndicator
	}{
		{unix.TIME_OK, unix.Timex{Maxerror: 1500}, 1500 * time.Microsecond, 0},
		{unix.TIME_OK, unix.Timex{Maxerror: 1500, Offset: -250}, 1750 * time.Microsecond, 0},
		{unix.TIME_OK, unix.Timex{Offset: 400e6, Status: unix.STA_PLL | unix.STA_NANO}, 400 * time.Millisecond, 0},
		{unix.TIME_INS, unix.Timex{Maxerror: 1000}, time.Millisecond, 1},
		{unix.TIME_OOP, unix.Timex{Maxerror: 1000}, time.Millisecond, 1},
		{unix.TIME_WAIT, unix.Timex{Maxerror: 1000}, time.Millisecond, 0},
		{unix.TIME_DEL, unix.Timex{Maxerror: 1000}, time.Millisecond, 2},
		{unix.TIME_ERROR, unix.Timex{}, 16 * time.Second, 3},
		{unix.TIME_ERROR, unix.Timex{Maxerror: 60e6}, time.Minute, 3},
	} {
		if maxError, leap := kernelDiscipline(c.state, &c.kernel); maxError != c.want || leap != c.leap {
			t.Errorf("state %d, %+v: %s %d, want %s %d", c.state, c.kernel, maxError, leap, c.want, c.leap)
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
	want, wantLeap := kernelDiscipline(state, &kernel)
	maxError, leap := discipline()
	if leap != wantLeap || maxError < want || maxError > want+time.Second {
		t.Errorf("%s %d, want %s %d", maxError, leap, want, wantLeap)
	}
}
