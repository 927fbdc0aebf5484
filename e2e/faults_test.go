package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

// mount makes the storage a small file system of its own.
func (s *server) mount() {
	s.t.Helper()
	s.kill()
	if err := os.MkdirAll(s.storage(), 0o700); err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", s.storage()).CombinedOutput()
	if err != nil {
		s.t.Skipf("needs leave to mount a tmpfs: %v: %s", err, out)
	}
	s.t.Cleanup(func() {
		if out, err := exec.Command("umount", s.storage()).CombinedOutput(); err != nil {
			s.t.Errorf("umount: %v: %s", err, out)
		}
	})
	s.run()
}

func (s *server) remount(options string) {
	s.t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+options, s.storage()).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

func (s *server) storeFails() bool {
	s.t.Helper()
	var now status
	s.askInto(&now, "/pyws_clock/status")
	return len(now.Stores) == 1 && now.Stores[0].Failing
}

// A store that fails: the clock ticks on, for new visitors too; what would
// change a session answers ERR and changes nothing; and all recovers by itself.
func TestStoreFaults(t *testing.T) {
	for name, fault := range map[string]struct {
		mounted       bool
		breaks, mends func(srv *server)
	}{
		"a file in the place of the directory": {
			breaks: func(srv *server) {
				if err := os.Rename(srv.storage(), srv.storage()+".away"); err != nil {
					srv.t.Fatal(err)
				}
				if err := os.WriteFile(srv.storage(), []byte("a file"), 0o600); err != nil {
					srv.t.Fatal(err)
				}
			},
			mends: func(srv *server) {
				if err := os.Remove(srv.storage()); err != nil {
					srv.t.Fatal(err)
				}
				if err := os.Rename(srv.storage()+".away", srv.storage()); err != nil {
					srv.t.Fatal(err)
				}
			},
		},
		"read-only": {
			mounted: true,
			breaks:  func(srv *server) { srv.remount("ro") },
			mends:   func(srv *server) { srv.remount("rw") },
		},
		"full": {
			mounted: true,
			breaks: func(srv *server) {
				full := false
				for n := 0; !full; n++ { // in ever smaller pieces
					f := filepath.Join(srv.storage(), fmt.Sprint("filler", n))
					full = os.WriteFile(f, bytes.Repeat([]byte("x"), 1<<10), 0o600) != nil
				}
			},
			mends: func(srv *server) {
				fillers, _ := filepath.Glob(filepath.Join(srv.storage(), "filler*"))
				for _, f := range fillers {
					_ = os.Remove(f)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, site{})
			if fault.mounted {
				srv.mount()
			}
			c := srv.open("")
			c.ok("TZ SET Europe/Paris")
			c.ok("ALARM ADD daily 07:30 Wake up")
			list := c.ok("ALARM LIST")

			fault.breaks(srv)
			c.err("TZ SET Asia/Tokyo")
			c.err("ALARM DEL Wake up")
			c.err("SESSION DEL")
			if zone, after := c.ok("TZ GET"), c.ok("ALARM LIST"); zone != "Europe/Paris" || after != list {
				t.Errorf("after ERR the session is in %s, with %s", zone, after)
			}
			visitor := srv.open("")
			visitor.err("TZ SET Asia/Tokyo")
			for _, c := range []*client{c, visitor} {
				if a, b := c.tick(), c.tick(); b.Unix() != a.Unix()+1 {
					t.Errorf("after %s comes %s", a, b)
				}
			}
			if !srv.storeFails() {
				t.Error("the status does not tell that the store fails")
			}
			if n := srv.metrics().of("store_operations_total", `result="error"`); n < 4 {
				t.Errorf("%v errors of the store were counted", n)
			}
			if n := srv.metrics().of("commands_total", `result="store"`); n != 4 {
				t.Errorf("%v commands failed by the store", n)
			}

			fault.mends(srv)
			until(t, "changes are stored again", func() bool {
				return strings.HasPrefix(c.result("TZ SET Asia/Tokyo"), "OK:") && strings.HasPrefix(visitor.result("TZ SET Asia/Tokyo"), "OK:")
			})
			if srv.storeFails() {
				t.Error("the status does not tell that the store works again")
			}
			srv.kill()
			srv.run()
			for _, id := range []string{c.id, visitor.id} {
				if c := srv.open(id); c.id != id || c.ok("TZ GET") != "Asia/Tokyo" {
					t.Errorf("what was acknowledged is lost: %s, not %s", c.id, id)
				}
			}
			if strings.Contains(srv.logged(), "damaged") {
				t.Errorf("a record was damaged:\n%s", srv.logged())
			}
		})
	}
}

