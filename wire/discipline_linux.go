package wire

import (
	"time"

	"golang.org/x/sys/unix"
)

// discipline asks the kernel how far the system's clock is off at most, and
// for the leap indicator; adjtimex(2).
func discipline() (maxError time.Duration, leap leapIndicator) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return maxDispersion, leapUnknown
	}
	return kernelDiscipline(state, time.Duration(t.Maxerror)*time.Microsecond)
}

// kernelDiscipline is what the state of the kernel's clock means. Where the
// clock is not synchronised, its maximum error may be any number, such as the
// zero that chronyd leaves.
func kernelDiscipline(state int, maxError time.Duration) (time.Duration, leapIndicator) {
	switch state {
	case unix.TIME_OK, unix.TIME_WAIT:
		return maxError, leapNone
	case unix.TIME_INS, unix.TIME_OOP:
		return maxError, leapSecondInserted
	case unix.TIME_DEL:
		return maxError, leapSecondDeleted
	}
	return max(maxError, maxDispersion), leapUnknown
}
