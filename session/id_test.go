package session

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func testSecret() (s Secret) {
	for i := range s {
		s[i] = byte(i)
	}
	return s
}

func TestID(t *testing.T) {
	secret := testSecret()
	for range 100 {
		made := newID(&secret)
		text := made.String()
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{48}$`).MatchString(text) {
			t.Fatalf("ID %q: want 48 characters of base64url", text)
		}
		if parsed, ok := parseID(&secret, text); !ok || parsed != made {
			t.Fatalf("ID %q is not recognised", text)
		}
		if newID(&secret) == made {
			t.Fatal("the same ID twice")
		}
	}
}

// TestIDStaysValid has an ID that must be good for ever, and its key, both worked out by Python's hmac and hashlib.
func TestIDStaysValid(t *testing.T) {
	secret := testSecret()
	var i id
	for n := range idRandom {
		i[n] = byte(0xf0 + n)
	}
	copy(i[idRandom:], i.mac(&secret))
	const text, key = "8PHy8_T19vf4-fr7_P3-_wABAgPWgD740iFYWpiZ3GBlXo-p", "5bd32b31ae5858b5d00c8ab4678df270756166ae"
	if i.String() != text {
		t.Errorf("ID %q: want %q", i.String(), text)
	}
	if i.key().String() != key {
		t.Errorf("key %q: want %q", i.key(), key)
	}
}

func TestIDsRefused(t *testing.T) {
	secret, other := testSecret(), NewSecret()
	made := newID(&secret)
	text := made.String()
	foreign := newID(&other)
	refused := []string{
		"", "a", strings.Repeat("A", 48), strings.Repeat("A", 26), text[:47], text + "A", text + "=",
		text[:47] + "\n", "\n" + text, text[:24] + "\r\n" + text[26:], text[:24] + "\n" + text[24:],
		strings.ToUpper(text), "../../../../etc/passwd", strings.Repeat("é", 24), foreign.String(),
	}
	for i := range text {
		for _, c := range "AQgw_-9z+/ \x00" {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				refused = append(refused, changed)
			}
		}
	}
	for _, text := range refused {
		if _, ok := parseID(&secret, text); ok {
			t.Errorf("ID %q was taken", text)
		}
	}
}

func FuzzID(f *testing.F) {
	secret := testSecret()
	made := newID(&secret)
	f.Add(made.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		i, ok := parseID(&secret, text)
		if ok && i.String() != text {
			t.Errorf("two texts for an ID: %q and %q", text, i.String())
		}
	})
}

func TestKey(t *testing.T) {
	secret := testSecret()
	made := newID(&secret)
	key := made.key()
	if parsed, err := ParseKey(key.String()); err != nil || parsed != key {
		t.Errorf("key %v parsed: %v, %v", key, parsed, err)
	}
	if key.Shard() != key[0] || !strings.HasPrefix(key.String(), fmt.Sprintf("%02x", key.Shard())) {
		t.Errorf("shard %x of key %v: want its first byte", key.Shard(), key)
	}
	for _, text := range []string{"", "ab", strings.ToUpper(strings.Repeat("ab", 20)), strings.Repeat("g", 40), strings.Repeat("a", 41), strings.Repeat("../a", 10)} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("key %q was taken", text)
		}
	}
}

func TestSecret(t *testing.T) {
	secret := NewSecret()
	text := secret.Encode()
	if parsed, err := ParseSecret(text); err != nil || parsed != secret {
		t.Fatalf("secret parsed: %v", err)
	}
	if shown := fmt.Sprintf("%v %s %q %x", secret, secret, secret, secret); strings.Contains(shown, text[:8]) || strings.Contains(shown, fmt.Sprintf("%x", secret[:4])) {
		t.Errorf("secret shown as %s", shown)
	}
	damaged := []string{"", text[:47], text + "A", text + "\n", text[:47] + "\n"}
	for i := range len(text) * 8 {
		flipped := []byte(text)
		flipped[i/8] ^= 1 << (i % 8)
		damaged = append(damaged, string(flipped))
	}
	for _, text := range damaged {
		if _, err := ParseSecret(text); !errors.Is(err, ErrDamaged) {
			t.Errorf("secret %q: %v, want ErrDamaged", text, err)
		}
	}
}
