package caddystore

import (
	"crypto/rand"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/pyws-clock/pyws_clock/session"
)

// BenchmarkSave saves new records ("create"), and records that are there ("change"), in the directory for temporary
// files: set TMPDIR to measure another file system.
func BenchmarkSave(b *testing.B) {
	record := make([]byte, 500)
	b.Run("create", func(b *testing.B) {
		s := New(&certmagic.FileStorage{Path: b.TempDir()})
		for b.Loop() {
			var key session.Key
			rand.Read(key[:])
			if _, err := s.Save(b.Context(), key, record, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("change", func(b *testing.B) {
		s := New(&certmagic.FileStorage{Path: b.TempDir()})
		var revision session.Revision
		for i := 0; b.Loop(); i++ {
			record[0] = byte(i)
			record[1] = byte(i >> 8)
			var err error
			if revision, err = s.Save(b.Context(), session.Key{}, record, revision); err != nil {
				b.Fatal(err)
			}
		}
	})
}
