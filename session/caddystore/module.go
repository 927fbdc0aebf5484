// Package caddystore keeps sessions in the storage that Caddy is configured with: files in its data directory, or
// whatever storage plugin is set. It is the Caddy module http.pyws_clock.stores.caddy.
//
// The storage of Caddy has neither compare-and-swap nor a watch; this package does the former within one process. So a
// storage belongs to one Caddy process at a time. Where several share one, as nodes behind a load balancer with a
// storage plugin do, this holds and this does not:
//
//   - An ID is good on every node, since the secret is in the storage and was created under its lock.
//   - A session that is stored on one node opens on another as it was stored.
//   - Two nodes on which the same session is live do not see each other's changes, and the alarms set on one do not ring
//     on the other, until it has been left on all connections of a node for a minute, and is read anew.
//   - A change that meets another node's change, made since the session was read, is made again on top of it. But of two
//     changes that two nodes store in the same instant, one can be lost although both were acknowledged.
//
// For several nodes that share visitors, use a store that has compare-and-swap and a watch.
package caddystore

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/session"
)

func init() {
	caddy.RegisterModule(Store{})
}

// Store keeps sessions in Caddy's configured storage, under `pyws_clock`: the secret with which session IDs are made in
// `pyws_clock/secret`, and each session that was changed in a file of its own under `pyws_clock/sessions`. File names
// are hashes of session IDs, which do not tell the IDs. It has no options.
//
// Several Caddy instances that share a storage see each other's sessions, but not at once, and two changes of one
// session in the same instant can lose one of them.
type Store struct {
	storage certmagic.Storage
	shared  *shared
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.pyws_clock.stores.caddy",
		New: func() caddy.Module { return new(Store) },
	}
}

// Provision takes the storage of the configuration. It neither reads nor writes there.
func (s *Store) Provision(ctx caddy.Context) error {
	*s = *New(ctx.Storage())
	s.warnOfNodes(ctx.Logger())
	return nil
}

// warnOfNodes says once what would be lost if the storage is shared with other nodes. Whether it is cannot be known: a
// plugin's may be, and files are taken for this machine's alone.
func (s *Store) warnOfNodes(log *zap.Logger) {
	if _, files := s.storage.(*certmagic.FileStorage); files {
		return
	}
	s.shared.warned.Do(func() {
		log.Warn("the store caddy is for one node, and this storage may be shared by several: then a change on one is not "+
			"seen on the others where the session is open, its alarms do not ring there, and of two changes at once one "+
			"can be lost; use the store nats for several nodes",
			zap.String("storage", fmt.Sprintf("%T", s.storage)))
	})
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	store caddy
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.Errf("unexpected argument %q: the store caddy takes none", d.Val())
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option %q: the store caddy has none", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
	_ session.Store         = (*Store)(nil)
)
