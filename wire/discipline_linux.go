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
	return kernelDiscipline(state, &t)
}

// kernelDiscipline is what the state of the kernel's clock means. Where the
// clock is not synchronised, its maximum error may be any number, such as the
// zero that chronyd leaves. What the kernel still has to make up for is a part
// of the error: systemd-timesyncd tells it a maximum of zero even then.
func kernelDiscipline(state int, t *unix.Timex) (time.Duration, leapIndicator) {
	left := time.Duration(t.Offset).Abs()
	if t.Status&unix.STA_NANO == 0 {
		left *= time.Microsecond
	}
	maxError := time.Duration(t.Maxerror)*time.Microsecond + left
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
