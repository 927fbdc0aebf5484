//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The examples of docs/clients.md are run as they stand there.

const clientsPage = "../docs/clients.md"

// example is the code that follows the first mention of a file name.
func example(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(clientsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), name+"`")
	block := regexp.MustCompile("(?s)\n```\\w+\n(.*?)```\n").FindStringSubmatch(rest)
	if block == nil {
		t.Fatalf("%s has no code after `%s`", clientsPage, name)
	}
	return block[1]
}

// testExample runs an example in a directory, through a restart of the server.
func testExample(t *testing.T, dir, name string, interpreter ...string) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(example(t, name)), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := start(t, site{})
	caddyOnPath := srv.caddy()
	command := exec.Command(interpreter[0], append(interpreter[1:], path, "ws://"+srv.address, "Asia/Tokyo")...)
	command.Dir = dir
	command.Env = append(caddyOnPath.Env, "PATH="+pathWithCaddy(t))
	p := startProgram(t, command)

	ahead := p.expect("how far ahead the server is", func(line string) bool {
		return strings.Contains(line, "ahead") || strings.HasPrefix(line, `OK:{"client":"1"`)
	})
	if regexp.MustCompile(`is [+-]?\d{3,}\.`).MatchString(ahead) {
		t.Errorf("the clocks of this machine differ: %s", ahead)
	}
	checkZone(t, p.tickAfter(time.Now()))
	id := sessionFile(t, dir)

	srv.terminate()
	srv.awaitExit()
	srv.run()
	checkZone(t, p.tickAfter(time.Now()))
	if again := sessionFile(t, dir); again != id {
		t.Error("after the restart it has another session")
	}
	if c := srv.open(id); c.id != id || c.ok("TZ GET") != "Asia/Tokyo" {
		t.Error("the ID that it kept is not that of its session")
	}
}

// pathWithCaddy is a PATH on which caddy is this program.
func pathWithCaddy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "caddy")); err != nil {
		t.Fatal(err)
	}
	return dir + ":" + os.Getenv("PATH")
}

func checkZone(t *testing.T, tick string) {
	t.Helper()
	if !strings.HasSuffix(tick, "+09:00") {
		t.Errorf("the time is %s, not Tokyo's", tick)
	}
}

// sessionFile is the ID that an example keeps, for its user alone.
func sessionFile(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "session")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the session ID has mode %s", info.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestShellExample(t *testing.T) { testExample(t, t.TempDir(), "clock.sh", "sh") }

func TestPythonExample(t *testing.T) { testExample(t, t.TempDir(), "clock.py", findPython(t)) }

func TestNodeExample(t *testing.T) { testExample(t, installWS(t), "clock.mjs", "node") }

// The browser's example is tested together with the page.
func TestBrowserExample(t *testing.T) {
	script, err := os.ReadFile("../page/example/clock.js")
	if err != nil {
		t.Fatal(err)
	}
	if example(t, "clock.js") != string(script) {
		t.Errorf("the code in %s is not that of page/example/clock.js", clientsPage)
	}
}
