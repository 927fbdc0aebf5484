package natstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/natsstore"
)

// login is a way of logging in: what the server has to be told, and the store; and a store that is to be turned away.
type login struct {
	server string
	right  natsstore.Store
	wrong  natsstore.Store
}

// Every way of logging in works, and those who log in wrongly are told so in time, not let in, and go on trying.
func TestLogin(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T) login{
		"username": func(*testing.T) login {
			return login{
				server: `authorization { user: clock, password: s3cret }`,
				right:  natsstore.Store{Username: "clock", Password: "s3cret"},
				wrong:  natsstore.Store{Username: "clock", Password: "secret"},
			}
		},
		"token": func(*testing.T) login {
			return login{
				server: `authorization { token: s3cret }`,
				right:  natsstore.Store{Token: "s3cret"},
				wrong:  natsstore.Store{},
			}
		},
		"nkey":        nkeyLogin,
		"credentials": credentialsLogin,
		"tls":         tlsLogin,
	} {
		t.Run(name, func(t *testing.T) {
			l := prepare(t)
			e := launch(t, setup{extra: l.server})
			for _, s := range []*natsstore.Store{&l.right, &l.wrong} {
				s.Servers, s.Bucket = e.urls(), "login"
				provision(t, s)
			}
			if _, err := l.wrong.Secret(t.Context()); err == nil {
				t.Error("wrong login: want an error")
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("wrong login: the error shows the password: %v", err)
			}
			if _, err := l.right.Secret(t.Context()); err != nil {
				t.Errorf("right login: %v", err)
			}
			status := statusOf(t, &l.right)
			if !status.Connected || status.Bucket == nil || strings.Contains(fmt.Sprintf("%+v", status), "s3cret") {
				t.Errorf("status %+v: want it connected, and no password in it", status)
			}
		})
	}
}

func write(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// keys returns a new pair of keys: its public key, its seed, and the pair.
func keys(t *testing.T, create func() (nkeys.KeyPair, error)) (public string, seed []byte, pair nkeys.KeyPair) {
	t.Helper()
	pair = must[nkeys.KeyPair](t)(create())
	return must[string](t)(pair.PublicKey()), must[[]byte](t)(pair.Seed()), pair
}

func nkeyLogin(t *testing.T) login {
	public, seed, _ := keys(t, nkeys.CreateUser)
	_, another, _ := keys(t, nkeys.CreateUser)
	return login{
		server: fmt.Sprintf(`authorization { users: [ { nkey: %s } ] }`, public),
		right:  natsstore.Store{NKey: write(t, "user.nk", seed)},
		wrong:  natsstore.Store{NKey: write(t, "user.nk", another)},
	}
}

func credentialsLogin(t *testing.T) login {
	operator, _, operatorKeys := keys(t, nkeys.CreateOperator)
	account, _, accountKeys := keys(t, nkeys.CreateAccount)
	_, _, strangerKeys := keys(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(account)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	credentials := func(signer nkeys.KeyPair) string {
		user, seed, _ := keys(t, nkeys.CreateUser)
		token := must[string](t)(jwt.NewUserClaims(user).Encode(signer))
		return write(t, "user.creds", must[[]byte](t)(jwt.FormatUserConfig(token, seed)))
	}
	system, _, _ := keys(t, nkeys.CreateAccount)
	return login{
		server: fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }",
			must[string](t)(jwt.NewOperatorClaims(operator).Encode(operatorKeys)), system,
			account, must[string](t)(claims.Encode(operatorKeys)),
			system, must[string](t)(jwt.NewAccountClaims(system).Encode(operatorKeys))),
		right: natsstore.Store{Credentials: credentials(accountKeys)},
		wrong: natsstore.Store{Credentials: credentials(strangerKeys)},
	}
}

// tlsLogin has the server ask for a certificate of the client.
func tlsLogin(t *testing.T) login {
	root := newAuthority(t)
	serverCert, serverKey := root.issue(t, "server")
	cert, key := root.issue(t, "client")
	strangerCert, strangerKey := newAuthority(t).issue(t, "stranger")
	return login{
		server: fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", serverCert, serverKey, root.path),
		right:  natsstore.Store{TLS: &natsstore.TLS{CA: root.path, Cert: cert, Key: key}},
		wrong:  natsstore.Store{TLS: &natsstore.TLS{CA: root.path, Cert: strangerCert, Key: strangerKey}},
	}
}

// authority signs certificates.
type authority struct {
	path        string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := template("authority")
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return &authority{
		path:        write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		certificate: must[*x509.Certificate](t)(x509.ParseCertificate(der)),
		key:         key,
	}
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
}

func (a *authority) issue(t *testing.T, name string) (certPath, keyPath string) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template(name), a.certificate, key.Public(), a.key))
	text := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	return write(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// A user who may do no more than docs/nodes.md says can do all that the store needs.
func TestLeastPermissions(t *testing.T) {
	e := launch(t, setup{extra: documentedLogin(t)})
	later := time.Duration(0)
	s := provision(t, &natsstore.Store{
		Servers: e.urls(), Username: "clock", Password: "s3cret",
		Now: func() time.Time { return time.Now().Add(later) },
	})
	w := watch(t, s)
	w.held.Lock()
	gone := newKey()
	if err := s.Delete(t.Context(), gone, mustSave(t, s, gone, "record", 0)); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789abcdef", session.MaxRecord/16-1)
	keys := make([]session.Key, 100)
	for i := range keys {
		keys[i] = newKey()
		mustSave(t, s, keys[i], large, 0)
	}
	w.held.Unlock()
	for _, key := range keys {
		until(t, "all is told, with flow control", func() bool { return w.record(key) == large })
	}
	mustLoad(t, s, keys[0], large)
	later = 25 * time.Hour
	for _, err := range s.Keys(t.Context(), gone.Shard()) {
		if err != nil {
			t.Errorf("keys: %v", err)
		}
	}
	if status := statusOf(t, s); status.Bucket == nil || status.Bucket.Keys != 101 {
		t.Errorf("status %+v: want 101 keys: the secret, and what was saved", status.Bucket)
	}
}
