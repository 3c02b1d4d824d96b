package metadata_test

import (
	"encoding/binary"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/weir-id/weir/saml/metadata"
)

var claimTypes = regexp.MustCompile(`<auth:ClaimType .*?</auth:ClaimType>|<Attribute .*?/>`)

// FuzzMetadata holds Parse to this: whatever it accepts has a provider with a usable key and an https address
// to which a browser can be sent, and is the same when it is read again in another encoding.
func FuzzMetadata(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		data = claimTypes.ReplaceAll(data, nil) // the fuzzer is slow with long documents
		f.Add(data)
		f.Add([]byte(utf16Text(string(data), binary.LittleEndian, true)))
	}
	f.Add([]byte(minimal(encoded(sharedPair(f).Certificate), "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := metadata.Parse(data, metadata.Options{Now: epoch})
		if err != nil {
			if m != nil {
				t.Fatal("a document came with an error")
			}
			return
		}
		if m.EntityID == "" || len(m.SigningKeys) == 0 || len(m.SSO) == 0 || m.Expired(epoch) || m.Pinned {
			t.Fatalf("accepted %+v", m)
		}
		for _, e := range append(m.SSO, m.SLO...) {
			for _, raw := range []string{e.Location, e.ResponseLocation} {
				if u, err := url.Parse(raw); err != nil || u.Scheme != "https" || u.Host == "" {
					t.Fatalf("accepted the address %q", raw)
				}
			}
		}
		if m.NextRefresh(epoch).Before(epoch.Add(metadata.MinRefresh)) || m.NextRefresh(epoch).After(epoch.Add(metadata.DefaultRefresh)) {
			t.Fatalf("the next refresh is at %s", m.NextRefresh(epoch))
		}
		if utf8.Valid(data) && len(data) < 100_000 && data[0] == '<' && data[1] != '?' {
			again, err := metadata.Parse([]byte(utf16Text(string(data), binary.BigEndian, true)), metadata.Options{Now: epoch})
			if err != nil || len(metadata.Diff(m, again)) > 0 {
				t.Fatalf("in UTF-16 it is another document: %v", err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"adfs", "okta"} {
		data := []byte(document(b, name))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := metadata.Parse(data, metadata.Options{Now: epoch}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
