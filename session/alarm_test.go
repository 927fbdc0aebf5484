package session_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
)

// missed returns the alarms of a session that nobody heard.
func (c *client) missed() (missed []string) {
	s := c.State()
	for _, a := range s.Alarms.List(c.at(s)) {
		if a.Missed != nil {
			missed = append(missed, a.Name)
		}
	}
	return missed
}

// rings fails the test unless just these alarms ring.
func (c *client) rings(names ...string) {
	c.n.w.Helper()
	if got := c.State().Ringing; !slices.Equal(got, names) {
		c.n.w.Errorf("at %v ring %q: want %q", c.n.now().Format(time.TimeOnly), got, names)
	}
}

func TestRing(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		b := w.node.open(a.ID())
		a.mustAdd("+5s Tea")
		a.mustAdd("+10s Egg")
		a.heard()
		b.heard()
		for second := 1; second <= 75; second++ {
			w.node.ticks(1)
			var want []string
			if second >= 5 && second < 65 {
				want = append(want, "Tea")
			}
			if second >= 10 && second < 70 {
				want = append(want, "Egg")
			}
			a.rings(want...)
			changes := len(a.heard())
			if told := slices.Contains([]int{5, 10, 65, 70}, second); (changes > 0) != told || changes != len(b.heard()) {
				w.Errorf("second %d: %d changes heard, want some only when ringing starts or ends", second, changes)
			}
		}
		synctest.Wait()
		if a.missed() != nil || w.node.rang != 2 || w.node.missed != 0 {
			w.Errorf("missed %q; counted %d that rang, %d missed; want none, 2, 0", a.missed(), w.node.rang, w.node.missed)
		}
		// Another node knows of all this from the storage.
		again := w.newNode().open(a.ID())
		if again.missed() != nil {
			w.Errorf("missed after a restart: %q, want none", again.missed())
		}
	})
}

func TestMissed(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.mustAdd("+5s Heard")
		a.mustAdd("+10m Lingering")
		a.mustAdd("+2h Gone")
		w.node.ticks(10)
		a.leave()
		time.Sleep(9*time.Minute + 45*time.Second)
		a = w.node.open(a.ID())
		w.node.tick()
		a.leave()
		time.Sleep(30 * time.Second) // it lingers, and nobody hears the alarm
		w.node.tick()
		time.Sleep(35 * time.Second)
		a = w.node.open(a.ID())
		if got := a.missed(); !slices.Equal(got, []string{"Lingering"}) {
			w.Errorf("missed %q: want only what rang with nobody there", got)
		}
		a.leave()
		time.Sleep(3 * time.Hour)
		a = w.node.open(a.ID())
		a.rings()
		missed := a.missed()
		slices.Sort(missed)
		if !slices.Equal(missed, []string{"Gone", "Lingering"}) {
			w.Errorf("missed %q: want what rang with nobody there", missed)
		}
		if w.node.missed != 2 {
			w.Errorf("counted %d missed: want 2", w.node.missed)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		again := w.newNode()
		b := again.open(a.ID())
		if got := b.missed(); len(got) != 2 || again.missed != 0 {
			w.Errorf("missed on another node %q, %d counted: want two, none counted again", got, again.missed)
		}
	})
}

// TestHeardSurvivesCrash has the node gone without a good-bye while an alarm rings that somebody hears.
func TestHeardSurvivesCrash(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.mustAdd("+5s Tea")
		w.node.ticks(10)
		synctest.Wait()
		time.Sleep(time.Hour)
		b := w.newNode().open(a.ID())
		if got := b.missed(); got != nil {
			w.Errorf("missed %q: want none, it was heard before the crash", got)
		}
	})
}

// TestTickDoesNotWait has the store hang while alarms ring.
func TestTickDoesNotWait(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.mustAdd("+5s Tea")
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		for range 3600 {
			began := time.Now()
			w.node.ticks(1)
			if took := time.Since(began); took != time.Second {
				w.Fatalf("a tick took %v", took-time.Second)
			}
			if time.Now().Second() == 30 && time.Now().Minute() == 0 {
				a.rings("Tea")
			}
		}
		w.node.store.Set(nil)
		close(until)
		time.Sleep(time.Minute)
		b := w.newNode().open(a.ID())
		if got := b.missed(); got != nil {
			w.Errorf("missed %q: want none", got)
		}
	})
}

// TestRingDuringUpdate has an alarm begin to ring, and another end, while a change is being stored.
func TestRingDuringUpdate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.policy.Ring = 10 * time.Second
		a := w.node.open("")
		a.mustAdd("+5s Ends")
		a.mustAdd("+15s Begins")
		w.node.ticks(14)
		a.rings("Ends")
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		var wg sync.WaitGroup
		wg.Go(func() { a.mustAdd("+1h Added") })
		synctest.Wait()
		w.node.ticks(1)
		a.rings("Begins")
		w.node.ticks(1)
		w.node.store.Set(nil)
		close(until)
		wg.Wait()
		a.rings("Begins")
		w.node.ticks(10)
		a.rings()
		synctest.Wait()
		if got := a.missed(); got != nil {
			w.Errorf("missed %q: want none", got)
		}
		b := w.newNode().open(a.ID())
		if got := b.missed(); got != nil || len(names(b.State())) != 3 {
			w.Errorf("on another node %q, missed %q: want three, none missed", names(b.State()), got)
		}
	})
}

