package caddystore

import (
	"context"
	"errors"
	"fmt"

	"github.com/pyws-clock/pyws_clock/session"
)

// Secret implements [session.Store].
func (s *Store) Secret(ctx context.Context) (session.Secret, error) {
	secret, err := s.loadSecret(ctx)
	if errors.Is(err, session.ErrNotFound) {
		secret, err = s.createSecret(ctx)
	}
	if err != nil {
		return session.Secret{}, err
	}
	if known := s.shared.knowSecret(secret); known != secret {
		return session.Secret{}, errReplaced
	}
	return secret, nil
}

// errReplaced: with another secret than the one in memory, what is saved now could not be opened after a restart.
var errReplaced = errors.New("the secret in " + secretPath + " was replaced: restart Caddy to use it, or put the old one back")

func (s *Store) loadSecret(ctx context.Context) (session.Secret, error) {
	text, err := s.load(ctx, secretPath)
	if err != nil {
		return session.Secret{}, err
	}
	secret, err := session.ParseSecret(string(text))
	if err != nil {
		return session.Secret{}, fmt.Errorf("%s: %w", secretPath, err)
	}
	return secret, nil
}

// createSecret stores the secret that this process has if it has one, and a new one if not. Others may be about to
// create one at the same time.
func (s *Store) createSecret(ctx context.Context) (secret session.Secret, err error) {
	if err := s.shared.lock(ctx, secretPath); err != nil { // the storage's lock makes those wait for seconds who meet
		return secret, err
	}
	defer s.shared.unlock(secretPath)
	if secret, err = s.loadSecret(ctx); !errors.Is(err, session.ErrNotFound) {
		return secret, err
	}
	if err := s.storage.Lock(ctx, secretPath); err != nil {
		return secret, err
	}
	defer func() {
		err = errors.Join(err, s.storage.Unlock(context.WithoutCancel(ctx), secretPath))
	}()
	if secret, err = s.loadSecret(ctx); !errors.Is(err, session.ErrNotFound) {
		return secret, err
	}
	if secret = s.shared.knownSecret(); secret == (session.Secret{}) {
		secret = session.NewSecret()
	}
	return secret, s.store(ctx, secretPath, []byte(secret.Encode()), true)
}

// keepSecret puts the secret back if it has vanished: without it, nobody could open the session that is about to be
// stored after a restart.
func (s *Store) keepSecret(ctx context.Context) error {
	_, err := s.Secret(ctx)
	return err
}