// With the store out of reach, a known visitor is sent away, to come back with
// the same ID.
func TestStoreOutOfReach(t *testing.T) {
	srv := start(t, site{})
	known := srv.open("")
	known.ok("TZ SET Europe/Paris")
	srv.kill()
	srv.run()
	stays := srv.open("")
	sessions := filepath.Join(srv.storage(), "pyws_clock", "sessions")
	if err := os.Rename(sessions, sessions+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sessions, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again := srv.connect()
		again.send(known.id)
		if status, reason := again.closed(); status != websocket.StatusTryAgainLater {
			t.Errorf("closed with %d %s", status, reason)
		}
	}
	stays.tick()
	if log := srv.logged(); strings.Count(log, `"msg":"session store fails"`) != 1 || strings.Count(log, `"level":"error"`) != 1 {
		t.Errorf("logged for fifty clients:\n%s", log)
	}
	if got := srv.metrics().of("connections_closed_total", `outcome="store"`); got != 50 {
		t.Errorf("%v were counted, want 50", got)
	}
	if err := os.Remove(sessions); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(sessions+".away", sessions); err != nil {
		t.Fatal(err)
	}
	if c := srv.open(known.id); c.id != known.id || c.ok("TZ GET") != "Europe/Paris" {
		t.Error("the session is another one")
	}
}

// Records that are damaged or removed under a live session, and under one that
// is not: nothing is told to be stored that is not, and what is damaged is left
// as it is.
func TestRecordsChangedByOthers(t *testing.T) {
	junk := []byte(`{"version":1,"zone`)
	for name, spoil := range map[string]func(path string) error{
		"damaged": func(path string) error { return os.WriteFile(path, junk, 0o600) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"removed": os.Remove,
		"a directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, site{})
			c := srv.open("")
			c.ok("TZ SET Europe/Paris")
			path := srv.records()[0]
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			live := c.result("TZ SET Asia/Tokyo")
			c.tick()
			after, _ := os.ReadFile(path)
			srv.kill()
			srv.run()
			again := srv.open(c.id)
			zone := again.ok("TZ GET")
			again.tick()
			if again.id != c.id && srv.metrics().of("store_operations_total", `operation="load"`, `result="damaged"`) == 0 {
				t.Error("the damaged record was not counted")
			}
			switch {
			case strings.HasPrefix(live, "OK:"):
				if again.id != c.id || zone != "Asia/Tokyo" {
					t.Errorf("the change was acknowledged, and is lost: %s", zone)
				}
			case !bytes.Equal(before, after):
				t.Errorf("the change failed, but the record was %q and is %q", before, after)
			case name == "removed":
				if zone != "UTC" {
					t.Errorf("a session without a record is in %s", zone)
				}
			case again.id == c.id:
				t.Errorf("a damaged session was opened, in %s", zone)
			case !strings.Contains(srv.logged(), "damaged"):
				t.Errorf("the log does not tell of it:\n%s", srv.logged())
			}
		})
	}
}

