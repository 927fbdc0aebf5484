package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

// newWatchingNode returns a node that is told what others do.
func (w *world) newWatchingNode() *node {
	n := w.newNodeOver(w.memory.Node(), session.Config{})
	n.open("").leave() // for whom the watch begins
	synctest.Wait()
	return n
}

func TestNodesShareSessions(t *testing.T) {
	inWorld(t, func(w *world) {
		phone := w.newWatchingNode().open("")
		tablet := w.newWatchingNode().open(phone.ID())
		phone.mustAdd("daily 07:30 Tea")
		synctest.Wait()
		if got := names(tablet.State()); !slices.Equal(got, []string{"Tea"}) || len(tablet.heard()) != 1 {
			w.Errorf("alarms %q on the other node, want Tea, and one change heard", got)
		}
		if err := tablet.setZone("Asia/Tokyo"); err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		if changes := phone.heard(); len(changes) != 2 || changes[1].Zone.Name() != "Asia/Tokyo" || changes[1].ZoneSet != 1 {
			w.Errorf("changes heard: %+v, want the own one and that the zone was set", changes)
		}
		if err := tablet.Delete(w.Context()); err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		if !phone.isDeleted() {
			w.Error("the session lives on on the other node")
		}
		phone = phone.n.open(phone.ID())
		phone.shows("Europe/Paris")
		phone.mustAdd("daily 07:30 Anew")
		phone.shows("Europe/Paris", "Anew")
	})
}

func TestNodesRing(t *testing.T) {
	inWorld(t, func(w *world) {
		phone := w.newWatchingNode().open("")
		tablet := w.newWatchingNode().open(phone.ID())
		phone.mustAdd("+5s Tea")
		for range 5 {
			time.Sleep(time.Second)
			synctest.Wait()
			phone.n.tick()
			tablet.n.tick()
		}
		phone.rings("Tea")
		tablet.rings("Tea")
		synctest.Wait()
		err := tablet.Update(w.Context(), func(s *session.State) (err error) {
			s.Alarms, _, err = s.Alarms.Stop(tablet.at(s), "")
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		phone.rings()
		tablet.rings()
		for range 120 {
			time.Sleep(time.Second)
			phone.n.tick()
			tablet.n.tick()
		}
		synctest.Wait()
		phone.rings()
		if phone.missed() != nil || tablet.missed() != nil {
			w.Errorf("missed %q and %q: want none", phone.missed(), tablet.missed())
		}
	})
}

// TestNodesSettle has two nodes tick over the same alarms for a day: what one stores must not set off the other for ever.
func TestNodesSettle(t *testing.T) {
	inWorld(t, func(w *world) {
		phone := w.newWatchingNode().open("")
		tablet := w.newWatchingNode().open(phone.ID())
		phone.mustAdd("daily 07:30 Tea")
		phone.mustAdd("+1m Egg")
		for range 24 * 60 * 2 {
			time.Sleep(30 * time.Second)
			synctest.Wait()
			phone.n.tick()
			tablet.n.tick()
		}
		synctest.Wait()
		for _, c := range []*client{phone, tablet} {
			c.n.mu.Lock()
			if saves := c.n.asked["save"]; saves > 20 {
				w.Errorf("%d saves for two alarms that rang: want few", saves)
			}
			c.n.mu.Unlock()
			if c.missed() != nil {
				w.Errorf("missed %q: want none", c.missed())
			}
		}
	})
}

func TestNodesChangeAtOnceWithWatch(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.newWatchingNode().open("")
		clients := []*client{a, w.newWatchingNode().open(a.ID()), w.newWatchingNode().open(a.ID())}
		var wg sync.WaitGroup
		var want []string
		for i, c := range clients {
			for j := range 12 {
				name := fmt.Sprintf("%d %02d", i, j)
				want = append(want, name)
				wg.Go(func() {
					if err := c.add("daily 07:30 " + name); err != nil {
						w.Errorf("add: %v", err)
					}
				})
			}
		}
		wg.Wait()
		synctest.Wait()
		for _, c := range clients {
			c.shows("Europe/Paris", want...)
		}
	})
}

// TestEventDuringTurn has another node's change told while the result of an own one is still on its way.
func TestEventDuringTurn(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.newWatchingNode().open("")
		a.remember()
		b := w.newWatchingNode().open(a.ID())
		until := make(chan struct{})
		a.n.store.Set(func(string, session.Key) storetest.Fault { return storetest.Fault{After: until} })
		var wg sync.WaitGroup
		wg.Go(func() { a.mustAdd("daily 07:30 Tea") })
		synctest.Wait()
		if err := b.setZone("America/New_York"); err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		a.n.store.Set(nil)
		close(until)
		wg.Wait()
		a.shows("America/New_York", "Tea")
	})
}

