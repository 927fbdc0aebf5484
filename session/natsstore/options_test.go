package natsstore

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", `nats`, `{}`},
		{"empty block", `nats {
		}`, `{}`},
		{"all", `nats {
			servers     nats://10.0.0.1:4222 tls://nats.example.com:4222
			bucket      clocks
			replicas    3
			username    clock
			password    {env.SECRET}
			tls {
				ca   ca.pem
				cert cert.pem
				key  key.pem
			}
		}`, `{"servers":["nats://10.0.0.1:4222","tls://nats.example.com:4222"],"bucket":"clocks","replicas":3,
			"username":"clock","password":"{env.SECRET}","tls":{"ca":"ca.pem","cert":"cert.pem","key":"key.pem"}}`},
		{"token", `nats {
			token s3cret
		}`, `{"token":"s3cret"}`},
		{"nkey", `nats {
			nkey user.nk
		}`, `{"nkey":"user.nk"}`},
		{"credentials", `nats {
			credentials user.creds
			tls {
			}
		}`, `{"credentials":"user.creds","tls":{}}`},
		{"placeholders", `nats {
			servers  {env.NATS}
			bucket   {env.BUCKET}
			replicas {env.REPLICAS}
		}`, `{"servers":["{env.NATS}"],"bucket":"{env.BUCKET}","replicas":"{env.REPLICAS}"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := new(Store)
			if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text)); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var a, b any
			if err := json.Unmarshal([]byte(test.want), &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got, &b); err != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("JSON %s: want %s", got, test.want)
			}
			again := new(Store)
			if err := json.Unmarshal(got, again); err != nil || !reflect.DeepEqual(again, s) {
				t.Errorf("read again: %+v, %v; want %+v", again, err, s)
			}
		})
	}
}

// Each error names what is wrong, and says what would be right, if not by itself. None shows a password.
func TestCaddyfileErrors(t *testing.T) {
	tests := []struct{ options, want string }{
		{"server nats://a:4222", `unknown option "server": want one of servers,`},
		{"servers", "servers: no argument: want URLs such as nats://10.0.0.1:4222"},
		{"servers nats://a:1\nservers nats://b:1", "servers: given twice"},
		{"servers 10.0.0.1:4222", "want one such as nats://10.0.0.1:4222"},
		{"servers a.example.com", `"a.example.com" is no URL of a NATS server: want one such as nats://`},
		{"servers http://a:4222", `"http://a:4222" is no URL of a NATS server`},
		{"servers nats://a:4222/path", `"nats://a:4222/path" is no URL of a NATS server`},
		{"servers nats://", `"nats://" is no URL of a NATS server`},
		{"servers nats://user:s3cret@a:4222", `the URL of "a:4222" has credentials: want these in the options username and password`},
		{"bucket a b", "bucket: 2 arguments: want one"},
		{"bucket a\nbucket b", "bucket: given twice"},
		{`bucket ""`, "bucket: 1 arguments: want one, not empty"},
		{"bucket a.b", `bucket: "a.b" is no name of a bucket: want letters, digits, - and _`},
		{"replicas three", `replicas: "three": want a number from 1 to 5`},
		{"replicas 0", `replicas: "0": want a number from 1 to 5`},
		{"replicas 6", `replicas: "6": want a number from 1 to 5`},
		{"username clock", "username and password belong together: want both or neither"},
		{"password s3cret", "username and password belong together: want both or neither"},
		{"username clock\npassword s3cret\ntoken s3cret", "username and token contradict each other: want one way of logging in"},
		{"token s3cret\nnkey a.nk\ncredentials a.creds", "token and nkey and credentials contradict each other"},
		{"nkey {env.NKEY}\ncredentials {env.CREDENTIALS}", "nkey and credentials contradict each other"},
		{"tls on", `tls: unexpected argument "on": its options go into a block`},
		{"tls {\nfile a\n}", `unknown option "file": want one of ca, cert, key`},
		{"tls {\ncert a\n}", "tls: cert and key belong together: want both or neither"},
		{"tls {\nkey a\n}", "tls: cert and key belong together: want both or neither"},
		{"tls {\nca a\nca b\n}", "ca: given twice"},
		{"tls {\n}\ntls {\n}", "tls: given twice"},
	}
	for _, test := range tests {
		err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser("nats {\n" + test.options + "\n}"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v; want %q", test.options, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error shows a password: %v", test.options, err)
		}
	}
	if err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser("nats here")); err == nil {
		t.Error("an argument after the name: want an error")
	}
}

func TestReplicasInJSON(t *testing.T) {
	for text, want := range map[string]Replicas{`3`: "3", `"3"`: "3", `"{env.N}"`: "{env.N}"} {
		var r Replicas
		if err := json.Unmarshal([]byte(text), &r); err != nil || r != want {
			t.Errorf("%s: %q, %v; want %q", text, r, err, want)
		}
	}
	for _, text := range []string{`3.5`, `true`, `[]`, `{}`} {
		if err := json.Unmarshal([]byte(text), new(Replicas)); err == nil {
			t.Errorf("%s: want an error", text)
		}
	}
}

