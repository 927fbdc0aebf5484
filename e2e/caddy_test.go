// Package e2e tests the clock from outside: through a real Caddy, over the
// wire, with clients that know nothing of the server's code.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/pyws-clock/pyws_clock"
	_ "github.com/pyws-clock/pyws_clock/session/natsstore"
)

// asCaddy makes the test binary a Caddy: it is built once, and has the race
// detector where the tests have it.
const asCaddy = "PYWS_CLOCK_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what should happen. Nothing is
// asserted of how much faster it does.
const patience = 20 * time.Second

// server is a Caddy with one site.
type server struct {
	t       *testing.T
	dir     string
	address string // of the site
	admin   string
	command *exec.Cmd
	site    site
}

// site is what a Caddyfile has beyond the defaults.
type site struct {
	options string // lines within pyws_clock { }
	around  string // lines of the site beside it
	global  string // lines of the global options
	tls     bool   // the site is https://localhost, with a certificate of Caddy's own authority
}

// start runs a Caddy until the end of the test.
func start(t *testing.T, s site) *server {
	t.Helper()
	srv := &server{t: t, dir: t.TempDir(), address: freeAddress(t), admin: freeAddress(t), site: s}
	srv.run()
	return srv
}

// lastPort counts the ports that were given: none is given twice.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32()) }

// freeAddress is an address that nobody listens at. Its port is below those
// that systems give to outgoing connections, since one of these could take it
// before the server does, or while it is restarted.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 10000 + lastPort.Add(1)%20000
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			l.Close()
			return fmt.Sprintf("127.0.0.1:%d", port)
		}
	}
	t.Fatal("there is no free port from 10000 to 29999")
	return ""
}

func (s *server) caddyfile() string {
	address, around := "http://"+s.address, s.site.around
	if s.site.tls {
		_, port, _ := net.SplitHostPort(s.address)
		address, around = "https://localhost:"+port, "bind 127.0.0.1\ntls internal\n"+around
	}
	return s.globalOptions() + fmt.Sprintf(`
%s {
	%s
	pyws_clock {
		%s
	}
}
`, address, around, s.site.options)
}

func (s *server) globalOptions() string {
	return fmt.Sprintf(`{
	admin %s
	storage file_system %s
	auto_https disable_redirects
	skip_install_trust
	%s
}
`, s.admin, s.storage(), s.site.global)
}

func (s *server) storage() string { return filepath.Join(s.dir, "storage") }

func (s *server) caddy(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asCaddy+"=1", "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "HOME="+s.dir)
	if s.site.tls {
		c.Env = append(c.Env, "GODEBUG=http2xconnect=1")
	}
	c.Dir = s.dir
	return c
}

func (s *server) writeConfig() string {
	path := filepath.Join(s.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(s.caddyfile()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run starts the process and waits until it listens.
func (s *server) run() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	s.command = s.caddy("run", "--config", s.writeConfig())
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	log.Close()
	exited := make(chan struct{})
	command := s.command
	go func() {
		_ = command.Wait()
		close(exited)
	}()
	s.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-exited
		if strings.Contains(s.logged(), "DATA RACE") {
			s.t.Error("data race:\n" + s.logged())
		}
	})
	until(s.t, "caddy listens", func() bool {
		select {
		case <-exited:
			s.t.Fatal("caddy ended at once:\n" + s.logged())
		default:
		}
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *server) logged() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b)
}

// kill ends the process as a crash would.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	s.awaitExit()
}

// terminate asks the process to stop, and does not wait.
func (s *server) terminate() { _ = s.command.Process.Signal(syscall.SIGTERM) }

func (s *server) awaitExit() {
	s.t.Helper()
	until(s.t, "the process is gone", func() bool { return s.command.Process.Signal(syscall.Signal(0)) != nil })
}

// reload loads the site anew, as it stands in s.site.
func (s *server) reload() error {
	var out bytes.Buffer
	c := s.caddy("reload", "--force", "--config", s.writeConfig(), "--address", s.admin)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, out.String())
	}
	return nil
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("in vain waited for this: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
