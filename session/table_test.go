package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

func TestNewVisitorCostsNoStorage(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.node.open(""), w.node.open("no ID at all")
		w.node.did("secret")
		if a.ID() == b.ID() || a.Session == b.Session {
			w.Error("two visitors have one session")
		}
		if a.State() != b.State() || a.State().Zone != zone(t, "Europe/Paris") {
			w.Error("new sessions do not share the state of the policy's zone")
		}
		for range 1000 {
			c := w.node.open(strings.Repeat("A", 48))
			c.leave()
		}
		w.node.did()
	})
}

func TestVisitorComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.node.open("").ID()
		again := w.newNode()
		c := again.open(id)
		again.did("secret", "load")
		if c.ID() != id {
			w.Error("an ID of this storage was not taken")
		}
		if len(w.memory.Keys()) > 0 {
			w.Error("a session that nobody changed was stored")
		}
	})
}

func TestSessionIsShared(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		b := w.node.open(a.ID())
		w.node.did("secret")
		if a.Session != b.Session || w.node.Len() != 1 {
			w.Fatal("one ID has two sessions")
		}
		if err := a.setZone("America/New_York"); err != nil {
			w.Fatal(err)
		}
		b.mustAdd("daily 07:30 Tea")
		for _, c := range []*client{a, b} {
			changes := c.heard()
			if len(changes) != 2 || changes[1] != c.State() || changes[0].Zone.Name() != "America/New_York" || changes[0].ZoneSet != 1 {
				w.Errorf("changes heard: %+v", changes)
			}
		}
		w.node.did("save", "save")
		a.shows("America/New_York", "Tea")
		b.leave()
		a.mustAdd("daily 07:31 More")
		if len(b.heard()) > 0 {
			w.Error("a listener that left was told of a change")
		}
	})
}

func TestSameZoneIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		for range 2 {
			if err := a.setZone("Europe/Paris"); err != nil {
				w.Fatal(err)
			}
		}
		if changes := a.heard(); len(changes) != 2 || changes[1].ZoneSet != 2 {
			w.Errorf("changes heard: %+v", changes)
		}
	})
}

func TestNothingChangedNothingStored(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		refused := errors.New("no")
		for _, want := range []error{nil, refused} {
			err := a.Update(w.Context(), func(s *session.State) error {
				if want != nil {
					s.Zone = zone(t, "Asia/Tokyo")
				}
				return want
			})
			if err != want {
				w.Errorf("update: %v, want %v", err, want)
			}
		}
		w.node.did("secret")
		if len(a.heard()) > 0 || a.State().Zone.Name() != "Europe/Paris" {
			w.Error("a change that was refused was made")
		}
	})
}

func TestTooLarge(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		const alarms = 2000
		rule := "RRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0" + strings.Repeat("0", 400)
		err := a.Update(w.Context(), func(s *session.State) (err error) {
			for i := 0; i < alarms && err == nil; i++ {
				s.Alarms, _, err = s.Alarms.Add(a.at(s), fmt.Sprint(rule, " ", i))
			}
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "too large") || len(w.memory.Keys()) > 0 {
			w.Errorf("error %.200v: want that the session is too large", err)
		}
		a.shows("Europe/Paris")
	})
}

func TestDelete(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		b := w.node.open(a.ID())
		a.remember()
		if err := b.Delete(w.Context()); err != nil {
			w.Fatal(err)
		}
		if !a.isDeleted() || !b.isDeleted() || len(w.memory.Keys()) > 0 || w.node.Len() != 0 {
			w.Error("something is left of a deleted session")
		}
		if err := a.add("daily 07:30 Late"); !errors.Is(err, session.ErrDeleted) {
			w.Errorf("update of a deleted session: %v, want ErrDeleted", err)
		}
		if err := a.Delete(w.Context()); !errors.Is(err, session.ErrDeleted) {
			w.Errorf("delete of a deleted session: %v, want ErrDeleted", err)
		}
		a.leave()
		b.leave()
		c := w.node.open(a.ID())
		if c.ID() != a.ID() || c.Session == a.Session {
			w.Error("the ID of a deleted session does not open a new one")
		}
		c.shows("Europe/Paris")
		c.mustAdd("daily 07:30 New")
		c.shows("Europe/Paris", "New")
	})
}

