package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpening(t *testing.T) {
	srv := start(t, site{options: "timezone europe/paris"})
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Skip(err)
	}
	c := srv.connect()
	zone, first := c.hello("")
	if want := time.Now().In(paris).Format("MST"); zone != want {
		t.Errorf("TZN:%s, want %s", zone, want)
	}
	if _, offset := first.Zone(); offset != zoneOffset(first.In(paris)) {
		t.Errorf("the time is %s", first)
	}
	if again := srv.open(c.id); again.id != c.id {
		t.Error("a known ID was not recognised")
	}
	for name, id := range map[string]string{
		"path":      "../../../etc/passwd",
		"too short": "AAAAAAAAAAAAAAAAAAAAAAAAAA",
		"too long":  strings.Repeat("A", 4000),
		"control":   "\x00",
		"accents":   strings.Repeat("é", 20),
		"changed":   changed(c.id),
		"invented":  strings.Repeat("A", len(c.id)),
	} {
		if other := srv.open(id); other.id == c.id || other.id == id {
			t.Errorf("%s: the ID was accepted", name)
		}
	}
}

func zoneOffset(t time.Time) int {
	_, offset := t.Zone()
	return offset
}

// changed is the ID with another last character.
func changed(id string) string {
	if last := len(id) - 1; id[last] == 'A' {
		return id[:last] + "B"
	} else {
		return id[:last] + "A"
	}
}

func TestEachSecondOnce(t *testing.T) {
	srv := start(t, site{options: "ping_interval 1s"})
	c := srv.connect()
	_, last := c.hello("")
	missed := int64(0)
	for range 5 {
		next := c.tick()
		missed += next.Unix() - last.Unix() - 1
		if err := srv.follows(last.Unix(), next.Unix(), missed); err != nil {
			t.Error(err)
		}
		last = next
	}
}

