package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Clients that others wrote, in other languages.

func TestPythonClient(t *testing.T) { runClient(t, "", findPython(t), "client.py") }

func TestNodeClient(t *testing.T) { runClient(t, installWS(t), "node", "client.mjs") }

func findPython(t *testing.T) string {
	t.Helper()
	const python = "/usr/bin/python3" // the one that has Debian's packages
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		t.Skip("needs Debian's python3-websockets: ", err)
	}
	return python
}

// installWS returns a directory in which Node finds npm's ws.
func installWS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent", "ws@8").CombinedOutput(); err != nil {
		t.Skipf("needs npm, and its package ws: %v\n%s", err, out)
	}
	return dir
}

func runClient(t *testing.T, dir, interpreter, script string) {
	srv := start(t, site{})
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), interpreter, path, "ws://"+srv.address)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, srv.logged())
	}
}
