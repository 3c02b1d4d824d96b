package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/secret"
)

func TestBaseURLIsAnOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://login.example.com":       "https://login.example.com",
		"https://login.example.com/":      "https://login.example.com",
		"HTTPS://Login.Example.com:443/":  "https://login.example.com",
		"http://127.0.0.1:80":             "http://127.0.0.1",
		"http://localhost:8080":           "http://localhost:8080",
		"https://[2001:DB8::1]:8443":      "https://[2001:db8::1]:8443",
		"https://xn--bcher-kva.example":   "https://xn--bcher-kva.example",
		"login.example.com":               "",
		"//login.example.com":             "",
		"ftp://login.example.com":         "",
		"https:login.example.com":         "",
		"https://":                        "",
		"https://login.example.com/auth":  "",
		"https://login.example.com//":     "",
		"https://login.example.com?":      "",
		"https://login.example.com#":      "",
		"https://a@login.example.com":     "",
		"https://login.example.com:0":     "",
		"https://login.example.com:http":  "",
		"https://login.example.com:70000": "",
		"https://bücher.example":          "",
		"https://a_b.example":             "",
		"https://.example.com":            "",
		"https://[::1%25eth0]":            "",
		"https://exam ple.com":            "",
		" https://login.example.com":      "",
	} {
		t.Run(in, func(t *testing.T) {
			c, err := config.Load(write(t, "weir.yaml", fmt.Sprintf("base_url: %q\nstore: bolt:x\n", in)), environment)
			switch {
			case want == "" && (err == nil || !strings.Contains(err.Error(), ":1: base_url: ")):
				t.Errorf("got %+v, %v, want a fault", c, err)
			case want != "" && err != nil:
				t.Error(err)
			case want != "" && c.BaseURL != want:
				t.Errorf("got %q, want %q", c.BaseURL, want)
			}
		})
	}
}

func TestStores(t *testing.T) {
	for in, want := range map[string]config.Store{
		"bolt:/var/lib/weir.db":                           {Kind: config.StoreBolt, Path: "/var/lib/weir.db"},
		"mongodb://u:p@h1:27017,h2/weir?replicaSet=rs0":   {Kind: config.StoreMongoDB, URI: secret.New("mongodb://u:p@h1:27017,h2/weir?replicaSet=rs0")},
		"mongodb+srv://u:p@cluster.example/weir?tls=true": {Kind: config.StoreMongoDB, URI: secret.New("mongodb+srv://u:p@cluster.example/weir?tls=true")},
		"bolt:":                      {},
		"/var/lib/weir.db":           {},
		"mongodb:host":               {},
		"mongodb://":                 {},
		"postgres://u:p@h/weir":      {},
		"mongodb+https://u:p@h/weir": {},
	} {
		t.Run(in, func(t *testing.T) {
			c, err := config.Load(write(t, "weir.yaml", fmt.Sprintf("base_url: https://a.example\nstore: %q\n", in)), environment)
			switch {
			case want.Kind == "" && (err == nil || !strings.Contains(err.Error(), ":2: store: ") || strings.Contains(err.Error(), "u:p")):
				t.Errorf("got %+v, %v, want a fault without the address", c, err)
			case want.Kind != "" && err != nil:
				t.Error(err)
			case want.Kind != "" && !reflect.DeepEqual(c.Store, want):
				t.Errorf("got %+v, want %+v", c.Store, want)
			case want.Kind != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", c, c.Store, c.Store), "u:p"):
				t.Error("the store's address can be printed")
			}
		})
	}
}

func TestAStoresAddressMayStandElsewhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "address"), []byte("mongodb://u:p@h/weir\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"FILE": "bolt:data/weir.db", "DATABASE": "mongodb+srv://u:p@h/", "WRONG": "postgres://u:p@h/weir"}[name]
		return v, ok
	}
	for in, want := range map[string]string{
		"{env: FILE}":                    "bolt:" + filepath.Join(dir, "data/weir.db"),
		"{env: DATABASE}":                "mongodb+srv://h/",
		"{file: address}":                "mongodb://h/weir",
		"{env: WRONG}":                   ":2: store: want bolt:PATH",
		"{env: ABSENT}":                  "store.env: the environment variable ABSENT is not set",
		"{file: absent}":                 "store.file: absent: ",
		"{file: address, env: DATABASE}": "store: want exactly one of env and file",
		"{stored: true}":                 "store: want exactly one of env and file",
		"{path: weir.db}":                "store.path: unknown key",
		"[bolt, weir.db]":                "store: ",
	} {
		t.Run(in, func(t *testing.T) {
			path := filepath.Join(dir, "weir.yaml")
			if err := os.WriteFile(path, []byte("base_url: https://a.example\nstore: "+in+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			got := ""
			c, err := config.Load(path, env)
			if err == nil {
				got = c.Store.String()
			} else if got = err.Error(); strings.Contains(got, "u:p") {
				t.Error("the address is in the fault")
			}
			if !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestAStoreIsNamedWithoutItsPassword(t *testing.T) {
	for in, want := range map[string]string{
		"bolt:weir.db": "bolt:weir.db",
		"mongodb://u:p@h1:27017,h2/weir?replicaSet=rs0":   "mongodb://h1:27017,h2/weir",
		"mongodb+srv://u:p@cluster.example/weir?tls=true": "mongodb+srv://cluster.example/weir",
		"mongodb://h/weir":       "mongodb://h/weir",
		"mongodb://u:p/q@h/weir": "mongodb://h/weir",
		"mongodb://u:p?q@h/weir": "mongodb://…",
	} {
		s, err := config.ParseStore(in)
		if err != nil || s.String() != want {
			t.Errorf("%s is named %s (%v), want %s", in, s, err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for extra, want := range map[string]string{
		"outbox: log\n":                  "outbox",
		"trusted_proxies: [0.0.0.0/0]\n": "trusted_proxies",
		"admin_keys: [{access_key_id: A, secret_access_key: short, allow: ['*']}]\n": "admin_keys[0].secret_access_key is shorter",
	} {
		c, err := load(t, extra)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) {
			t.Errorf("%swarnings = %q, want one about %s", extra, c.Warnings, want)
		}
	}
	for url, want := range map[string]int{"http://login.example.com": 1, "http://localhost:8080": 0, "http://127.0.0.1": 0, "http://[::1]:1": 0} {
		c, err := config.Load(write(t, "weir.yaml", "base_url: "+url+"\nstore: bolt:x\n"), environment)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != want {
			t.Errorf("%s: warnings = %q, want %d", url, c.Warnings, want)
		}
	}
}
