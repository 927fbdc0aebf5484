// Package wire speaks the protocol of pyws_clock over connections that
// somebody else accepted: it parses commands, renders messages, and tells all
// connections the time at the start of each second. It knows neither HTTP nor
// Caddy.
package wire

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
)

// Config is what may change while connections live on.
type Config struct {
	// Sessions holds the sessions of all connections that open from now on.
	Sessions *session.Table

	// Policy is how new sessions begin and how long they are kept.
	Policy session.Policy

	Precision    Precision
	SingleAlarms bool // one ALRM message for each ringing alarm

	HelloTimeout time.Duration // for the first message
	PingInterval time.Duration // two without a pong end a connection

	MaxConnections          int // 0: no limit
	MaxConnectionsPerClient int // 0: no limit

	// CommandRate is how many commands a connection may send each second,
	// with bursts of twice that.
	CommandRate int

	Logger   *zap.Logger
	Observer Observer // nil: nobody
}

// The reasons for which [Hub.Admit] turns a client away.
var (
	ErrFull       = errors.New("all connections are taken")
	ErrClientFull = errors.New("all connections of this client are taken")
)

// Hub holds the connections of one handler and tells them the time.
type Hub struct {
	now   func() time.Time
	start time.Time // what durations are measured from: clock steps do not touch it

	config atomic.Pointer[Config]

	mu       sync.Mutex
	configs  []*Config // the current one last
	conns    []*conn
	admitted int
	clients  map[netip.Prefix]int
	draining *ending       // of all connections; nil: it is not
	empty    chan struct{} // closed once no connection is left; nil while nobody waits

	feeds  feeds
	ticker ticker

	stop func()
	done chan struct{}
}

// NewHub returns a hub with its first configuration, which tells the time
// until it is closed. The clock is now, which need not be monotonic.
func NewHub(now func() time.Time, cfg *Config) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		now:     now,
		start:   time.Now(),
		clients: make(map[netip.Prefix]int),
		stop:    stop,
		done:    make(chan struct{}),
	}
	h.Push(cfg)
	go func() {
		defer close(h.done)
		h.run(ctx)
	}()
	return h
}

// Push makes cfg the configuration in force, for all connections. Those whose
// sessions are in another table are closed: they come back to the new one.
func (h *Hub) Push(cfg *Config) {
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	h.mu.Lock()
	h.configs = append(h.configs, cfg)
	h.mu.Unlock()
	h.apply()
}

// Remove takes cfg back; the newest of those that are left is in force then.
// The last one stays in force, as connections may still need it to end.
func (h *Hub) Remove(cfg *Config) {
	h.mu.Lock()
	h.configs = slices.DeleteFunc(h.configs, func(c *Config) bool { return c == cfg })
	h.mu.Unlock()
	h.apply()
}

// apply puts the newest configuration in force.
func (h *Hub) apply() {
	h.mu.Lock()
	if len(h.configs) == 0 {
		h.mu.Unlock()
		return
	}
	cfg := h.configs[len(h.configs)-1]
	before := h.config.Swap(cfg)
	conns := slices.Clone(h.conns)
	h.mu.Unlock()
	if before == nil || before == cfg {
		return
	}
	for _, c := range conns {
		c.adopt(before, cfg)
	}
}

// Admission is a place for one connection.
type Admission struct {
	hub    *Hub
	client netip.Prefix
}

// Admit takes a place for a connection of the client with this address. The
// place is given back by Cancel, or by the end of the connection that Serve
// makes of it. It returns [ErrFull] or [ErrClientFull].
func (h *Hub) Admit(client netip.Addr) (*Admission, error) {
	cfg := h.config.Load()
	a := &Admission{hub: h, client: clientNetwork(client)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if cfg.MaxConnections > 0 && h.admitted >= cfg.MaxConnections || h.draining != nil {
		return nil, ErrFull
	}
	if cfg.MaxConnectionsPerClient > 0 && h.clients[a.client] >= cfg.MaxConnectionsPerClient {
		return nil, ErrClientFull
	}
	h.admitted++
	h.clients[a.client]++
	return a, nil
}

// Cancel gives the place back.
func (a *Admission) Cancel() {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	a.hub.release(a)
}

func (h *Hub) release(a *Admission) {
	h.admitted--
	if h.clients[a.client]--; h.clients[a.client] == 0 {
		delete(h.clients, a.client)
	}
}

// clientNetwork is what counts as one client: an IPv4 address, or the /64 of
// an IPv6 address, which is what one subscriber is given.
func clientNetwork(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// Serve makes a connection of conn, whose handshake is done and of which early
// was read already, and returns at once. The hub closes conn; done, if it is
// not nil, is called after that.
func (h *Hub) Serve(a *Admission, role Role, conn io.ReadWriteCloser, early []byte, done func()) {
	c := newConn(h, a, role, conn, done)
	h.mu.Lock()
	c.index = len(h.conns)
	h.conns = append(h.conns, c)
	draining := h.draining
	h.mu.Unlock()
	h.config.Load().Observer.ConnectionOpened()
	c.start(early)
	if draining != nil {
		c.close(*draining)
	}
}

// remove forgets a connection that has ended.
func (h *Hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.conns) - 1
	h.conns[c.index] = h.conns[last]
	h.conns[c.index].index = c.index
	h.conns[last] = nil
	h.conns = h.conns[:last]
	h.release(c.admission)
	if last == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
	}
}

// Stop closes all connections since the server stops, and admits no more. It
// does not wait: see [Hub.Wait].
func (h *Hub) Stop() { h.drain(endStopped) }

// Retire does the same since the handler is no more.
func (h *Hub) Retire() { h.drain(endRemoved) }

func (h *Hub) drain(e ending) {
	h.mu.Lock()
	h.draining = &e
	conns := slices.Clone(h.conns)
	h.mu.Unlock()
	inParallel(len(conns), func(int) func(from, to int) {
		return func(from, to int) {
			for _, c := range conns[from:to] {
				c.close(e)
			}
		}
	})
}

// Wait returns once no connection is left, or the error of ctx.
func (h *Hub) Wait(ctx context.Context) error {
	h.mu.Lock()
	if len(h.conns) == 0 {
		h.mu.Unlock()
		return nil
	}
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	empty := h.empty
	h.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the ticker, and the connections that are left without more ado.
func (h *Hub) Close() {
	h.stop()
	<-h.done
	h.mu.Lock()
	conns := slices.Clone(h.conns)
	h.mu.Unlock()
	for _, c := range conns {
		c.drop(endAbandoned)
	}
}

// elapsed is the time since the hub began, in which clock steps do not count.
func (h *Hub) elapsed() time.Duration { return time.Since(h.start) }

func (h *Hub) policy() session.Policy { return h.config.Load().Policy }
