package natstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
)

// tickers have sites ring their alarms each second until the end of the test.
func tickers(t *testing.T, sites ...*site) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, s := range sites {
		wg.Go(func() {
			second := time.NewTicker(time.Second)
			defer second.Stop()
			for {
				select {
				case now := <-second.C:
					s.table.Advance(now)
				case <-stop:
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

// timer adds an alarm that rings after a while.
func (l *listener) timer(after, name string) error {
	return l.session.Update(context.Background(), func(s *session.State) (err error) {
		at := clock.At{Now: time.Now(), Zone: s.Zone, Ring: time.Minute}
		s.Alarms, _, err = s.Alarms.Add(at, after+" "+name)
		return err
	})
}

func (l *listener) rings(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rang[name]
}

// bounded is how long a command may take at most: the store timeout, and what a busy machine adds.
const bounded = 10 * time.Second

// command makes a change, and fails the test if it takes too long.
func command(t *testing.T, l *listener, name string) error {
	t.Helper()
	began := time.Now()
	err := l.add(name)
	if took := time.Since(began); took > bounded {
		t.Errorf("a command took %s", took)
	}
	return err
}

// outcome is what clients were told of their changes.
type outcome struct {
	mu           sync.Mutex
	acknowledged map[*listener][]string
	refused      map[*listener][]string
}

func newOutcome() *outcome {
	return &outcome{acknowledged: make(map[*listener][]string), refused: make(map[*listener][]string)}
}

func (o *outcome) note(l *listener, name string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.acknowledged[l] = append(o.acknowledged[l], name)
	} else {
		o.refused[l] = append(o.refused[l], name)
	}
}

// check waits until every site, and a new one, has all that was acknowledged and nothing that was refused.
func (o *outcome) check(t *testing.T, fresh *site, sessions [][]*listener) {
	t.Helper()
	if kept := o.checkAcknowledged(t, fresh, sessions); kept > 0 {
		t.Errorf("%d changes were refused and made all the same", kept)
	}
}

// checkAcknowledged waits until every site, and a new one, has all that was acknowledged, and all have the same of what
// was refused. It returns how much of that they have.
func (o *outcome) checkAcknowledged(t *testing.T, fresh *site, sessions [][]*listener) (kept int) {
	t.Helper()
	acknowledged, refused := 0, 0
	for _, s := range sessions {
		all := append([]*listener{fresh.open(s[0].session.ID())}, s...)
		for _, l := range s {
			for _, name := range o.acknowledged[l] {
				acknowledged++
				for i, on := range all {
					until(t, fmt.Sprintf("listener %d has %q, which was acknowledged", i, name), func() bool { return on.has(name) })
				}
			}
			for _, name := range o.refused[l] {
				refused++
				until(t, fmt.Sprintf("all agree on %q, which was refused", name), func() bool {
					return !slices.ContainsFunc(all, func(on *listener) bool { return on.has(name) != all[0].has(name) })
				})
				if all[0].has(name) {
					kept++
				}
			}
		}
	}
	t.Logf("%d changes acknowledged, %d refused, %d of these kept", acknowledged, refused, kept)
	return kept
}

// The leader of the bucket is killed under 1,000 changes by 100 clients on three nodes, in 20 sessions. A change that was
// under way then is refused in time, but may be stored, and kept if another node makes one on top of it before it is undone.
func TestLeaderIsKilled(t *testing.T) {
	e := launch(t, setup{nodes: 3, processes: true})
	bucket := newBucket()
	sites := e.anywhere(bucket)
	sessions := make([][]*listener, 20)
	for i := range sessions {
		first := sites[i%3].open("")
		if err := first.timer("+8s", "rings"); err != nil {
			t.Fatal(err)
		}
		sessions[i] = []*listener{first}
		for j := range 4 {
			sessions[i] = append(sessions[i], sites[(i+j+1)%3].open(first.session.ID()))
		}
	}
	tickers(t, sites...)
	leader, _ := e.leader(bucket)
	told := newOutcome()
	var acknowledged atomic.Int64
	var kill, revive sync.Once
	var wg sync.WaitGroup
	for i, s := range sessions {
		for j, l := range s {
			wg.Go(func() {
				for k := range 10 {
					name := fmt.Sprintf("%d of client %d in session %d", k, j, i)
					err := command(t, l, name)
					for errors.Is(err, session.ErrUnavailable) && k%2 == 0 { // some try on, some go on
						err = command(t, l, name)
					}
					if err != nil && !errors.Is(err, session.ErrUnavailable) && !l.has(name) {
						t.Errorf("adding %q: %v", name, err)
					}
					told.note(l, name, err)
					switch n := acknowledged.Add(1); {
					case n == 300:
						kill.Do(leader.kill)
					case n == 700:
						revive.Do(func() { leader.start(true) })
					}
				}
			})
		}
	}
	wg.Wait()
	told.checkAcknowledged(t, newSite(t, e.store(bucket, e.urls()...)), sessions)
	for _, s := range sessions {
		for _, l := range s {
			until(t, "the alarm rings", func() bool { return l.rings("rings") > 0 })
			if n := l.rings("rings"); n != 1 {
				t.Errorf("an alarm rang %d times on a connected node", n)
			}
		}
	}
}

// A node is cut off from the others, with the leader in it. Its site goes on ringing and refuses changes, the others take
// them, and once the cut has healed all have the same.
func TestPartition(t *testing.T) {
	network := new(net3)
	e := launch(t, setup{nodes: 3, processes: true, proxied: network})
	bucket := newBucket()
	sites := e.sites(bucket)
	tickers(t, sites...)
	first := sites[0].open("")
	if err := first.timer("+5s", "rings"); err != nil {
		t.Fatal(err)
	}
	listeners := []*listener{first, sites[1].open(first.session.ID()), sites[2].open(first.session.ID())}
	leader, _ := e.leader(bucket)
	cut := e.index(leader)
	network.isolate(cut, true)

	told := newOutcome()
	for i, l := range listeners {
		if i == cut {
			continue
		}
		for n := 0; n < 5; { // an election has to be waited for
			name := fmt.Sprintf("change %d by %d", n, i)
			err := command(t, l, name)
			if err == nil {
				told.note(l, name, nil)
				n++
			}
		}
	}
	for n := range 3 {
		name := fmt.Sprintf("change %d on the other side", n)
		err := command(t, listeners[cut], name)
		if err == nil {
			t.Error("a node that was cut off acknowledged a change")
		}
		told.note(listeners[cut], name, err)
	}
	until(t, "the alarm rings everywhere", func() bool {
		return listeners[0].rings("rings") == 1 && listeners[1].rings("rings") == 1 && listeners[2].rings("rings") == 1
	})
	network.isolate(cut, false)
	told.check(t, newSite(t, e.store(bucket, e.urls()...)), [][]*listener{listeners})
	for i, l := range listeners {
		if n := l.rings("rings"); n != 1 {
			t.Errorf("the alarm rang %d times on node %d", n, i)
		}
		until(t, "changes are taken again", func() bool { return command(t, l, fmt.Sprint("at last by ", i)) == nil })
	}
}

// Sites that know of all servers leave one that is cut off from the others: one where something is changed, and one where
// nothing is.
func TestSitesLeaveServerThatIsCutOff(t *testing.T) {
	network := new(net3)
	e := launch(t, setup{nodes: 3, processes: true, proxied: network})
	bucket := newBucket()
	urls := e.urls()
	slices.Reverse(urls)
	sites := append(e.anywhere(bucket), newSite(t, e.store(bucket, urls...))) // four, so that two have the same server
	at := make(map[string]*site)
	var busy, idle *site
	for _, s := range sites {
		server := statusOf(t, s.store).Server
		if at[server] != nil {
			busy, idle = at[server], s
		}
		at[server] = s
	}
	changing := busy.open("")
	if err := changing.add("before"); err != nil {
		t.Fatal(err)
	}
	watching := idle.open(changing.session.ID())
	cut := statusOf(t, busy.store).Server
	network.isolate(slices.Index(e.urls(), cut), true)
	tries := 0
	until(t, "a change is taken while the cut is there", func() bool {
		tries++
		return command(t, changing, fmt.Sprint("try ", tries)) == nil
	})
	until(t, "the other site hears of it", func() bool { return watching.has(fmt.Sprint("try ", tries)) })
}

// All servers are down for ten seconds. Alarms ring, changes are refused in bounded time, and on return all goes on without
// a session being read again but the one in which changes were refused.
func TestAllDown(t *testing.T) {
	e := launch(t, setup{nodes: 3, processes: true})
	bucket := newBucket()
	sites := e.anywhere(bucket)
	for _, s := range sites {
		s.watch()
	}
	tickers(t, sites...)
	first := sites[0].open("")
	if err := first.timer("+5s", "rings"); err != nil {
		t.Fatal(err)
	}
	listeners := []*listener{first, sites[1].open(first.session.ID()), sites[2].open(first.session.ID())}
	for range 100 {
		other := sites[0].open("")
		if err := other.add("of another visitor"); err != nil {
			t.Fatal(err)
		}
		sites[1].open(other.session.ID())
		sites[2].open(other.session.ID())
	}
	for _, n := range e.nodes {
		n.kill()
	}
	told := newOutcome()
	refused := 0
	for down := time.Now(); time.Since(down) < 10*time.Second; {
		for _, l := range listeners {
			name := fmt.Sprint("refused ", refused)
			refused++
			err := command(t, l, name)
			if err == nil {
				t.Error("a change was acknowledged by nobody")
			}
			told.note(l, name, err)
		}
		time.Sleep(50 * time.Millisecond) // or else there are far too many
	}
	for i, l := range listeners {
		if n := l.rings("rings"); n != 1 {
			t.Errorf("the alarm rang %d times on node %d while the servers were down", n, i)
		}
		if _, err := sites[i].table.Open(t.Context(), "", l, policy); err != nil {
			t.Errorf("a new session on node %d: %v", i, err)
		}
	}
	for _, n := range e.nodes {
		n.start(true)
	}
	for i, l := range listeners {
		name := fmt.Sprint("after by ", i)
		until(t, "a change is taken again", func() bool { return command(t, l, name) == nil })
		told.note(l, name, nil)
	}
	told.check(t, newSite(t, e.store(bucket, e.urls()...)), [][]*listener{listeners})
	for i, s := range sites {
		if n := s.loads.again(); n > 1 {
			t.Errorf("%d sessions were read again on node %d: want one at most", n, i)
		}
	}
}
