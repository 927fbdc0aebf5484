package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

const (
	timeout = 3 * time.Second
	ttl     = 30 * 24 * time.Hour
	linger  = time.Minute
)

var zones = clock.LoadZones()

// world is a storage and a node on it, in virtual time. A test that ends while goroutines are left fails.
type world struct {
	*testing.T
	memory *storetest.Memory
	node   *node
	nodes  []*node
}

func (w *world) end() {
	for _, n := range w.nodes {
		n.end()
	}
}

// inWorld runs a test in virtual time.
func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, memory: storetest.NewMemory()}
		defer w.end()
		w.node = w.newNode()
		test(w)
	})
}

// node is a table over a store that can be made to fail.
type node struct {
	*session.Table
	w      *world
	store  *storetest.Faulty
	logs   *observer.ObservedLogs
	policy session.Policy
	step   atomic.Int64 // of the wall clock, nanoseconds

	mu      sync.Mutex
	asked   map[string]int // operations of the store
	damaged []string       // those of them that met with damage
	rang    int
	missed  int
}

// newNode returns a node that is not told what others do.
func (w *world) newNode() *node { return w.newNodeWith(session.Config{}) }

func (w *world) newNodeWith(c session.Config) *node {
	return w.newNodeOver(unwatched{w.memory.Node()}, c)
}

// unwatched is a store without a watch.
type unwatched struct{ session.Store }

func (unwatched) Watch(context.Context, func(), func(session.Event)) error { return session.ErrNoWatch }

func (w *world) newNodeOver(store session.Store, c session.Config) *node {
	n := &node{w: w, store: &storetest.Faulty{Store: store}, asked: make(map[string]int)}
	n.policy = session.Policy{Zone: zone(w, "Europe/Paris"), TTL: ttl, Ring: time.Minute, MaxAlarms: 100}
	core, logs := observer.New(zapcore.InfoLevel)
	n.logs = logs
	c.Zones, c.Now, c.Observer, c.StoreTimeout = zones, n.now, n, timeout
	c.Linger = linger
	if c.SweepPass == nil {
		c.SweepPass = func() time.Duration { return 1000 * ttl }
	}
	n.Table = session.NewTable(c)
	n.Push(n.store, zap.New(core))
	w.nodes = append(w.nodes, n)
	return n
}

// end closes the table, as when a server stops. What hangs has to be released before.
func (n *node) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		n.w.Errorf("close: %v", err)
	}
}

func (n *node) now() time.Time { return time.Now().Add(time.Duration(n.step.Load())) }

// tick is what a ticker does at the present second.
func (n *node) tick() { n.Advance(n.now()) }

// ticks lets seconds go by, with a tick at the start of each.
func (n *node) ticks(seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		n.tick()
	}
}

func (n *node) StoreOperation(name string, _ time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[name]++
	if errors.Is(err, session.ErrDamaged) {
		n.damaged = append(n.damaged, name)
	}
}

// damages returns the operations of the store that met with damage.
func (n *node) damages() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.damaged)
}

func (n *node) AlarmsRang(count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rang += count
}

func (n *node) AlarmsMissed(count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.missed += count
}

// did fails the test unless the store was asked for just these operations since the last time.
func (n *node) did(want ...string) {
	n.w.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for name, times := range n.asked {
		for range times {
			got = append(got, name)
		}
	}
	clear(n.asked)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		n.w.Errorf("operations of the store %q: want %q", got, want)
	}
}

// client is a connection.
type client struct {
	*session.Session
	n *node

	mu      sync.Mutex
	changes []*session.State
	last    *session.State
	deleted bool
}

func (n *node) open(id string) *client {
	n.w.Helper()
	c, err := n.tryOpen(id)
	if err != nil {
		n.w.Fatalf("open: %v", err)
	}
	return c
}

func (n *node) tryOpen(id string) (*client, error) {
	c := &client{n: n}
	s, err := n.Open(context.Background(), id, c, func() session.Policy { return n.policy })
	c.Session = s
	return c, err
}

