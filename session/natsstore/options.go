package natsstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Replicas is a whole number, or a placeholder that stands for one.
type Replicas string

// UnmarshalJSON reads a number or a string.
func (r *Replicas) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(r))
	}
	var n int
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	*r = Replicas(strconv.Itoa(n))
	return nil
}

// MarshalJSON writes a number, or else a string.
func (r Replicas) MarshalJSON() ([]byte, error) {
	if n, err := strconv.Atoi(string(r)); err == nil {
		return json.Marshal(n)
	}
	return json.Marshal(string(r))
}

// number is 0 where it is no number.
func (r Replicas) number() int {
	n, _ := strconv.Atoi(string(r))
	return n
}

func (s *Store) replacePlaceholders() error {
	type option struct {
		name  string
		value *string
	}
	options := []option{
		{"bucket", &s.Bucket}, {"replicas", (*string)(&s.Replicas)}, {"username", &s.Username}, {"password", &s.Password},
		{"token", &s.Token}, {"nkey", &s.NKey}, {"credentials", &s.Credentials},
	}
	s.Servers = slices.Clone(s.Servers)
	for i := range s.Servers {
		options = append(options, option{"servers", &s.Servers[i]})
	}
	if s.TLS != nil {
		s.TLS = &TLS{s.TLS.CA, s.TLS.Cert, s.TLS.Key}
		options = append(options, option{"tls: ca", &s.TLS.CA}, option{"tls: cert", &s.TLS.Cert}, option{"tls: key", &s.TLS.Key})
	}
	replacer := caddy.NewReplacer()
	for _, o := range options {
		replaced, err := replacer.ReplaceOrErr(*o.value, true, true)
		if err != nil { // it could show a part of a password
			return fmt.Errorf(`%s: a placeholder in it is unknown or empty: want one such as {env.NAME} with a value, or \{ for a brace`, o.name)
		}
		*o.value = replaced
	}
	return nil
}

func (s *Store) setDefaults() {
	if len(s.Servers) == 0 {
		s.Servers = []string{"nats://127.0.0.1:4222"}
	}
	if s.Bucket == "" {
		s.Bucket = "pyws_clock"
	}
	if s.Replicas == "" {
		s.Replicas = "1"
	}
}

// check checks the options. Those that are absent have no value yet, and with placeholders neither have those that have
// a placeholder in them.
func (s *Store) check(placeholders bool) error {
	known := func(value string) bool { return value != "" && !(placeholders && strings.Contains(value, "{")) }
	for _, server := range s.Servers {
		if err := checkServer(server); known(server) && err != nil {
			return fmt.Errorf("servers: %w", err)
		}
	}
	if known(s.Bucket) && !bucketName.MatchString(s.Bucket) {
		return fmt.Errorf("bucket: %q is no name of a bucket: want letters, digits, - and _", s.Bucket)
	}
	if n := s.Replicas.number(); known(string(s.Replicas)) && (n < 1 || n > maxReplicas) {
		return fmt.Errorf("replicas: %q: want a number from 1 to %d", string(s.Replicas), maxReplicas)
	}
	if s.TLS != nil && (s.TLS.Cert == "") != (s.TLS.Key == "") {
		return errors.New("tls: cert and key belong together: want both or neither")
	}
	return s.checkLogin()
}

// maxReplicas is what JetStream has.
const maxReplicas = 5

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func checkServer(server string) error {
	const want = "want one such as nats://10.0.0.1:4222 or tls://nats.example.com:4222"
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return errors.New("a value is no URL: " + want) // it is not shown, as it can have a password
	case u.User != nil:
		return fmt.Errorf("the URL of %q has credentials: want these in the options username and password, or token", u.Host)
	case u.Scheme != "nats" && u.Scheme != "tls", u.Hostname() == "", u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("%q is no URL of a NATS server: %s", server, want)
	}
	return nil
}

// checkLogin refuses credentials that contradict each other.
func (s *Store) checkLogin() error {
	if (s.Username == "") != (s.Password == "") {
		return errors.New("username and password belong together: want both or neither")
	}
	var ways []string
	for _, way := range []struct{ name, value string }{
		{"username", s.Username}, {"token", s.Token}, {"nkey", s.NKey}, {"credentials", s.Credentials},
	} {
		if way.value != "" {
			ways = append(ways, way.name)
		}
	}
	if len(ways) > 1 {
		return fmt.Errorf("%s contradict each other: want one way of logging in", strings.Join(ways, " and "))
	}
	return nil
}
