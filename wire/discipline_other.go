//go:build !linux

package wire

import "time"

// discipline says that nothing is known of the system's clock.
func discipline() (maxError time.Duration, leap leapIndicator) {
	return maxDispersion, leapUnknown
}
