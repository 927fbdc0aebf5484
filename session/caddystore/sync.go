package caddystore

import (
	"errors"
	"os"
	"path"
	"runtime"

	"github.com/caddyserver/certmagic"
)

// sync makes it durable that a file was put at a path, or removed: a file storage syncs files, but not the directories
// that name them, and after a power failure the name could be the old one. Where the file was created, so may have been
// the directories above. Windows cannot sync directories; what other storages do is up to them.
func (s *Store) sync(file string, created bool) error {
	files, ok := s.storage.(*certmagic.FileStorage)
	if !ok || runtime.GOOS == "windows" {
		return nil
	}
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if err := syncDir(files.Filename(dir)); err != nil {
			return err
		}
		if !created || dir == "." {
			return nil
		}
	}
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
