package session_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

func TestFailingStore(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		w.node.store.Set(fails("save"))
		for range 3 {
			err := a.add("daily 07:30 Tea")
			w.unavailable(err, "failed: nothing was changed")
			if strings.Contains(err.Error(), "/var") || !errors.Is(err, errDisk) {
				w.Errorf("error %q: want that it wraps what the store said, and does not show it", err)
			}
		}
		w.unavailable(a.setZone("Asia/Tokyo"), "failed")
		if len(a.heard()) > 0 || len(w.memory.Keys()) > 0 {
			w.Error("something changed")
		}
		w.node.store.Set(nil)
		a.mustAdd("daily 07:30 Tea")
		a.shows("Europe/Paris", "Tea")
		w.node.store.Set(fails("delete"))
		w.unavailable(a.Delete(w.Context()), "failed")
		if a.isDeleted() {
			w.Error("deleted all the same")
		}
		time.Sleep(time.Hour)
		a.shows("Europe/Paris", "Tea")
	})
}

// TestFailing has a store fail that can still be read, as a full disk can.
func TestFailing(t *testing.T) {
	inWorld(t, func(w *world) {
		a, n := w.node.open(""), w.newNode()
		a.remember()
		check := func(when string, want bool) {
			w.Helper()
			if n.Failing() != want {
				w.Errorf("%s: failing is %t", when, !want)
			}
		}
		check("at first", false)
		n.store.Set(fails("load"))
		_, err := n.tryOpen(a.ID())
		w.unavailable(err, "failed")
		check("reading fails", true)
		n.store.Set(fails("save"))
		b := n.open(a.ID())
		check("reading works", false)
		w.unavailable(b.setZone("Europe/Berlin"), "failed")
		check("writing fails", true)
		c := w.node.open("")
		c.remember()
		n.open(c.ID())
		check("reading works, writing does not", true)
		n.store.Set(nil)
		if err := b.setZone("Europe/Berlin"); err != nil {
			w.Error(err)
		}
		check("writing works", false)
	})
}

// TestAmbiguousFailure has operations fail that were done: they are undone.
func TestAmbiguousFailure(t *testing.T) {
	does := func(operation string) storetest.Plan {
		return func(name string, _ session.Key) storetest.Fault {
			if name != operation {
				return storetest.Fault{}
			}
			return storetest.Fault{Err: errDisk, Done: true}
		}
	}
	inWorld(t, func(w *world) {
		a := w.node.open("")
		for range 2 { // of a session that is not stored, and of one that is
			w.node.store.Set(does("save"))
			w.unavailable(a.add("daily 07:30 Tea"), "failed")
			w.node.store.Set(nil)
			time.Sleep(time.Minute) // the background undoes it
			a.shows("Europe/Paris")
			w.node.store.Set(does("save"))
			w.unavailable(a.add("daily 07:30 Tea"), "failed")
			w.node.store.Set(nil)
			if err := a.setZone("Europe/Paris"); err != nil { // or the next change does
				w.Fatal(err)
			}
			a.shows("Europe/Paris")
		}
		a.mustAdd("daily 07:30 Tea")
		w.node.store.Set(does("delete"))
		w.unavailable(a.Delete(w.Context()), "failed")
		w.node.store.Set(nil)
		time.Sleep(time.Minute)
		a.shows("Europe/Paris", "Tea")
		a.mustAdd("daily 07:30 More")
		a.shows("Europe/Paris", "More", "Tea")
	})
}

// TestHangingStore has a save hang, of which the visitor is told in time that it failed, and succeed later.
func TestHangingStore(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored %v", stored), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a := w.node.open("")
				zone := "Europe/Paris"
				if stored {
					zone = "Asia/Tokyo"
					a.remember()
				}
				until := make(chan struct{})
				w.node.store.Set(hangs("save", until))
				began := time.Now()
				w.unavailable(a.add("daily 07:30 Tea"), "did not answer in time")
				if took := time.Since(began); took != timeout {
					w.Errorf("the error took %v: want %v", took, timeout)
				}
				began = time.Now()
				w.unavailable(a.add("daily 07:30 Tea"), "has not come back")
				w.unavailable(a.Delete(w.Context()), "has not come back")
				if took := time.Since(began); took != 0 {
					w.Errorf("errors while an operation hangs took %v: want none", took)
				}
				time.Sleep(time.Hour)
				w.unavailable(a.add("daily 07:30 Tea"), "has not come back")
				w.node.store.Set(nil)
				close(until)
				synctest.Wait()
				a.shows(zone)
				if !stored && len(w.memory.Keys()) > 0 {
					w.Error("a session that nobody could change is stored")
				}
				a.mustAdd("daily 07:30 Tea")
				a.shows(zone, "Tea")
			})
		})
	}
}

