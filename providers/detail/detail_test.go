package detail_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/detail"
)

func details(pairs ...string) pool.Details {
	d := pool.Details{}
	for pair := range slices.Chunk(pairs, 2) {
		d[pair[0]] = secret.New(pair[1])
	}
	return d
}

func TestCheckURL(t *testing.T) {
	for name, c := range map[string]struct {
		url          string
		strict, open bool // accepted with allowPrivate false, true
	}{
		"https":             {"https://idp.example.com", true, true},
		"https with a path": {"https://idp.example.com:8443/tenant/?a=b", true, true},
		"http":              {"http://idp.example.com", false, true},
		"loopback":          {"http://127.0.0.1:9000", false, true},
		"loopback on https": {"https://127.0.0.1:9000", false, true},
		"loopback v6":       {"https://[::1]/", false, true},
		"metadata":          {"https://169.254.169.254/", false, false},
		"relative":          {"/authorize", false, false},
		"no scheme":         {"idp.example.com/authorize", false, false},
		"scheme-relative":   {"//idp.example.com/", false, false},
		"script":            {"javascript:alert(1)", false, false},
		"file":              {"file:///etc/passwd", false, false},
		"other scheme":      {"ldap://idp.example.com/", false, false},
		"opaque":            {"https:idp.example.com", false, false},
		"no host":           {"https:///path", false, false},
		"port alone":        {"https://:443/", false, false},
		"user":              {"https://u:p@idp.example.com/", false, false},
		"fragment":          {"https://idp.example.com/#a", false, false},
		"empty fragment":    {"https://idp.example.com/#", false, false},
		"control character": {"https://idp.example.com/\n", false, false},
		"space in the host": {"https://idp example.com/", false, false},
		"empty":             {"", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := detail.CheckURL(c.url, false); (got == "") != c.strict {
				t.Errorf("strict: %q", got)
			}
			if got := detail.CheckURL(c.url, true); (got == "") != c.open {
				t.Errorf("allowPrivate: %q", got)
			}
		})
	}
}

func TestReader(t *testing.T) {
	t.Run("returns values and defaults", func(t *testing.T) {
		r := detail.NewReader(details("id", "a", "method", "POST", "skew", "7", "url", "https://a.example", "pem", "\nx\n"), false)
		got := []any{
			r.Required("id"), r.OneOf("method", "GET", "POST"), r.OneOf("mode", "auto", "never"), r.Int("skew", 1, 0, 9), r.Int("age", 3, 0, 9),
			r.URL("url"), r.URL("other"), r.Text("pem"), r.String("none"),
		}
		want := []any{"a", "POST", "auto", 7, 3, "https://a.example", "", "x", ""}
		if !slices.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
		if f := r.Faults(); f != nil {
			t.Errorf("faults %v", f)
		}
	})
	t.Run("reports every fault by key, without values", func(t *testing.T) {
		r := detail.NewReader(details("method", "s3cret", "skew", "s3cret", "url", "s3cret", "zz", "s3cret", "padded", "s3cret ",
			"huge", strings.Repeat("s3cret", 30000), "pem", strings.Repeat("s3cret", 30000)), false)
		r.Required("id")
		r.OneOf("method", "GET", "POST")
		r.Int("skew", 1, 0, 9)
		r.URL("url")
		r.String("padded")
		r.String("huge")
		r.Text("pem")
		var got []string
		for _, f := range r.Faults() {
			got = append(got, f.Error())
		}
		want := []string{
			"huge: longer than 131072 bytes", "id: required", "method: must be GET or POST", "padded: begins or ends with white space",
			"pem: longer than 131072 bytes", "skew: must be a number from 0 to 9", "url: must be an absolute URL", "zz: unknown key",
		}
		if !slices.Equal(got, want) {
			t.Errorf("faults\n%q, want\n%q", got, want)
		}
	})
}
