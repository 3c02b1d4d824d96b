package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// AssetPrefix is the path under which Renderer.Assets must be mounted.
const AssetPrefix = "/assets/"

const (
	styleFile  = "weir.css"
	scriptFile = "post.js"
	iconFile   = "icon.svg"
	touchFile  = "icon.png"
)

var assetTypes = map[string]string{
	styleFile:  "text/css; charset=utf-8",
	scriptFile: "text/javascript; charset=utf-8",
	iconFile:   "image/svg+xml",
	touchFile:  "image/png",
}

type asset struct {
	path, contentType, etag string
	body                    []byte
}

// assets are the files by name ("weir.css", "marks/google.svg").
type assets map[string]asset

func loadAssets() (assets, error) {
	types := maps.Clone(assetTypes)
	for _, k := range looks {
		types[markFile(k.light)], types[markFile(k.dark)] = "image/svg+xml", "image/svg+xml"
	}
	as := assets{}
	for name, contentType := range types {
		body, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:8])
		ext := path.Ext(name)
		as[name] = asset{
			path:        AssetPrefix + strings.TrimSuffix(name, ext) + "-" + hash + ext,
			contentType: contentType,
			etag:        `"` + hash + `"`,
			body:        body,
		}
	}
	return as, nil
}

func (as assets) path(name string) string { return as[name].path }

// Assets serves the style sheet, the script, the icons and the brands' marks under AssetPrefix. A path holds the hash
// of its content, so answers may be kept for ever (RFC 8246); every other path is 404.
func (r *Renderer) Assets() http.Handler {
	byPath := make(map[string]asset, len(r.assets))
	for _, a := range r.assets {
		byPath[a.path] = a
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		a, ok := byPath[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method not allowed.", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("ETag", a.etag)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'") // the icon opened on its own is a document
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(a.body))
	})
}