func TestClockSteps(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.mustAdd("+2h Tea")
		for range 2 { // an hour forward and back
			w.node.step.Store(int64(time.Hour))
			w.node.ticks(2)
			synctest.Wait()
			a.rings()
			w.node.step.Store(0)
			w.node.ticks(2)
			synctest.Wait()
			a.rings()
		}
		w.node.step.Store(int64(2 * time.Hour)) // into the ring
		w.node.tick()
		a.rings("Tea")
		w.node.step.Store(int64(2*time.Hour - 5*time.Second)) // back a little: it rings on
		w.node.ticks(1)
		synctest.Wait()
		a.rings("Tea")
		w.node.step.Store(0) // back by hours: that is over
		w.node.ticks(1)
		synctest.Wait()
		a.rings()
	})
}

// TestStepBackAndOn has the clock set back, and an alarm that was set by the wrong time ring at its time.
func TestStepBackAndOn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.step.Store(int64(10 * time.Hour))
		a := w.node.open("")
		w.node.tick()
		a.mustAdd("daily 07:30 Tea")
		w.node.step.Store(0)
		w.node.tick()
		synctest.Wait()
		next := a.State().Alarms.NextChange(a.at(a.State()))
		time.Sleep(next.Sub(w.node.now()) - time.Second)
		w.node.tick()
		a.rings()
		w.node.ticks(1)
		synctest.Wait()
		a.rings("Tea")
	})
}

// TestTickersTogether has several tickers at the same second: for each, all is up to date when Advance returns.
func TestTickersTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		clients := make([]*client, 100)
		for i := range clients {
			clients[i] = w.node.open("")
			clients[i].mustAdd("+5s Tea")
		}
		time.Sleep(5 * time.Second)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				w.node.Advance(w.node.now().Add(time.Duration(i) * time.Millisecond))
				for _, c := range clients {
					c.rings("Tea")
				}
			})
		}
		wg.Wait()
		for _, c := range clients {
			if len(c.heard()) != 2 {
				w.Error("a change was told twice, or not at all")
			}
		}
	})
}

func TestRefreshAfterPolicyChange(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.mustAdd("+5s Tea")
		w.node.ticks(6)
		a.rings("Tea")
		w.node.policy.Ring = 3 * time.Second
		w.node.Refresh()
		w.node.ticks(2)
		a.rings()
	})
}

func TestSetZones(t *testing.T) {
	inWorld(t, func(w *world) {
		a, idle := w.node.open(""), w.node.open("")
		a.mustAdd("daily 07:30 Tea")
		idle.leave()
		a.heard()
		updated := clock.LoadZones()
		w.node.SetZones(updated)
		paris, _ := updated.Zone("Europe/Paris")
		if changes := a.heard(); len(changes) != 1 || changes[0].Zone != paris || changes[0].ZoneSet != 0 {
			w.Errorf("changes heard: %+v, want the updated zone, and not that it was set", changes)
		}
		if w.node.open(idle.ID()).State().Zone != paris || w.node.open("").State().Zone != paris || w.node.Zones() != updated {
			w.Error("the zone of a session is not the updated one")
		}
		// A change that was begun before the update.
		err := a.Update(w.Context(), func(s *session.State) error {
			s.Zone = zone(w, "Asia/Tokyo")
			s.ZoneSet++
			return nil
		})
		if tokyo, _ := updated.Zone("Asia/Tokyo"); err != nil || a.State().Zone != tokyo {
			w.Errorf("update: %v, want the updated zone", err)
		}
	})
}

// TestUnknownZone has a record whose zone the zone data does not have, as after a move to a system that has fewer.
func TestUnknownZone(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		a.mustAdd("daily 07:30 Tea")
		record := session.Rezoned(w.memory.Get(key), "Atlantis/Capital")
		w.memory.Put(key, record)
		n := w.newNode()
		b := n.open(a.ID())
		b.shows("Europe/Paris", "Tea")
		b.mustAdd("daily 07:31 More")
		if got := session.ZoneOf(w.memory.Get(key)); got != "Atlantis/Capital" {
			w.Errorf("stored zone %q: want it as it was", got)
		}
		n.SetZones(clock.LoadZones())
		if b.State().Zone.Name() != "Europe/Paris" {
			w.Errorf("zone %v", b.State().Zone.Name())
		}
		if err := b.setZone("Europe/Paris"); err != nil {
			w.Fatal(err)
		}
		if got := session.ZoneOf(w.memory.Get(key)); got != "Europe/Paris" {
			w.Errorf("stored zone %q: want the one that was set", got)
		}
		b.shows("Europe/Paris", "More", "Tea")
	})
}

// TestManyRingAtOnce has many sessions ring in the same second: the store is asked by a few at a time.
func TestManyRingAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		clients := make([]*client, 300)
		for i := range clients {
			clients[i] = w.node.open("")
			clients[i].mustAdd(fmt.Sprintf("%s Tea", time.Date(2000, 1, 1, 7, 30, 0, 0, time.UTC).Format(time.RFC3339)))
		}
		time.Sleep(7*time.Hour + 30*time.Minute)
		w.node.tick()
		for _, c := range clients {
			c.rings("Tea")
		}
		time.Sleep(time.Minute)
		w.node.tick()
		for _, c := range clients {
			c.rings()
			c.leave()
		}
		synctest.Wait()
		if w.node.rang != len(clients) {
			w.Errorf("counted %d that rang: want %d", w.node.rang, len(clients))
		}
		for _, c := range clients[:10] {
			if got := w.newNode().open(c.ID()).missed(); got != nil {
				w.Errorf("missed %q: want none", got)
			}
		}
	})
}