// A crash in the middle of many changes at once: each that was acknowledged is
// there afterwards.
func TestKillDuringManyChanges(t *testing.T) {
	const sessions, changes = 100, 10
	srv := start(t, site{options: "command_rate 1000"})
	clients := make([]*client, sessions)
	for i := range clients {
		clients[i] = srv.open("")
	}
	var total atomic.Int64
	var wg sync.WaitGroup
	acknowledged := make([]int, sessions)
	crash := make(chan struct{})
	for i, c := range clients {
		wg.Go(func() {
			for n := range changes {
				message := fmt.Sprintf("ALARM ADD 2099-12-24T18:00 Alarm %d", n)
				if c.conn.Write(t.Context(), websocket.MessageText, []byte(message)) != nil {
					break
				}
			}
			for {
				message, err := c.read()
				if err != nil {
					return
				}
				if strings.HasPrefix(message, "ERR:") {
					t.Errorf("session %d: %s", i, message)
				}
				if !strings.HasPrefix(message, "OK:") {
					continue
				}
				acknowledged[i]++
				if total.Add(1) == sessions*changes/3 {
					close(crash)
				}
			}
		})
	}
	<-crash
	srv.kill()
	wg.Wait()
	if n := total.Load(); n == sessions*changes {
		t.Errorf("the crash came too late, after all %d changes", n)
	}
	srv.run()
	for i, c := range clients {
		again := srv.open(c.id)
		if again.id != c.id {
			t.Fatalf("session %d is a new one:\n%s", i, srv.logged())
		}
		var list []struct{ Name string }
		again.into(&list, "ALARM LIST")
		for n := range acknowledged[i] {
			if n >= len(list) || list[n].Name != fmt.Sprintf("Alarm %d", n) {
				t.Errorf("session %d: %d changes were acknowledged, stored is %v", i, acknowledged[i], list)
				break
			}
		}
		_ = again.conn.CloseNow()
	}
	if strings.Contains(srv.logged(), "damaged") {
		t.Errorf("a record was damaged:\n%s", srv.logged())
	}
	t.Logf("%d of %d changes were acknowledged before the crash", total.Load(), sessions*changes)
}

// limitDescriptors limits the descriptors of the process, or lifts the limit again.
func (s *server) limitDescriptors(n int) {
	s.t.Helper()
	pid := strconv.Itoa(s.command.Process.Pid)
	out, err := exec.Command("prlimit", "--pid", pid, fmt.Sprintf("--nofile=%d:", n)).CombinedOutput()
	if err != nil {
		s.t.Skipf("needs prlimit: %v: %s", err, out)
	}
}

// maxDescriptor is the highest descriptor that the process has.
func (s *server) maxDescriptor() (highest int) {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.command.Process.Pid))
	if err != nil {
		s.t.Skip("no list of descriptors here: ", err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			highest = max(highest, n)
		}
	}
	return highest
}

// Without a descriptor left, those who are connected are told the time, and
// what needs a file answers ERR; all recovers by itself.
func TestNoDescriptorsLeft(t *testing.T) {
	srv := start(t, site{})
	clients := []*client{srv.open(""), srv.open(""), srv.open("")}
	clients[0].ok("TZ SET Europe/Paris")
	srv.limitDescriptors(srv.maxDescriptor() + 1)
	all := srv.follow(clients[1:], nil)
	var crowding []net.Conn
	defer func() {
		for _, c := range crowding {
			c.Close()
		}
	}()
	until(t, "there is no descriptor left", func() bool {
		c, err := net.Dial("tcp", srv.address) // takes those that are left below the highest
		if err != nil {
			t.Fatal(err)
		}
		crowding = append(crowding, c)
		return strings.HasPrefix(clients[0].result("TZ SET Asia/Tokyo"), "ERR:")
	})
	all.awaitSeconds(3)
	a, b := clients[0].tick().Unix(), clients[0].tick().Unix()
	if err := srv.follows(a, b, b-a-1); err != nil {
		t.Error(err)
	}

	srv.limitDescriptors(1000)
	until(t, "changes are stored again", func() bool { return strings.HasPrefix(clients[0].result("TZ SET Africa/Lagos"), "OK:") })
	visitor := srv.open("")
	visitor.ok("TZ SET Asia/Tokyo")
	visitor.tick()
	var s status
	if err := json.Unmarshal([]byte(srv.get("/pyws_clock/status")), &s); err != nil || s.Handlers[0].Connections["open"] != 4 {
		t.Errorf("%v %+v", err, s)
	}
}
