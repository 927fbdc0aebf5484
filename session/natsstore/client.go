package natsstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
)

// client is a connection to the servers, and what is known of the bucket.
type client struct {
	stream   string // of JetStream, which the bucket is
	subjects string // what those of the bucket begin with
	replicas int    // of a bucket that it creates
	logs     logs
	options  nats.Options
	begin    sync.Once

	binding  chan struct{} // holds one element while somebody looks for the bucket
	bucket   atomic.Pointer[jetstream.StreamInfo]
	watching atomic.Int32  // watches that are in place
	untrue   atomic.Uint64 // conflicts that were none

	mu      sync.Mutex
	nc      *nats.Conn // nil until the first connection
	js      jetstream.JetStream
	up      bool
	since   time.Time // that it is up, or down
	err     error     // why it is down
	changed chan struct{}
	closed  bool
	told    time.Time      // when it was last said that there is no connection
	secret  session.Secret // zero until it is known
	failing [2]time.Time   // since when all fails that has a need, although there is a connection; zero: it does not
	moved   time.Time      // when another server was last asked for
}

func newClient(bucket string, replicas int, o nats.Options) *client {
	c := &client{
		stream:   "KV_" + bucket,
		subjects: "$KV." + bucket + ".",
		replicas: replicas,
		binding:  make(chan struct{}, 1),
		since:    time.Now(),
		err:      errors.New("no server has answered yet"),
		changed:  make(chan struct{}),
	}
	o.ConnectedCB = c.connected
	o.ReconnectedCB = c.connected
	o.DisconnectedErrCB = c.disconnected
	o.ReconnectErrCB = c.refused
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		c.logs.last().Warn("the NATS server reported an error", zap.Error(err))
	}
	c.options = o
	return c
}

// connect connects, or begins to try.
func (c *client) connect() {
	nc, err := c.options.Connect()
	if err != nil {
		c.setDown(err)
		c.logs.last().Error("connecting to NATS is impossible with these options", zap.Error(err))
		return
	}
	c.mu.Lock()
	closed := c.closed
	c.nc = nc
	c.mu.Unlock()
	if closed {
		nc.Close()
	}
}

func (c *client) connected(nc *nats.Conn) {
	js, err := jetstream.New(nc)
	if err != nil {
		c.refused(nc, err)
		return
	}
	c.mu.Lock()
	c.nc, c.js = nc, js
	c.set(true, nil)
	c.mu.Unlock()
	c.logs.last().Info("connected to NATS", zap.String("server", nc.ConnectedUrlRedacted()),
		zap.String("name", nc.ConnectedServerName()), zap.String("version", nc.ConnectedServerVersion()),
		zap.String("cluster", nc.ConnectedClusterName()))
}

func (c *client) disconnected(nc *nats.Conn, err error) {
	if err == nil {
		err = errors.New("the connection was closed")
	}
	c.setDown(err)
	if !nc.IsClosed() {
		c.logs.last().Warn("lost the connection to NATS: connecting again", zap.Error(err))
	}
}

func (c *client) setDown(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(false, err)
}

func (c *client) set(up bool, err error) {
	c.up, c.since, c.err = up, time.Now(), err
	close(c.changed)
	c.changed = make(chan struct{})
}

// logInterval is how often it is said that there is still no connection.
const logInterval = time.Minute

// refused notes that a server could not be connected to.
func (c *client) refused(_ *nats.Conn, err error) {
	c.mu.Lock()
	c.err = err
	tell := time.Since(c.told) >= logInterval
	if tell {
		c.told = time.Now()
	}
	down := time.Since(c.since)
	c.mu.Unlock()
	if tell {
		c.logs.last().Warn("cannot connect to NATS: trying on", zap.Error(err), zap.Duration("down_for", down))
	}
}

// patience is how long a connection that was lost is waited for: one to another server takes a moment.
const patience = 2 * time.Second

// await waits until there is a connection, unless there has been none for long.
func (c *client) await(ctx context.Context) error {
	for ctx.Err() == nil {
		c.mu.Lock()
		up, changed, err := c.up, c.changed, c.err
		wait := patience - time.Since(c.since)
		c.mu.Unlock()
		if up {
			return nil
		}
		if wait <= 0 {
			return fmt.Errorf("not connected to NATS: %w", err)
		}
		late := time.NewTimer(wait)
		select {
		case <-changed:
		case <-late.C:
		case <-ctx.Done():
		}
		late.Stop()
	}
	return ctx.Err()
}

// lingerFor is how long a connection that nobody uses any more is kept, for what is still to be stored.
const lingerFor = 10 * time.Second

// Destruct implements [caddy.Destructor].
func (c *client) Destruct() error {
	time.AfterFunc(lingerFor, c.close)
	return nil
}

func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	nc := c.nc
	c.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
}

// logs are the loggers of all configurations in force. The newest is in use.
type logs struct {
	mu    sync.Mutex
	stack []*zap.Logger
}

func (l *logs) push(log *zap.Logger) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stack = append(l.stack, log)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := slices.Index(l.stack, log); i >= 0 {
			l.stack = slices.Delete(l.stack, i, i+1)
		}
	}
}

func (l *logs) last() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.stack) == 0 {
		return zap.NewNop()
	}
	return l.stack[len(l.stack)-1]
}