func TestDeleteOfUnstored(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		if err := a.Delete(w.Context()); err != nil || !a.isDeleted() {
			w.Errorf("delete: %v", err)
		}
	})
}

func TestOpenTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		n := w.newNode()
		until := make(chan struct{})
		n.store.Set(hangs("load", until))
		clients := make([]*client, 100)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() { clients[i] = n.open(a.ID()) })
		}
		synctest.Wait()
		close(until)
		wg.Wait()
		n.did("secret", "load")
		for _, c := range clients {
			if c.Session != clients[0].Session {
				w.Fatal("one ID has two sessions")
			}
		}
	})
}

func TestStoreOutOfReachAtOpen(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		n := w.newNode()
		n.store.Set(fails("secret"))
		_, err := n.tryOpen("")
		w.unavailable(err, "failed")
		n.store.Set(fails("load"))
		_, err = n.tryOpen(a.ID())
		w.unavailable(err, "failed")
		if strings.Contains(err.Error(), "/var") {
			w.Errorf("error %q shows what the store said to a visitor", err)
		}
		n.open("").leave() // needs nothing but the secret

		until := make(chan struct{})
		n.store.Set(hangs("load", until))
		for range 3 {
			began := time.Now()
			_, err = n.tryOpen(a.ID())
			w.unavailable(err, "did not answer")
			if took := time.Since(began); took != timeout {
				w.Errorf("the error took %v: want %v", took, timeout)
			}
		}
		close(until)
		synctest.Wait()
		n.store.Set(nil)
		n.did("secret", "secret", "load", "load") // those who came later waited for the load that was under way
		n.open(a.ID()).shows("Asia/Tokyo")

		if len(n.logs.FilterMessage("session store fails").All()) != 1 || len(n.logs.FilterMessage("session store works again").All()) != 1 {
			w.Errorf("logged %v", n.logs.All())
		}
	})
}

func TestOpenGivesUp(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		n := w.newNode()
		n.open("")
		until := make(chan struct{})
		defer close(until)
		n.store.Set(hangs("load", until))
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		_, err := n.Open(ctx, a.ID(), &client{n: n}, func() session.Policy { return n.policy })
		w.unavailable(err, "")
	})
}

func TestDamagedAtOpen(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		key := a.remember()
		damaged := append(w.memory.Get(key), ' ')
		w.memory.Put(key, damaged)
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return ttl }})
		b := n.open(a.ID())
		if b.ID() == a.ID() {
			w.Error("a damaged record was served")
		}
		b.mustAdd("daily 07:30 Tea")
		b.leave()
		time.Sleep(ttl * 2)
		if got := w.memory.Get(key); string(got) != string(damaged) {
			w.Errorf("the damaged record became %q", got)
		}
		logs := n.logs.FilterMessage("stored session is damaged, and left as it is").All()
		if len(logs) < 2 || logs[0].ContextMap()["key"] != key.String() {
			w.Errorf("logged %v: want the key of the damaged record, at the opening and the sweep", logs)
		}
		for _, l := range n.logs.All() {
			if strings.Contains(l.Message, a.ID()) || strings.Contains(l.Message, b.ID()) {
				w.Errorf("an ID in the log: %v", l)
			}
			for _, v := range l.ContextMap() {
				if text, ok := v.(string); ok && (strings.Contains(text, a.ID()) || strings.Contains(text, b.ID())) {
					w.Errorf("an ID in the log: %v", l)
				}
			}
		}
	})
}

