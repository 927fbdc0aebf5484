//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// site is how our server is configured.
type site struct {
	log   bool   // access logs on
	tls   bool   // wss, with HTTP/1.1 to 3 enabled as by default
	ping  string // ping_interval; "": the default
	proxy *peer  // instead of our handler, reverse_proxy to this one
}

// clockPeer is our server.
func (b *bench) clockPeer(s site) (*peer, error) {
	program, err := b.caddyBinary()
	if err != nil {
		return nil, err
	}
	p := &peer{name: ours, about: "Caddy with pyws_clock", ports: 1}
	if s.log {
		p.name += "+log"
	}
	if s.proxy != nil {
		p.name, p.about, p.ports = "proxy+"+s.proxy.name, "Caddy's reverse_proxy before "+s.proxy.name, 2
	}
	if s.tls {
		p.name += "+tls"
		if p.ca, err = b.certificate(); err != nil {
			return nil, err
		}
	}
	p.commands = func(dir string, ports []int) (commands []*exec.Cmd, err error) {
		if s.proxy != nil {
			if commands, err = s.proxy.commands(dir, ports[1:]); err != nil {
				return nil, err
			}
		}
		file := filepath.Join(dir, "Caddyfile")
		if err := os.WriteFile(file, []byte(s.caddyfile(dir, ports, p.ca)), 0o600); err != nil {
			return nil, err
		}
		caddy := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
		caddy.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return append(commands, caddy), nil
	}
	return p, nil
}

// caddyfile serves seconds everywhere, and milli- and microseconds at /ms and /us.
func (s site) caddyfile(dir string, ports []int, ca string) string {
	var c strings.Builder
	fmt.Fprintf(&c, "{\n\tadmin off\n\tpersist_config off\n\tauto_https disable_redirects\n\tstorage file_system %s/data\n}\n", dir)
	if s.tls {
		fmt.Fprintf(&c, "https://localhost:%d {\n\ttls %s %s\n", ports[0], ca, keyFile(ca))
	} else {
		fmt.Fprintf(&c, "http://:%d {\n", ports[0])
	}
	fmt.Fprintf(&c, "\tbind 127.0.0.1\n")
	if s.log {
		fmt.Fprintf(&c, "\tlog {\n\t\toutput file %s/access.log\n\t}\n", dir)
	}
	if s.proxy != nil {
		fmt.Fprintf(&c, "\treverse_proxy 127.0.0.1:%d\n}\n", ports[1])
		return c.String()
	}
	for _, h := range []struct{ path, precision string }{{"/ms ", "ms"}, {"/us ", "us"}, {"", "s"}} {
		fmt.Fprintf(&c, "\tpyws_clock %s{\n\t\tprecision %s\n", h.path, h.precision)
		if s.ping != "" {
			fmt.Fprintf(&c, "\t\tping_interval %s\n", s.ping)
		}
		fmt.Fprintf(&c, "\t}\n")
	}
	fmt.Fprintf(&c, "}\n")
	return c.String()
}

// caddyBinary builds ./cmd/caddy, once.
func (b *bench) caddyBinary() (string, error) {
	if b.caddy != "" {
		return filepath.Abs(b.caddy)
	}
	program := filepath.Join(b.dir, "caddy")
	b.say("building ./cmd/caddy")
	_, err := b.output("go", "build", "-C", filepath.Dir(b.source), "-tags", b.tags, "-o", program, "./cmd/caddy")
	if err != nil {
		return "", err
	}
	b.caddy = program
	return program, nil
}

// certificate makes one for localhost that signs itself, once, and returns its file.
func (b *bench) certificate() (string, error) {
	file := filepath.Join(b.dir, "localhost.pem")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	if err := writePEM(keyFile(file), "PRIVATE KEY", secret); err != nil {
		return "", err
	}
	return file, writePEM(file, "CERTIFICATE", der)
}

func keyFile(certificate string) string { return certificate + ".key" }

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