// provision sets up a store as Caddy does, and returns the error with which Caddy would refuse it.
func provision(t *testing.T, s *Store) error {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	t.Cleanup(func() {
		_ = s.Cleanup()
		if s.client != nil {
			s.client.close() // and not a while later
		}
	})
	if err := s.Provision(ctx); err != nil {
		return err
	}
	return s.Validate()
}

func TestDefaults(t *testing.T) {
	s := new(Store)
	if err := provision(t, s); err != nil {
		t.Fatal(err)
	}
	if len(s.Servers) != 1 || s.Servers[0] != "nats://127.0.0.1:4222" || s.Bucket != "pyws_clock" || s.Replicas != "1" {
		t.Errorf("servers %q, bucket %q, replicas %q: want the defaults", s.Servers, s.Bucket, s.Replicas)
	}
}

func TestPlaceholders(t *testing.T) {
	for name, value := range map[string]string{
		"T_SERVER": "nats://127.0.0.1:1", "T_BUCKET": "clocks", "T_REPLICAS": "3", "T_USER": "clock", "T_PASSWORD": "s3cret", "T_BAD": "a b",
	} {
		t.Setenv(name, value)
	}
	given := []string{"{env.T_SERVER}"}
	s := &Store{Servers: given, Bucket: "{env.T_BUCKET}_1", Replicas: "{env.T_REPLICAS}", Username: "{env.T_USER}", Password: "{env.T_PASSWORD}"}
	if err := provision(t, s); err != nil {
		t.Fatal(err)
	}
	if s.Servers[0] != "nats://127.0.0.1:1" || s.Bucket != "clocks_1" || s.Replicas != "3" || s.Username != "clock" || s.Password != "s3cret" {
		t.Errorf("%+v: want all placeholders replaced", s)
	}
	if given[0] != "{env.T_SERVER}" {
		t.Error("the configuration's own list was changed")
	}
	for _, test := range []struct {
		store Store
		want  string
	}{
		{Store{Bucket: "{env.T_BAD}"}, `bucket: "a b" is no name`},
		{Store{Bucket: `\{a}`}, `bucket: "{a}" is no name`},
		{Store{Replicas: "{env.T_BAD}"}, `replicas: "a b"`},
		{Store{Servers: []string{"{env.T_BAD}"}}, `servers: "a b" is no URL`},
		{Store{Username: "a", Password: "s3{cret}"}, "password: a placeholder in it is unknown or empty"},
		{Store{Token: "{env.T_NONE}"}, "token: a placeholder in it is unknown or empty"},
		{Store{Token: "a", NKey: "b"}, "token and nkey contradict each other"},
		{Store{NKey: "/nowhere/user.nk"}, `nkey: reading "/nowhere/user.nk"`},
		{Store{Credentials: "/nowhere/user.creds"}, "credentials: open /nowhere/user.creds"},
		{Store{TLS: &TLS{CA: "/nowhere/ca.pem"}}, "tls: ca: open /nowhere/ca.pem"},
		{Store{TLS: &TLS{CA: "options_test.go"}}, `tls: ca: "options_test.go" has no certificate`},
		{Store{TLS: &TLS{Cert: "/nowhere/cert.pem", Key: "key.pem"}}, `tls: cert "/nowhere/cert.pem" and key "key.pem"`},
	} {
		err := provision(t, &test.store)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v; want %q", err, test.want)
		}
		if err != nil && (strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "cret")) {
			t.Errorf("the error shows a part of a password: %v", err)
		}
	}
}

func TestIdentity(t *testing.T) {
	one := Store{Servers: []string{"nats://a:1", "nats://b:1"}, Bucket: "clocks", Username: "clock", Password: "s3cret"}
	other := one
	other.Servers = []string{"nats://b:1", "nats://a:1"}
	other.Password = "another"
	if one.Identity() != other.Identity() {
		t.Errorf("%q and %q: want the same, whatever the order of servers and the password", one.Identity(), other.Identity())
	}
	for _, part := range []string{"clocks", "nats://a:1 nats://b:1"} {
		if !strings.Contains(one.Identity(), part) {
			t.Errorf("%q: want %q in it", one.Identity(), part)
		}
	}
	for _, secret := range []string{"s3cret", "user", "clock "} {
		if strings.Contains(one.Identity(), secret) {
			t.Errorf("%q: want no credentials in it", one.Identity())
		}
	}
	seen := map[string]bool{one.Identity(): true}
	for _, s := range []Store{
		{Servers: one.Servers, Bucket: "clocks"},
		{Servers: one.Servers, Bucket: "clocks", Username: "another", Password: "s3cret"},
		{Servers: one.Servers, Bucket: "clocks", NKey: "clock"},
		{Servers: one.Servers, Bucket: "clocks", Credentials: "clock"},
		{Servers: one.Servers, Bucket: "others", Username: "clock", Password: "s3cret"},
		{Servers: one.Servers[:1], Bucket: "clocks", Username: "clock", Password: "s3cret"},
	} {
		if seen[s.Identity()] {
			t.Errorf("%q: want another identity for each bucket and account", s.Identity())
		}
		seen[s.Identity()] = true
	}
}
