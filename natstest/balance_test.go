package natstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// process is a Caddy in a process of its own, with one site.
type process struct {
	t       testing.TB
	name    string
	dir     string
	address string
	admin   string
	block   string // of the site
	command *exec.Cmd
	exited  chan struct{}
}

// clockAt is a Caddy whose clock has its sessions in a bucket. Its answers tell its name.
func clockAt(t testing.TB, name, bucket string, servers []string) *process {
	return caddyOf(t, name, fmt.Sprintf(`
	header X-Node %s
	pyws_clock {
		command_rate 1000000
		store nats {
			servers  %s
			bucket   %s
			replicas %d
		}
	}`, name, strings.Join(servers, " "), bucket, len(servers)))
}

func caddyOf(t testing.TB, name, block string) *process {
	t.Helper()
	p := &process{t: t, name: name, dir: t.TempDir(), address: freeAddress(t), admin: freeAddress(t), block: block}
	p.run()
	return p
}

func (p *process) caddy(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asCaddy+"=1", "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "HOME="+p.dir)
	c.Dir = p.dir
	return c
}

func (p *process) config() (path string) {
	p.t.Helper()
	_, port, _ := net.SplitHostPort(p.address)
	text := fmt.Sprintf("{\n\tadmin %s\n\tauto_https off\n\tmetrics\n}\nhttp://127.0.0.1:%s {%s\n}\n", p.admin, port, p.block)
	path = filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// run starts the process, and waits until it listens.
func (p *process) run() {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.command = p.caddy("run", "--config", p.config())
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	command, exited := p.command, make(chan struct{})
	p.exited = exited
	go func() {
		_ = command.Wait()
		close(exited)
	}()
	p.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-exited
		if strings.Contains(p.logged(), "DATA RACE") {
			p.t.Error("data race:\n" + p.logged())
		}
	})
	until(p.t, p.name+" listens", func() bool {
		select {
		case <-exited:
			p.t.Fatal("caddy ended at once:\n" + p.logged())
		default:
		}
		c, err := net.Dial("tcp", p.address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (p *process) logged() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text)
}

func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	<-p.exited
}

// reload loads the site anew.
func (p *process) reload() {
	p.t.Helper()
	var out bytes.Buffer
	c := p.caddy("reload", "--force", "--config", p.config(), "--address", p.admin)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		p.t.Fatalf("reload: %v: %s", err, &out)
	}
}

// ask returns what Caddy's admin API answers.
func (p *process) ask(path string) []byte {
	p.t.Helper()
	response, err := http.Get("http://" + p.admin + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %v", path, response.Status, err)
	}
	return text
}

// metric is the value of a metric of the node's store.
func (p *process) metric(name string) string {
	p.t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + `\{store="nats bucket [^}]*\} (\S+)$`).FindSubmatch(p.ask("/metrics"))
	if found == nil {
		p.t.Fatalf("node %s has no metric %s of its store", p.name, name)
	}
	return string(found[1])
}

// status is what the admin API tells of the node's store.
func (p *process) status() (details natsstore.Status) {
	p.t.Helper()
	status := struct {
		Stores []struct{ Details *natsstore.Status }
	}{}
	text := p.ask("/pyws_clock/status")
	if err := json.Unmarshal(text, &status); err != nil || len(status.Stores) != 1 || status.Stores[0].Details == nil {
		p.t.Fatalf("status of node %s: %s %v", p.name, text, err)
	}
	return *status.Stores[0].Details
}

// device is a visitor's connection.
type device struct {
	t    testing.TB
	conn *websocket.Conn
	node string
	id   string
}

