package wire

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Connection is what an administrator is told of a connection.
type Connection struct {
	// ID is the connection's number in this process, as in the log.
	ID uint64 `json:"id"`
	// Since is when the handshake was done.
	Since time.Time `json:"since"`
	// Client is the client's IPv4 address, or the /64 of its IPv6 address. It
	// is empty where there is none, as with Unix sockets.
	Client string `json:"client"`
	// State is "opening" until the first message, then "open", then "closing".
	State string `json:"state"`
	// Zone is the time zone of the session; empty while there is none.
	Zone string `json:"zone,omitempty"`
}

// Status is a [Hub] at one time.
type Status struct {
	Uptime time.Duration
	States map[string]int // how many connections are in each state, see [Connection]
	Zones  map[string]int // how many connections are in each time zone
	Config *Config        // in force
}

// Status returns what the hub is at this time.
func (h *Hub) Status() Status {
	s := Status{
		Uptime: h.elapsed(),
		States: map[string]int{"opening": 0, "open": 0, "closing": 0},
		Zones:  h.feeds.users(),
		Config: h.config.Load(),
	}
	for _, c := range h.connections() {
		c.mu.Lock()
		s.States[c.state.String()]++
		c.mu.Unlock()
	}
	return s
}

// Connections returns those whose ID is greater than after, in ascending order
// of their IDs, and no more than limit.
func (h *Hub) Connections(after uint64, limit int) []Connection {
	conns := slices.DeleteFunc(h.connections(), func(c *conn) bool { return c.id <= after })
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	list := make([]Connection, min(limit, len(conns)))
	for i := range list {
		list[i] = conns[i].describe()
	}
	return list
}

// CloseConnection closes a connection since the administrator wants it, and
// reports whether there is one with this ID.
func (h *Hub) CloseConnection(id uint64) bool {
	for _, c := range h.connections() {
		if c.id == id {
			c.close(endAdmin)
			return true
		}
	}
	return false
}

// connections returns all connections, in no order.
func (h *Hub) connections() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.conns)
}

func (c *conn) describe() Connection {
	d := Connection{
		ID:     c.id,
		Since:  c.hub.now().Add(c.began - c.hub.elapsed()),
		Client: clientText(c.admission.client),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d.State = c.state.String()
	if c.feed != nil {
		d.Zone = c.feed.zone.Name()
	}
	return d
}

func clientText(client netip.Prefix) string {
	switch {
	case !client.IsValid():
		return ""
	case client.IsSingleIP():
		return client.Addr().String()
	}
	return client.String()
}

func (s connState) String() string {
	switch s {
	case opening:
		return "opening"
	case open:
		return "open"
	}
	return "closing"
}

// users returns how many connections are in each zone.
func (s *feeds) users() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make(map[string]int, len(s.byZone))
	for zone, f := range s.byZone {
		users[zone.Name()] += f.users
	}
	return users
}
