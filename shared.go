package pywsclock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/wire"
)

// What outlives a configuration: Caddy loads a new one before it ends the old
// one, and connections go over from one to the other.
var (
	hubs   = caddy.NewUsagePool() // by the key of the handler
	tables = caddy.NewUsagePool() // by the identity of the store
)

// drainFor is how long connections may take to end when Caddy exits.
const drainFor = 3 * time.Second

// shared is a handler's part of what outlives it.
type shared struct {
	hub      *wire.Hub
	metrics  *handlerMetrics
	crowds   crowds
	hubKey   string
	tableKey string
	popStore func()
	release  func() // gives the key back
}

// share finds what a handler takes over from its predecessor, or makes it, and
// puts its configuration in force.
func share(ctx caddy.Context, server *caddyhttp.Server, id string, store session.Store, cfg *wire.Config) (*shared, error) {
	key, release, err := handlerKey(ctx, server, id)
	if err != nil {
		return nil, err
	}
	s := &shared{hubKey: key, tableKey: store.Identity(), release: release}
	table, _, err := tables.LoadOrNew(s.tableKey, func() (caddy.Destructor, error) { return newTableEntry(s.tableKey), nil })
	if err != nil {
		release()
		return nil, err
	}
	table.(*tableEntry).expireAfter(cfg.Policy.TTL)
	cfg.Sessions = table.(*tableEntry).Table
	s.popStore = cfg.Sessions.Push(store, cfg.Logger)

	cfg.Logger = cfg.Logger.With(zap.String("handler", key))
	hub, loaded, err := hubs.LoadOrNew(key, func() (caddy.Destructor, error) { return newHubEntry(key, cfg), nil })
	if err != nil {
		release()
		return nil, err
	}
	s.hub, s.metrics = hub.(*hubEntry).Hub, hub.(*hubEntry).metrics
	if loaded {
		cfg.Observer = s.metrics
		s.hub.Push(cfg)
		cfg.Sessions.Refresh() // alarms may ring longer, or less long
	}
	_, _, err = refreshers.LoadOrNew(theRefresher, newRefresher)
	return s, err
}

// leave takes the configuration back, and ends what no other handler uses.
func (s *shared) leave(cfg *wire.Config) error {
	s.release()
	s.hub.Remove(cfg)
	_, err := hubs.Delete(s.hubKey)
	s.popStore()
	_, err2 := tables.Delete(s.tableKey)
	_, err3 := refreshers.Delete(theRefresher)
	return errors.Join(err, err2, err3)
}

// hubEntry ends a hub when no handler uses it any more: at the exit of Caddy,
// or because the new configuration no longer has the handler.
type hubEntry struct {
	*wire.Hub
	metrics *handlerMetrics
}

func newHubEntry(key string, cfg *wire.Config) *hubEntry {
	e := &hubEntry{metrics: metrics.handler(key)}
	cfg.Observer = e.metrics
	e.Hub = wire.NewHub(time.Now, cfg)
	return e
}

func (e *hubEntry) Destruct() error {
	if !caddy.Exiting() {
		e.Retire()
		go e.end()
		return nil
	}
	e.Stop()
	e.end()
	return nil
}

func (e *hubEntry) end() {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	_ = e.Wait(ctx) // those that are left are closed without more ado
	e.Close()
	e.metrics.leave()
}

type tableEntry struct {
	*session.Table
	metrics *storeMetrics

	ttl atomic.Int64 // the shortest that a handler had, as time.Duration
}

func newTableEntry(identity string) *tableEntry {
	e := &tableEntry{metrics: metrics.store(identity)}
	e.ttl.Store(int64(maxSweepPass))
	e.Table = session.NewTable(session.Config{Zones: zones(), Observer: e.metrics, SweepPass: e.sweepPass})
	return e
}

// maxSweepPass is how long a look at all records for expired ones takes at most.
const maxSweepPass = 24 * time.Hour

// sweepPass is how long such a look takes, so that expired records do not
// stay for much longer than the others.
func (e *tableEntry) sweepPass() time.Duration { return time.Duration(e.ttl.Load()) }

func (e *tableEntry) expireAfter(ttl time.Duration) {
	e.ttl.Store(min(e.ttl.Load(), int64(ttl)))
}

func (e *tableEntry) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	defer e.metrics.leave()
	return e.Close(ctx)
}

// places counts the handlers of the configurations that are loaded.
var places = struct {
	sync.Mutex
	taken map[place]bool
}{taken: make(map[place]bool)}

// place is where a handler stands in one configuration, of which the HTTP app
// is the mark.
type place struct {
	app caddy.Module
	key string
}

// handlerKey is what makes a handler the same one across reloads, and names it
// in metrics and status: its ID, or else its server and its place among the
// server's clocks, as in srv0#1.
func handlerKey(ctx caddy.Context, server *caddyhttp.Server, id string) (key string, release func(), err error) {
	var app caddy.Module
	if modules := ctx.Modules(); len(modules) > 0 {
		app = modules[0]
	}
	places.Lock()
	defer places.Unlock()
	take := func(key string) func() {
		p := place{app, key}
		places.taken[p] = true
		return func() {
			places.Lock()
			defer places.Unlock()
			delete(places.taken, p)
		}
	}
	if id != "" {
		key = id
		if places.taken[place{app, key}] {
			return "", nil, fmt.Errorf("id: %q is taken by another pyws_clock: want one of its own for each", id)
		}
		return key, take(key), nil
	}
	name := ""
	if server != nil {
		name = server.Name()
	}
	for n := 1; ; n++ {
		key = fmt.Sprintf("%s#%d", name, n)
		if !places.taken[place{app, key}] {
			return key, take(key), nil
		}
	}
}
