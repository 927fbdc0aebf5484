package caddystore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/caddyserver/certmagic"

	"github.com/pyws-clock/pyws_clock/session"
	"github.com/pyws-clock/pyws_clock/session/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		return New(&certmagic.FileStorage{Path: t.TempDir()})
	})
}

var testKey = session.Key{0xab, 0xcd}

// newStore returns a store over a file storage, and its directory.
func newStore(t *testing.T) (*Store, string) {
	dir := t.TempDir()
	return New(&certmagic.FileStorage{Path: dir}), dir
}

// restart returns what a process that starts has over the storage: nothing but what is stored.
func restart(s *Store) *Store {
	storages.Delete(s.Identity())
	return New(s.storage)
}

func mustSave(t *testing.T, s *Store, key session.Key, record string, old session.Revision) session.Revision {
	t.Helper()
	revision, err := s.Save(t.Context(), key, []byte(record), old)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func mustLoad(t *testing.T, s *Store, key session.Key, want string) {
	t.Helper()
	if record, _, err := s.Load(t.Context(), key); err != nil || string(record) != want {
		t.Errorf("load: %q, %v; want %q", record, err, want)
	}
}

func TestPlaces(t *testing.T) {
	s, dir := newStore(t)
	mustSave(t, s, testKey, "record", 0)
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "[pyws_clock/secret pyws_clock/sessions/ab/abcd000000000000000000000000000000000000.json]"
	if got := fmt.Sprint(files); got != want {
		t.Errorf("files %s: want %s", got, want)
	}
}

func TestSecretStays(t *testing.T) {
	s, _ := newStore(t)
	secret, err := s.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := restart(s).Secret(t.Context()); err != nil || again != secret {
		t.Errorf("secret after a restart: another, or %v", err)
	}
}

func TestDamagedSecret(t *testing.T) {
	s, dir := newStore(t)
	if _, err := s.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pyws_clock", "secret")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", string(good[:20]), string(good[1:]) + string(good[:1]), string(good) + "\n"} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		s := restart(s)
		if _, err := s.Secret(t.Context()); !errors.Is(err, session.ErrDamaged) || strings.Contains(err.Error(), string(good[:8])) {
			t.Errorf("secret %q: %v, want ErrDamaged", damaged, err)
		}
		if _, err := s.Save(t.Context(), testKey, []byte("record"), 0); !errors.Is(err, session.ErrDamaged) {
			t.Errorf("save beside secret %q: %v, want ErrDamaged", damaged, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != damaged {
			t.Errorf("damaged secret %q became %q, %v", damaged, got, err)
		}
	}
}

// TestStorageRemoved has everything removed under the running store: what is saved then can be opened after a restart.
func TestStorageRemoved(t *testing.T) {
	s, dir := newStore(t)
	secret, err := s.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "pyws_clock")); err != nil {
		t.Fatal(err)
	}
	mustSave(t, New(s.storage), testKey, "record", 0) // as the store of a new configuration has it
	s = restart(s)
	if again, err := s.Secret(t.Context()); err != nil || again != secret {
		t.Errorf("secret after a restart: another, or %v", err)
	}
	mustLoad(t, s, testKey, "record")
}

func TestSecretReplaced(t *testing.T) {
	s, dir := newStore(t)
	if _, err := s.Secret(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pyws_clock", "secret"), []byte(session.NewSecret().Encode()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), testKey, []byte("record"), 0); !errors.Is(err, errReplaced) {
		t.Errorf("save beside another secret: %v, want that it was replaced", err)
	}
}

