package natsstore

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store nats {
//		servers     <url...>
//		bucket      <name>
//		replicas    <n>
//		username    <user>
//		password    <password>
//		token       <token>
//		nkey        <seed file>
//		credentials <file>
//		tls {
//			ca   <file>
//			cert <file>
//			key  <file>
//		}
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.Errf("unexpected argument %q: options of the store nats go into a block", d.Val())
	}
	values := map[string]*string{
		"bucket": &s.Bucket, "replicas": (*string)(&s.Replicas), "username": &s.Username, "password": &s.Password,
		"token": &s.Token, "nkey": &s.NKey, "credentials": &s.Credentials,
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "servers":
			err = s.readServers(d)
		case "tls":
			err = s.readTLS(d)
		default:
			err = readValue(d, values, "servers, bucket, replicas, username, password, token, nkey, credentials, tls")
		}
		if err != nil {
			return err
		}
	}
	if err := s.check(true); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (s *Store) readServers(d *caddyfile.Dispenser) error {
	if s.Servers != nil {
		return d.Err("servers: given twice: want all in one line")
	}
	if s.Servers = d.RemainingArgs(); len(s.Servers) == 0 {
		return d.Err("servers: no argument: want URLs such as nats://10.0.0.1:4222")
	}
	return nil
}

func (s *Store) readTLS(d *caddyfile.Dispenser) error {
	if s.TLS != nil {
		return d.Err("tls: given twice")
	}
	if d.NextArg() {
		return d.Errf("tls: unexpected argument %q: its options go into a block", d.Val())
	}
	s.TLS = new(TLS)
	values := map[string]*string{"ca": &s.TLS.CA, "cert": &s.TLS.Cert, "key": &s.TLS.Key}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := readValue(d, values, "ca, cert, key"); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	return nil
}

// readValue reads an option that has one argument.
func readValue(d *caddyfile.Dispenser, values map[string]*string, known string) error {
	name := d.Val()
	value := values[name]
	if value == nil {
		return d.Errf("unknown option %q: want one of %s", name, known)
	}
	if *value != "" {
		return d.Errf("%s: given twice", name)
	}
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("%s: %d arguments: want one, not empty", name, len(args))
	}
	*value = args[0]
	return nil
}