func TestLinger(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		w.node.did("secret", "save")
		a.leave()
		a.leave() // does nothing
		time.Sleep(linger - time.Second)
		b := w.node.open(a.ID())
		w.node.did()
		if b.Session != a.Session {
			w.Error("the session did not linger")
		}
		time.Sleep(2 * linger)
		if w.node.Len() != 1 {
			w.Error("a session that somebody listens to was forgotten")
		}
		b.leave()
		time.Sleep(2 * linger)
		if w.node.Len() != 0 {
			w.Errorf("%d sessions left in memory: want none", w.node.Len())
		}
		w.node.open(a.ID()).shows("Asia/Tokyo")
		w.node.did("load")
	})
}

func TestLingerIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.newNodeWith(session.Config{MaxLinger: 10})
		for range 100 {
			n.open("").leave()
		}
		time.Sleep(time.Second) // there is a rest between two looks
		synctest.Wait()
		if n.Len() > 10 {
			w.Errorf("%d sessions linger: want at most 10", n.Len())
		}
	})
}

func TestExpiry(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		time.Sleep(ttl * 2)
		w.node.tick()
		synctest.Wait()
		a.leave() // the time to live begins
		time.Sleep(ttl - time.Second)
		b := w.node.open(a.ID())
		b.shows("Asia/Tokyo")
		b.leave()
		synctest.Wait()
		time.Sleep(ttl + ttl/16 + time.Second)
		c := w.node.open(a.ID())
		if c.ID() != a.ID() {
			w.Error("the ID of an expired session was not taken")
		}
		c.shows("Europe/Paris")
		if len(w.memory.Keys()) > 0 {
			w.Error("an expired record is left though its session was opened anew")
		}
	})
}

func TestExpiryWhileLingering(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.policy.TTL = time.Second
		a := w.node.open("")
		a.remember()
		for range 10 {
			w.node.ticks(1)
			synctest.Wait()
		}
		a.leave()
		synctest.Wait()
		time.Sleep(900 * time.Millisecond)
		b := w.node.open(a.ID())
		b.shows("Asia/Tokyo")
		b.leave()
		synctest.Wait()
		time.Sleep(1200 * time.Millisecond)
		w.node.open(a.ID()).shows("Europe/Paris")
	})
}

// TestExpiredCannotBeRemoved has the deletion of an expired record fail: the session's first change takes its place.
func TestExpiredCannotBeRemoved(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.node
		a := n.open("")
		a.remember()
		a.leave()
		time.Sleep(2 * ttl)
		n.store.Set(fails("delete"))
		b := n.open(a.ID())
		if len(w.memory.Keys()) != 1 {
			w.Fatal("the record was deleted")
		}
		b.shows("Europe/Paris")
		n.store.Set(fails("save"))
		w.unavailable(b.add("daily 07:30 Tea"), "failed")
		n.store.Set(nil)
		time.Sleep(time.Minute)
		b.shows("Europe/Paris")
		b.mustAdd("daily 07:30 Tea")
		b.shows("Europe/Paris", "Tea")
	})
}

func TestRefreshIsRare(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		a.remember()
		w.node.did("secret", "save")
		for range 10 { // comes and goes, within a day
			b := w.node.open(a.ID())
			b.leave()
			time.Sleep(30 * time.Second)
			w.node.tick()
		}
		w.node.did()
		for range 30 * 24 {
			time.Sleep(time.Hour)
			w.node.tick()
			synctest.Wait()
		}
		w.node.mu.Lock()
		defer w.node.mu.Unlock()
		if saves := w.node.asked["save"]; saves < 15 || saves > 17 {
			w.Errorf("%d saves in 30 days for a session that is connected: want one in a sixteenth of that", saves)
		}
	})
}

func TestSweep(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return 24 * time.Hour }})
		stays := n.open("")
		stays.remember()
		for range 20 {
			c := n.open("")
			c.remember()
			c.leave()
		}
		time.Sleep(ttl - time.Hour)
		if left := len(w.memory.Keys()); left != 21 {
			w.Errorf("%d records left before they expire: want 21", left)
		}
		n.tick() // renews the one that is connected
		time.Sleep(ttl/16 + 48*time.Hour)
		if left := len(w.memory.Keys()); left != 1 {
			w.Errorf("%d records left: want one, of the session that is live", left)
		}
		stays.shows("Asia/Tokyo")
	})
}

