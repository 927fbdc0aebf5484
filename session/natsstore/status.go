package natsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Status is what is known of the connection and the bucket.
type Status struct {
	Connected  bool      `json:"connected"`
	Since      time.Time `json:"since"`            // that it is connected, or not
	Server     string    `json:"server,omitempty"` // its URL, without credentials
	Version    string    `json:"version,omitempty"`
	Error      string    `json:"error,omitempty"` // why there is no connection
	Reconnects uint64    `json:"reconnects"`
	Watches    int       `json:"watches"` // that are in place
	Bucket     *Bucket   `json:"bucket"`  // null where it cannot be asked for
}

// Bucket is the state of the bucket, as the servers have it.
type Bucket struct {
	Stream   string `json:"stream"`   // of JetStream, which the bucket is
	Keys     uint64 `json:"keys"`     // marks of deletions included
	Bytes    uint64 `json:"bytes"`    // on each replica
	Storage  string `json:"storage"`  // "File" or "Memory"
	Replicas int    `json:"replicas"` // as configured
	Current  int    `json:"current"`  // replicas that are up to date
	Leader   string `json:"leader,omitempty"`

	// SyncInterval is that of the servers, which do not tell it to clients.
	SyncInterval string `json:"sync_interval"`

	// Warnings say what can lose acknowledged changes, as far as it can be seen.
	Warnings []string `json:"warnings"`
}

// Status returns a [Status], for which it asks the servers how the bucket is: until ctx ends, or for five seconds where it
// has no deadline.
func (s *Store) Status(ctx context.Context) any {
	c := s.client
	info, err := c.look(ctx)
	status := c.status()
	if err != nil {
		status.Error = err.Error()
		return status
	}
	status.Bucket = bucketStatus(info)
	return status
}

func (c *client) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := Status{Connected: c.up, Since: c.since, Watches: int(c.watching.Load())}
	if c.nc != nil {
		status.Reconnects = c.nc.Stats().Reconnects
	}
	if c.up {
		status.Server, status.Version = c.nc.ConnectedUrlRedacted(), c.nc.ConnectedServerVersion()
	} else {
		status.Error = c.err.Error()
	}
	return status
}

func bucketStatus(info *jetstream.StreamInfo) *Bucket {
	b := &Bucket{
		Stream:       info.Config.Name,
		Keys:         info.State.Msgs,
		Bytes:        info.State.Bytes,
		Storage:      info.Config.Storage.String(),
		Replicas:     info.Config.Replicas,
		Current:      1,
		SyncInterval: "not told by the servers: it has to be always",
		Warnings:     []string{},
	}
	if info.Cluster != nil {
		b.Leader = info.Cluster.Leader
		for _, peer := range info.Cluster.Replicas {
			if peer.Current && !peer.Offline {
				b.Current++
			}
		}
	}
	warn := func(when bool, format string, args ...any) {
		if when {
			b.Warnings = append(b.Warnings, fmt.Sprintf(format, args...))
		}
	}
	warn(b.Replicas < 3, "replicas is %d: without 3, the loss of a server is the loss of the bucket or of its service", b.Replicas)
	warn(b.Current < b.Replicas, "%d of %d replicas are up to date", b.Current, b.Replicas)
	warn(info.Config.Storage != jetstream.FileStorage, "storage is memory: want file")
	warn(info.Config.PersistMode != jetstream.DefaultPersistMode, "persist_mode is %s: changes are acknowledged before they are on disk", info.Config.PersistMode)
	warn(info.Config.MaxAge > 0, "ttl is %s: sessions are dropped at that age", info.Config.MaxAge)
	return b
}

// registerMetrics offers what the connection is like to a registry, where it may be already.
func (c *client) registerMetrics(registry *prometheus.Registry, identity string) error {
	labels := prometheus.Labels{"store": identity}
	metrics := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "caddy_pyws_clock_nats_connected", Help: "Whether there is a connection to NATS.", ConstLabels: labels,
		}, func() float64 {
			if c.status().Connected {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "caddy_pyws_clock_nats_reconnects_total", Help: "Connections to NATS after the first one.", ConstLabels: labels,
		}, func() float64 { return float64(c.status().Reconnects) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "caddy_pyws_clock_nats_watches", Help: "Watches of the bucket that are in place.", ConstLabels: labels,
		}, func() float64 { return float64(c.watching.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "caddy_pyws_clock_nats_bucket_replicas", ConstLabels: labels,
			Help: "Replicas of the bucket as configured, when it was last looked at; 0 where it is not known.",
		}, func() float64 {
			if info := c.bucket.Load(); info != nil {
				return float64(info.Config.Replicas)
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "caddy_pyws_clock_nats_untrue_conflicts_total", Help: "Conflicts that NATS reported and that were none.", ConstLabels: labels,
		}, func() float64 { return float64(c.untrue.Load()) }),
	}
	for _, m := range metrics {
		var there prometheus.AlreadyRegisteredError
		if err := registry.Register(m); err != nil && !errors.As(err, &there) {
			return err
		}
	}
	return nil
}

// Interface guard
var _ caddy.Destructor = (*client)(nil)
