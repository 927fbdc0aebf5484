package clock

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Zones is one release of the IANA time zone database: its names and their data. It was read whole when it was loaded
// and does not change with the files on disk; see [Zones.Reload].
type Zones struct {
	version string
	source  string
	names   []string         // in ascending order
	keys    []string         // the names in lower case
	zones   map[string]*Zone // by key
	faults  map[string]error // by key, of names that are listed but cannot be used
	sum     checksum
	pending atomic.Pointer[checksum] // what the last Reload found on disk
}

// LoadZones reads the time zones of the system, from the first of these directories that holds a database: the one
// that the environment variable ZONEINFO names, /usr/share/zoneinfo, /usr/share/lib/zoneinfo, /usr/lib/locale/TZ and
// /etc/zoneinfo, the places where Go looks. A directory with less than half of the names that Go's own data has (an
// image with the one zone that it runs in) does not count. Where there is none, the zones are those built into the
// program, from the Go release that compiled it.
func LoadZones() *Zones {
	if z := findZones(directories()); z != nil {
		return z
	}
	return embeddedZones()
}

// Reload returns the time zones as they now are on disk, where they differ from z, else z itself. So that an update
// which is being written is not taken for a release, it returns them only when the call before it found them just the
// same; and while there is no database, or a zone of z cannot be read, z stays. It reads all files, in some
// milliseconds: call it twice a minute or so, and not where a tick would wait for it.
func (z *Zones) Reload() *Zones {
	return z.reload(directories())
}

func (z *Zones) reload(dirs []string) *Zones {
	now := findZones(dirs)
	if now == nil || now.sum == z.sum || now.damages(z) {
		z.pending.Store(nil)
		return z
	}
	sum := now.sum // a copy: a pointer into now would keep all of it
	if before := z.pending.Swap(&sum); before == nil || *before != sum {
		return z
	}
	return now
}

// Version returns the release of the IANA database, such as "2025b", or "unknown" where the system does not tell. Of
// the embedded zones it is the Go release that they come from, such as "go1.26.8".
func (z *Zones) Version() string { return z.version }

// Source returns the directory that the zones were read from, or "embedded".
func (z *Zones) Source() string { return z.source }

// Names returns the names that contain text, whatever its case, in ascending order; all of them for "".
func (z *Zones) Names(text string) []string {
	text = strings.ToLower(text)
	names := []string{}
	for i, key := range z.keys {
		if strings.Contains(key, text) {
			names = append(names, z.names[i])
		}
	}
	return names
}

// Zone returns the zone of that name, in whatever case it is written: the same pointer each time. The error says what
// name is not one of the IANA database, or has no sound data on this system.
func (z *Zones) Zone(name string) (*Zone, error) {
	key := strings.ToLower(name)
	// Some letters outside ASCII have an ASCII letter as their lower case; they are longer.
	if zone := z.zones[key]; zone != nil && len(zone.name) == len(name) {
		return zone, nil
	}
	if err := z.faults[key]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("unknown time zone %.64q: want an IANA name such as Europe/Paris", name)
}

// damages says whether a zone that old has is there, but cannot be read.
func (z *Zones) damages(old *Zones) bool {
	for key, err := range z.faults {
		if old.zones[key] != nil && errors.Is(err, errUnreadable) {
			return true
		}
	}
	return false
}

// add adds a zone; the names come in ascending order.
func (z *Zones) add(name string, location *time.Location) {
	key := strings.ToLower(name)
	z.names = append(z.names, name)
	z.keys = append(z.keys, key)
	z.zones[key] = &Zone{name: name, location: location}
}

func (z *Zones) fault(name string, err error) {
	z.faults[strings.ToLower(name)] = fmt.Errorf("time zone %q is %w on this server: want another name, such as UTC", name, err)
}

// whole says whether z is a database rather than a fragment of one.
func (z *Zones) whole() bool {
	return z.zones["utc"] != nil && len(z.names) >= len(embeddedNames())/2
}

func findZones(dirs []string) *Zones {
	for _, dir := range dirs {
		if z, err := readZones(dir); err == nil && z.whole() {
			return z
		}
	}
	return nil
}

func newZones(version, source string) *Zones {
	return &Zones{
		version: version,
		source:  source,
		zones:   make(map[string]*Zone),
		faults:  make(map[string]error),
	}
}
