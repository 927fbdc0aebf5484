package natstest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long a test waits for what should happen. Nothing is asserted of how much faster it does.
const patience = time.Minute

// engine is a NATS server, or a cluster of them.
type engine struct {
	tb    testing.TB
	nodes []*node
}

// node is one server, in this process or in one of its own.
type node struct {
	tb      testing.TB
	name    string
	address string // for clients
	route   string // address for other servers
	monitor string // address for HTTP
	config  string // path
	log     string // path

	embedded *server.Server
	process  *exec.Cmd
	exited   chan struct{}

	once  sync.Once
	admin jetstream.JetStream
}

// setup is what an engine is like. The zero setup is one server in this process.
type setup struct {
	nodes     int
	processes bool   // of their own
	proxied   *net3  // between the servers
	extra     string // lines of each configuration
	jetstream string // lines of its block
}

// launch starts an engine until the end of the test. All servers have their routes before the first is waited for.
func launch(tb testing.TB, s setup) *engine {
	tb.Helper()
	e := &engine{tb: tb}
	dir := tb.TempDir()
	for i := range max(s.nodes, 1) {
		name := fmt.Sprintf("n%d", i)
		e.nodes = append(e.nodes, &node{
			tb: tb, name: name, address: freeAddress(tb), route: freeAddress(tb), monitor: freeAddress(tb),
			config: filepath.Join(dir, name+".conf"), log: filepath.Join(dir, name+".log"),
		})
	}
	for i, n := range e.nodes {
		var lines []string
		lines = append(lines,
			"server_name: "+n.name, "listen: "+quote(n.address), "http: "+quote(n.monitor), "log_file: "+quote(n.log),
			fmt.Sprintf("jetstream {\n store_dir: %s\n %s\n}", quote(filepath.Join(dir, n.name)), s.jetstream), s.extra)
		if s.nodes > 1 {
			lines = append(lines, e.clusterBlock(i, s.proxied))
		}
		if err := os.WriteFile(n.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() {
		for _, n := range e.nodes {
			if text, _ := os.ReadFile(n.log); tb.Failed() {
				tb.Logf("log of %s:\n%s", n.name, text)
			}
		}
	})
	for _, n := range e.nodes {
		n.start(s.processes)
	}
	e.awaitReady()
	return e
}

// clusterBlock joins node i to the others. Clients are not told of other servers: they stay where a test wants them.
func (e *engine) clusterBlock(i int, proxied *net3) string {
	var routes []string
	for j, other := range e.nodes {
		switch {
		case i == j:
		case proxied == nil:
			routes = append(routes, quote("nats://"+other.route))
		default:
			routes = append(routes, quote("nats://"+proxied.link(e.tb, i, j, other.route)))
		}
	}
	advertise := ""
	if proxied != nil {
		advertise = "advertise: " + quote("127.0.0.1:1") // where nobody listens, so that no route goes around
	}
	return fmt.Sprintf("cluster {\n name: test\n listen: %s\n routes: [%s]\n no_advertise: true\n %s\n}",
		quote(e.nodes[i].route), strings.Join(routes, ", "), advertise)
}

func quote(s string) string { return `"` + s + `"` }

// url is that of a node for clients.
func (n *node) url() string { return "nats://" + n.address }

// urls are those of all nodes.
func (e *engine) urls() (urls []string) {
	for _, n := range e.nodes {
		urls = append(urls, n.url())
	}
	return urls
}

// index is the place of a node.
func (e *engine) index(n *node) int { return slices.Index(e.nodes, n) }

func (n *node) start(process bool) {
	n.tb.Helper()
	if process {
		n.startProcess()
		return
	}
	options, err := server.ProcessConfigFile(n.config)
	if err != nil {
		n.tb.Fatal(err)
	}
	options.NoSigs = true
	n.embedded, err = server.NewServer(options)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.embedded.ConfigureLogger()
	n.embedded.Start()
	s := n.embedded
	n.tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
}

// serverBinary builds nats-server from its Go module, once.
var serverBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PYWS_CLOCK_NATS_SERVER"); path != "" {
		return path, nil
	}
	path := filepath.Join(binaries, "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nats-server: %w: %s", err, out)
	}
	return path, nil
})

func (n *node) startProcess() {
	n.tb.Helper()
	binary, err := serverBinary()
	if err != nil {
		n.tb.Fatal(err)
	}
	n.process = exec.Command(binary, "-c", n.config)
	if err := n.process.Start(); err != nil {
		n.tb.Fatal(err)
	}
	process, exited := n.process, make(chan struct{})
	n.exited = exited
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	n.tb.Cleanup(func() {
		_ = process.Process.Kill()
		<-exited
	})
}

// kill ends the process of the node as a crash would, and waits until it is gone.
func (n *node) kill() {
	_ = n.process.Process.Signal(syscall.SIGKILL)
	<-n.exited
}

// get reads a page of the monitor.
func (n *node) get(path string, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.monitor+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// awaitReady waits until all nodes serve, and follow one meta leader who sees them all.
func (e *engine) awaitReady() {
	e.tb.Helper()
	for _, n := range e.nodes {
		until(e.tb, n.name+" serves", func() bool {
			var health struct{ Status string }
			return n.get("/healthz", &health) == nil && health.Status == "ok"
		})
	}
	if len(e.nodes) == 1 {
		return
	}
	until(e.tb, "there is a meta leader, and all are with it", func() bool {
		leaders := 0
		for _, n := range e.nodes {
			var js server.JSInfo
			if n.get("/jsz", &js) != nil || js.Meta == nil || js.Meta.Leader == "" {
				return false
			}
			if js.Meta.Leader == n.name {
				leaders++
				if len(js.Meta.Replicas) != len(e.nodes)-1 || slices.ContainsFunc(js.Meta.Replicas, func(p *server.PeerInfo) bool { return !p.Current }) {
					return false
				}
			}
		}
		return leaders == 1
	})
}

// js is a connection to a node such as administrators have.
func (n *node) js() jetstream.JetStream {
	n.tb.Helper()
	n.once.Do(func() {
		nc, err := nats.Connect(n.url(), nats.MaxReconnects(-1))
		if err != nil {
			n.tb.Fatal(err)
		}
		n.tb.Cleanup(nc.Close)
		n.admin, err = jetstream.New(nc)
		if err != nil {
			n.tb.Fatal(err)
		}
	})
	return n.admin
}

// leader returns the node that leads a bucket, and the others.
func (e *engine) leader(bucket string) (leader *node, others []*node) {
	e.tb.Helper()
	until(e.tb, "the bucket has a leader", func() bool {
		leader, others = nil, nil
		for _, n := range e.nodes {
			var js server.JSInfo
			if n.get("/jsz?streams=true", &js) != nil {
				others = append(others, n)
				continue
			}
			if leads(&js, n.name, bucket) {
				leader = n
			} else {
				others = append(others, n)
			}
		}
		return leader != nil && len(others) == len(e.nodes)-1
	})
	return leader, others
}

func leads(js *server.JSInfo, name, bucket string) bool {
	for _, account := range js.AccountDetails {
		for _, stream := range account.Streams {
			if stream.Name == "KV_"+bucket && stream.Cluster != nil && stream.Cluster.Leader == name {
				return true
			}
		}
	}
	return false
}

// freeAddress returns an address to listen at, again and again. Its port is below those that systems give to connections
// by themselves, or one of these would have it after a restart.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	tb.Fatal("no port is free")
	return ""
}

// until waits for a condition.
func until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("in vain waited for this: %s", what)
		}
	}
}
