package clock

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the zones of last resort
)

//go:generate go test -run ^TestEmbeddedNames$ . -update-names
//go:embed zonenames.txt
var zoneNames string // the names of the zones in time/tzdata, which cannot list them

var (
	errMissing    = errors.New("not installed")
	errUnreadable = errors.New("unreadable")
)

type checksum [sha256.Size]byte

// directories returns where the system may keep its time zones, first choice first.
func directories() []string {
	dirs := []string{
		"/usr/share/zoneinfo",
		"/usr/share/lib/zoneinfo", // Solaris
		"/usr/lib/locale/TZ",      // IRIX
		"/etc/zoneinfo",           // NixOS
	}
	if dir := os.Getenv("ZONEINFO"); dir != "" {
		return append([]string{dir}, dirs...)
	}
	return dirs
}

// embeddedNames returns the names of the zones that are built into the program, in ascending order.
func embeddedNames() []string { return strings.Fields(zoneNames) }

// embeddedZones returns the zones that are built into the program. time.LoadLocation looks on disk first: the caller
// has found no database there.
func embeddedZones() *Zones {
	z := newZones(runtime.Version(), "embedded")
	for _, name := range embeddedNames() {
		if location, err := time.LoadLocation(name); err == nil {
			z.add(name, location)
		}
	}
	return z
}

// readZones reads all the time zones in a directory.
func readZones(dir string) (*Zones, error) {
	fsys := os.DirFS(dir)
	names, version, err := readIndex(fsys)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	z := newZones(version, dir)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %q\n", dir, version)
	for _, name := range slices.Compact(names) {
		data, err := fs.ReadFile(fsys, name)
		fmt.Fprintf(sum, "%q %d %v\n%s", name, len(data), err, data)
		if errors.Is(err, fs.ErrNotExist) {
			z.fault(name, errMissing)
			continue
		}
		location, err := time.LoadLocationFromTZData(name, data)
		if err != nil {
			z.fault(name, errUnreadable)
			continue
		}
		z.add(name, location)
	}
	sum.Sum(z.sum[:0])
	return z, nil
}

// readIndex returns the names and the version of the database in a directory, from its tzdata.zi, the database as one
// text. Some distributions leave that out: there the names are those of the files.
func readIndex(fsys fs.FS) (names []string, version string, err error) {
	index, err := fs.ReadFile(fsys, "tzdata.zi")
	if errors.Is(err, fs.ErrNotExist) {
		names, err := walkNames(fsys)
		return names, readVersion(fsys), err
	}
	if err != nil {
		return nil, "", err
	}
	version = "unknown"
	for line := range strings.Lines(string(index)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 3 && fields[0] == "#" && fields[1] == "version":
			version = fields[2]
		case len(fields) > 2 && fields[0] == "Z":
			names = append(names, fields[1])
		case len(fields) > 2 && fields[0] == "L":
			names = append(names, fields[2])
		}
	}
	return names, version, nil
}

func readVersion(fsys fs.FS) string {
	version, err := fs.ReadFile(fsys, "+VERSION") // macOS, FreeBSD
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(version))
}

// walkNames returns the names of the files with zone data, but for those that are no names of the IANA database.
func walkNames(fsys fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == "posix" || name == "right":
			return fs.SkipDir
		case name == "posixrules" || name == "localtime" || entry.IsDir() || path.Ext(name) != "":
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err == nil && bytes.HasPrefix(data, []byte("TZif")) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}
