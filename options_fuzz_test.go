package pywsclock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzCaddyfile holds that what a Caddyfile says is an error, or the same
// handler when it has become JSON and is read again.
func FuzzCaddyfile(f *testing.F) {
	for _, lines := range []string{
		"id kitchen\ntimezone Europe/Paris\nprecision ms", "alarm_messages single\nring 2m\nhello_timeout 10s\nping_interval 15s",
		"session_ttl 7d\nmax_alarms 5\nmax_connections 1000\nmax_connections_per_client 10\ncommand_rate 3",
		"origins *.example.org https://[::1]:8443 a[b-\npage\nstore caddy", "timezone {env.TZ}", "ring -1s", "ring 1e9d", "max_alarms 99999999999999999999",
		"page {\n}", "id a b", "\"\n\"", "}", "store", "store nosuch", "page\npage",
	} {
		f.Add(lines)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		if strings.Contains(lines, "import") || strings.Contains(lines, "nats") { // files; another package's options
			t.Skip()
		}
		tokens, err := caddyfile.Tokenize([]byte("pyws_clock {\n"+lines+"\n}"), "Caddyfile")
		if err != nil {
			return
		}
		var h Handler
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			return
		}
		first, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		var again Handler
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(&again); err != nil || string(second) != string(first) {
			t.Errorf("%s became %s: %v", first, second, err)
		}
		again.setDefaults()
		if err := again.check(); err != nil && !strings.Contains(lines, "{") {
			t.Errorf("%q was taken, but not as JSON: %v", lines, err)
		}
	})
}

// FuzzOrigin holds that only the site's own origin and those that match a
// pattern may connect, whatever is in the header.
func FuzzOrigin(f *testing.F) {
	for _, origin := range []string{
		"http://clock.example", "https://CLOCK.example", "http://clock.example:80", "https://a.example.org", "https://example.org", "null",
		"https://a.example.org.evil.com", "https://evil.com/.example.org", "https://evil.com#.example.org", "https://a.example.org@evil.com",
		"https://evil.com\\.example.org", "//a.example.org", "https://[::1]", "javascript://a.example.org", "https://a.example.org:99999",
	} {
		f.Add(origin)
	}
	h := &Handler{Origins: []string{"*.example.org"}}
	f.Fuzz(func(t *testing.T, origin string) {
		r := httptest.NewRequest(http.MethodGet, "http://clock.example/", nil)
		r.Header["Origin"] = []string{origin}
		if h.checkOrigin(r) != nil || origin == "" {
			return
		}
		_, authority, ok := strings.Cut(strings.ToLower(origin), "//")
		if !ok {
			t.Fatalf("origin %q may connect", origin)
		}
		// What a browser sends ends with the authority; all else is not one's.
		if i := strings.IndexAny(authority, "/?#"); i >= 0 {
			authority = authority[:i]
		}
		host := authority[strings.LastIndexByte(authority, '@')+1:]
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			host = host[:i]
		}
		if host != "clock.example" && !strings.HasSuffix(host, ".example.org") && !strings.Contains(host, "%") {
			t.Errorf("origin %q may connect", origin)
		}
	})
}
