package clock

import (
	"archive/zip"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var updateNames = flag.Bool("update-names", false, "write zonenames.txt from the zone data of the Go release")

func TestNames(t *testing.T) {
	zones := LoadZones()
	all := zones.Names("")
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("not sorted, or not unique: %q", all)
	}
	for _, name := range []string{"UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Pacific/Apia"} {
		if !slices.Contains(all, name) {
			t.Errorf("no %s", name)
		}
	}
	all[0] = "spoilt"
	if zones.Names("")[0] == "spoilt" {
		t.Error("the names are not the caller's own")
	}
	for text, want := range map[string][]string{
		"eUROPE/pAR": {"Europe/Paris"},
		"apia":       {"Pacific/Apia"},
		"Etc/GMT-1":  {"Etc/GMT-1", "Etc/GMT-10", "Etc/GMT-11", "Etc/GMT-12", "Etc/GMT-13", "Etc/GMT-14"},
		"nowhere":    {},
	} {
		if got := zones.Names(text); got == nil || !slices.Equal(got, want) {
			t.Errorf("names with %q: got %q, want %q", text, got, want)
		}
	}
}

func TestZoneInAnyCase(t *testing.T) {
	zones := LoadZones()
	for _, name := range zones.Names("") {
		zone, err := zones.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		if zone.Name() != name {
			t.Errorf("%s is named %s", name, zone.Name())
		}
		for _, other := range []string{strings.ToLower(name), strings.ToUpper(name)} {
			if got, err := zones.Zone(other); got != zone {
				t.Errorf("%s: got %v, %v", other, got, err)
			}
		}
	}
}

func TestUnknownZones(t *testing.T) {
	zones := LoadZones()
	for name, quoted := range map[string]string{
		"":                         `""`,
		"Local":                    `"Local"`,
		"local":                    `"local"`,
		"localtime":                `"localtime"`,
		"posixrules":               `"posixrules"`,
		"right/UTC":                `"right/UTC"`,
		"posix/Europe/Paris":       `"posix/Europe/Paris"`,
		"./UTC":                    `"./UTC"`,
		"Europe//Paris":            `"Europe//Paris"`,
		"Europe/Paris/":            `"Europe/Paris/"`,
		"Europe":                   `"Europe"`,
		"Europe/Paris ":            `"Europe/Paris "`,
		"../../etc/passwd":         `"../../etc/passwd"`,
		"/etc/localtime":           `"/etc/localtime"`,
		"tzdata.zi":                `"tzdata.zi"`,
		"CET-1CEST,M3.5.0,M10.5.0": `"CET-1CEST,M3.5.0,M10.5.0"`,
		"+01:00":                   `"+01:00"`,
		"Asia/To\u212ayo":          "\"Asia/To\u212ayo\"", // the Kelvin sign, of which k is the lower case
		"Nowhere/\x00\n\xff":       `"Nowhere/\x00\n\xff"`,
		strings.Repeat("x", 5000):  `"` + strings.Repeat("x", 64) + `"`,
	} {
		zone, err := zones.Zone(name)
		if err == nil {
			t.Errorf("%q is %s", name, zone.Name())
			continue
		}
		if want := "unknown time zone " + quoted + ": want an IANA name such as Europe/Paris"; err.Error() != want {
			t.Errorf("got %s, want %s", err, want)
		}
	}
}