// connect opens a session, however often it takes.
func (p *process) connect(id string) *device {
	p.t.Helper()
	d := &device{t: p.t}
	until(p.t, "a device has its session", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, response, err := websocket.Dial(ctx, "ws://"+p.address, nil)
		if err != nil {
			return false
		}
		d.conn, d.node = conn, response.Header.Get("X-Node")
		conn.SetReadLimit(1 << 20)
		if conn.Write(ctx, websocket.MessageText, []byte(id)) != nil {
			return false
		}
		_, m, err := conn.Read(ctx)
		found := false
		d.id, found = strings.CutPrefix(string(m), "SESSION:")
		return err == nil && found
	})
	p.t.Cleanup(func() { _ = d.conn.CloseNow() })
	if id != "" && d.id != id {
		p.t.Fatalf("on node %s a known ID was not recognised", d.node)
	}
	return d
}

func (d *device) read() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, m, err := d.conn.Read(ctx)
	return string(m), err
}

// await reads until a message begins so, and returns it.
func (d *device) await(prefixes ...string) string {
	d.t.Helper()
	for {
		m, err := d.read()
		if err != nil {
			d.t.Fatalf("waiting for %q on node %s: %v", prefixes, d.node, err)
		}
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(m, prefix) }) {
			return m
		}
	}
}

func (d *device) send(command string) {
	d.t.Helper()
	if err := d.conn.Write(context.Background(), websocket.MessageText, []byte(command)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) result(command string) string {
	d.t.Helper()
	d.send(command)
	return d.await("OK:", "ERR:")
}

func (d *device) ok(command string) string {
	d.t.Helper()
	details, ok := strings.CutPrefix(d.result(command), "OK:")
	if !ok {
		d.t.Fatalf("%q on node %s: %s", command, d.node, details)
	}
	return details
}

// balanced are two clocks behind a third Caddy that takes turns between them.
func balanced(t testing.TB, e *engine) (nodes []*process, front *process) {
	t.Helper()
	bucket := newBucket()
	nodes = []*process{clockAt(t, "a", bucket, e.urls()), clockAt(t, "b", bucket, e.urls())}
	front = caddyOf(t, "front", fmt.Sprintf(`
	reverse_proxy %s %s {
		lb_policy round_robin
		lb_try_duration 5s
	}`, nodes[0].address, nodes[1].address))
	return nodes, front
}

// twoDevices are a phone and a tablet of one visitor, on different nodes.
func twoDevices(t testing.TB, front *process, id string) (phone, tablet *device) {
	t.Helper()
	phone = front.connect(id)
	until(t, "the tablet is on the other node", func() bool {
		tablet = front.connect(phone.id)
		return tablet.node != phone.node
	})
	return phone, tablet
}

// A visitor has one session on whichever node: zone, alarms, ringing, stop and deletion.
func TestPhoneAndTablet(t *testing.T) {
	e := launch(t, setup{nodes: 3, processes: true, jetstream: durable})
	nodes, front := balanced(t, e)
	phone, tablet := twoDevices(t, front, "")

	if got := phone.ok("TZ SET asia/tokyo"); got != "Asia/Tokyo" {
		t.Errorf("TZ SET answers %q", got)
	}
	tablet.await("TZN:JST")
	tablet.ok("ALARM WATCH")
	phone.ok("ALARM ADD +3s Tea")
	var list []struct{ Name string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(tablet.await("ALARMS:["), "ALARMS:")), &list); err != nil || len(list) != 1 || list[0].Name != "Tea" {
		t.Errorf("the tablet's alarms: %+v, %v; want Tea", list, err)
	}
	phone.await(`ALRM:["Tea"]`)
	tablet.await(`ALRM:["Tea"]`)
	tablet.ok("ALARM SNOOZE 1s Tea")
	phone.await(`ALRM:["Tea"]`) // again, or still
	if got := tablet.ok("ALARM STOP"); got != `["Tea"]` {
		t.Errorf("ALARM STOP answers %q", got)
	}
	until(t, "the phone is quiet too", func() bool { return !strings.Contains(phone.ok("ALARM LIST"), `"ringing":true`) })

	// A reload changes nothing.
	nodes[0].reload()
	phone.ok("TZ SET europe/paris")
	tablet.await("TZN:CE")
	tablet.ok("TZ SET utc")
	phone.await("TZN:UTC")

	phone.ok("SESSION DEL")
	for {
		if _, err := tablet.read(); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("the tablet's connection ends with %v: want status 1000", err)
			}
			break
		}
	}
	again := front.connect(phone.id)
	if got := again.ok("ALARM LIST"); got != "[]" {
		t.Errorf("the deleted session has %s", got)
	}
	for _, n := range nodes {
		until(t, "all replicas are up to date", func() bool { b := n.status().Bucket; return b != nil && b.Current == 3 })
		status := n.status()
		if !status.Connected || status.Error != "" || status.Watches != 1 || status.Bucket.Replicas != 3 ||
			status.Bucket.Leader == "" || status.Bucket.SyncInterval == "" || len(status.Bucket.Warnings) > 0 {
			t.Errorf("status of node %s: %+v, %+v", n.name, status, status.Bucket)
		}
		for metric, want := range map[string]string{"connected": "1", "watches": "1", "bucket_replicas": "3", "reconnects_total": "0"} {
			if got := n.metric("caddy_pyws_clock_nats_" + metric); got != want {
				t.Errorf("node %s has %s %s: want %s", n.name, metric, got, want)
			}
		}
		if strings.Contains(n.logged(), phone.id) {
			t.Errorf("node %s logs the session's ID", n.name)
		}
	}
}

