package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
)

const (
	idRandom = 20 // bytes: 160 random bits
	idMAC    = 16 // bytes: 128 bits of the MAC
	idText   = 48 // characters
)

// The first bytes of what is hashed, so that no hash can stand for another.
const (
	macDomain = "pyws_clock session id 1\n"
	keyDomain = "pyws_clock session key 1\n"
)

// id is a session ID: random bytes, and a MAC under the store's secret that proves who made them. Three bytes are four
// characters of base64url, without spare bits, so that an ID has one text only.
type id [idRandom + idMAC]byte

func newID(secret *Secret) (i id) {
	rand.Read(i[:idRandom])
	copy(i[idRandom:], i.mac(secret))
	return i
}

// parseID returns the ID that text is, or false if it was not made with the secret.
func parseID(secret *Secret, text string) (i id, ok bool) {
	if len(text) != idText {
		return id{}, false
	}
	if n, err := base64.RawURLEncoding.Decode(i[:], []byte(text)); err != nil || n != len(i) {
		return id{}, false
	}
	return i, hmac.Equal(i[idRandom:], i.mac(secret))
}

func (i *id) mac(secret *Secret) []byte {
	h := hmac.New(sha256.New, secret[:])
	h.Write([]byte(macDomain))
	h.Write(i[:idRandom])
	return h.Sum(nil)[:idMAC]
}

// key is the name under which the session is stored: whoever reads it cannot tell the ID.
func (i *id) key() (k Key) {
	sum := sha256.Sum256(append([]byte(keyDomain), i[:]...))
	copy(k[:], sum[:])
	return k
}

func (i *id) String() string { return base64.RawURLEncoding.EncodeToString(i[:]) }

// Key names a session in a [Store]: the first 20 bytes of a SHA-256 hash of the session's ID. Unlike the ID it is no
// secret, and may be logged.
type Key [20]byte

// ParseKey returns the key whose String is text.
func ParseKey(text string) (k Key, err error) {
	if len(text) != hex.EncodedLen(len(k)) {
		return Key{}, fmt.Errorf("a session key of %d characters: want %d", len(text), hex.EncodedLen(len(k)))
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil || k.String() != text {
		return Key{}, fmt.Errorf("session key %q: want lower-case hexadecimal digits", text)
	}
	return k, nil
}

// String returns the key as 40 hexadecimal digits in lower case.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Shard returns the part of the store that the key belongs to, its first byte. Keys are spread over shards evenly.
func (k Key) Shard() byte { return k[0] }

// Secret is the key with which the session IDs of one storage are made and recognised. Whoever has it can make valid
// IDs, but not find those of others.
type Secret [32]byte

// NewSecret returns a secret made of random bytes.
func NewSecret() (s Secret) {
	rand.Read(s[:])
	return s
}

// ParseSecret returns the secret whose Encode is text, or an error that wraps [ErrDamaged].
func ParseSecret(text string) (s Secret, err error) {
	var b [len(s) + crc32.Size]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return Secret{}, fmt.Errorf("%w: a secret of %d characters, want %d", ErrDamaged, len(text), base64.RawURLEncoding.EncodedLen(len(b)))
	}
	if n, err := base64.RawURLEncoding.Decode(b[:], []byte(text)); err != nil || n != len(b) {
		return Secret{}, fmt.Errorf("%w: the secret is not base64url", ErrDamaged)
	}
	if binary.BigEndian.Uint32(b[len(s):]) != checksum(b[:len(s)]) {
		return Secret{}, fmt.Errorf("%w: the checksum of the secret does not match", ErrDamaged)
	}
	return Secret(b[:len(s)]), nil
}

// Encode returns the secret as stores write it: its bytes and a checksum in base64url, 48 characters.
func (s Secret) Encode() string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(s[:], checksum(s[:])))
}

// String keeps the secret out of logs.
func (Secret) String() string { return "session.Secret" }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }
