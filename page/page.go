// Package page serves the clock page: one HTML document, its style sheet, its
// scripts and its icon, all embedded, none from elsewhere.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed index.html clock.css icon.svg *.js
var files embed.FS

// document is the asset that a request without the name of one gets.
const document = "index.html"

var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is an embedded file, ready to be sent.
type asset struct {
	contentType    string
	plain, gzipped []byte
	tag            string // the inside of the ETag of the plain form
}

var assets = sync.OnceValue(func() map[string]*asset {
	names, _ := fs.Glob(files, "*")
	all := make(map[string]*asset, len(names))
	for _, name := range names {
		plain, _ := files.ReadFile(name)
		sum := sha256.Sum256(plain)
		all[name] = &asset{
			contentType: types[path.Ext(name)],
			plain:       plain,
			gzipped:     compress(plain),
			tag:         base64.RawURLEncoding.EncodeToString(sum[:12]),
		}
	}
	return all
})

func compress(plain []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(plain)
	_ = w.Close()
	return b.Bytes()
}

// Serve answers a request for the page or one of its assets. It reports false,
// and has not touched w, for what is neither: methods other than GET and HEAD,
// and paths that end in a file name such as favicon.ico.
//
// The page is at whatever path the request has. Its assets are at the same
// path, with their name as the query: /clock?clock.css. So they reach the
// handler wherever it is mounted, with or without a slash at the end, and
// behind proxies that remove a prefix.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if _, name := path.Split(r.URL.Path); strings.Contains(name, ".") {
		return false
	}
	a, ok := assets()[r.URL.RawQuery]
	if !ok {
		a = assets()[document]
	}
	a.serve(w, r)
	return true
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", contentSecurityPolicy(r.Host))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // ask each time: page and scripts belong together
	h.Add("Vary", "Accept-Encoding")

	content, tag := a.plain, a.tag
	if acceptsGzip(r.Header) {
		content, tag = a.gzipped, a.tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", strconv.Quote(tag))
	h.Set("Content-Length", strconv.Itoa(len(content)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// hostPattern is what a Host header may be to be repeated in a policy.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9.-]+(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$`)

// contentSecurityPolicy allows what comes from the page's own origin alone. It
// names the host for WebSockets, as 'self' does not mean them in browsers
// before 2022.
func contentSecurityPolicy(host string) string {
	connect := "connect-src 'self'"
	if hostPattern.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

// acceptsGzip reports whether a client takes gzip; RFC 9110, section 12.5.3.
func acceptsGzip(h http.Header) bool {
	for _, coding := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if !strings.EqualFold(name, "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(weight, 64)
		return weight == "" || err == nil && q > 0
	}
	return false
}
