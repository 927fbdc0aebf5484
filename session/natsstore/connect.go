package natsstore

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Identity names the servers and the bucket, with a hash of what may decide whose bucket of that name it is.
func (s *Store) Identity() string {
	servers := slices.Sorted(slices.Values(s.Servers))
	identity := "nats bucket " + s.Bucket + " at " + strings.Join(servers, " ")
	account := []string{s.Username, s.NKey, s.Credentials}
	if s.TLS != nil {
		account = append(account, s.TLS.Cert)
	}
	if all := strings.Join(account, "\n"); strings.Trim(all, "\n") != "" {
		identity += fmt.Sprintf(" as %.8x", sha256.Sum256([]byte(all)))
	}
	return identity
}

// How the connection is kept up.
const (
	dialTimeout  = 2 * time.Second
	pingInterval = 5 * time.Second // two without an answer end a connection
	minRedial    = 50 * time.Millisecond
	maxRedial    = 2 * time.Second
)

// connectOptions are those of a connection that is never given up. While it is down nothing is kept to be sent later: who
// wanted it sent has been told by then that it failed.
func (s *Store) connectOptions() (nats.Options, error) {
	options := nats.GetDefaultOptions()
	options.Servers = s.Servers
	list := []nats.Option{
		nats.Name("pyws_clock"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(redialDelay),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
	}
	login, err := s.loginOption()
	if err != nil {
		return options, err
	}
	for _, set := range slices.Concat(list, login, s.tlsOptions()) {
		if err := set(&options); err != nil {
			return options, err
		}
	}
	return options, nil
}

// redialDelay is how long to wait after all servers were tried so often: with a spread, since a server that ends does so
// for all nodes at once.
func redialDelay(attempts int) time.Duration {
	return jitter(min(minRedial<<min(attempts-1, 10), maxRedial))
}

// jitter spreads waits that would end at once on many nodes.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func (s *Store) loginOption() ([]nats.Option, error) {
	switch {
	case s.Username != "":
		return []nats.Option{nats.UserInfo(s.Username, s.Password)}, nil
	case s.Token != "":
		return []nats.Option{nats.Token(s.Token)}, nil
	case s.NKey != "":
		option, err := nats.NkeyOptionFromSeed(s.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey: reading %q: %w", s.NKey, err)
		}
		return []nats.Option{option}, nil
	case s.Credentials != "":
		if _, err := os.ReadFile(s.Credentials); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		return []nats.Option{nats.UserCredentials(s.Credentials)}, nil
	}
	return nil, nil
}

func (s *Store) tlsOptions() []nats.Option {
	if s.TLS == nil {
		return nil
	}
	options := []nats.Option{nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12})}
	var certificate nats.TLSCertHandler
	if s.TLS.Cert != "" {
		certificate = s.TLS.certificate
	}
	var authorities nats.RootCAsHandler
	if s.TLS.CA != "" {
		authorities = s.TLS.authorities
	}
	if certificate != nil || authorities != nil {
		options = append(options, nats.ClientTLSConfig(certificate, authorities))
	}
	return options
}

func (t *TLS) certificate() (tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return certificate, fmt.Errorf("tls: cert %q and key %q: %w", t.Cert, t.Key, err)
	}
	return certificate, nil
}

func (t *TLS) authorities() (*x509.CertPool, error) {
	text, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("tls: ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls: ca: %q has no certificate: want some in PEM", t.CA)
	}
	return pool, nil
}
