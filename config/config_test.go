package config_test

import (
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

// environment is what the tests' files refer to.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"SET": "a value", "EMPTY": "", "WEIR_ADMIN_SECRET": "admin-secret-of-some-length", "WEB_SECRET": "web secret",
	}[name]
	return v, ok
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads a weir.yaml with the required keys and extra.
func load(t testing.TB, extra string) (*config.Config, error) {
	t.Helper()
	return config.Load(write(t, "weir.yaml", "base_url: https://login.example.com\nstore: bolt:weir.db\n"+extra), environment)
}

func TestFaultsAreReportedAllAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/*-*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := config.Load(file, environment)
			if strings.HasPrefix(filepath.Base(file), "pool-") {
				_, err = config.LoadPools(file, environment)
			}
			var faults config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			got := filepath.ToSlash(err.Error()) + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is in the faults:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".faults"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestDesignedWeirFileLoads(t *testing.T) {
	got, err := config.Load("testdata/weir.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		BaseURL: "https://login.example.com", Listen: "127.0.0.1:8080", OperationsListen: "127.0.0.1:9090", Region: "local",
		Store:       config.Store{Kind: config.StoreBolt, Path: "/var/lib/weir/weir.db"},
		SealingKeys: config.SealingKeys{File: "/etc/weir/sealing.keys", Create: true},
		Apply:       []string{filepath.Join(dir, "pool.yaml")},
		AdminKeys:   []config.AdminKey{{AccessKeyID: "WEIRADMIN", SecretAccessKey: secret.New("admin-secret-of-some-length"), Name: "WEIRADMIN", Allow: []string{"*"}}},
		Outbox:      config.OutboxNone,
		LoginTraces: trace.DefaultSignIns,
		Log:         config.Log{Format: config.FormatJSON, Level: slog.LevelInfo},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v want\n%+v", got, want)
	}
}

func TestDesignedPoolFileLoads(t *testing.T) {
	got, err := config.LoadPools("testdata/pool.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	mutable := true
	want := pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: "local_Example01", Domain: "example",
		Schema: []pool.SchemaSpec{{Name: "department", AttributeDataType: "String", Mutable: &mutable}},
		IdentityProviders: []pool.ProviderSpec{{
			ProviderName: "Corp", ProviderType: "OIDC",
			ProviderDetails: map[string]secret.Text{
				"client_id": secret.New("weir"), "client_secret": secret.New("s3cret"), "oidc_issuer": secret.New("https://idp.example.com"),
				"authorize_scopes": secret.New("openid email profile"),
			},
			AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified", "name": "name"},
			IdpIdentifiers:   []string{"example.com"},
		}},
		Clients: []pool.ClientSpec{{
			ClientName: "web", ClientID: "exampleclient0000000000001", ClientSecret: secret.New("web secret"),
			CallbackURLs: []string{"https://app.example.com/callback"}, LogoutURLs: []string{"https://app.example.com/"},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "profile"},
			SupportedIdentityProviders: []string{"Corp"},
		}},
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v want\n%+v", got, want)
	}
}

func TestDefaultsAndEveryKey(t *testing.T) {
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.OperationsListen != "127.0.0.1:9090" || c.Region != "local" || c.Outgoing.AllowPrivate ||
		c.Log.Format != "json" || c.Log.Level != slog.LevelInfo || c.TLS != nil || c.TrustedProxies != nil || len(c.Warnings) != 0 {
		t.Errorf("defaults: %+v", c)
	}

	c, err = load(t, `
listen: :8443
operations_listen: off
region: eu-1_x
sealing_keys: {env: WEIR_KEYS}
apply: [a.yaml, /etc/weir/b.yaml, ../c.yaml]
outgoing: {allow_private: true}
log: {format: text, level: debug}
tls: {cert_file: tls/cert.pem, key_file: /tls/key.pem, min_version: 1.3}
trusted_proxies: [10.1.2.3/8, 192.0.2.7, "fd00::/8"]
admin_keys:
- {access_key_id: A, secret_access_key: 12345678901234567890, allow: [ListUsers, AdminGetUser]}
- {access_key_id: B, secret_access_key: 12345678901234567890, name: Ada of support@example.com, allow: ["List*", "A*", AdminGetUser], pools: [local_Example01, eu-1_x_b]}
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.Store.Path)
	if c.OperationsListen != "" || c.Region != "eu-1_x" || c.SealingKeys.Env != "WEIR_KEYS" || !c.Outgoing.AllowPrivate ||
		c.Log != (config.Log{Format: "text", Level: slog.LevelDebug}) || !filepath.IsAbs(dir) {
		t.Errorf("got %+v", c)
	}
	if want := []string{filepath.Join(dir, "a.yaml"), "/etc/weir/b.yaml", filepath.Join(filepath.Dir(dir), "c.yaml")}; !slices.Equal(c.Apply, want) {
		t.Errorf("apply = %v, want %v", c.Apply, want)
	}
	if *c.TLS != (config.TLS{CertFile: filepath.Join(dir, "tls/cert.pem"), KeyFile: "/tls/key.pem", MinVersion: 0x0304}) {
		t.Errorf("tls = %+v", c.TLS)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8")}; !slices.Equal(c.TrustedProxies, want) {
		t.Errorf("trusted_proxies = %v, want %v", c.TrustedProxies, want)
	}
	if got := c.AdminKeys[0].SecretAccessKey.Reveal(); got != "12345678901234567890" {
		t.Errorf("a literal number must stay as written, got %q", got)
	}
	if k := c.AdminKeys[0]; k.Name != "A" || k.Pools != nil {
		t.Errorf("without a name and pools: %+v", k)
	}
	if k := c.AdminKeys[1]; k.Name != "Ada of support@example.com" || !slices.Equal(k.Allow, []string{"List*", "A*", "AdminGetUser"}) ||
		!slices.Equal(k.Pools, []string{"local_Example01", "eu-1_x_b"}) {
		t.Errorf("got %+v", k)
	}
}

func TestFilesHaveALimit(t *testing.T) {
	comment := "#" + strings.Repeat("x", 1<<20) + "\n"
	if _, err := load(t, comment); err == nil || !strings.HasSuffix(err.Error(), "weir.yaml: larger than 1024 KiB") {
		t.Errorf("weir.yaml over 1 MiB: %v", err)
	}
	if _, err := config.LoadPools(write(t, "pool.yaml", comment+"UserPools: []"), environment); err != nil {
		t.Errorf("pool.yaml over 1 MiB: %v", err)
	}
	if _, err := config.LoadPools(write(t, "pool.yaml", strings.Repeat(comment, 8)), environment); err == nil || !strings.HasSuffix(err.Error(), "larger than 8192 KiB") {
		t.Errorf("pool.yaml over 8 MiB: %v", err)
	}
	_, err := load(t, "apply: ["+strings.Repeat("true,", 200)+"true]")
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 101 || faults[100].Message != "and 101 more" {
		t.Errorf("%d faults, want 100 and a last line: %v", len(faults), err)
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if _, err := config.Load(path, environment); err == nil || err.Error() != path+": cannot be read: no such file or directory" {
		t.Errorf("got %v", err)
	}
}
