// Package natsstore keeps sessions in a key-value bucket of NATS JetStream, which several nodes share. It is the Caddy
// module http.pyws_clock.stores.nats.
//
// A record is under the key `s.<shard>.<key>`, with the shard as two hexadecimal digits, and the secret under `secret`. A
// revision is the number that the bucket's stream gave a message.
//
// What is saved or deleted is acknowledged by the servers, which compare the revision. Reading asks the leader of the
// bucket, as other replicas lag behind what was acknowledged. A leader that is cut off from the others does not notice for
// up to 20 seconds: a session that is opened through it meanwhile is as it was before. It cannot be changed there, and the
// watch brings it up to date as soon as the cut heals.
package natsstore

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/pyws-clock/pyws_clock/session"
)

func init() {
	caddy.RegisterModule(new(Store))
}

// Store keeps sessions in a key-value bucket of NATS JetStream, for several Caddy instances behind a load balancer: a
// session is the same on each, at once.
//
// The servers need not be up when Caddy starts. As long as they are out of reach clocks and known alarms go on, and
// commands that change something are answered with an error. For an acknowledged change to outlive a power failure, set
// `sync_interval: always` in the servers' `jetstream` block, and have three replicas.
//
// At most one way of logging in can be configured: `username` and `password`, `token`, `nkey` or `credentials`.
type Store struct {
	// The servers' URLs, with the scheme `nats`, or `tls` for those that want TLS. Others of their cluster are found
	// through them. Default: `nats://127.0.0.1:4222`
	Servers []string `json:"servers,omitempty"`

	// The name of the bucket: letters, digits, `-` and `_`. Default: `pyws_clock`
	Bucket string `json:"bucket,omitempty"`

	// How many servers keep the bucket, if this module creates it, from 1 to 5. A bucket that exists is taken as it is.
	// A number, or text with a placeholder. Default: `1`
	Replicas Replicas `json:"replicas,omitempty"`

	// The user name to log in with.
	Username string `json:"username,omitempty"`

	// The password of the user.
	Password string `json:"password,omitempty"`

	// The token to log in with.
	Token string `json:"token,omitempty"`

	// A file with the seed of the nkey to log in with.
	NKey string `json:"nkey,omitempty"`

	// A credentials file to log in with, as `nsc` makes it.
	Credentials string `json:"credentials,omitempty"`

	// Has the connection use TLS.
	TLS *TLS `json:"tls,omitempty"`

	// Now is the clock by which marks of deletions get old; nil: time.Now.
	Now func() time.Time `json:"-"`

	client  *client
	release func()
}

// TLS is how the servers and Caddy prove to each other who they are. Files are read again for each connection.
type TLS struct {
	// A file with certificates, in PEM, of those who sign the servers' certificates. Default: those that the system trusts
	CA string `json:"ca,omitempty"`

	// A file with the certificate, in PEM, that Caddy shows to the servers.
	Cert string `json:"cert,omitempty"`

	// The file with its private key, in PEM.
	Key string `json:"key,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.pyws_clock.stores.nats",
		New: func() caddy.Module { return new(Store) },
	}
}

// clients are the connections in use. They outlive a reload that leaves their options as they are.
var clients = caddy.NewUsagePool()

// Provision begins to connect, and does not wait for it.
func (s *Store) Provision(ctx caddy.Context) error {
	if err := s.replacePlaceholders(); err != nil {
		return err
	}
	s.setDefaults()
	if err := s.check(false); err != nil {
		return err
	}
	options, err := s.connectOptions()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	key := sha256.Sum256(text)
	c, _, err := clients.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newClient(s.Bucket, s.Replicas.number(), options), nil
	})
	if err != nil {
		return err
	}
	s.client = c.(*client)
	removeLog := s.client.logs.push(ctx.Logger())
	s.client.begin.Do(func() { go s.client.connect() })
	s.release = func() {
		removeLog()
		_, _ = clients.Delete(key)
	}
	return s.client.registerMetrics(ctx.GetMetricsRegistry(), s.Identity())
}

// Validate checks the options.
func (s *Store) Validate() error { return s.check(false) }

// Cleanup closes the connection a while later if nobody else uses it: what the handler still has to store comes after.
func (s *Store) Cleanup() error {
	if s.release != nil {
		s.release()
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddy.Validator       = (*Store)(nil)
	_ caddy.CleanerUpper    = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
	_ session.Informant     = (*Store)(nil)
)
