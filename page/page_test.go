package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// get answers a request, given as "GET /path?query", with header fields.
func get(t *testing.T, request string, header ...string) (*http.Response, string, bool) {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	served := Serve(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body), served
}

func TestPaths(t *testing.T) {
	html, err := files.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"GET /", "GET /clock", "GET /clock/", "GET /a.b/c/", "GET /?from=bookmark", "GET /clock?index.html"} {
		response, body, served := get(t, request)
		if !served || response.StatusCode != 200 || body != string(html) || response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %t, %v", request, served, response)
		}
	}
	for request, contentType := range map[string]string{
		"GET /?clock.css":       "text/css; charset=utf-8",
		"GET /clock?main.js":    "text/javascript; charset=utf-8",
		"GET /a/clock/?main.js": "text/javascript; charset=utf-8",
		"GET /?icon.svg":        "image/svg+xml",
	} {
		response, body, served := get(t, request)
		want, err := files.ReadFile(request[strings.Index(request, "?")+1:])
		if err != nil {
			t.Fatal(err)
		}
		if !served || body != string(want) || response.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %t, %v", request, served, response)
		}
	}
	for _, request := range []string{"GET /favicon.ico", "GET /clock/robots.txt", "GET /clock.css?clock.css", "POST /", "OPTIONS /", "PUT /?main.js", "CONNECT /"} {
		if response, body, served := get(t, request); served || body != "" || len(response.Header) > 0 {
			t.Errorf("%s: %t, %v", request, served, response)
		}
	}
}

func TestHeaders(t *testing.T) {
	const want = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " +
		"connect-src 'self' ws://clock.example.com:8443 wss://clock.example.com:8443; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
	response, _, _ := get(t, "GET /", "Host", "clock.example.com:8443")
	if got := response.Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v", response.Header)
	}
	for host, named := range map[string]bool{
		"localhost": true, "127.0.0.1:80": true, "[::1]:8901": true, "[fe80::1]": true,
		"": false, "a; script-src *": false, "a b": false, "*": false, "a,b": false, "[a;]": false, "a:": false,
	} {
		policy := contentSecurityPolicy(host)
		if strings.Contains(policy, "ws://"+host+" wss://"+host+";") != named || strings.Contains(policy, "://") != named {
			t.Errorf("%q: %s", host, policy)
		}
	}
}

func TestCoding(t *testing.T) {
	for accept, zipped := range map[string]bool{
		"": false, "gzip": true, "br, GZIP": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip; q=0.5, br": true, "identity": false, "xgzip": false,
	} {
		response, body, _ := get(t, "GET /?main.js", "Accept-Encoding", accept)
		if length := response.Header.Get("Content-Length"); length != strconv.Itoa(len(body)) || response.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, response.Header)
		}
		if (response.Header.Get("Content-Encoding") == "gzip") != zipped {
			t.Errorf("%q: %v", accept, response.Header)
		}
		if zipped {
			unzip, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(unzip)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		if want, _ := files.ReadFile("main.js"); body != string(want) {
			t.Errorf("%q: another body", accept)
		}
	}
}

func TestRevalidation(t *testing.T) {
	plain, _, _ := get(t, "GET /")
	zipped, _, _ := get(t, "GET /", "Accept-Encoding", "gzip")
	other, _, _ := get(t, "GET /?main.js")
	tag := plain.Header.Get("ETag")
	if !regexp.MustCompile(`^"[\w-]+"$`).MatchString(tag) || tag == zipped.Header.Get("ETag") || tag == other.Header.Get("ETag") {
		t.Errorf("tags %s, %s, %s", tag, zipped.Header.Get("ETag"), other.Header.Get("ETag"))
	}
	for known, status := range map[string]int{tag: 304, `"a", W/` + tag: 304, "*": 304, `"a"`: 200, zipped.Header.Get("ETag"): 200} {
		response, body, served := get(t, "GET /", "If-None-Match", known)
		if !served || response.StatusCode != status || (body == "") != (status == 304) || response.Header.Get("ETag") != tag {
			t.Errorf("%s: %v", known, response)
		}
	}
	head, body, served := get(t, "HEAD /", "Accept-Encoding", "gzip")
	if !served || head.StatusCode != 200 || body != "" || head.Header.Get("ETag") != zipped.Header.Get("ETag") ||
		head.Header.Get("Content-Length") != zipped.Header.Get("Content-Length") {
		t.Errorf("HEAD: %v", head)
	}
}

// All that a first visit loads goes over the wire in less than 40 KB.
func TestSize(t *testing.T) {
	total := 0
	for name, a := range assets() {
		total += len(a.gzipped)
		if a.contentType == "" {
			t.Errorf("%s has no type", name)
		}
	}
	t.Logf("%d bytes over the wire, in %d files", total, len(assets()))
	if total >= 40_000 {
		t.Errorf("%d bytes over the wire: want less than 40000", total)
	}
}

// The files need nothing from another host, nothing inline, and no file is
// there that none of them names.
func TestFiles(t *testing.T) {
	names, err := fs.Glob(files, "*")
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
		for _, url := range regexp.MustCompile(`(https?:)?//[\w.-]+\.\w+[^\s"']*`).FindAllString(string(content), -1) {
			if url != "http://www.w3.org/2000/svg" { // the name of a namespace
				t.Errorf("%s names %s", name, url)
			}
		}
		if bad := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|javascript:|innerHTML|\beval\(|new Function`).Find(content); bad != nil {
			t.Errorf("%s has %q", name, bad)
		}
	}
	for _, name := range names {
		if name != document && !strings.Contains(all.String(), "?"+name) {
			t.Errorf("nothing names %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`["']\?([\w.]+)["']`).FindAllStringSubmatch(all.String(), -1) {
		if assets()[name[1]] == nil {
			t.Errorf("there is no %s", name[1])
		}
	}
}

func BenchmarkServe(b *testing.B) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	for b.Loop() {
		Serve(httptest.NewRecorder(), r)
	}
}
