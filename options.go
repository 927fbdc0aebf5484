package pywsclock

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/pyws-clock/pyws_clock/wire"
)

// option is one of the directive: how it is read from a Caddyfile, and how its
// value is checked, there and in JSON.
type option struct {
	name  string
	read  func(h *Handler, d *caddyfile.Dispenser) error
	check func(h *Handler) error
}

var options = []option{
	text("id", func(h *Handler) *string { return &h.ID }, nil),
	text("timezone", func(h *Handler) *string { return &h.Timezone }, func(value string) error {
		_, err := zones().Zone(value)
		return err
	}),
	text("precision", func(h *Handler) *string { return &h.Precision }, func(value string) error {
		_, err := wire.ParsePrecision(value)
		return err
	}),
	text("alarm_messages", func(h *Handler) *string { return &h.AlarmMessages }, func(value string) error {
		if value != "array" && value != "single" {
			return fmt.Errorf("unknown form %q: want array or single", value)
		}
		return nil
	}),
	duration("ring", func(h *Handler) *caddy.Duration { return &h.Ring }),
	duration("hello_timeout", func(h *Handler) *caddy.Duration { return &h.HelloTimeout }),
	duration("ping_interval", func(h *Handler) *caddy.Duration { return &h.PingInterval }),
	duration("session_ttl", func(h *Handler) *caddy.Duration { return &h.SessionTTL }),
	number("max_alarms", 1, func(h *Handler) *int { return &h.MaxAlarms }),
	number("max_connections", 0, func(h *Handler) *int { return &h.MaxConnections }),
	number("max_connections_per_client", 0, func(h *Handler) *int { return &h.MaxConnectionsPerClient }),
	number("command_rate", 1, func(h *Handler) *int { return &h.CommandRate }),
	{name: "origins", read: readOrigins, check: checkOrigins},
	{name: "page", read: readPage},
	{name: "store", read: readStore},
}

// check checks all options.
func (h *Handler) check() error {
	for _, o := range options {
		if o.check == nil {
			continue
		}
		if err := o.check(h); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return nil
}

func parseCaddyfile(helper httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h := new(Handler)
	return h, h.UnmarshalCaddyfile(helper.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	pyws_clock [<matcher>] {
//		id                         <name>
//		timezone                   <zone>
//		precision                  s|ms|us
//		alarm_messages             array|single
//		ring                       <duration>
//		hello_timeout              <duration>
//		ping_interval              <duration>
//		session_ttl                <duration>
//		max_alarms                 <n>
//		max_connections            <n>
//		max_connections_per_client <n>
//		command_rate               <n>
//		origins                    <pattern...>
//		page
//		store                      <module> { ... }
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.Errf("unexpected argument %q: options of pyws_clock go into a block", d.Val())
	}
	given := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		o, err := findOption(d.Val())
		if err != nil {
			return d.WrapErr(err)
		}
		if given[o.name] {
			return d.Errf("%s: given twice", o.name)
		}
		given[o.name] = true
		if err := o.read(h, d); err != nil {
			return d.WrapErr(fmt.Errorf("%s: %w", o.name, err))
		}
	}
	return nil
}

func findOption(name string) (option, error) {
	names := make([]string, len(options))
	for i, o := range options {
		if o.name == name {
			return o, nil
		}
		names[i] = o.name
	}
	return option{}, fmt.Errorf("unknown option %q: want one of %s", name, strings.Join(names, ", "))
}

// argument is the one argument of an option.
func argument(d *caddyfile.Dispenser, want string) (string, error) {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", fmt.Errorf("%d arguments: want %s", len(args), want)
	}
	return args[0], nil
}

func text(name string, field func(*Handler) *string, check func(string) error) option {
	o := option{name: name}
	if check != nil {
		o.check = func(h *Handler) error { return check(*field(h)) }
	}
	o.read = func(h *Handler, d *caddyfile.Dispenser) (err error) {
		value := field(h)
		if *value, err = argument(d, "one"); err != nil {
			return err
		}
		if check == nil || strings.Contains(*value, "{") {
			return nil // a placeholder has its value when the handler is provisioned
		}
		return check(*value)
	}
	return o
}

// maxDuration leaves room for sums of durations and times.
const maxDuration = 100 * 366 * 24 * time.Hour

func duration(name string, field func(*Handler) *caddy.Duration) option {
	check := func(h *Handler) error {
		if value := time.Duration(*field(h)); value < time.Second || value > maxDuration {
			return fmt.Errorf("duration %s: want at least 1s and at most a hundred years", value)
		}
		return nil
	}
	return option{name: name, check: check, read: func(h *Handler, d *caddyfile.Dispenser) error {
		const want = "one duration, such as 30s, 5m, 1h30m or 30d"
		arg, err := argument(d, want)
		if err != nil {
			return err
		}
		value, err := caddy.ParseDuration(arg)
		if err != nil {
			return fmt.Errorf("%q is no duration: want %s", arg, want)
		}
		*field(h) = caddy.Duration(value)
		return check(h)
	}}
}

// maxNumber is more than a machine has room for, of anything that is counted.
const maxNumber = 1_000_000_000

func number(name string, least int, field func(*Handler) *int) option {
	check := func(h *Handler) error {
		if value := *field(h); value < least || value > maxNumber {
			return fmt.Errorf("%d is out of range: want %d or more, up to %d", value, least, maxNumber)
		}
		return nil
	}
	return option{name: name, check: check, read: func(h *Handler, d *caddyfile.Dispenser) error {
		want := fmt.Sprintf("one whole number, %d or more", least)
		arg, err := argument(d, want)
		if err != nil {
			return err
		}
		if *field(h), err = strconv.Atoi(arg); err != nil {
			return fmt.Errorf("%q is no number: want %s", arg, want)
		}
		return check(h)
	}}
}

func readOrigins(h *Handler, d *caddyfile.Dispenser) error {
	if h.Origins = d.RemainingArgs(); len(h.Origins) == 0 {
		return fmt.Errorf("no argument: want host patterns, such as *.example.org")
	}
	return checkOrigins(h)
}

func checkOrigins(h *Handler) error {
	for _, pattern := range h.Origins {
		_, host := cutScheme(pattern)
		if _, err := path.Match(host, ""); err != nil || host == "" || strings.Contains(host, "/") {
			return fmt.Errorf("%q is no host pattern: want one such as *.example.org or https://example.org:8443", pattern)
		}
	}
	return nil
}

func readPage(h *Handler, d *caddyfile.Dispenser) error {
	if args := d.RemainingArgs(); len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: want none", args[0])
	}
	h.Page = true
	return nil
}

func readStore(h *Handler, d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return fmt.Errorf("no argument: want the name of a store, such as caddy")
	}
	name := d.Val()
	store, err := caddyfile.UnmarshalModule(d, "http.pyws_clock.stores."+name)
	if err != nil {
		return err
	}
	h.StoreRaw = caddyconfig.JSONModuleObject(store, "store", name, nil)
	return nil
}