// TestEmbeddedNames holds the committed names against the archive in the Go tree that time/tzdata is made from.
func TestEmbeddedNames(t *testing.T) {
	archive, err := zip.OpenReader(goZonesFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var names []string
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, "/") {
			names = append(names, file.Name)
		}
	}
	slices.Sort(names)
	if *updateNames {
		if err := os.WriteFile("zonenames.txt", []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := embeddedNames(); !slices.Equal(got, names) {
		t.Errorf("zonenames.txt differs from the names in %s: run go generate", runtime.Version())
	}
}

// TestLoadZonesEmbedded runs in a world without system time zones, which it makes where there are some.
func TestLoadZonesEmbedded(t *testing.T) {
	zones := LoadZones()
	if zones.Source() != "embedded" {
		runWithoutSystemZones(t)
		return
	}
	if got, want := zones.Version(), runtime.Version(); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
	if got := zones.Names(""); !slices.Equal(got, embeddedNames()) {
		t.Errorf("names: %q", got)
	}
	if zones.Reload() != zones {
		t.Error("reloaded from nowhere")
	}
	source, err := readZones(goZones(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range zones.Names("") {
		if got, want := periods(zones.zones[strings.ToLower(name)]), periods(source.zones[strings.ToLower(name)]); !slices.Equal(got, want) {
			t.Errorf("%s: got:\n%swant:\n%s", name, listing(got), listing(want))
		}
	}
}

// runWithoutSystemZones runs the test in a mount namespace of its own, in which the system's directories are empty.
func runWithoutSystemZones(t *testing.T) {
	if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces here: %v %s", err, out)
	}
	t.Setenv("ZONEINFO", "")
	script := `self=$1; shift; for dir; do if [ -d "$dir" ]; then mount -t tmpfs none "$dir" || exit; fi; done
exec "$self" -test.v -test.run=^TestLoadZonesEmbedded$`
	args := append([]string{"-rm", "sh", "-c", script, "sh", os.Args[0]}, directories()...)
	out, err := exec.Command("unshare", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestLoadZonesEmbedded") {
		t.Errorf("%v\n%s", err, out)
	}
}

// database writes a directory with the zone data of the Go release, and a tzdata.zi with the given version.
func database(t *testing.T, version string) string {
	dir := goZones(t)
	writeIndex(t, dir, version, embeddedNames()...)
	return dir
}

func writeIndex(t *testing.T, dir, version string, names ...string) {
	index := "# version " + version + "\n# This zic input file is in the public domain.\nR d 1916 o - Jun 14 23s 1 S\n"
	for i, name := range names {
		if i%2 == 0 {
			index += "Z " + name + " 0:12:12 - LMT 1891 Mar 16\n0:9:21 - PMT 1911 Mar 11\n"
		} else {
			index += "L " + names[0] + " " + name + "\n"
		}
	}
	writeFile(t, dir, "tzdata.zi", index)
}

func writeFile(t *testing.T, dir, name, data string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLoadZonesFromEnvironment(t *testing.T) {
	dir := database(t, "2099a")
	t.Setenv("ZONEINFO", dir)
	zones := LoadZones()
	if zones.Source() != dir || zones.Version() != "2099a" {
		t.Errorf("read %s of %s, want 2099a of %s", zones.Version(), zones.Source(), dir)
	}
	if zones.Reload() != zones {
		t.Error("reloaded what had not changed")
	}
}

func TestReadZones(t *testing.T) {
	dir := goZones(t)
	writeIndex(t, dir, "2099a", "UTC", "US/Pacific", "Europe/Paris", "Asia/Tokyo", "Asia", "../secret")
	if err := os.Remove(filepath.Join(dir, "US/Pacific")); err != nil { // as in Debian 13 without tzdata-legacy
		t.Fatal(err)
	}
	paris := readFile(t, dir, "Europe/Paris")
	writeFile(t, dir, "Europe/Paris", paris[:len(paris)/2])
	writeFile(t, filepath.Dir(dir), "secret", paris)
	writeFile(t, dir, "posix/UTC", paris)

	zones, err := readZones(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := zones.Names(""), []string{"Asia/Tokyo", "UTC"}; !slices.Equal(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
	if zones.Version() != "2099a" {
		t.Errorf("version %q", zones.Version())
	}
	for name, want := range map[string]string{
		"us/pacific":   `time zone "US/Pacific" is not installed on this server: want another name, such as UTC`,
		"Europe/Paris": `time zone "Europe/Paris" is unreadable on this server: want another name, such as UTC`,
		"Asia":         `time zone "Asia" is unreadable on this server: want another name, such as UTC`,
		"../secret":    `time zone "../secret" is unreadable on this server: want another name, such as UTC`,
		"Europe/Rome":  `unknown time zone "Europe/Rome": want an IANA name such as Europe/Paris`,
	} {
		if _, err := zones.Zone(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestReadZonesWithoutIndex(t *testing.T) {
	utc := string(zoneData{types: []localType{{"UTC", 0, false}}, rule: "UTC0"}.encode())
	dir := t.TempDir()
	for _, name := range []string{"UTC", "Etc/UTC", "posix/UTC", "right/Etc/UTC", "localtime", "posixrules"} {
		writeFile(t, dir, name, utc)
	}
	if err := os.Symlink("UTC", filepath.Join(dir, "Zulu")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "zone.tab", "FR\t+4852+00220\tEurope/Paris\n")
	writeFile(t, dir, "leapseconds", "Leap\t1972\tJun\t30\t23:59:60\t+\tS\n")

	for _, version := range []string{"unknown", "2099b"} {
		zones, err := readZones(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := zones.Names(""), []string{"Etc/UTC", "UTC", "Zulu"}; !slices.Equal(got, want) {
			t.Errorf("names: got %q, want %q", got, want)
		}
		if zones.Version() != version {
			t.Errorf("version: got %q, want %q", zones.Version(), version)
		}
		writeFile(t, dir, "+VERSION", "2099b\n")
	}
}

func TestFindZones(t *testing.T) {
	fragment := t.TempDir()
	utc := string(zoneData{types: []localType{{"UTC", 0, false}}, rule: "UTC0"}.encode())
	writeFile(t, fragment, "UTC", utc)
	headless := database(t, "2099a")
	writeFile(t, headless, "UTC", "damaged")
	sound := database(t, "2099b")
	absent := filepath.Join(fragment, "absent")

	if zones := findZones([]string{absent, fragment, headless}); zones != nil {
		t.Errorf("found zones in %s", zones.Source())
	}
	if zones := findZones([]string{absent, fragment, headless, sound}); zones.Source() != sound {
		t.Errorf("found zones in %s, want %s", zones.Source(), sound)
	}
}

func TestReload(t *testing.T) {
	dir := database(t, "2099a")
	zones := findZones([]string{dir})
	reload := func(what string, want *Zones) {
		t.Helper()
		if got := zones.reload([]string{dir}); got != want {
			t.Errorf("%s: got %s, want the zones as they were", what, got.Version())
		}
	}
	reload("nothing happened", zones)

	paris, tokyo := readFile(t, dir, "Europe/Paris"), readFile(t, dir, "Asia/Tokyo")
	writeFile(t, dir, "Europe/Paris", tokyo)
	reload("a file changed", zones)
	writeIndex(t, dir, "2099b", embeddedNames()...)
	reload("and then another", zones)
	writeFile(t, dir, "Europe/Paris", paris[:100])
	reload("a file is half written", zones)
	reload("and stays so", zones)
	writeFile(t, dir, "Europe/Paris", "")
	reload("a file is empty", zones)
	reload("and stays so", zones)
	writeFile(t, dir, "Europe/Paris", paris)
	writeIndex(t, dir, "2099a", embeddedNames()...)
	reload("all is as at first", zones)
	writeFile(t, dir, "Europe/Paris", tokyo)
	writeIndex(t, dir, "2099b", embeddedNames()...)
	reload("an update", zones)
	if err := os.Rename(dir, dir+"~"); err != nil {
		t.Fatal(err)
	}
	reload("all is gone", zones)
	reload("and stays so", zones)
	if err := os.Rename(dir+"~", dir); err != nil {
		t.Fatal(err)
	}
	reload("all is back", zones)

	updated := zones.reload([]string{dir})
	if updated == zones || updated.Version() != "2099b" {
		t.Fatalf("the settled update was not taken: %s", updated.Version())
	}
	old, now := zones.zones["europe/paris"], updated.zones["europe/paris"]
	at := oracleTo
	if got := [2]string{old.Period(at).Abbreviation, now.Period(at).Abbreviation}; got != [2]string{"CET", "JST"} {
		t.Errorf("abbreviations before and after: %q", got)
	}
	if updated.reload([]string{dir}) != updated {
		t.Error("reloaded what had not changed")
	}
}

// TestReloadFromEmbedded is about a package with time zones that is installed while the program runs.
func TestReloadFromEmbedded(t *testing.T) {
	zones, dirs := embeddedZones(), []string{filepath.Join(t.TempDir(), "absent"), ""}
	if zones.reload(dirs) != zones {
		t.Error("reloaded from nowhere")
	}
	dirs[1] = database(t, "2099a")
	if zones.reload(dirs) != zones {
		t.Error("took what may be half installed")
	}
	if now := zones.reload(dirs); now.Source() != dirs[1] {
		t.Errorf("zones of %s, want %s", now.Source(), dirs[1])
	}
}

func FuzzZone(f *testing.F) {
	for _, name := range []string{"Europe/Paris", "uTC", "", "Local", "right/UTC", "../../etc/passwd", "Asia/To\u212ayo", "\xff\n"} {
		f.Add(name)
	}
	zones := LoadZones()
	f.Fuzz(func(t *testing.T, name string) {
		zone, err := zones.Zone(name)
		if err != nil {
			text := err.Error()
			if len(text) > 1000 || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("error: %q", text)
			}
			return
		}
		if !strings.EqualFold(name, zone.Name()) || len(name) != len(zone.Name()) || !slices.Contains(zones.Names(name), zone.Name()) {
			t.Errorf("%q is %s", name, zone.Name())
		}
	})
}

func BenchmarkLoadZones(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		LoadZones()
	}
}

func BenchmarkReload(b *testing.B) {
	zones := LoadZones()
	b.ReportAllocs()
	for b.Loop() {
		zones.Reload()
	}
}

func BenchmarkNames(b *testing.B) {
	zones := LoadZones()
	b.ReportAllocs()
	for b.Loop() {
		zones.Names("europe")
	}
}

func BenchmarkZone(b *testing.B) {
	zones := LoadZones()
	for _, name := range []string{"Europe/Paris", "europe/paris", "Nowhere/Land"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				zones.Zone(name)
			}
		})
	}
}
