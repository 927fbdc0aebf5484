package pywsclock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/clock"
	"github.com/pyws-clock/pyws_clock/session"
)

// zoneData are the time zones in use, nil until somebody asks for them.
var zoneData atomic.Pointer[clock.Zones]

var loadZones = sync.OnceFunc(func() { zoneData.Store(clock.LoadZones()) })

// zones returns the time zones in use.
func zones() *clock.Zones {
	loadZones()
	return zoneData.Load()
}

// zonePoll is how often the time zones on disk are looked at. An update is
// taken up when it was seen twice: within a minute.
var zonePoll = 25 * time.Second

// refreshers has one refresher as long as there is a handler.
var refreshers = caddy.NewUsagePool()

const theRefresher = "zones"

// refresher takes up updates of the time zones on disk.
type refresher struct {
	stop context.CancelFunc
	done chan struct{}
}

func newRefresher() (caddy.Destructor, error) {
	ctx, stop := context.WithCancel(context.Background())
	r := &refresher{stop, make(chan struct{})}
	zones() // for the goroutine to find them
	go r.run(ctx, zonePoll)
	return r, nil
}

func (r *refresher) run(ctx context.Context, interval time.Duration) {
	defer close(r.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			refreshZones()
		case <-ctx.Done():
			return
		}
	}
}

// Destruct ends the refresher.
func (r *refresher) Destruct() error {
	r.stop()
	<-r.done
	return nil
}

// refreshZones takes up the time zones on disk, if they have changed: new
// connections and those that there are use them from then on.
func refreshZones() {
	before := zones()
	after := before.Reload()
	if after == before || !zoneData.CompareAndSwap(before, after) {
		return
	}
	caddy.Log().Named("pyws_clock").Info("zone data updated",
		zap.String("zone_data", after.Version()),
		zap.String("zone_data_source", after.Source()),
		zap.String("zone_data_before", before.Version()))
	// A table that is made from now on has them already.
	for _, table := range allTables() {
		table.SetZones(after)
	}
}

// allTables returns the session tables in use, by the identity of their store.
func allTables() map[string]*session.Table {
	all := make(map[string]*session.Table)
	tables.Range(func(identity, entry any) bool {
		all[identity.(string)] = entry.(*tableEntry).Table
		return true
	})
	return all
}
