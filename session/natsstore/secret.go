package natsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/pyws-clock/pyws_clock/session"
)

// Secret implements [session.Store].
func (s *Store) Secret(ctx context.Context) (secret session.Secret, err error) {
	err = s.client.do(ctx, someLeader, func(ctx context.Context) (err error) {
		secret, err = s.client.loadSecret(ctx)
		return err
	})
	return secret, err
}

// errReplaced: with another secret than the one in memory, what is saved now could not be opened after a restart.
var errReplaced = errors.New("the secret in the NATS bucket was replaced: restart Caddy to use it, or put the old one back")

// loadSecret returns the secret. Where there is none in the bucket it stores the one that this process has, or a new one.
func (c *client) loadSecret(ctx context.Context) (session.Secret, error) {
	subject := c.subjects + "secret"
	found, err := c.last(ctx, subject)
	for err == nil && found.value == nil {
		change := newChange(subject, []byte(c.knownSecret().Encode()), 0)
		change.expected = found.sequence
		_, err = c.apply(ctx, change)
		if err == nil || errors.Is(err, session.ErrConflict) {
			found, err = c.last(ctx, subject)
		}
	}
	if err != nil {
		return session.Secret{}, err
	}
	secret, err := session.ParseSecret(string(found.value))
	if err != nil {
		return session.Secret{}, fmt.Errorf("secret in the NATS bucket: %w", err)
	}
	return secret, c.knowSecret(secret)
}

// knownSecret returns the secret that is known, or else a new one.
func (c *client) knownSecret() session.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == (session.Secret{}) {
		return session.NewSecret()
	}
	return c.secret
}

// knowSecret refuses another secret than the one that is known.
func (c *client) knowSecret(secret session.Secret) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == (session.Secret{}) {
		c.secret = secret
	}
	if c.secret != secret {
		return errReplaced
	}
	return nil
}
