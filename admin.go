package pywsclock

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/wire"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is the clock's part of Caddy's admin API:
//
//	GET    /pyws_clock/status
//	GET    /pyws_clock/connections?after=<id>&limit=<n>
//	DELETE /pyws_clock/connections/<id>
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.pyws_clock",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Provision registers the metrics with the admin endpoint's configuration.
// When a configuration cannot be loaded, its admin endpoint stays, though its
// handlers do not: they would have registered them too late.
func (adminAPI) Provision(ctx caddy.Context) error {
	return metrics.register(ctx.GetMetricsRegistry())
}

// Routes returns the routes of the clock.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/pyws_clock/status", Handler: only(http.MethodGet, getStatus)},
		{Pattern: "/pyws_clock/connections", Handler: only(http.MethodGet, getConnections)},
		{Pattern: "/pyws_clock/connections/{id}", Handler: only(http.MethodDelete, deleteConnection)},
	}
}

// only refuses all methods but one.
func only(method string, next caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return apiError(http.StatusMethodNotAllowed, "method %s: want %s", r.Method, method)
		}
		return next(w, r)
	}
}

func apiError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

func respond(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// status answers GET /pyws_clock/status.
type status struct {
	ZoneData zoneDataStatus  `json:"zone_data"`
	Handlers []handlerStatus `json:"handlers"`
	Stores   []storeStatus   `json:"stores"`
}

type zoneDataStatus struct {
	Version string `json:"version"`
	Source  string `json:"source"`
}

type handlerStatus struct {
	Handler     string         `json:"handler"`
	Uptime      float64        `json:"uptime"` // seconds
	Connections map[string]int `json:"connections"`
	Zones       map[string]int `json:"zones"`
	Limits      limits         `json:"limits"`
	Store       string         `json:"store"`
}

type limits struct {
	Connections          int     `json:"max_connections"`
	ConnectionsPerClient int     `json:"max_connections_per_client"`
	Alarms               int     `json:"max_alarms"`
	CommandRate          int     `json:"command_rate"`
	HelloTimeout         float64 `json:"hello_timeout"` // seconds, as those that follow
	PingInterval         float64 `json:"ping_interval"`
	SessionTTL           float64 `json:"session_ttl"`
}

type storeStatus struct {
	Store    string `json:"store"`
	Sessions int    `json:"sessions"`
	Failing  bool   `json:"failing"`
	Details  any    `json:"details,omitempty"` // of those stores that have some
}

// detailsWait is how long a store may take to tell its details.
const detailsWait = 2 * time.Second

func storeStatusOf(ctx context.Context, identity string, table *session.Table) storeStatus {
	ctx, cancel := context.WithTimeout(ctx, detailsWait)
	defer cancel()
	return storeStatus{identity, table.Len(), table.Failing(), table.StoreStatus(ctx)}
}

func getStatus(w http.ResponseWriter, r *http.Request) error {
	z := zones()
	s := status{
		ZoneData: zoneDataStatus{z.Version(), z.Source()},
		Handlers: []handlerStatus{},
		Stores:   []storeStatus{},
	}
	stores := make(map[any]string)
	for identity, table := range sorted(allTables()) {
		stores[table] = identity
		s.Stores = append(s.Stores, storeStatusOf(r.Context(), identity, table))
	}
	for name, hub := range sorted(allHubs()) {
		h := hub.Status()
		s.Handlers = append(s.Handlers, handlerStatus{
			Handler:     name,
			Uptime:      h.Uptime.Seconds(),
			Connections: h.States,
			Zones:       h.Zones,
			Limits:      limitsOf(h.Config),
			Store:       stores[h.Config.Sessions],
		})
	}
	return respond(w, s)
}

func limitsOf(c *wire.Config) limits {
	return limits{
		Connections:          c.MaxConnections,
		ConnectionsPerClient: c.MaxConnectionsPerClient,
		Alarms:               c.Policy.MaxAlarms,
		CommandRate:          c.CommandRate,
		HelloTimeout:         c.HelloTimeout.Seconds(),
		PingInterval:         c.PingInterval.Seconds(),
		SessionTTL:           c.Policy.TTL.Seconds(),
	}
}

// allHubs returns the hubs in use, by the name of their handler.
func allHubs() map[string]*wire.Hub {
	all := make(map[string]*wire.Hub)
	hubs.Range(func(name, entry any) bool {
		all[name.(string)] = entry.(*hubEntry).Hub
		return true
	})
	return all
}

// sorted iterates over a map in the order of its keys.
func sorted[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// page answers GET /pyws_clock/connections.
type page struct {
	Connections []connection `json:"connections"`
	Next        uint64       `json:"next,omitempty"` // after for the next page, if there is one
}

type connection struct {
	Handler string `json:"handler"`
	wire.Connection
}

func getConnections(w http.ResponseWriter, r *http.Request) error {
	limit, err := parameter(r, "limit", defaultPage, maxPage)
	if err != nil {
		return err
	}
	after, err := parameter(r, "after", 0, 1<<63)
	if err != nil {
		return err
	}
	found := []connection{}
	for name, hub := range allHubs() {
		for _, c := range hub.Connections(after, int(limit)+1) {
			found = append(found, connection{name, c})
		}
	}
	slices.SortFunc(found, func(a, b connection) int { return cmp.Compare(a.ID, b.ID) })
	p := page{Connections: found}
	if len(found) > int(limit) {
		p.Connections = found[:limit]
		p.Next = found[limit-1].ID
	}
	return respond(w, p)
}

// parameter is a whole number of the query.
func parameter(r *http.Request, name string, absent, most uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most || n == 0 && absent > 0 {
		return 0, apiError(http.StatusBadRequest, "%s: %q: want a whole number from %d to %d", name, text, min(absent, 1), most)
	}
	return n, nil
}

func deleteConnection(w http.ResponseWriter, r *http.Request) error {
	text := r.PathValue("id")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return apiError(http.StatusBadRequest, "connection %q: want its number, as in the log or in /pyws_clock/connections", text)
	}
	for _, hub := range allHubs() {
		if hub.CloseConnection(id) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	return apiError(http.StatusNotFound, "no connection %d", id)
}

// Interface guards
var (
	_ caddy.Provisioner = (*adminAPI)(nil)
	_ caddy.AdminRouter = (*adminAPI)(nil)
)
