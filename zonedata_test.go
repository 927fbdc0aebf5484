package pywsclock

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/coder/websocket"
)

// config is the configuration of a Caddy with one clock.
func config(t *testing.T, address, options string) *caddy.Config {
	t.Helper()
	file := fmt.Sprintf(`{
		admin off
		persist_config off
		storage file_system %s
	}
	http://%s {
		pyws_clock {
			%s
		}
	}`, t.TempDir(), address, options)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adapted, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// await waits for a condition. Nothing is asserted of how soon it holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("in vain waited for this: %s", what)
}

// messages opens a session over a new connection, with commands, and gives
// each message that comes.
func messages(t *testing.T, address string, commands ...string) <-chan string {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{""}, commands...) {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	out := make(chan string, 1000)
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for {
			_, message, err := c.Read(ctx)
			if err != nil {
				return
			}
			out <- string(message)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return out
}

// expect waits for a message.
func expect(t *testing.T, in <-chan string, want func(string) bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case message := <-in:
			if want(message) {
				return
			}
		case <-late:
			t.Fatal("in vain waited for a message")
		}
	}
}

func is(want string) func(string) bool { return func(got string) bool { return got == want } }

// Zone data that is updated on disk is taken up while the clock runs: by the
// sessions that there are, by new ones, and by metrics.
func TestZoneDataUpdate(t *testing.T) {
	const system = "/usr/share/zoneinfo"
	if _, err := os.Stat(system + "/tzdata.zi"); err != nil {
		t.Skip("needs the system's zone data: ", err)
	}
	dir := t.TempDir()
	for _, name := range allZoneFiles(t, system) {
		copyFile(t, filepath.Join(system, name), filepath.Join(dir, name))
	}
	t.Setenv("ZONEINFO", dir)
	defer func(d time.Duration) { zonePoll = d }(zonePoll)
	zonePoll = 20 * time.Millisecond

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if err := caddy.Run(config(t, address, "timezone Europe/Paris")); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		if n, running := refreshers.References(theRefresher); running {
			t.Errorf("%d handlers still use the refresher", n)
		}
	}()
	await(t, "the copy is in use", func() bool { return zones().Source() == dir })

	pristine := messages(t, address)
	changed := messages(t, address, "TZ SET Africa/Lagos")
	expect(t, pristine, func(m string) bool { return m == "TZN:CET" || m == "TZN:CEST" })
	expect(t, changed, is("TZN:WAT"))

	// As a package manager does it: each file is replaced.
	for _, name := range []string{"Europe/Paris", "Africa/Lagos"} {
		copyFile(t, filepath.Join(system, "Asia/Tokyo"), filepath.Join(dir, name))
	}
	index, err := os.ReadFile(filepath.Join(system, "tzdata.zi"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(index), "\n")
	if err := os.WriteFile(filepath.Join(dir, "tzdata.zi"), []byte("# version 2099z\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}

	expect(t, pristine, is("TZN:JST"))
	expect(t, pristine, func(m string) bool { return strings.HasSuffix(m, "+09:00") })
	expect(t, changed, is("TZN:JST"))
	await(t, "the new release is in use", func() bool { return zones().Version() == "2099z" })
	expect(t, messages(t, address), is("TZN:JST"))
	expect(t, messages(t, address, "TZ SET Africa/Lagos", "TZ INFO"), func(m string) bool {
		return strings.HasPrefix(m, `OK:{"zone":"Africa/Lagos","abbreviation":"JST"`)
	})
	series := gather(t, registry(t, metrics))
	if series[fmt.Sprintf("zone_data_info{%s,2099z}", dir)] != 1 {
		t.Errorf("metrics do not tell of the update: %v", series)
	}
}

// allZoneFiles are the names of all files that a database needs.
func allZoneFiles(t *testing.T, dir string) []string {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(dir, "tzdata.zi"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"tzdata.zi"}
	for line := range strings.Lines(string(index)) {
		switch fields := strings.Fields(line); {
		case len(fields) > 2 && fields[0] == "Z":
			names = append(names, fields[1])
		case len(fields) > 2 && fields[0] == "L":
			names = append(names, fields[2])
		}
	}
	return names
}

// copyFile puts a copy of a file, links followed, in the place of another.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// caddy validate provisions all that there is, and cleans up.
func TestValidateLeavesNothing(t *testing.T) {
	validate := func() {
		if err := caddy.Validate(config(t, "127.0.0.1:8901", "")); err != nil {
			t.Fatal(err)
		}
	}
	validate() // what Caddy itself starts once stays
	before := runtime.NumGoroutine()
	for range 5 {
		validate()
	}
	await(t, "all goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
	if series := gather(t, registry(t, metrics)); len(series) != 0 {
		t.Errorf("left are %v", series)
	}
}
