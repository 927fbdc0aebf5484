package storetest_test

import (
	"testing"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return storetest.NewMemory().Node() })
	storetest.RunNodes(t, func(*testing.T) (a, b session.Store) {
		m := storetest.NewMemory()
		return m.Node(), m.Node()
	})
}

func TestFaultyWithoutPlan(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store {
		return &storetest.Faulty{Store: storetest.NewMemory().Node()}
	})
}
