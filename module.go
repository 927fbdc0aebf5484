// Package pywsclock is a WebSocket clock as a module of the Caddy web server:
// it tells the time every second, in each visitor's time zone, rings alarms,
// and remembers its visitors by session ID.
package pywsclock

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/caddystore"
	"github.com/pyws-clock/pyws_clock/wire"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("pyws_clock", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("pyws_clock", httpcaddyfile.Before, "respond")
}

// Handler is a clock over WebSocket: it tells each client the time at the
// start of every second, in the time zone of the client's session.
//
// Requests that do not ask for a WebSocket go to the next handler, or are
// answered with a page that shows the clock.
//
// Sessions live in Caddy's storage, or in another store. Connections, and the
// time on them, go on when Caddy reloads its configuration.
type Handler struct {
	// Keeps the connections of this handler together across reloads that
	// move it to another server or place, and names it in metrics and status.
	// By default a handler is the same one across reloads if it has the same
	// place among the `pyws_clock` handlers of the same server.
	ID string `json:"id,omitempty"`

	// The IANA time zone of new sessions, in any case. Default: `UTC`
	Timezone string `json:"timezone,omitempty"`

	// The fraction of a second in time messages: `s` for none, `ms` for three
	// digits or `us` for six. Default: `s`
	Precision string `json:"precision,omitempty"`

	// How ringing alarms are told: `array` for one message with a JSON array
	// of their names, or `single` for one message for each, as older clients
	// of the Python program expect it. Default: `array`
	AlarmMessages string `json:"alarm_messages,omitempty"`

	// How long an alarm rings. Default: `1m`
	Ring caddy.Duration `json:"ring,omitempty"`

	// How long a client may take for its first message. Default: `1m`
	HelloTimeout caddy.Duration `json:"hello_timeout,omitempty"`

	// How often clients are pinged; a client that leaves two pings without a
	// pong is dropped. At least a second. Default: `30s`
	PingInterval caddy.Duration `json:"ping_interval,omitempty"`

	// How long a session is kept after its last connection ended. Default: `30d`
	SessionTTL caddy.Duration `json:"session_ttl,omitempty"`

	// How many alarms a session may have. Default: `100`
	MaxAlarms int `json:"max_alarms,omitempty"`

	// How many connections this handler takes; one more is answered with
	// HTTP status 503 and Retry-After. Default: `0`, no limit
	MaxConnections int `json:"max_connections,omitempty"`

	// How many connections this handler takes from one client, by the IP
	// address that Caddy determines (see `trusted_proxies`), of an IPv6 address
	// the first 64 bits; one more is answered with HTTP status 429. Default: `0`,
	// no limit
	MaxConnectionsPerClient int `json:"max_connections_per_client,omitempty"`

	// How many commands a connection may send each second; bursts of twice
	// that are taken. Default: `20`
	CommandRate int `json:"command_rate,omitempty"`

	// The origins besides the site's own whose pages may connect, as patterns
	// of hosts such as `*.example.org`. A pattern matches a host without its
	// port unless it names one, and may begin with a scheme, as in
	// `https://example.org`. Others are answered with HTTP status 403.
	Origins []string `json:"origins,omitempty"`

	// Whether ordinary GET requests get the clock page. Without it they go to
	// the next handler.
	Page bool `json:"page,omitempty"`

	// Where sessions live. Default: `{"store": "caddy"}`, Caddy's storage
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=http.pyws_clock.stores inline_key=store"`

	config *wire.Config
	shared *shared
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.pyws_clock",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets up the handler: it takes over the connections and sessions of
// the handler that it replaces, if there is one. No store is used yet.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := h.replacePlaceholders(); err != nil {
		return err
	}
	h.setDefaults()
	if err := h.check(); err != nil {
		return err
	}
	store, err := ctx.LoadModule(h, "StoreRaw")
	if err != nil {
		return fmt.Errorf("loading the session store: %w", err)
	}
	zone, err := zones().Zone(h.Timezone)
	if err != nil {
		return fmt.Errorf("timezone: %w", err)
	}
	precision, err := wire.ParsePrecision(h.Precision)
	if err != nil {
		return fmt.Errorf("precision: %w", err)
	}
	h.config = &wire.Config{
		Policy: session.Policy{
			Zone:      zone,
			TTL:       time.Duration(h.SessionTTL),
			Ring:      time.Duration(h.Ring),
			MaxAlarms: h.MaxAlarms,
		},
		Precision:               precision,
		SingleAlarms:            h.AlarmMessages == "single",
		HelloTimeout:            time.Duration(h.HelloTimeout),
		PingInterval:            time.Duration(h.PingInterval),
		MaxConnections:          h.MaxConnections,
		MaxConnectionsPerClient: h.MaxConnectionsPerClient,
		CommandRate:             h.CommandRate,
		Logger:                  ctx.Logger(),
	}
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	h.shared, err = share(ctx, server, h.ID, store.(session.Store), h.config)
	if err != nil {
		return err
	}
	if server != nil {
		// Cleanup comes too late for connections over HTTP/2 and 3: the server
		// waits for them to end before.
		hub := h.shared.hub
		server.RegisterOnShutdown(func() {
			if caddy.Exiting() {
				hub.Stop()
			}
		})
	}
	h.config.Logger.Info("clock ready",
		zap.String("timezone", zone.Name()),
		zap.String("zone_data", zones().Version()),
		zap.String("zone_data_source", zones().Source()),
		zap.String("store", store.(session.Store).Identity()))
	return nil
}

// Validate checks the options.
func (h *Handler) Validate() error { return h.check() }

// Cleanup leaves connections and sessions to the handler that takes this one's
// place. Where there is none, it closes them.
func (h *Handler) Cleanup() error {
	if h.shared == nil {
		return nil
	}
	return h.shared.leave(h.config)
}

func (h *Handler) replacePlaceholders() error {
	replacer := caddy.NewReplacer()
	texts := []*string{&h.ID, &h.Timezone, &h.Precision, &h.AlarmMessages}
	for i := range h.Origins {
		texts = append(texts, &h.Origins[i])
	}
	for _, text := range texts {
		replaced, err := replacer.ReplaceOrErr(*text, true, true)
		if err != nil {
			return fmt.Errorf("option value %q: %w", *text, err)
		}
		*text = replaced
	}
	return nil
}

func (h *Handler) setDefaults() {
	setDefault(&h.Timezone, "UTC")
	setDefault(&h.Precision, "s")
	setDefault(&h.AlarmMessages, "array")
	setDefault(&h.Ring, caddy.Duration(time.Minute))
	setDefault(&h.HelloTimeout, caddy.Duration(time.Minute))
	setDefault(&h.PingInterval, caddy.Duration(30*time.Second))
	setDefault(&h.SessionTTL, caddy.Duration(30*24*time.Hour))
	setDefault(&h.MaxAlarms, 100)
	setDefault(&h.CommandRate, 20)
	if h.StoreRaw == nil {
		h.StoreRaw = caddyconfig.JSONModuleObject(caddystore.Store{}, "store", "caddy", nil)
	}
}

func setDefault[T comparable](option *T, value T) {
	var unset T
	if *option == unset {
		*option = value
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
