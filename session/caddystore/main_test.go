package caddystore

import (
	"testing"

	"go.uber.org/goleak"
)

// The goroutine that keeps a lock file fresh lives some seconds longer than
// the file.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))
}