// TestDeletedUnwatched has a node find out by a conflict that another deleted the session.
func TestDeletedUnwatched(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		b := w.newNode().open(a.ID())
		if err := b.Delete(w.Context()); err != nil {
			w.Fatal(err)
		}
		if err := a.add("daily 07:30 Tea"); !errors.Is(err, session.ErrDeleted) || !a.isDeleted() {
			w.Errorf("update: %v, want ErrDeleted", err)
		}
		if len(w.memory.Keys()) > 0 {
			w.Error("a deleted session was stored again")
		}
	})
}

// TestDeletedAfterConflict has a deletion meet a change of another node.
func TestDeletedAfterConflict(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		b := w.newNode().open(a.ID())
		b.mustAdd("daily 07:30 Tea") // a does not know that the session is stored
		if err := a.Delete(w.Context()); err != nil || len(w.memory.Keys()) > 0 {
			w.Errorf("delete: %v, %d records left", err, len(w.memory.Keys()))
		}
		c := w.node.open("")
		c.remember()
		d := w.newNode().open(c.ID())
		d.mustAdd("daily 07:30 Tea")
		if err := c.Delete(w.Context()); err != nil || len(w.memory.Keys()) > 0 {
			w.Errorf("delete: %v, %d records left", err, len(w.memory.Keys()))
		}
	})
}

// TestWatchBreaks has changes made while the watch is broken.
func TestWatchBreaks(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.newWatchingNode().open("")
		b := w.newWatchingNode().open(a.ID())
		a.remember()
		synctest.Wait()
		w.memory.BreakWatches()
		synctest.Wait()
		a.mustAdd("daily 07:30 Tea")
		synctest.Wait()
		if len(names(b.State())) > 0 {
			w.Error("the watch is not broken")
		}
		b.n.store.Set(fails("load"))
		time.Sleep(10 * time.Second)
		b.n.store.Set(nil)
		time.Sleep(time.Minute)
		if got := names(b.State()); !slices.Equal(got, []string{"Tea"}) {
			w.Errorf("alarms %q: want those that were set while the watch was broken", got)
		}
		if b.n.logs.FilterMessage("watch of the session store ended").Len() != 1 {
			w.Errorf("logged %v", b.n.logs.All())
		}
		w.memory.BreakWatches()
		synctest.Wait()
		if err := a.Delete(w.Context()); err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !b.isDeleted() {
			w.Error("the session lives on on the other node")
		}
	})
}

// TestOtherNodeDuringDoubt has another node change the session on top of a save that a visitor was told to have failed.
// What the other node acknowledged stays.
func TestOtherNodeDuringDoubt(t *testing.T) {
	for _, watching := range []bool{false, true} {
		t.Run(fmt.Sprintf("watching %v", watching), func(t *testing.T) {
			inWorld(t, func(w *world) {
				n := w.node
				if watching {
					n = w.newWatchingNode()
				}
				a := n.open("")
				a.remember()
				b := w.newNode().open(a.ID())
				until := make(chan struct{})
				n.store.Set(func(name string, _ session.Key) storetest.Fault {
					if name != "save" {
						return storetest.Fault{}
					}
					return storetest.Fault{After: until}
				})
				w.unavailable(a.setZone("America/New_York"), "did not answer in time")
				b.mustAdd("daily 07:30 Tea")
				n.store.Set(nil)
				close(until)
				time.Sleep(time.Minute)
				if got := names(a.State()); !slices.Equal(got, []string{"Tea"}) {
					w.Errorf("alarms %q: want what the other node acknowledged", got)
				}
				a.mustAdd("daily 07:31 More")
				a.shows(a.State().Zone.Name(), "More", "Tea")
			})
		})
	}
}

// TestStaleEvents has events come late, after what they tell of was changed again.
func TestStaleEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		slow := &slowWatch{Store: w.memory.Node()}
		n := w.newNodeOver(slow, session.Config{})
		a := n.open("")
		synctest.Wait()
		for i := range 10 {
			a.mustAdd(fmt.Sprintf("daily 07:30 %d", i))
		}
		a.heard()
		time.Sleep(time.Hour)
		if len(a.heard()) > 0 || len(names(a.State())) != 10 {
			w.Error("what the node did itself was taken for news")
		}
	})
}

// slowWatch tells of everything a minute late.
type slowWatch struct{ session.Store }

func (s *slowWatch) Watch(ctx context.Context, resync func(), changed func(session.Event)) error {
	return s.Store.Watch(ctx, resync, func(e session.Event) {
		time.Sleep(time.Minute)
		changed(e)
	})
}
