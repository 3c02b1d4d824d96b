package pool_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/weir-id/weir/federation/pool"
)

func TestCheckRedirect(t *testing.T) {
	for name, c := range map[string]struct {
		url string
		bad string // part of the message, "" where the URL is good
	}{
		"https":                      {"https://app.example.com/callback", ""},
		"https with port and query":  {"https://app.example.com:8443/cb?x=1", ""},
		"localhost":                  {"http://localhost:3000/cb", ""},
		"IPv4 loopback":              {"http://127.0.0.1/cb", ""},
		"IPv6 loopback":              {"http://[::1]:8080/cb", ""},
		"an app's own scheme":        {"myapp://example", ""},
		"a reversed domain":          {"com.example.app:/callback", ""},
		"empty":                      {"", "1 to 1024"},
		"too long":                   {"https://a.example/" + strings.Repeat("x", 1024), "1 to 1024"},
		"a space":                    {"https://a.example/a b", "without spaces"},
		"a line break":               {"https://a.example/\r\nX: y", "without spaces"},
		"relative":                   {"/callback", "absolute"},
		"without a scheme":           {"app.example.com/callback", "absolute"},
		"scheme-relative":            {"//app.example.com/", "absolute"},
		"https without a host":       {"https:///callback", "absolute"},
		"https with a port only":     {"https://:443/", "absolute"},
		"https without slashes":      {"https:app.example.com", "absolute"},
		"http":                       {"http://app.example.com/cb", "must use https"},
		"http on a lookalike":        {"http://localhost.example.com/cb", "must use https"},
		"http on another loopback":   {"http://127.0.0.2/cb", "must use https"},
		"fragment":                   {"https://a.example/#x", "fragment"},
		"empty fragment":             {"https://a.example/#", "fragment"},
		"wildcard host":              {"https://*.example.com/cb", "wildcard"},
		"wildcard path":              {"https://a.example/*", "wildcard"},
		"backslash":                  {`https://a.example\@evil.example/`, "backslash"},
		"user name":                  {"https://a.example@evil.example/", "user name"},
		"script":                     {"javascript:alert(1)//", "scheme"},
		"script in another case":     {"JavaScript:alert(1)//", "scheme"},
		"data":                       {"data:text/html,x", "scheme"},
		"a file":                     {"file:///etc/passwd", "scheme"},
		"view-source":                {"view-source:https://a.example/", "scheme"},
		"a byte that is not UTF-8":   {"https://a.example/\xff", "1 to 1024"},
		"an invisible direction":     {"https://a.example/\u202e", "without spaces"},
		"an unbalanced IPv6 address": {"http://[::1/cb", "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			got := pool.CheckRedirect(c.url)
			if c.bad == "" && got != "" || c.bad != "" && !strings.Contains(got, c.bad) {
				t.Errorf("%q: %q, want %q", c.url, got, c.bad)
			}
		})
	}
}

// What is accepted must be what a strict reading accepts, whatever the spelling.
func FuzzCheckRedirectAcceptsNothingUnsafe(f *testing.F) {
	for _, s := range []string{
		"https://a.example/cb", "http://localhost:1/", "http://LOCALHOST", "myapp://x", "javascript:alert(1)", "https://a@b/",
		"http://[::1]:80/x", "https://a.example/%0a", "a:b", "https://ａ.example/", "http://127.0.0.1.example/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if pool.CheckRedirect(raw) != "" {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || !u.IsAbs() || u.Fragment != "" || u.User != nil {
			t.Fatalf("accepted %q: %v", raw, err)
		}
		if strings.ContainsFunc(raw, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`\#*`, r) || r == unicode.ReplacementChar && !strings.Contains(raw, "\uFFFD")
		}) {
			t.Fatalf("accepted %q with a forbidden character", raw)
		}
		switch u.Scheme {
		case "http":
			if h := strings.ToLower(u.Hostname()); h != "localhost" && h != "127.0.0.1" && h != "::1" {
				t.Fatalf("accepted plain http of %q", h)
			}
		case "https":
			if u.Hostname() == "" || u.Opaque != "" {
				t.Fatalf("accepted %q without a host", raw)
			}
		case "javascript", "data", "vbscript", "file", "blob", "about":
			t.Fatalf("accepted the scheme %s", u.Scheme)
		}
	})
}
