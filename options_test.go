package pywsclock

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// adapt gives a site with these lines within pyws_clock { } as JSON.
func adapt(lines string) (string, error) {
	file := "http://:8901\n\npyws_clock {\n" + lines + "\n}\n"
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	return string(out), err
}

// handlerJSON is the handler's part of an adapted site.
func handlerJSON(t *testing.T, adapted string) string {
	t.Helper()
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct{ Handle []json.RawMessage }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(adapted), &config); err != nil {
		t.Fatal(err)
	}
	return string(config.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0])
}

// Every option of the Caddyfile is the JSON option of the same name.
func TestCaddyfileAndJSON(t *testing.T) {
	adapted, err := adapt(`
		id kitchen
		timezone Europe/Paris
		precision ms
		alarm_messages single
		ring 2m
		hello_timeout 10s
		ping_interval 15s
		session_ttl 7d
		max_alarms 5
		max_connections 1000
		max_connections_per_client 10
		command_rate 3
		origins *.example.org https://example.com
		page
		store caddy`)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"alarm_messages":"single","command_rate":3,"handler":"pyws_clock","hello_timeout":10000000000,"id":"kitchen",` +
		`"max_alarms":5,"max_connections":1000,"max_connections_per_client":10,"origins":["*.example.org","https://example.com"],` +
		`"page":true,"ping_interval":15000000000,"precision":"ms","ring":120000000000,"session_ttl":604800000000000,"store":{"store":"caddy"},` +
		`"timezone":"Europe/Paris"}`
	if got := handlerJSON(t, adapted); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is wrong in a Caddyfile is told with file, line, option, value, and
// what would be right.
func TestCaddyfileErrors(t *testing.T) {
	for line, want := range map[string][]string{
		"colour red":                       {"colour", "want one of id, timezone,"},
		"page on":                          {"page", `"on"`, "want none"},
		"timezone":                         {"timezone", "want one"},
		"timezone UTC UTC":                 {"timezone", "2 arguments"},
		"timezone Nowhere/Land":            {"timezone", `"Nowhere/Land"`, "want"},
		"timezone Local":                   {"timezone", `"Local"`, "want"},
		"precision ns":                     {"precision", `"ns"`, "want s, ms or us"},
		"alarm_messages both":              {"alarm_messages", `"both"`, "want array or single"},
		"ring 10":                          {"ring", `"10"`, "such as 30s"},
		"ring 10m 5m":                      {"ring", "2 arguments"},
		"hello_timeout 10 s":               {"hello_timeout", "2 arguments"},
		"hello_timeout -5s":                {"hello_timeout", "-5s", "at least 1s"},
		"ping_interval 10ms":               {"ping_interval", "10ms", "at least 1s"},
		"session_ttl 30days":               {"session_ttl", `"30days"`, "30d"},
		"max_alarms 0":                     {"max_alarms", "0", "1 or more"},
		"max_alarms many":                  {"max_alarms", `"many"`, "1 or more"},
		"max_connections -1":               {"max_connections", "-1", "0 or more"},
		"max_connections 1.5":              {"max_connections", `"1.5"`, "whole number"},
		"command_rate 0":                   {"command_rate", "0", "1 or more"},
		"origins":                          {"origins", "*.example.org"},
		"origins https://x.org/y":          {"origins", `"https://x.org/y"`, "*.example.org"},
		"origins a[":                       {"origins", `"a["`, "*.example.org"},
		"session_ttl 106751d":              {"session_ttl", "at most"},
		"command_rate 9223372036854775807": {"command_rate", "up to"},
		"store":                            {"store", "want the name of a store"},
		"store nowhere":                    {"store", "nowhere"},
		"store caddy here":                 {"store", "here"},
		"ring 1m\nring 2m":                 {"ring", "twice"},
	} {
		_, err := adapt(line)
		if err == nil {
			t.Errorf("%q was accepted", line)
			continue
		}
		want = append(want, "Caddyfile:")
		if n := strings.Count(line, "\n"); n > 0 {
			want = append(want, ":5")
		} else {
			want = append(want, ":4")
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not say %q", line, err, part)
			}
		}
	}
}

// provision loads and validates a handler from JSON, as caddy validate does.
func provision(t *testing.T, options string) (*Handler, error) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	var h *Handler
	cfg := &caddy.Config{AppsRaw: caddy.ModuleMap{"http": json.RawMessage(
		`{"servers":{"s":{"listen":["127.0.0.1:0"],"routes":[{"handle":[{"handler":"pyws_clock"` + options + `}]}]}}}`)}}
	err := caddy.Validate(cfg)
	if err == nil {
		h = new(Handler)
		if err := json.Unmarshal([]byte("{"+strings.TrimPrefix(options, ",")+"}"), h); err != nil {
			t.Fatal(err)
		}
		if err := h.replacePlaceholders(); err != nil {
			t.Fatal(err)
		}
		h.setDefaults()
	}
	return h, err
}

func TestJSON(t *testing.T) {
	t.Setenv("CLOCK_ZONE", "Europe/Paris")
	h, err := provision(t, `,"timezone":"{env.CLOCK_ZONE}"`)
	if err != nil || h.Timezone != "Europe/Paris" || h.CommandRate != 20 || h.MaxAlarms != 100 {
		t.Errorf("%+v: %v", h, err)
	}
	for options, want := range map[string]string{
		`,"colour":"red"`:                      "colour",
		`,"timezone":"Nowhere/Land"`:           `timezone: `,
		`,"timezone":"{env.NOT_SET_ANYWHERE}"`: "NOT_SET_ANYWHERE",
		`,"precision":"ns"`:                    "precision: ",
		`,"ring":-1`:                           "ring: ",
		`,"ping_interval":"10ms"`:              "ping_interval: ",
		`,"max_alarms":-1`:                     "max_alarms: ",
		`,"max_connections":-1`:                "max_connections: ",
		`,"origins":["a/b"]`:                   "origins: ",
		`,"store":{"store":"nowhere"}`:         "nowhere",
	} {
		if _, err := provision(t, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", options, err, want)
		}
	}
}

// Two handlers of one configuration cannot have the same ID.
func TestIDTwice(t *testing.T) {
	file := "http://:8901\nroute {\npyws_clock /a {\nid x\n}\npyws_clock /b {\nid x\n}\n}\n"
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	var cfg caddy.Config
	if err := json.Unmarshal(out, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err == nil || !strings.Contains(err.Error(), `id: "x" is taken`) {
		t.Errorf("error %v", err)
	}
}

func TestMatchesOrigin(t *testing.T) {
	for _, c := range []struct {
		pattern, origin string
		want            bool
	}{
		{"example.org", "https://example.org", true},
		{"example.org", "http://example.org:8080", true},
		{"EXAMPLE.org", "https://Example.ORG", true},
		{"example.org:8080", "http://example.org", false},
		{"example.org:8080", "http://example.org:8080", true},
		{"*.example.org", "https://example.org", false},
		{"*.example.org", "https://a.b.example.org", true},
		{"https://*.example.org", "http://a.example.org", false},
		{"https://*.example.org", "https://a.example.org", true},
		{"localhost:*", "http://localhost:5173", true},
		{"localhost:*", "http://localhost", false},
		{"::1", "http://[::1]:8080", true},
		{"[::1]", "http://[::1]:8080", true},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"[::1]:8080", "http://[::1]", false},
	} {
		u, err := url.Parse(c.origin)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchesOrigin(c.pattern, u); got != c.want {
			t.Errorf("%s and %s: %t", c.pattern, c.origin, got)
		}
	}
}

// The README has the commands as the program prints them.
func TestReadmeHasCommands(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := printCommands(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table.String()) {
		t.Errorf("README.md does not have the commands as they are:\n%s", table.String())
	}
}

func TestIsUpgrade(t *testing.T) {
	for _, c := range []struct {
		connection, upgrade string
		want                bool
	}{
		{"Upgrade", "websocket", true},
		{"keep-alive, upgrade", "WebSocket", true},
		{"keep-alive", "websocket", false},
		{"Upgrade", "h2c", false},
		{"", "", false},
	} {
		r := &http.Request{Header: http.Header{"Connection": {c.connection}, "Upgrade": {c.upgrade}}}
		if got := isUpgrade(r); got != c.want {
			t.Errorf("%q, %q: %t", c.connection, c.upgrade, got)
		}
	}
}