func TestHangingDelete(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		until := make(chan struct{})
		w.node.store.Set(hangs("delete", until))
		w.unavailable(a.Delete(w.Context()), "did not answer in time")
		w.node.store.Set(nil)
		close(until)
		synctest.Wait()
		if a.isDeleted() {
			w.Error("deleted though the visitor was told that it failed")
		}
		a.shows("Asia/Tokyo")
	})
}

// TestHangingResult has the save done in time, but not its result.
func TestHangingResult(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		until := make(chan struct{})
		w.node.store.Set(func(name string, _ session.Key) storetest.Fault {
			return storetest.Fault{After: until}
		})
		w.unavailable(a.add("daily 07:30 Tea"), "did not answer in time")
		w.node.store.Set(nil)
		close(until)
		synctest.Wait()
		a.shows("Europe/Paris")
	})
}

// TestUndoIsHeldUp has the undoing fail, hang and conflict: it is tried again until it is done.
func TestUndoIsHeldUp(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		w.unavailable(a.add("daily 07:30 Tea"), "did not answer in time")
		w.node.store.Set(fails("load"))
		close(until)
		time.Sleep(time.Minute)
		w.unavailable(a.add("daily 07:30 Tea"), "failed")
		w.node.store.Set(fails("save"))
		time.Sleep(time.Minute)
		w.unavailable(a.add("daily 07:30 Tea"), "failed")
		w.node.store.Set(func(name string, _ session.Key) storetest.Fault {
			if name != "save" {
				return storetest.Fault{}
			}
			return storetest.Fault{Err: session.ErrConflict}
		})
		time.Sleep(time.Minute)
		w.unavailable(a.add("daily 07:30 Tea"), "busy")
		again := make(chan struct{})
		w.node.store.Set(hangs("save", again))
		time.Sleep(time.Minute)
		w.unavailable(a.add("daily 07:30 Tea"), "has not come back")
		w.node.store.Set(nil)
		close(again)
		synctest.Wait()
		a.shows("Asia/Tokyo")
		a.mustAdd("daily 07:30 Tea")
		a.shows("Asia/Tokyo", "Tea")
	})
}

// TestCloseUndoes has the server stop while a save hangs that a visitor was told to have failed.
func TestCloseUndoes(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		before := session.ZoneOf(w.memory.Get(key))
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		w.unavailable(a.setZone("America/New_York"), "did not answer in time")
		w.node.store.Set(nil)
		a.leave()
		time.AfterFunc(time.Second, func() { close(until) })
		w.node.end()
		if got := session.ZoneOf(w.memory.Get(key)); got != before {
			w.Errorf("zone %q after the stop: want %q", got, before)
		}
	})
}

// TestVisitorLeavesInDoubt has the visitor gone when it shows that a save succeeded.
func TestVisitorLeavesInDoubt(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		w.unavailable(a.add("daily 07:30 Tea"), "did not answer in time")
		a.leave()
		time.Sleep(10 * linger)
		if w.node.Len() != 1 {
			w.Error("a session was forgotten that still has something to be undone")
		}
		w.node.store.Set(nil)
		close(until)
		time.Sleep(3 * linger)
		if w.node.Len() != 0 {
			w.Error("the session is still in memory")
		}
		w.node.open(a.ID()).shows("Asia/Tokyo")
	})
}

