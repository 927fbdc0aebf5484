package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/session"
)

// A store that fails for ten thousand visitors at once is two lines in the
// log, with their number, and one line more for each minute that it lasts.
func TestFailuresAreLoggedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		n := w.newNode()
		n.store.Set(fails("secret"))
		for range 5000 {
			if _, err := n.tryOpen(a.ID()); err == nil {
				w.Fatal("a store that fails opened a session")
			}
		}
		time.Sleep(90 * time.Second)
		for range 5000 {
			if _, err := n.tryOpen(a.ID()); err == nil {
				w.Fatal("a store that fails opened a session")
			}
		}
		n.store.Set(nil)
		n.open(a.ID())
		type line struct {
			message string
			failed  any
		}
		var got []line
		for _, l := range n.logs.TakeAll() {
			got = append(got, line{l.Message, l.ContextMap()["failed_operations"]})
		}
		want := []line{{"session store fails", int64(1)}, {"session store fails", int64(5001)}, {"session store works again", int64(10000)}}
		if !slices.Equal(got, want) {
			w.Errorf("logged %v, want %v", got, want)
		}
	})
}

// Records that are damaged are counted among the loads, whenever one is met.
func TestDamageIsCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		w.memory.Put(key, append(w.memory.Get(key), ' '))
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return ttl }})
		n.open(a.ID())
		if got, want := n.damages(), []string{"load"}; !slices.Equal(got, want) {
			w.Errorf("at the opening %q met with damage, want %q", got, want)
		}
		time.Sleep(2 * ttl)
		if len(n.damages()) < 2 {
			w.Error("the sweep counted none")
		}
		if err := a.setZone("Europe/Berlin"); err == nil {
			w.Error("a damaged record was overwritten")
		}
		if got, want := w.node.damages(), []string{"load"}; !slices.Equal(got, want) {
			w.Errorf("while it was live %q met with damage, want %q", got, want)
		}
		if n.Failing() || w.node.Failing() {
			w.Error("one session's trouble passes for the store's")
		}
	})
}