func (c *client) SessionChanged(before, after *session.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && c.last != before {
		c.n.w.Errorf("change from a state that is not the one of the change before")
	}
	if c.deleted {
		c.n.w.Errorf("change after the deletion")
	}
	c.last = after
	c.changes = append(c.changes, after)
}

func (c *client) SessionDeleted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deleted = true
}

// heard returns the changes that the client was told of since the last time.
func (c *client) heard() []*session.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = nil
	return changes
}

func (c *client) isDeleted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deleted
}

func (c *client) leave() { c.Leave(c) }

func (c *client) at(s *session.State) clock.At {
	return clock.At{Now: c.n.now(), Zone: s.Zone, Ring: c.n.policy.Ring}
}

// add is ALARM ADD.
func (c *client) add(args string) error {
	return c.Update(context.Background(), func(s *session.State) (err error) {
		s.Alarms, _, err = s.Alarms.Add(c.at(s), args)
		return err
	})
}

func (c *client) mustAdd(args string) {
	c.n.w.Helper()
	if err := c.add(args); err != nil {
		c.n.w.Fatalf("add %q: %v", args, err)
	}
}

// setZone is TZ SET.
func (c *client) setZone(name string) error {
	zone, err := c.n.Zones().Zone(name)
	if err != nil {
		return err
	}
	return c.Update(context.Background(), func(s *session.State) error {
		s.Alarms = s.Alarms.Rezone(c.at(s), zone)
		s.Zone = zone
		s.ZoneSet++
		return nil
	})
}

// remember has the session stored, and returns its key.
func (c *client) remember() session.Key {
	c.n.w.Helper()
	before := c.n.w.memory.Keys()
	if err := c.setZone("Asia/Tokyo"); err != nil {
		c.n.w.Fatalf("set zone: %v", err)
	}
	for _, key := range c.n.w.memory.Keys() {
		if !slices.Contains(before, key) {
			return key
		}
	}
	c.n.w.Fatal("nothing was stored")
	return session.Key{}
}

// shows fails the test unless the session has this zone and these alarms, now and on a node that knows only the storage.
func (c *client) shows(zone string, alarms ...string) {
	c.n.w.Helper()
	check := func(where string, s *session.State) {
		c.n.w.Helper()
		if got := names(s); s.Zone.Name() != zone || !slices.Equal(got, alarms) {
			c.n.w.Errorf("%s: zone %v, alarms %q; want %v, %q", where, s.Zone.Name(), got, zone, alarms)
		}
	}
	check("session", c.State())
	other := c.n.w.newNode()
	other.policy = c.n.policy
	again := other.open(c.ID())
	if again.ID() != c.ID() {
		c.n.w.Error("storage: the ID was not taken")
	}
	check("storage", again.State())
	again.leave()
	other.end()
}

// names returns the alarms of a state, in the order of adding.
func names(s *session.State) (names []string) {
	for _, a := range s.Alarms.List(clock.At{Now: time.Now(), Zone: s.Zone, Ring: time.Minute}) {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

func zone(t testing.TB, name string) *clock.Zone {
	t.Helper()
	z, err := zones.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// unavailable fails the test unless err is what a visitor is told when the store does not work.
func (w *world) unavailable(err error, why string) {
	w.Helper()
	if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), why) {
		w.Errorf("error %v: want ErrUnavailable with %q", err, why)
	}
}

var nopLog = zap.NewNop()

var errDisk = errors.New("/var/lib/caddy: input/output error")

// fails is a plan by which operations of one kind fail.
func fails(operation string) storetest.Plan {
	return func(name string, _ session.Key) storetest.Fault {
		if name != operation {
			return storetest.Fault{}
		}
		return storetest.Fault{Err: errDisk}
	}
}

// hangs is a plan by which operations of one kind hang until the channel is closed, and are done then.
func hangs(operation string, until <-chan struct{}) storetest.Plan {
	return func(name string, _ session.Key) storetest.Fault {
		if name != operation {
			return storetest.Fault{}
		}
		return storetest.Fault{Before: until, Heedless: true}
	}
}
