// Package natstest tests the store for several nodes with its real engine, which needs newer versions of what Caddy
// depends on too, and so has a module of its own.
package natstest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/pyws-clock/pyws_clock"
	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

// binaries is a directory for what the tests build.
var binaries string

// asCaddy makes the test binary a Caddy.
const asCaddy = "PYWS_CLOCK_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(run(m))
}

// run runs the tests with a directory for what they build.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "natstest")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binaries = dir
	return m.Run()
}

var buckets atomic.Int64

// newBucket returns a name that no other test has.
func newBucket() string { return fmt.Sprintf("bucket_%d", buckets.Add(1)) }

// provision sets up a store as Caddy does, until the end of the test.
func provision(tb testing.TB, s *natsstore.Store) *natsstore.Store {
	tb.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(func() {
		cancel()
		_ = s.Cleanup()
	})
	if err := s.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	return s
}

func statusOf(tb testing.TB, s *natsstore.Store) natsstore.Status {
	return s.Status(tb.Context()).(natsstore.Status)
}

// stores returns a store for each server, connected to that one alone: stores with the same options share a connection.
func (e *engine) stores(bucket string) (stores []*natsstore.Store) {
	e.tb.Helper()
	for _, n := range e.nodes {
		stores = append(stores, e.store(bucket, n.url()))
	}
	return stores
}

func (e *engine) store(bucket string, servers ...string) *natsstore.Store {
	e.tb.Helper()
	replicas := natsstore.Replicas(fmt.Sprint(len(e.nodes)))
	return provision(e.tb, &natsstore.Store{Servers: servers, Bucket: bucket, Replicas: replicas})
}

// two returns two stores over an empty bucket with connections of their own.
func (e *engine) two(tb testing.TB) (a, b session.Store) {
	bucket := newBucket()
	urls := e.urls()
	if len(urls) == 1 {
		urls = append(urls, urls[0]+"/") // another name of the same
	}
	there := slices.Clone(urls)
	slices.Reverse(urls)
	return e.store(bucket, there...), e.store(bucket, urls...)
}

func conform(t *testing.T, e *engine) {
	storetest.Run(t, func(t *testing.T) session.Store { return e.store(newBucket(), e.urls()...) })
	storetest.RunNodes(t, func(t *testing.T) (a, b session.Store) { return e.two(t) })
}

func TestConformance(t *testing.T) { conform(t, launch(t, setup{})) }

func TestConformanceOfCluster(t *testing.T) { conform(t, launch(t, setup{nodes: 3})) }
