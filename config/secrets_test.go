package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
)

func TestSecretsComeFromFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"plain": "s3cret", "newline": "s3cret\n", "crlf": "s3cret\r\n", "lines": "a\nb\n\n", "spaces": " s3cret \n",
		"largest": strings.Repeat("x", 64<<10), "large": strings.Repeat("x", 64<<10+1), "blank": "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"plain": "s3cret", "newline": "s3cret", "crlf": "s3cret", "lines": "a\nb\n", "spaces": " s3cret ", "largest": strings.Repeat("x", 64<<10),
		filepath.Join(dir, "plain"): "s3cret",
		"large":                     "", "blank": "", "absent": "", ".": "",
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			path := filepath.Join(dir, "pool.yaml")
			text := fmt.Sprintf("UserPools: [{Clients: [{ClientSecret: {file: %q}}]}]", file)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := config.LoadPools(path, environment)
			if want == "" {
				if err == nil || !strings.Contains(err.Error(), "UserPools[0].Clients[0].ClientSecret.file: "+file+": ") {
					t.Errorf("got %v, want a fault that names the file", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := s.UserPools[0].Clients[0].ClientSecret.Reveal(); got != want {
				t.Errorf("got %d bytes, want %d", len(got), len(want))
			}
		})
	}
}

func TestProviderDetailsTakeLiteralsOfAnyType(t *testing.T) {
	dir := t.TempDir()
	metadata := strings.Repeat("<x/>", 50_000) // 200 KB: more than a secret may have
	if err := os.WriteFile(filepath.Join(dir, "metadata.xml"), []byte(metadata), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pool.yaml")
	text := `
UserPools:
- IdentityProviders:
  - ProviderDetails:
      IDPInit: true
      api_version: 23.0
      number: 007
      date: 2026-01-02
      quoted: "true"
      MetadataFile: {file: metadata.xml}
      private_key: |
        -----BEGIN
        abc
      client_secret: {env: SET}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.LoadPools(path, environment)
	if err != nil {
		t.Fatal(err)
	}
	got := s.UserPools[0].IdentityProviders[0].ProviderDetails
	for name, want := range map[string]string{
		"IDPInit": "true", "api_version": "23.0", "number": "007", "date": "2026-01-02", "quoted": "true", "MetadataFile": metadata,
		"private_key": "-----BEGIN\nabc\n", "client_secret": "a value",
	} {
		if got[name].Reveal() != want {
			t.Errorf("%s has %d bytes, want %d", name, len(got[name].Reveal()), len(want))
		}
	}
}