// TestSweepDoubtsTheClock has a clock that is years ahead for some hours.
func TestSweepDoubtsTheClock(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return 24 * time.Hour }})
		const sessions = 30 // all over the shards
		for range sessions {
			c := n.open("")
			c.remember()
			c.leave()
		}
		time.Sleep(time.Hour)
		n.step.Store(int64(3 * 366 * 24 * time.Hour))
		time.Sleep(12 * time.Hour)
		n.step.Store(0)
		if left := len(w.memory.Keys()); left != sessions {
			w.Errorf("%d of %d sessions left: a clock that was wrong had the others deleted", left, sessions)
		}
	})
}

// TestSweepSparesLiveSessions has the store fail for longer than a connected session's record lasts.
func TestSweepSparesLiveSessions(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return time.Hour }})
		n.policy.TTL = 2 * time.Hour
		c := n.open("")
		c.remember()
		n.store.Set(fails("save"))
		for range 10 {
			time.Sleep(time.Hour)
			n.tick()
		}
		if len(w.memory.Keys()) != 1 {
			w.Error("the record of a session was deleted that somebody listens to")
		}
		n.store.Set(nil)
		time.Sleep(time.Minute)
		c.shows("Asia/Tokyo")
	})
}

func TestSweepOfFailingStore(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.newNodeWith(session.Config{SweepPass: func() time.Duration { return 48 * time.Hour }})
		c := n.open("")
		c.remember()
		c.leave()
		n.store.Set(fails("keys"))
		time.Sleep(2 * ttl)
		for _, operation := range []string{"keys", "load", "delete"} {
			n.store.Set(fails(operation))
			time.Sleep(72 * time.Hour)
			if len(w.memory.Keys()) != 1 {
				w.Fatalf("%s fails, and the record is gone", operation)
			}
		}
		n.store.Set(nil)
		time.Sleep(72 * time.Hour)
		if len(w.memory.Keys()) != 0 {
			w.Error("the record is left though the store works again")
		}
	})
}

func TestPushAndPop(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.node.open("")
		second := &storetest.Faulty{Store: w.memory.Node()}
		pop := w.node.Push(second, nopLog)
		second.Set(fails("save"))
		w.unavailable(a.add("daily 07:30 Tea"), "failed")
		pop()
		pop() // does nothing
		a.mustAdd("daily 07:30 Tea")
		w.node.store.Set(fails("save"))
		w.unavailable(a.add("daily 07:30 More"), "failed")
		w.node.Push(w.memory.Node(), nopLog)
		a.mustAdd("daily 07:30 More")
		a.shows("Europe/Paris", "More", "Tea")
	})
}

func TestClosed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.end()
		if _, err := w.node.tryOpen(""); !errors.Is(err, session.ErrClosed) {
			w.Errorf("open: %v, want ErrClosed", err)
		}
	})
}

func TestCloseStoresWhatIsLeft(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.policy.TTL = time.Hour
		a := w.node.open("")
		key := a.remember()
		time.Sleep(30 * time.Minute)
		before := string(w.memory.Get(key))
		w.node.store.Set(fails("save"))
		a.leave() // to be stored: it lives an hour from now
		time.Sleep(10 * time.Minute)
		w.node.store.Set(nil)
		w.node.end()
		if string(w.memory.Get(key)) == before {
			w.Error("what was left to the background was not stored")
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node.policy.TTL = time.Hour
		a := w.node.open("")
		a.remember()
		time.Sleep(30 * time.Minute)
		until := make(chan struct{})
		w.node.store.Set(hangs("save", until))
		a.leave()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if err := w.node.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("close: %v, want that time is up", err)
		}
		close(until)
	})
}