func TestOverload(t *testing.T) {
	inWorld(t, func(w *world) {
		clients := make([]*client, 200)
		for i := range clients {
			clients[i] = w.node.open("")
		}
		until := make(chan struct{})
		var begun atomic.Int64
		w.node.store.Set(func(string, session.Key) storetest.Fault {
			begun.Add(1)
			return storetest.Fault{Before: until, Heedless: true}
		})
		began := time.Now()
		for range 3 {
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					err := c.add("daily 07:30 Tea")
					if !errors.Is(err, session.ErrUnavailable) {
						w.Errorf("add: %v, want ErrUnavailable", err)
					}
				})
			}
			wg.Wait()
		}
		if took := time.Since(began); took > 3*timeout {
			w.Errorf("errors took %v: want at most %v each", took, timeout)
		}
		if hang := begun.Load(); hang > 64 {
			w.Errorf("%d operations hang in the store: want at most 64", hang)
		}
		w.node.store.Set(nil)
		close(until)
		time.Sleep(time.Minute)
		if left := len(w.memory.Keys()); left > 0 {
			w.Errorf("%d sessions are stored that nobody could change", left)
		}
		clients[0].mustAdd("daily 07:30 Tea")
		clients[0].shows("Europe/Paris", "Tea")
	})
}

func TestDamagedWhileLive(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		w.memory.Put(key, []byte("not a record"))
		for _, err := range []error{a.add("daily 07:30 Tea"), a.Delete(w.Context())} {
			if !errors.Is(err, session.ErrDamaged) || !strings.Contains(err.Error(), "nothing was changed") {
				w.Errorf("error %v: want ErrDamaged", err)
			}
		}
		if a.isDeleted() || len(names(a.State())) > 0 {
			w.Error("the session changed")
		}
		for range 40 {
			time.Sleep(24 * time.Hour)
			w.node.tick()
		}
		a.leave()
		time.Sleep(time.Hour)
		if got := string(w.memory.Get(key)); got != "not a record" {
			w.Errorf("the damaged record became %q", got)
		}
		if logs := w.node.logs.FilterMessage("stored session is damaged, and left as it is"); logs.Len() == 0 {
			w.Error("the damaged record is not in the log")
		}
	})
}

func TestVanishedWhileLive(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		a.mustAdd("daily 07:30 Tea")
		w.memory.Put(key, nil)
		a.mustAdd("daily 07:31 More")
		a.shows("Asia/Tokyo", "More", "Tea")
		w.memory.Put(key, nil)
		if err := a.Delete(w.Context()); err != nil {
			w.Errorf("delete of what has vanished: %v", err)
		}
	})
}

// TestChangedByHand has an administrator put back an older record, which is taken over.
func TestChangedByHand(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		a.mustAdd("daily 07:30 Old")
		old := w.memory.Get(key)
		a.mustAdd("daily 07:31 New")
		w.memory.Put(key, old)
		a.mustAdd("daily 07:32 Newer")
		a.shows("Asia/Tokyo", "Newer", "Old")
	})
}

func TestContextEndsWait(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		var wg sync.WaitGroup
		wg.Go(func() { w.unavailable(a.add("daily 07:30 Tea"), "did not answer") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		began := time.Now()
		w.unavailable(a.Update(ctx, func(*session.State) error { return errors.New("called") }), "was not asked")
		if took := time.Since(began); took != time.Second {
			w.Errorf("the wait took %v: want %v", took, time.Second)
		}
		wg.Wait()
		close(until)
	})
}

// TestContextDoesNotEndSave has the client go away while its change is being stored.
func TestContextDoesNotEndSave(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		ctx, cancel := context.WithCancel(w.Context())
		w.node.store.Set(func(name string, _ session.Key) storetest.Fault {
			cancel()
			return storetest.Fault{}
		})
		err := a.Update(ctx, func(s *session.State) (err error) {
			s.Alarms, _, err = s.Alarms.Add(a.at(s), "daily 07:30 Tea")
			return err
		})
		if err != nil {
			w.Errorf("update: %v", err)
		}
		w.node.store.Set(nil)
		a.shows("Europe/Paris", "Tea")
	})
}

func TestManyChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		const sessions, changes = 50, 20
		var wg sync.WaitGroup
		clients := make([]*client, sessions)
		for i := range clients {
			clients[i] = w.node.open("")
			for j := range changes {
				wg.Go(func() {
					if err := clients[i].add(fmt.Sprintf("daily 07:30 %02d", j)); err != nil {
						w.Errorf("add: %v", err)
					}
				})
			}
		}
		wg.Wait()
		var want []string
		for j := range changes {
			want = append(want, fmt.Sprintf("%02d", j))
		}
		other := w.newNode()
		for _, c := range clients {
			if got := names(other.open(c.ID()).State()); !slices.Equal(got, want) {
				w.Errorf("stored %q: want %q", got, want)
			}
			if heard := len(c.heard()); heard != changes {
				w.Errorf("%d changes heard: want %d", heard, changes)
			}
		}
	})
}