// A change that was acknowledged outlives the node that took it, and all servers.
func TestNodeIsKilled(t *testing.T) {
	e := launch(t, setup{nodes: 3, processes: true})
	nodes, front := balanced(t, e)
	phone, tablet := twoDevices(t, front, "")
	phone.ok("TZ SET asia/tokyo")
	for _, n := range nodes {
		if n.name == phone.node {
			_ = n.command.Process.Kill()
			<-n.exited
		}
	}
	tablet.await("TZN:JST")
	if got := front.connect(phone.id).ok("TZ GET"); got != "Asia/Tokyo" {
		t.Errorf("the other node has the zone %q: want Asia/Tokyo", got)
	}
	for _, n := range e.nodes {
		n.kill()
	}
	until(t, "a command is refused", func() bool { return strings.HasPrefix(tablet.result("TZ SET europe/paris"), "ERR:") })
	tablet.await("20") // the time goes on
	for _, n := range nodes {
		if n.name != tablet.node {
			continue
		}
		if status := n.status(); status.Connected || status.Error == "" || status.Bucket != nil {
			t.Errorf("status without servers: %+v", status)
		}
		if got := n.metric("caddy_pyws_clock_nats_connected"); got != "0" {
			t.Errorf("connected without servers: %s", got)
		}
	}
	for _, n := range e.nodes {
		n.start(true)
	}
	until(t, "a command is taken again", func() bool { return tablet.result("TZ SET europe/london") == "OK:Europe/London" })
}

// Caddy starts and stops without any server, and says what is wrong.
func TestNoServer(t *testing.T) {
	absent := []string{"nats://" + freeAddress(t)}
	p := clockAt(t, "a", newBucket(), absent)
	until(t, "the log says that there is no server", func() bool { return strings.Contains(p.logged(), "cannot connect to NATS") })
	for _, name := range documented(t, `\b(caddy_pyws_clock_nats_[a-z_]+)\b`) {
		if got := p.metric(name); got != "0" {
			t.Errorf("%s is %s without a server: want 0", name, got)
		}
	}
	if status := p.status(); status.Connected || status.Error == "" || status.Bucket != nil {
		t.Errorf("status without a server: %+v", status)
	}
	p.stop()
	if out, err := p.caddy("validate", "--config", p.config()).CombinedOutput(); err != nil {
		t.Errorf("caddy validate: %v\n%s", err, out)
	}
	p.block = "\n\tpyws_clock {\n\t\tstore nats {\n\t\t\ttoken s3cret\n\t\t\tnkey a.nk\n\t\t}\n\t}"
	out, err := p.caddy("validate", "--config", p.config()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "token and nkey contradict each other") || strings.Contains(string(out), "s3cret") {
		t.Errorf("caddy validate of contradictory credentials: %v\n%s", err, out)
	}
}
