package pywsclock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pyws-clock/pyws_clock/clock"
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

// zones are the time zones in use.
var zones = sync.OnceValue(clock.LoadZones)

// shared is a handler's part of what outlives it.
type shared struct {
	hub      *wire.Hub
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
	table, _, err := tables.LoadOrNew(s.tableKey, func() (caddy.Destructor, error) {
		return &tableEntry{session.NewTable(session.Config{Zones: zones()})}, nil
	})
	if err != nil {
		release()
		return nil, err
	}
	cfg.Sessions = table.(*tableEntry).Table
	s.popStore = cfg.Sessions.Push(store, cfg.Logger)

	hub, loaded, err := hubs.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &hubEntry{wire.NewHub(time.Now, cfg)}, nil
	})
	if err != nil {
		release()
		return nil, err
	}
	s.hub = hub.(*hubEntry).Hub
	if loaded {
		s.hub.Push(cfg)
	}
	return s, nil
}

// leave takes the configuration back, and ends what no other handler uses.
func (s *shared) leave(cfg *wire.Config) error {
	s.release()
	s.hub.Remove(cfg)
	_, err := hubs.Delete(s.hubKey)
	s.popStore()
	_, err2 := tables.Delete(s.tableKey)
	return errors.Join(err, err2)
}

// hubEntry ends a hub when no handler uses it any more: at the exit of Caddy,
// or because the new configuration no longer has the handler.
type hubEntry struct{ *wire.Hub }

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
}

type tableEntry struct{ *session.Table }

func (e *tableEntry) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
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

// handlerKey is what makes a handler the same one across reloads: its ID, or
// else its server and its place among the server's clocks.
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
		key = "id " + id
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
		key = fmt.Sprintf("server %s #%d", name, n)
		if !places.taken[place{app, key}] {
			return key, take(key), nil
		}
	}
}
