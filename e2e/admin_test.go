package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func (s *server) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// askInto decodes an answer of the admin API, and wants no other fields.
func (s *server) askInto(v any, path string) {
	s.t.Helper()
	d := json.NewDecoder(strings.NewReader(s.get(path)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		s.t.Fatal(err)
	}
}

type status struct {
	ZoneData struct{ Version, Source string } `json:"zone_data"`
	Handlers []struct {
		Handler            string
		Uptime             float64
		Connections, Zones map[string]int
		Limits             map[string]float64
		Store              string
	}
	Stores []struct {
		Store    string
		Sessions int
		Failing  bool
	}
}

type connections struct {
	Connections []struct {
		ID                                  uint64
		Handler, Since, Client, State, Zone string
	}
	Next uint64
}

func TestStatus(t *testing.T) {
	srv := start(t, site{options: "id kitchen\nmax_connections 9\nmax_connections_per_client 8\nmax_alarms 7\ncommand_rate 6\nhello_timeout 5m\nsession_ttl 2h"})
	srv.connect()
	srv.open("")
	srv.open("").ok("TZ SET asia/tokyo")
	same := srv.open("")
	same.ok("TZ SET Asia/Tokyo")
	srv.open(same.id)

	var s status
	srv.askInto(&s, "/pyws_clock/status")
	if s.ZoneData.Version == "" || s.ZoneData.Source == "" {
		t.Errorf("zone data: %v", s.ZoneData)
	}
	if len(s.Handlers) != 1 || len(s.Stores) != 1 {
		t.Fatalf("%+v", s)
	}
	h, store := s.Handlers[0], s.Stores[0]
	if h.Handler != "kitchen" || h.Uptime <= 0 || h.Store != store.Store {
		t.Errorf("%+v", h)
	}
	for what, c := range map[string]struct{ got, want any }{
		"connections": {h.Connections, map[string]int{"opening": 1, "open": 4, "closing": 0}},
		"zones":       {h.Zones, map[string]int{"UTC": 1, "Asia/Tokyo": 3}},
		"limits": {h.Limits, map[string]float64{
			"max_connections": 9, "max_connections_per_client": 8, "max_alarms": 7, "command_rate": 6,
			"hello_timeout": 300, "ping_interval": 30, "session_ttl": 7200,
		}},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	if store.Store != "FileStorage:"+srv.storage() || store.Sessions != 3 || store.Failing {
		t.Errorf("%+v", store)
	}
}

// All connections are listed, a page at a time, with the numbers that the log
// has and by which they can be closed, whatever handler they belong to.
func TestConnections(t *testing.T) {
	srv := start(t, site{options: "id kitchen", global: "debug"})
	hall := &server{t: t, address: freeAddress(t)}
	srv.mustLoad(srv.caddyfile() + fmt.Sprintf("http://%s {\npyws_clock {\nid hall\n}\n}\n", hall.address))
	clients := []*client{srv.open(""), hall.open(""), srv.open(""), hall.open(""), srv.open("")}
	handlers := []string{"kitchen", "hall", "kitchen", "hall", "kitchen"}

	var ids []uint64
	path := "/pyws_clock/connections?limit=2"
	for pages := 0; path != ""; pages++ {
		var page connections
		srv.askInto(&page, path)
		if pages > 2 || len(page.Connections) > 2 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		for _, c := range page.Connections {
			if want := handlers[len(ids)]; c.Handler != want || c.Client != "127.0.0.1" || c.State != "open" || c.Zone != "UTC" || c.Since == "" {
				t.Errorf("%+v, want one of %s", c, want)
			}
			if len(ids) > 0 && c.ID <= ids[len(ids)-1] {
				t.Errorf("%d comes after %v", c.ID, ids)
			}
			ids = append(ids, c.ID)
			if want := fmt.Sprintf(`"msg":"connection opened","handler":%q,"connection":%d,`, c.Handler, c.ID); !strings.Contains(srv.logged(), want) {
				t.Errorf("the log has no %s:\n%s", want, srv.logged())
			}
		}
		path = ""
		if page.Next != 0 {
			path = fmt.Sprintf("/pyws_clock/connections?limit=2&after=%d", page.Next)
		}
	}
	if len(ids) != len(clients) {
		t.Fatalf("listed are %v", ids)
	}
	var whole connections
	if srv.askInto(&whole, "/pyws_clock/connections"); len(whole.Connections) != len(clients) || whole.Next != 0 {
		t.Errorf("%+v", whole)
	}

	one := fmt.Sprintf("/pyws_clock/connections/%d", ids[1])
	if status, body := srv.ask(http.MethodDelete, one); status != http.StatusNoContent {
		t.Errorf("closing: %d %s", status, body)
	}
	if status, reason := clients[1].closed(); status != websocket.StatusNormalClosure || !strings.Contains(reason, "administrator") {
		t.Errorf("closed with %d %s", status, reason)
	}
	for i, c := range clients {
		if i != 1 {
			c.tick()
		}
	}
	until(t, "it is gone", func() bool { status, _ := srv.ask(http.MethodDelete, one); return status == http.StatusNotFound })
	if got := srv.metrics().of("connections_closed_total", `handler="hall"`, `outcome="admin"`); got != 1 {
		t.Errorf("%v were closed by the administrator", got)
	}
}

// Each connection is logged with how and why it ended, and how long it was,
// at a level that an administrator has to ask for.
func TestConnectionsAreLogged(t *testing.T) {
	for _, level := range []string{"", "debug"} {
		srv := start(t, site{global: level})
		c := srv.open("")
		for range 3 {
			c.ok("TIME")
		}
		c.tick()
		_ = c.conn.Close(4001, "bye")
		until(t, "it has ended", func() bool { return srv.metrics().of("connections_closed_total", `outcome="client"`) == 1 })
		var opened, closed []map[string]any
		for _, line := range strings.Split(srv.logged(), "\n") {
			var fields map[string]any
			_ = json.Unmarshal([]byte(line), &fields)
			switch fields["msg"] {
			case "connection opened":
				opened = append(opened, fields)
			case "connection closed":
				closed = append(closed, fields)
			}
		}
		if level == "" && len(opened)+len(closed) == 0 {
			continue
		}
		if len(opened) != 1 || len(closed) != 1 {
			t.Errorf("level %q: logged %v and %v", level, opened, closed)
			continue
		}
		end := closed[0]
		if duration, _ := end["duration"].(float64); end["connection"] != opened[0]["connection"] || end["outcome"] != "client" ||
			end["status"] != 4001.0 || end["commands"] != 3.0 || duration <= 0 || end["level"] != "debug" || end["reason"] == nil {
			t.Errorf("logged %v, after %v", end, opened)
		}
	}
}

func TestAdminErrors(t *testing.T) {
	srv := start(t, site{})
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{http.MethodPost, "/pyws_clock/status", 405, "want GET"},
		{http.MethodDelete, "/pyws_clock/connections", 405, "want GET"},
		{http.MethodGet, "/pyws_clock/connections/1", 405, "want DELETE"},
		{http.MethodGet, "/pyws_clock/connections?limit=0", 400, "from 1 to 1000"},
		{http.MethodGet, "/pyws_clock/connections?limit=1001", 400, "from 1 to 1000"},
		{http.MethodGet, "/pyws_clock/connections?limit=x", 400, "from 1 to 1000"},
		{http.MethodGet, "/pyws_clock/connections?after=-1", 400, "from 0 to"},
		{http.MethodDelete, "/pyws_clock/connections/999", 404, "no connection 999"},
		{http.MethodDelete, "/pyws_clock/connections/x", 400, "want its number"},
	} {
		status, body := srv.ask(c.method, c.path)
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != c.status || !strings.Contains(answer.Error, c.want) {
			t.Errorf("%s %s: %d %s, want %d and %q", c.method, c.path, status, body, c.status, c.want)
		}
	}
}

// Session IDs are secrets: none is in the logs, at any level, in what the admin
// API tells, or in the storage.
func TestNoSessionIDIsTold(t *testing.T) {
	srv := start(t, site{global: "debug", around: "log {\noutput file access.log\n}", options: "ring 1s"})
	var ids []string
	open := func(id string) *client {
		c := srv.open(id)
		ids = append(ids, c.id)
		return c
	}
	idle, changed, deleted := open(""), open(""), open("")
	changed.ok("TZ SET Europe/Paris")
	changed.ok("ALARM ADD +1s Tea")
	changed.err("ALARM ADD +1s Tea")
	deleted.ok("TZ SET Europe/Paris")
	deleted.send("SESSION DEL")
	deleted.closed()
	open(deleted.id)
	forged := idle.id[:len(idle.id)-1] + "_"
	if forged == idle.id {
		forged = idle.id[:len(idle.id)-1] + "-"
	}
	open(forged)
	ids = append(ids, forged)

	// A record that is damaged, and one that cannot be written.
	victim := open("")
	victim.ok("TZ SET Europe/Paris")
	victim.ok("ALARM ADD +2d Tea")
	_ = victim.conn.CloseNow()
	srv.kill()
	srv.run()
	for _, path := range srv.records() {
		if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if again := open(victim.id); again.id == victim.id {
		t.Error("a damaged session was opened")
	}
	breaks := open("")
	sessions := filepath.Join(srv.storage(), "pyws_clock", "sessions")
	if err := os.RemoveAll(sessions); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sessions, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	breaks.err("TZ SET Europe/Paris")

	told := map[string]string{
		"log":         srv.logged(),
		"access log":  srv.file("access.log"),
		"metrics":     srv.get("/metrics"),
		"status":      srv.get("/pyws_clock/status"),
		"connections": srv.get("/pyws_clock/connections"),
		"config":      srv.get("/config/"),
	}
	err := filepath.WalkDir(srv.storage(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		told["file "+path] = path + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"connection opened", "connection closed", "damaged", "session store fails"} {
		if !strings.Contains(told["log"], want) {
			t.Errorf("the log does not say %q:\n%s", want, told["log"])
		}
	}
	for where, text := range told {
		if len(text) == 0 {
			t.Errorf("there is nothing in the %s", where)
		}
		for _, id := range ids {
			if strings.Contains(text, id) {
				t.Errorf("the %s tells of the ID %s", where, id)
			}
		}
	}
}

// records are the files with the records of sessions.
func (s *server) records() []string {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.storage(), "pyws_clock", "sessions", "*", "*.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	return paths
}
