package pywsclock

import (
	"testing"

	"go.uber.org/goleak"
)

// The poller of package link lives as long as the process, and the goroutine
// that keeps a lock file fresh some seconds longer than the file.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/pyws-clock/pyws_clock/wire/link.(*poller).run"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}
