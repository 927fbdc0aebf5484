package pywsclock

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// checkOrigin returns an error where a page of another site opens the
// connection: browsers send its origin, and would send the session ID for it.
// Clients that send no Origin are no browsers. See RFC 6455, section 10.2.
func (h *Handler) checkOrigin(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return fmt.Errorf("origin %q is not of the form scheme://host", origin)
	}
	if strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	for _, pattern := range h.Origins {
		if matchesOrigin(pattern, u) {
			return nil
		}
	}
	return fmt.Errorf("origin %q is neither the site's own nor among the origins that may connect", origin)
}

// matchesOrigin reports whether a pattern as in [Handler.Origins] matches.
func matchesOrigin(pattern string, origin *url.URL) bool {
	scheme, host := cutScheme(strings.ToLower(pattern))
	if scheme != "" && scheme != origin.Scheme {
		return false
	}
	candidate := origin.Hostname()
	if hasPort(host) {
		candidate = origin.Host
	}
	if strings.HasPrefix(host, "[") { // an IPv6 address, not a class of characters
		return strings.EqualFold(host, origin.Host) || host == "["+origin.Hostname()+"]"
	}
	matched, err := path.Match(host, strings.ToLower(candidate))
	return err == nil && matched
}

func cutScheme(pattern string) (scheme, host string) {
	if scheme, host, ok := strings.Cut(pattern, "://"); ok {
		return scheme, host
	}
	return "", pattern
}

// hasPort reports whether a host pattern names a port. The colons of an IPv6
// address are within brackets, or there are several.
func hasPort(host string) bool {
	last := strings.LastIndexByte(host, ':')
	return last > strings.LastIndexByte(host, ']') && strings.IndexByte(host, ':') == last || strings.Contains(host, "]:")
}