func TestStorageReplacedByFile(t *testing.T) {
	s, dir := newStore(t)
	old := mustSave(t, s, testKey, "record", 0)
	moved := filepath.Join(dir, "moved")
	sessions := filepath.Join(dir, "pyws_clock", "sessions")
	if err := errors.Join(os.Rename(sessions, moved), os.WriteFile(sessions, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Load(t.Context(), testKey)
	if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrDamaged) {
		t.Errorf("load: %v, want an error that says nothing of the record", err)
	}
	if _, err := s.Save(t.Context(), testKey, []byte("new"), old); err == nil || errors.Is(err, session.ErrConflict) {
		t.Errorf("save: %v, want an error, and no conflict", err)
	}
	if err := s.Delete(t.Context(), testKey, old); err == nil {
		t.Error("delete: want an error")
	}
	if err := errors.Join(os.Remove(sessions), os.Rename(moved, sessions)); err != nil {
		t.Fatal(err)
	}
	mustLoad(t, s, testKey, "record")
	mustSave(t, s, testKey, "new", old)
}

// TestDirectoryForRecord has a directory in the place of a record, which the storage's Delete would remove with all in it.
func TestDirectoryForRecord(t *testing.T) {
	s, dir := newStore(t)
	inside := filepath.Join(dir, recordPath(testKey), "precious")
	if err := errors.Join(os.MkdirAll(filepath.Dir(inside), 0o700), os.WriteFile(inside, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context(), testKey); !errors.Is(err, session.ErrDamaged) {
		t.Errorf("load: %v, want ErrDamaged", err)
	}
	if _, err := s.Save(t.Context(), testKey, []byte("record"), 0); err == nil {
		t.Error("save: want an error")
	}
	for _, old := range []session.Revision{0, 1} {
		if err := s.Delete(t.Context(), testKey, old); err == nil {
			t.Error("delete: want an error")
		}
	}
	if _, err := os.Stat(inside); err != nil {
		t.Error(err)
	}
}

func TestKeysPassesOver(t *testing.T) {
	s, dir := newStore(t)
	mustSave(t, s, testKey, "record", 0)
	shard := filepath.Join(dir, "pyws_clock", "sessions", "ab")
	for _, name := range []string{"1234567890", "README", "abcd.json", strings.Repeat("AB", 20) + ".json", strings.Repeat("cd", 20) + ".json"} {
		if err := os.WriteFile(filepath.Join(shard, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(shard, "sub", testKey.String()+".json"), 0o700); err != nil {
		t.Fatal(err)
	}
	var keys []session.Key
	for key, err := range s.Keys(t.Context(), 0xab) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if len(keys) != 1 || keys[0] != testKey {
		t.Errorf("keys %v: want the one of the record", keys)
	}
}

// TestTwoConfigurations has two stores over one storage, as during a reload.
func TestTwoConfigurations(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	var wg sync.WaitGroup
	created := make(chan int, 8)
	for i := range cap(created) {
		s := New(storage)
		wg.Go(func() {
			if _, err := s.Save(context.Background(), testKey, fmt.Append(nil, i), 0); err == nil {
				created <- i
			}
		})
	}
	wg.Wait()
	if len(created) != 1 {
		t.Fatalf("%d created the record: want one", len(created))
	}
	mustLoad(t, New(storage), testKey, fmt.Sprint(<-created))
}

// TestKill kills a process that saves. All that it reported as saved is there.
func TestKill(t *testing.T) {
	const variable = "PYWS_CLOCK_TEST_KILL"
	if dir := os.Getenv(variable); dir != "" {
		saveForEver(t, New(&certmagic.FileStorage{Path: dir}))
	}
	s, dir := newStore(t)
	for round := range 10 {
		process := exec.Command(os.Args[0], "-test.run=^TestKill$")
		process.Env = append(os.Environ(), variable+"="+dir)
		out, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		saved := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			saved = lines.Text()
			if strings.HasSuffix(saved, fmt.Sprint(" ", 5+round)) {
				_ = process.Process.Kill()
			}
		}
		_ = process.Wait()
		record, _, err := s.Load(t.Context(), testKey)
		if err != nil {
			t.Fatal(err)
		}
		var at, reported int
		if _, err := fmt.Sscanf(saved, "saved %d", &reported); err != nil {
			t.Fatalf("reported %q: %v", saved, err)
		}
		if _, err := fmt.Sscanf(string(record), "record %d of 1000000", &at); err != nil || at < reported || at > reported+1 {
			t.Fatalf("record %q after %q: %v", record, saved, err)
		}
	}
}

func saveForEver(t *testing.T, s *Store) {
	_, revision, err := s.Load(t.Context(), testKey)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		t.Fatal(err)
	}
	for i := range 1_000_000 {
		revision = mustSave(t, s, testKey, fmt.Sprintf("record %d of 1000000", i), revision)
		fmt.Println("saved", i)
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	a, b := New(&certmagic.FileStorage{Path: dir}), New(&certmagic.FileStorage{Path: dir})
	if a.Identity() != b.Identity() || !strings.Contains(a.Identity(), dir) {
		t.Errorf("identities %q and %q: want the same, with %q", a.Identity(), b.Identity(), dir)
	}
	plugin := New(named{Storage: a.storage, name: "redis://user:password@host"})
	if text := plugin.Identity(); strings.Contains(text, "password") || text == New(named{Storage: a.storage, name: "other"}).Identity() {
		t.Errorf("identity %q: want one of its own, without credentials", text)
	}
	if text := New(unnamed{a.storage}).Identity(); text != "caddystore.unnamed" {
		t.Errorf("identity %q: want the type", text)
	}
}

// unnamed is a storage plugin that does not say what it is, named one that does.
type unnamed struct{ certmagic.Storage }

type named struct {
	certmagic.Storage
	name string
}

func (n named) String() string { return n.name }

// TestProvisionDoesNotWrite has what caddy validate does.
func TestProvisionDoesNotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "storage")
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": dir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{StorageRaw: storage})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := ctx.LoadModuleByID("http.pyws_clock.stores.caddy", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := loaded.(*Store)
	if !strings.HasSuffix(s.Identity(), dir) {
		t.Errorf("identity %q: want the configured directory %q", s.Identity(), dir)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the storage was touched: %v", err)
	}
	mustSave(t, s, testKey, "record", 0)
}

// plugin is a storage that several nodes may share.
type plugin struct {
	Root string `json:"root"`
}

func (plugin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.plugin", New: func() caddy.Module { return new(plugin) }}
}

func (p plugin) CertMagicStorage() (certmagic.Storage, error) {
	return named{&certmagic.FileStorage{Path: p.Root}, "plugin:" + p.Root}, nil
}

// TestWarnsOfNodes has two clocks over a storage: the log says once what is lost if others have it too, unless it is
// files.
func TestWarnsOfNodes(t *testing.T) {
	caddy.RegisterModule(plugin{})
	for module, want := range map[string]int{"plugin": 1, "file_system": 0} {
		dir := t.TempDir()
		log := filepath.Join(dir, "log")
		var config caddy.Config
		text := fmt.Sprintf(`{
			"logging": {"logs": {"default": {"writer": {"output": "file", "filename": %q, "roll": false}}}},
			"storage": {"module": %q, "root": %q}
		}`, log, module, dir)
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatal(err)
		}
		ctx, err := caddy.ProvisionContext(&config)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := ctx.LoadModuleByID("http.pyws_clock.stores.caddy", nil); err != nil {
				t.Fatal(err)
			}
		}
		caddy.Log().Error("the end")
		lines, err := os.ReadFile(log)
		if err != nil || !strings.Contains(string(lines), "the end") {
			t.Fatalf("%s: the log is not what it should be: %v\n%s", module, err, lines)
		}
		if n := strings.Count(string(lines), "use the store nats"); n != want {
			t.Errorf("%s: %d warnings, want %d:\n%s", module, n, want, lines)
		}
	}
}

func TestCaddyfile(t *testing.T) {
	for input, want := range map[string]string{
		"caddy":                  "",
		"caddy {\n}":             "",
		"caddy files":            `unexpected argument "files"`,
		"caddy {\n\troot /x\n}":  `unrecognized option "root"`,
		"caddy {\n\tbucket a b}": `unrecognized option "bucket"`,
	} {
		err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", input, err, want)
		}
	}
}
