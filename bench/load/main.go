//go:build linux

// Command load opens many clock connections over loopback and checks that each
// receives each second exactly once. It prints one JSON line of results.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

const maxConnections = 100000

type options struct {
	addr           netip.AddrPort
	connections    int
	inFlight       int
	paths          []string
	tls            *tls.Config // nil: plain
	zones          int         // how many zones the sessions are spread over; 0: the server's default zone
	settle         int64       // seconds from the last opening to the measurement
	seconds        int64
	commandSeconds int64
	stop           int // how many clients stop reading
	wait           bool
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("load: ")
	o, timeout, err := parse()
	if err != nil {
		log.Fatal(err)
	}
	time.AfterFunc(timeout, func() { log.Fatalf("not done after %v", timeout) })
	l, err := newLoad(o)
	if err != nil {
		log.Fatal(err)
	}
	if err := l.run(); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(l.result()); err != nil {
		log.Fatal(err)
	}
}

func parse() (o options, timeout time.Duration, err error) {
	addr := flag.String("addr", "127.0.0.1:8080", "the server's loopback `address`")
	paths := flag.String("paths", "/", "comma-separated paths that the connections are spread over")
	ca := flag.String("ca", "", "use TLS, and trust the certificates in this PEM `file`")
	flag.IntVar(&o.connections, "n", 100, "how many connections")
	flag.IntVar(&o.inFlight, "inflight", 64, "how many connections are being opened at once")
	flag.IntVar(&o.zones, "zones", 0, "spread the sessions over so many `zones` of TZ LIST (0: leave the server's)")
	flag.Int64Var(&o.settle, "settle", 2, "seconds from the last opening to the measurement")
	flag.Int64Var(&o.seconds, "seconds", 10, "seconds measured")
	flag.Int64Var(&o.commandSeconds, "commands", 0, "further seconds in which 10 % of the connections send a command each second")
	flag.IntVar(&o.stop, "stop", 0, "how many clients stop reading when the measurement begins; every second of them sends commands on")
	flag.BoolVar(&o.wait, "wait", false, "when all are open, print a line and read the first second to measure (Unix time) from standard input")
	flag.DurationVar(&timeout, "timeout", 2*time.Minute, "give up after this long")
	flag.Parse()

	o.paths = strings.Split(*paths, ",")
	if o.addr, err = netip.ParseAddrPort(*addr); err != nil {
		return o, 0, err
	}
	if !o.addr.Addr().Is4() || !o.addr.Addr().IsLoopback() {
		return o, 0, fmt.Errorf("address %q: want an IPv4 loopback address", *addr)
	}
	if o.connections < 1 || o.connections > maxConnections {
		return o, 0, fmt.Errorf("%d connections: want 1 to %d", o.connections, maxConnections)
	}
	if o.stop > 0 && *ca != "" || o.stop > o.connections {
		return o, 0, errors.New("-stop goes without -ca, and with at most as many clients as connections")
	}
	if *ca != "" {
		o.tls, err = trust(*ca)
	}
	return o, timeout, err
}

func trust(file string) (*tls.Config, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q holds no PEM certificate", file)
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}}, nil
}

// startSecond reads the first second to measure from standard input.
func startSecond() (int64, error) {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("waiting for the first second to measure: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(line), 10, 64)
}