func TestPrecision(t *testing.T) {
	for precision, want := range map[string]string{"s": `:\d\d\+00:00$`, "ms": `:\d\d\.\d{3}\+00:00$`, "us": `:\d\d\.\d{6}\+00:00$`} {
		c := start(t, site{options: "precision " + precision}).connect()
		c.send("")
		for range 4 {
			m := c.receive()
			if timeMessage.MatchString(m) && !regexp.MustCompile(want).MatchString(m) {
				t.Errorf("precision %s: %s", precision, m)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	srv := start(t, site{options: "timezone Europe/Paris\ncommand_rate 1000"})
	c := srv.open("")

	var help []struct{ Command, Summary string }
	c.into(&help, "help")
	if len(help) < 8 || help[0].Command != "HELP" || help[0].Summary == "" {
		t.Errorf("HELP: %v", help)
	}
	if got := c.ok("tz get"); got != "Europe/Paris" {
		t.Errorf("TZ GET: %s", got)
	}
	if got := c.ok("TIME"); !regexp.MustCompile(`\.\d{6}\+0[12]:00$`).MatchString(got) {
		t.Errorf("TIME: %s", got)
	}
	if got := c.ok("Tz Set asia/TOKYO"); got != "Asia/Tokyo" {
		t.Errorf("TZ SET: %s", got)
	}
	if zone, at := c.receive(), c.receive(); zone != "TZN:JST" || !strings.HasSuffix(at, "+09:00") {
		t.Errorf("after TZ SET: %s, %s", zone, at)
	}
	if got := c.ok("TZ SET Asia/Tokyo"); got != "Asia/Tokyo" {
		t.Errorf("TZ SET: %s", got)
	}
	if zone := c.receive(); zone != "TZN:JST" {
		t.Errorf("after TZ SET to the same zone: %s", zone)
	}
	var zones []string
	c.into(&zones, "TZ LIST")
	if len(zones) < 400 || !slices.IsSorted(zones) || !slices.Contains(zones, "Europe/Paris") {
		t.Errorf("TZ LIST: %d zones", len(zones))
	}
	if got := c.ok("TZ LIST YORK"); got != `["America/New_York"]` {
		t.Errorf("TZ LIST YORK: %s", got)
	}
	if got := c.ok("TZ LIST nothing like it"); got != "[]" {
		t.Errorf("TZ LIST of nothing: %s", got)
	}
	if got := c.ok("TZ INFO utc"); got != `{"zone":"UTC","abbreviation":"UTC","offset":"+00:00","dst":false,"next_transition":null,"next_abbreviation":null}` {
		t.Errorf("TZ INFO utc: %s", got)
	}
	var info struct {
		Offset         string
		NextTransition string `json:"next_transition"`
		Next           string `json:"next_abbreviation"`
	}
	c.into(&info, "TZ INFO America/New_York")
	if next, err := time.Parse(time.RFC3339, info.NextTransition); err != nil || !next.After(time.Now()) || info.Next != "EST" && info.Next != "EDT" {
		t.Errorf("TZ INFO America/New_York: %+v", info)
	}
	for _, command := range []string{
		"FOO", "", " ", "TZ", "TZ ", "TZ SET", "TZ SET ", "TZ  GET", "TZ GET ", " TZ GET", "HELP ME NOW", "TIME?", "SYNC",
		"TZ SET Nowhere/Land", "TZ SET ../../etc/passwd", "TZ SET /etc/localtime", "TZ SET Local", "TZ SET right/UTC",
		"TZ INFO Nowhere", strings.Repeat("x", 4000), "SYNC " + strings.Repeat("x", 65), "SESSION", "SESSION DEL now",
		"TZ SET a\nb", "TZ SET Europe//Paris",
	} {
		c.err(command)
	}
	if got := c.ok("TZ GET"); got != "Asia/Tokyo" {
		t.Errorf("after errors the zone is %s", got)
	}
}

func TestSync(t *testing.T) {
	c := start(t, site{}).open("")
	before := time.Now()
	details := c.ok(`SYNC "<né>" 17`)
	after := time.Now()
	var sync struct {
		Client         string
		Received, Sent json.Number
	}
	if err := json.Unmarshal([]byte(details), &sync); err != nil || sync.Client != `"<né>" 17` {
		t.Fatalf("%s: %v", details, err)
	}
	if !regexp.MustCompile(`"received":\d{13}\.\d{3},"sent":\d{13}\.\d{3}}$`).MatchString(details) {
		t.Errorf("%s: want milliseconds with three decimals", details)
	}
	received, _ := sync.Received.Float64()
	sent, _ := sync.Sent.Float64()
	if received > sent || received < float64(before.UnixMicro())/1000-1 || sent > float64(after.UnixMicro())/1000+1 {
		t.Errorf("received %f, sent %f, between %s and %s", received, sent, before, after)
	}
}

// The next message after a command is its result, also where a tick falls in
// between: many commands over two seconds.
func TestResultComesNext(t *testing.T) {
	srv := start(t, site{options: "command_rate 1000000"})
	c := srv.open("")
	until := c.tick().Add(2 * time.Second)
	for last := time.Time(time.Time{}); last.Before(until); {
		c.send("TZ GET")
		// A tick that was sent before the command was read may come first.
		m := c.receive()
		if timeMessage.MatchString(m) {
			last = parseTime(t, m)
			m = c.receive()
		}
		if m != "OK:UTC" {
			t.Fatalf("instead of the result came %q", m)
		}
	}
}

// Pipelined commands are answered in order.
func TestResultsInOrder(t *testing.T) {
	c := start(t, site{options: "command_rate 1000"}).open("")
	for i := range 100 {
		c.send("SYNC " + strings.Repeat("x", i%64))
	}
	for i := 0; i < 100; {
		m := c.receive()
		details, ok := strings.CutPrefix(m, "OK:")
		if !ok {
			continue
		}
		var sync struct{ Client string }
		if err := json.Unmarshal([]byte(details), &sync); err != nil || len(sync.Client) != i%64 {
			t.Fatalf("result %d is %s", i, m)
		}
		i++
	}
}

func TestSharedSession(t *testing.T) {
	srv := start(t, site{})
	a := srv.open("")
	b := srv.open(a.id)
	a.ok("TZ SET Australia/Adelaide")
	for {
		if m := b.receive(); strings.HasPrefix(m, "TZN:") {
			break
		}
	}
	if m := b.receive(); !strings.Contains(m, "+10:30") && !strings.Contains(m, "+09:30") {
		t.Errorf("the other connection shows %s", m)
	}
	if got := b.ok("TZ GET"); got != "Australia/Adelaide" {
		t.Errorf("the other connection has %s", got)
	}
}

func TestSessionDelete(t *testing.T) {
	srv := start(t, site{})
	a := srv.open("")
	b := srv.open(a.id)
	a.ok("TZ SET Asia/Tokyo")
	if got := a.ok("SESSION DEL"); got != "" {
		t.Errorf("the details are %q", got)
	}
	for name, c := range map[string]*client{"own": a, "other": b} {
		if status, _ := c.closed(); status != 1000 {
			t.Errorf("%s connection: closed with %d", name, status)
		}
	}
	again := srv.open(a.id)
	if got := again.ok("TZ GET"); again.id != a.id || got != "UTC" {
		t.Errorf("a deleted session came back with %s", got)
	}
}

// A visitor who changed nothing costs no storage, and is known after a restart.
func TestSessionOutlivesRestart(t *testing.T) {
	srv := start(t, site{})
	changed, unchanged := srv.open(""), srv.open("")
	changed.ok("TZ SET Australia/Lord_Howe")
	srv.kill()
	srv.run()
	if c := srv.open(changed.id); c.id != changed.id || c.ok("TZ GET") != "Australia/Lord_Howe" {
		t.Error("the changed session is lost")
	}
	if c := srv.open(unchanged.id); c.id != unchanged.id || c.ok("TZ GET") != "UTC" {
		t.Error("the unchanged session is lost")
	}
}

func TestSessionExpires(t *testing.T) {
	srv := start(t, site{options: "session_ttl 2s"})
	c := srv.open("")
	c.ok("TZ SET Asia/Tokyo")
	for range 4 { // longer than it lives without a connection
		c.tick()
	}
	c.conn.CloseNow()
	watch := srv.open("")
	watch.tick()
	if c := srv.open(c.id); c.ok("TZ GET") != "Asia/Tokyo" {
		t.Error("the session expired while it was connected, or at once")
	} else {
		c.conn.CloseNow()
	}
	for range 5 {
		watch.tick()
	}
	if got := srv.open(c.id); got.id != c.id || got.ok("TZ GET") != "UTC" {
		t.Error("the session did not expire")
	}
}