// TestNodesChangeAtOnce has two nodes change one session, without a watch: no change is lost.
func TestNodesChangeAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		b := w.newNode().open(a.ID())
		const changes = 50
		var wg sync.WaitGroup
		var want []string
		for i := range changes {
			want = append(want, fmt.Sprintf("a%02d", i), fmt.Sprintf("b%02d", i))
		}
		for _, c := range []struct {
			*client
			name string
		}{{a, "a"}, {b, "b"}} {
			wg.Go(func() {
				for i := range changes {
					if err := c.add(fmt.Sprintf("daily 07:30 %s%02d", c.name, i)); err != nil {
						w.Errorf("add: %v", err)
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(want)
		last := a
		if len(names(b.State())) > len(names(a.State())) {
			last = b
		}
		last.shows("Asia/Tokyo", want...)
	})
}

// TestAcknowledgedIsStored has random things go wrong. What a visitor was told to have succeeded is in the session and in
// the storage; what they were told to have failed is in neither.
func TestAcknowledgedIsStored(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(w *world) { acknowledgedIsStored(w, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func acknowledgedIsStored(w *world, random *rand.Rand) {
	n := w.node
	c := n.open("")
	zone, want := "Europe/Paris", []string(nil)
	heal := func() {}
	for step := range 60 {
		heal()
		heal = n.harm(rand.New(rand.NewPCG(random.Uint64(), 0)))
		var err error
		change := func() {}
		switch name := fmt.Sprintf("%02d", step); random.IntN(10) {
		case 0:
			err = c.setZone("Asia/Tokyo")
			change = func() { zone = "Asia/Tokyo" }
		case 1, 2:
			if len(want) == 0 {
				break
			}
			gone := want[random.IntN(len(want))]
			err = c.Update(w.Context(), func(s *session.State) (err error) {
				s.Alarms, err = s.Alarms.Delete(gone)
				return err
			})
			change = func() { want = slices.DeleteFunc(want, func(name string) bool { return name == gone }) }
		case 3:
			err = c.Delete(w.Context())
			change = func() {
				zone, want = "Europe/Paris", nil
				c.leave()
			}
		case 4:
			c.leave()
			time.Sleep(time.Duration(random.IntN(100)) * time.Second)
			heal()
			again := n.open(c.ID())
			if again.ID() != c.ID() {
				w.Fatalf("step %d: another ID", step)
			}
			c = again
		case 5:
			n.ticks(random.IntN(20))
		default:
			err = c.add("2100-01-01 00:00 " + name)
			change = func() { want = append(want, name) }
		}
		if err == nil {
			change()
		}
		if c.isDeleted() {
			heal()
			c = n.open(c.ID())
		}
		if got := names(c.State()); c.State().Zone.Name() != zone || !slices.Equal(got, want) {
			w.Fatalf("step %d: %v, alarms %q; want %v, %q after error %v", step, c.State().Zone.Name(), got, zone, want, err)
		}
		if random.IntN(5) == 0 {
			heal()
			time.Sleep(2 * time.Minute)
			c.shows(zone, want...)
		}
	}
	heal()
	time.Sleep(2 * time.Minute)
	c.shows(zone, want...)
}

// harm makes the store fail at random until heal is called, which may be done several times.
func (n *node) harm(random *rand.Rand) (heal func()) {
	var mu sync.Mutex
	until := make(chan struct{})
	rate := random.Float64()
	n.store.Set(func(string, session.Key) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		fault := storetest.Fault{Heedless: random.IntN(2) == 0}
		if random.Float64() > rate {
			return fault
		}
		switch random.IntN(5) {
		case 0:
			fault.Err = errDisk
		case 1:
			fault.Err, fault.Done = errDisk, true
		case 2:
			fault.Before = until
		case 3:
			fault.After = until
		case 4:
			slow := make(chan struct{})
			time.AfterFunc(time.Duration(random.IntN(6000))*time.Millisecond, func() { close(slow) })
			fault.Before = slow
		}
		return fault
	})
	return sync.OnceFunc(func() {
		n.store.Set(nil)
		close(until)
		synctest.Wait()
	})
}
