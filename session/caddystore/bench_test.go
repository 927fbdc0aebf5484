package caddystore

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/pyws-clock/pyws_clock/clock"
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

type quiet struct{ _ byte }

func (*quiet) SessionChanged(_, _ *session.State) {}
func (*quiet) SessionDeleted()                    {}

// BenchmarkUpdate changes sessions until the change is durable: one session, and many at once.
func BenchmarkUpdate(b *testing.B) {
	table := session.NewTable(session.Config{})
	table.Push(New(&certmagic.FileStorage{Path: b.TempDir()}), zap.NewNop())
	b.Cleanup(func() { _ = table.Close(context.Background()) })
	zone, err := table.Zones().Zone("Europe/Paris")
	if err != nil {
		b.Fatal(err)
	}
	change := func(b *testing.B) func() {
		s, err := table.Open(b.Context(), "", new(quiet), func() session.Policy {
			return session.Policy{Zone: zone, TTL: time.Hour, Ring: time.Minute}
		})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		return func() {
			n++
			err := s.Update(context.Background(), func(s *session.State) (err error) {
				s.Alarms, _, err = clock.Alarms(nil).Add(clock.At{Now: time.Now(), Zone: s.Zone, Ring: time.Minute}, "daily 07:30 Tea"+string(rune('a'+n%26)))
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	}
	b.Run("one", func(b *testing.B) {
		do := change(b)
		for b.Loop() {
			do()
		}
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for do := change(b); pb.Next(); {
				do()
			}
		})
	})
}
