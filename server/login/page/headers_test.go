package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/login/page"
)

func TestContentSecurityPolicy(t *testing.T) {
	const all = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	for kind, want := range map[page.Kind]string{
		page.KindError:     all + "; form-action 'none'",
		page.KindSignedOut: all + "; form-action 'none'",
		page.KindDeletion:  all + "; form-action 'none'",
		// Forms whose answer may redirect anywhere: see the comment on CSP.
		page.KindChooser: all,
		page.KindAsk:     all,
		page.KindConfirm: all,
		page.KindPost:    all + "; script-src 'self'",
	} {
		got := page.CSP(kind)
		if got != want {
			t.Errorf("%s: %s", kind, got)
		}
		if strings.Contains(got, "unsafe") || strings.Contains(got, "*") {
			t.Errorf("%s: unsafe policy %s", kind, got)
		}
	}
}

func TestPageHeaders(t *testing.T) {
	for _, kind := range []page.Kind{page.KindChooser, page.KindError, page.KindSignedOut, page.KindPost, page.KindDeletion, page.KindAsk, page.KindConfirm} {
		h := http.Header{}
		page.SetHeaders(h, kind)
		want := map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Content-Security-Policy": page.CSP(kind),
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Cache-Control":           "no-store",
			"Referrer-Policy":         "no-referrer",
		}
		if kind == page.KindPost {
			want["Referrer-Policy"] = "strict-origin" // or its POST would say "Origin: null"
		}
		for name, value := range want {
			if got := h.Get(name); got != value {
				t.Errorf("%s: %s = %q, want %q", kind, name, got, value)
			}
		}
	}
}

var assetPath = regexp.MustCompile(`"(/assets/[a-z0-9/-]+-([0-9a-f]{16})\.(?:css|js|svg|png))"`)

// linked returns the asset paths of the pages, path -> hash.
func linked(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range every {
		for _, m := range assetPath.FindAllStringSubmatch(render(t, f), -1) {
			out[m[1]] = m[2]
		}
	}
	if len(out) != 4+len(markFiles(t)) {
		t.Fatalf("assets linked from the pages: %v", out)
	}
	return out
}

// markFiles are the brands' marks as they are embedded: each of them is linked from a page.
func markFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("assets/marks/*.svg")
	if err != nil || len(files) < len(brands) {
		t.Fatalf("marks: %v, %v", files, err)
	}
	return files
}

func get(t *testing.T, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	newRenderer(t).Assets().ServeHTTP(w, req)
	return w
}

func TestAssetNamesAreTheirContent(t *testing.T) {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png"}
	for path, hash := range linked(t) {
		w := get(t, http.MethodGet, path)
		sum := sha256.Sum256(w.Body.Bytes())
		if w.Code != http.StatusOK || hex.EncodeToString(sum[:8]) != hash {
			t.Errorf("%s: status %d, content %x", path, w.Code, sum[:8])
		}
		h := w.Header()
		if ct := h.Get("Content-Type"); ct != types[path[strings.LastIndex(path, "."):]] {
			t.Errorf("%s: %s", path, ct)
		}
		if h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
		if again := get(t, http.MethodGet, path, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s asked again: status %d", path, again.Code)
		}
		if head := get(t, http.MethodHead, path); head.Code != http.StatusOK || head.Body.Len() != 0 {
			t.Errorf("HEAD %s: status %d, %d bytes", path, head.Code, head.Body.Len())
		}
		if w := get(t, http.MethodPost, path); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("POST %s: status %d", path, w.Code)
		}
	}
}

func TestOtherAssetPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/assets/", "/assets/weir.css", "/assets/weir-0000000000000000.css", "/assets/../page.go", "/assets/icon.svg", "/assets/marks/", "/assets/marks/google.svg"} {
		if w := get(t, http.MethodGet, path); w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "" {
			t.Errorf("%s: status %d, %v", path, w.Code, w.Header())
		}
	}
}

// The style sheet, the icon and the marks load nothing: the policy would refuse it, and privacy forbids it.
func TestAssetsReferToNothing(t *testing.T) {
	for path := range linked(t) {
		body := get(t, http.MethodGet, path).Body.Bytes()
		body = bytes.ReplaceAll(body, []byte(`xmlns="http://www.w3.org/2000/svg"`), nil)
		for _, word := range []string{"url(", "@import", "http:", "https:", "<script", "href"} {
			if !strings.HasSuffix(path, ".png") && bytes.Contains(body, []byte(word)) {
				t.Errorf("%s has %q", path, word)
			}
		}
	}
}
