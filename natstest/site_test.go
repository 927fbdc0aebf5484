package natstest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// site is what a Caddy has of sessions: a table over a store of its own.
type site struct {
	tb    testing.TB
	store *natsstore.Store
	table *session.Table
	loads *loads
}

// loads is a store that counts how often each record is loaded.
type loads struct {
	*natsstore.Store
	mu    sync.Mutex
	times map[session.Key]int
}

// Load implements [session.Store].
func (l *loads) Load(ctx context.Context, key session.Key) ([]byte, session.Revision, error) {
	l.mu.Lock()
	l.times[key]++
	l.mu.Unlock()
	return l.Store.Load(ctx, key)
}

// again returns how many records were loaded more than once.
func (l *loads) again() (records int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.times {
		if n > 1 {
			records++
		}
	}
	return records
}

var zones = clock.LoadZones()

// sites returns one for each server, which it is connected to alone.
func (e *engine) sites(bucket string) (sites []*site) {
	e.tb.Helper()
	for _, s := range e.stores(bucket) {
		sites = append(sites, newSite(e.tb, s))
	}
	return sites
}

// anywhere returns a site for each server, which all know of all servers, with connections of their own.
func (e *engine) anywhere(bucket string) (sites []*site) {
	e.tb.Helper()
	urls := e.urls()
	for i := range urls {
		sites = append(sites, newSite(e.tb, e.store(bucket, slices.Concat(urls[i:], urls[:i])...)))
	}
	return sites
}

func newSite(tb testing.TB, store *natsstore.Store) *site {
	table := session.NewTable(session.Config{Zones: zones})
	loads := &loads{Store: store, times: make(map[session.Key]int)}
	pop := table.Push(loads, zap.NewNop())
	tb.Cleanup(func() {
		pop()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = table.Close(ctx)
	})
	return &site{tb, store, table, loads}
}

func policy() session.Policy {
	zone, err := zones.Zone("UTC")
	if err != nil {
		panic(err)
	}
	return session.Policy{Zone: zone, TTL: time.Hour, Ring: time.Minute, MaxAlarms: 1000}
}

// listener hears what happens to a session on one site.
type listener struct {
	session *session.Session
	heard   chan struct{} // has an element when there is news

	mu      sync.Mutex
	deleted bool
	rang    map[string]int // how often each alarm began to ring
}

// watch has the watch begin while there is no session yet that is read again when it does.
func (s *site) watch() {
	s.tb.Helper()
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := s.table.Open(ended, "", nil, policy); err == nil {
		s.tb.Fatal("a session was opened in no time")
	}
	until(s.tb, "the watch is in place", func() bool { return statusOf(s.tb, s.store).Watches == 1 })
}

// open opens a session, however often it takes.
func (s *site) open(id string) *listener {
	s.tb.Helper()
	l := &listener{heard: make(chan struct{}, 1), rang: make(map[string]int)}
	until(s.tb, "a session opens", func() (ok bool) {
		var err error
		l.session, err = s.table.Open(context.Background(), id, l, policy)
		return err == nil
	})
	if id != "" && l.session.ID() != id {
		s.tb.Fatal("a known ID was not recognised")
	}
	return l
}

// SessionChanged implements [session.Listener].
func (l *listener) SessionChanged(before, after *session.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rang := make(map[string]bool)
	for _, name := range before.Ringing {
		rang[name] = true
	}
	for _, name := range after.Ringing {
		if !rang[name] {
			l.rang[name]++
		}
	}
	l.wake()
}

// SessionDeleted implements [session.Listener].
func (l *listener) SessionDeleted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = true
	l.wake()
}

func (l *listener) wake() {
	select {
	case l.heard <- struct{}{}:
	default:
	}
}

func (l *listener) isDeleted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deleted
}

// add adds an alarm for a day far away.
func (l *listener) add(name string) error {
	return l.session.Update(context.Background(), func(s *session.State) (err error) {
		at := clock.At{Now: time.Now(), Zone: s.Zone, Ring: time.Minute}
		s.Alarms, _, err = s.Alarms.Add(at, "2099-12-24T18:00 "+name)
		return err
	})
}

// has says whether the session has an alarm, as far as this site knows.
func (l *listener) has(name string) bool {
	state := l.session.State()
	for _, a := range state.Alarms.List(clock.At{Now: time.Now(), Zone: state.Zone, Ring: time.Minute}) {
		if a.Name == name {
			return true
		}
	}
	return false
}

func (l *listener) names() (names []string) {
	state := l.session.State()
	for _, a := range state.Alarms.List(clock.At{Now: time.Now(), Zone: state.Zone, Ring: time.Minute}) {
		names = append(names, a.Name)
	}
	return names
}

// setZone sets the zone.
func (l *listener) setZone(name string) error {
	zone, err := zones.Zone(name)
	if err != nil {
		return err
	}
	return l.session.Update(context.Background(), func(s *session.State) error {
		s.Zone = zone
		s.ZoneSet++
		return nil
	})
}
