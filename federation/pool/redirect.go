package pool

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const maxURL = 1024 // characters, RedirectUrlType

var (
	urlPattern    = regexp.MustCompile(`^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$`)
	schemePattern = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
)

// loopbackHosts are the hosts that plain http is allowed for: tests and command-line programs (RFC 8252 section 7.3).
var loopbackHosts = []string{"localhost", "127.0.0.1", "::1"}

// notRedirects are schemes that a browser or an operating system acts on by itself: a
// code sent there would run as script, land in a file, or start whatever the rest of the URL names.
var notRedirects = []string{
	"about", "blob", "chrome", "content", "data", "file", "filesystem", "ftp", "ftps", "intent", "jar", "javascript",
	"mailto", "resource", "sms", "tel", "vbscript", "view-source", "ws", "wss",
}

// CheckRedirect returns what is wrong with a URL that browsers are to be sent to after a sign-in or sign-out, "" for
// nothing. It must be absolute and without a fragment (RFC 6749 section 3.1.2): https, http for
// the loopback host only, or an app's own scheme (RFC 8252 section 7.1). Requests have to match it exactly, so it has
// no wildcard.
func CheckRedirect(raw string) string {
	if n := utf8.RuneCountInString(raw); n < 1 || n > maxURL || !storable(raw) || !urlPattern.MatchString(raw) {
		return "must have 1 to 1024 characters without spaces or control characters"
	}
	if strings.Contains(raw, "#") {
		return "must not have a fragment"
	}
	if strings.Contains(raw, "*") {
		return "must not have a wildcard: requests have to match it exactly"
	}
	if strings.Contains(raw, `\`) { // browsers read it as a slash
		return "must not have a backslash"
	}
	const absolute = "must be an absolute https URL, an http URL of localhost, 127.0.0.1 or [::1], or a URL of an app's own scheme"
	u, err := url.Parse(raw)
	if err != nil || !schemePattern.MatchString(u.Scheme) {
		return absolute
	}
	if u.User != nil {
		return "must not have a user name or password"
	}
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return ""
	case u.Scheme == "http" && slices.Contains(loopbackHosts, strings.ToLower(u.Hostname())):
		return ""
	case u.Scheme == "http" && u.Hostname() != "":
		return "must use https: http is for localhost, 127.0.0.1 and [::1] only"
	case u.Scheme == "https", u.Scheme == "http":
		return absolute
	case slices.Contains(notRedirects, u.Scheme):
		return "must not use this scheme: " + u.Scheme
	}
	return ""
}
