package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers"
	"github.com/weir-id/weir/providers/social"
)

// keyFile is how the guides name a private key, which is at no such place here.
var keyFile = regexp.MustCompile(`\{file: /etc/weir/[^}]+\.p8\}`)

// newKeyFile makes a private key as a provider gives it.
func newKeyFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.p8")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What docs/providers shows has to be taken as it is.
func TestDocsSocialProvidersAreAccepted(t *testing.T) {
	env := func(string) (string, bool) { return "a-secret", true }
	set := providers.NewSet(providers.Options{HTTP: &http.Client{}, Now: time.Now})
	shown := map[string]bool{}
	for page, body := range guides(t) {
		if !strings.HasPrefix(page, "docs/providers/") {
			continue
		}
		for _, m := range codeBlock.FindAllStringSubmatch(body, -1) {
			if !strings.HasPrefix(m[2], "# pool.yaml, within the pool\n") {
				continue
			}
			file := filepath.Join(t.TempDir(), "pool.yaml")
			shownKey := keyFile.ReplaceAllString(m[2], "{file: "+newKeyFile(t)+"}")
			if err := os.WriteFile(file, []byte("UserPools:\n- PoolName: example\n"+shownKey), 0o600); err != nil {
				t.Fatal(err)
			}
			spec, err := config.LoadPools(file, env)
			if err != nil {
				t.Errorf("%s: %v\n%s", page, err, m[2])
				continue
			}
			for _, ip := range spec.UserPools[0].IdentityProviders {
				d := pool.Details(ip.ProviderDetails)
				shown[ip.ProviderType], shown[d.Get("preset")] = true, true
				for _, fault := range set.Validate(pool.IdentityProvider{Name: ip.ProviderName, Type: ip.ProviderType, Details: d}) {
					t.Errorf("%s: %v\n%s", page, fault, m[2])
				}
			}
		}
	}
	_, table, _ := strings.Cut(guides(t)["docs/configuration.md"], "\n#### Providers that are known beforehand\n")
	table, _, _ = strings.Cut(table, "\n`ProviderDetails`")
	names := []string{}
	for name := range social.Kinds() {
		names = append(names, name)
	}
	for name := range social.Presets() {
		names = append(names, name)
	}
	for _, name := range names {
		if !shown[name] {
			t.Errorf("docs/providers shows no provider %s", name)
		}
		if !strings.Contains(table, "| `"+name+"` |") {
			t.Errorf("docs/configuration.md: the table of providers has no row for %s", name)
		}
	}
}
