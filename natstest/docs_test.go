package natstest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// documented returns what the page about several nodes has that matches.
func documented(t *testing.T, pattern string) (found []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
		found = append(found, string(match[1]))
	}
	if len(found) == 0 {
		t.Fatalf("docs/nodes.md has no %s", pattern)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// The documented configuration of a server is one, and has what is asked for.
func TestDocumentedServer(t *testing.T) {
	t.Setenv("CLOCK_PASSWORD", "s3cret")
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(documented(t, "(?s)```conf\n(.*?)```")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !options.JetStream || !options.SyncAlways || options.Cluster.Name == "" || len(options.Routes) != 3 || len(options.Users) != 1 {
		t.Errorf("options %+v: want JetStream that syncs always, in a cluster of three, and a user", options)
	}
}

// The documented status has the fields that there are.
func TestDocumentedStatus(t *testing.T) {
	text := []byte(documented(t, "(?s)```json\n(.*?)```")[0])
	var status natsstore.Status
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&status); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(again, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("documented is %s: want %s", text, again)
	}
}

// documentedLogin is the user that the documentation has, with its permissions.
func documentedLogin(t *testing.T) string {
	t.Helper()
	t.Setenv("CLOCK_PASSWORD", "s3cret")
	login := documented(t, `(?ms)^(authorization \{\n.*?^\})`)[0]
	if !strings.Contains(login, "permissions") {
		t.Fatalf("the documented login has no permissions: %s", login)
	}
	return login
}
