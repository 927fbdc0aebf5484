package caddystore

import (
	"context"
	"sync"

	"github.com/pyws-clock/pyws_clock/session"
)

// shared is what all stores over one storage in this process share.
type shared struct {
	warned sync.Once // of other nodes

	mu     sync.Mutex
	held   map[string]chan struct{} // the paths of which something is being changed; closed when it no longer is
	secret session.Secret           // zero until it is known
}

// storages has a *shared for each identity. There is one as long as Caddy does not move to another storage.
var storages sync.Map

func sharedBy(identity string) *shared {
	s, _ := storages.LoadOrStore(identity, &shared{held: make(map[string]chan struct{})})
	return s.(*shared)
}

// lock waits until nobody else changes what is at a path: between the comparison and the swap, nothing may.
func (s *shared) lock(ctx context.Context, path string) error {
	for {
		s.mu.Lock()
		released, held := s.held[path]
		if !held {
			s.held[path] = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *shared) unlock(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held[path])
	delete(s.held, path)
}

// knownSecret returns the secret that is known, or zero.
func (s *shared) knownSecret() session.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// knowSecret returns the secret that is known, which is this one if none was.
func (s *shared) knowSecret(secret session.Secret) session.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret == (session.Secret{}) {
		s.secret = secret
	}
	return s.secret
}
