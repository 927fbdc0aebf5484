package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the pages for administrators show is tried here.

// documented finds what matches in all files of the documentation.
func documented(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob("../docs/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no documentation: ", err)
	}
	var found []string
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the documentation has no %s", pattern)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestDocumentedMetrics(t *testing.T) {
	srv := start(t, site{})
	srv.open("").ok("TZ SET Asia/Tokyo")
	metrics := srv.get("/metrics")
	for _, name := range documented(t, `\b(caddy_pyws_clock_[a-z_]+|process_[a-z]+_fds)\b`) {
		if strings.HasPrefix(name, "caddy_pyws_clock_nats_") { // see natstest
			continue
		}
		if !regexp.MustCompile(`(?m)^` + name + `(_bucket)?[{ ]`).MatchString(metrics) {
			t.Errorf("there is no metric %s", name)
		}
	}
}

func TestDocumentedCaddyfiles(t *testing.T) {
	srv := &server{t: t, dir: t.TempDir()}
	for _, caddyfile := range documented(t, "(?s)\n```caddyfile\n(.*?)```\n") {
		path := filepath.Join(srv.dir, "Caddyfile")
		if err := os.WriteFile(path, []byte(caddyfile), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := srv.caddy("adapt", "--config", path).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, out, caddyfile)
		}
		if strings.Contains(string(out), "not formatted") {
			t.Errorf("caddy fmt would change this:\n%s", caddyfile)
		}
	}
}

// copies puts files into one directory.
func copies(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool, as in Debian's package prometheus")
	}
	dir := t.TempDir()
	copies(t, dir, "../docs/pyws_clock-alerts.yml", "testdata/operations/alerts_test.yml")
	for _, args := range [][]string{{"check", "rules", "pyws_clock-alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		c := exec.Command(promtool, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// The drop-in goes with Caddy's own unit, of which testdata has a copy.
func TestSystemdDropIn(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dropIns := filepath.Join(dir, "caddy.service.d")
	if err := os.Mkdir(dropIns, 0o700); err != nil {
		t.Fatal(err)
	}
	for to, file := range map[string]string{dir: "testdata/operations/caddy.service", dropIns: "../docs/pyws_clock-hardening.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.ReplaceAll(string(text), "/usr/bin/caddy", self) // a program that is there
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unit := filepath.Join(dir, "caddy.service")
	if out, err := exec.Command(analyze, "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=25", "--no-pager", unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
