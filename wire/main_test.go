package wire

import (
	"testing"

	"go.uber.org/goleak"
)

// The poller of package link lives as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/pyws-clock/pyws_clock/wire/link.(*poller).run"))
}
