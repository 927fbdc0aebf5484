package session

import (
	"errors"
	"testing"
)

// FuzzSecret holds that a secret has one text, and that everything else is
// damaged; and the same of keys, whose texts are the names of files.
func FuzzSecret(f *testing.F) {
	secret := testSecret()
	made := newID(&secret)
	f.Add(secret.Encode())
	f.Add(secret.Encode() + "\n")
	f.Add(made.key().String())
	f.Add("../../../../../../../../../../etc/passwd")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSecret(text); err == nil && s.Encode() != text {
			t.Errorf("two texts for a secret: %q and %q", text, s.Encode())
		} else if err != nil && (!errors.Is(err, ErrDamaged) || s != Secret{}) {
			t.Errorf("secret %q: %x, %v; want ErrDamaged and nothing", text, s[:], err)
		}
		if k, err := ParseKey(text); err == nil && k.String() != text {
			t.Errorf("two texts for a key: %q and %q", text, k)
		}
	})
}
