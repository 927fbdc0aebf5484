package caddystore

import (
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		return New(&certmagic.FileStorage{Path: t.TempDir()})
	})
}
