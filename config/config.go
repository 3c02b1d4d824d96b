package config

import (
	"crypto/tls"
	"log/slog"
	"net/netip"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
)

const (
	maxConfigFile = 1 << 20 // bytes
	maxPoolFile   = 8 << 20 // bytes
)

// Config is weir.yaml: the process. Every path in it is absolute after Load.
type Config struct {
	// BaseURL is where browsers and applications reach Weir, and the issuers' beginning: scheme and host, and a port where it is not
	// the scheme's own; no path and no slash at the end. Required. Plain http is for development.
	BaseURL string `yaml:"base_url"`
	// Listen is host:port of the public listener. Default 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// OperationsListen is host:port of /metrics, /livez and /readyz; empty is none, which the file writes as off. Default 127.0.0.1:9090.
	OperationsListen string `yaml:"operations_listen"`
	// Region is the label that pool ids begin with, [\w-]{1,45}. Default local.
	Region string `yaml:"region"`
	// Store is where everything is kept. Required.
	Store Store `yaml:"store"`
	// SealingKeys name the keys that seal stored secrets and cookies. Open reads them.
	SealingKeys SealingKeys `yaml:"sealing_keys"`
	// Apply are pool files to apply at start, in this order.
	Apply []string `yaml:"apply"`
	// AdminKeys may call the administrative operations of the JSON API.
	AdminKeys []AdminKey `yaml:"admin_keys"`
	// Outbox says where messages to people go: OutboxNone or OutboxLog. Default none: who has to be told something is refused.
	Outbox string `yaml:"outbox"`
	// LoginTraces is how many traces of sign-ins that succeeded are kept, 0 to trace.MostSignIns; 0 is none. Default trace.DefaultSignIns.
	LoginTraces int `yaml:"login_traces"`
	// Outgoing rules the requests that Weir makes.
	Outgoing Outgoing `yaml:"outgoing"`
	// Log says what the log looks like.
	Log Log `yaml:"log"`
	// TLS is nil where a proxy in front speaks TLS.
	TLS *TLS `yaml:"tls"`
	// TrustedProxies are the peers whose X-Forwarded-For, -Proto and -Host are believed. Default none.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`

	// Warnings are not faults, but an admin should read them in the log at start.
	Warnings []string `yaml:"-"`
}

// AdminKey is a SigV4 key of the JSON API.
type AdminKey struct {
	AccessKeyID     string      `yaml:"access_key_id"`     // 1 to 128 of [A-Za-z0-9_]
	SecretAccessKey secret.Text `yaml:"secret_access_key"` // required
	Name            string      `yaml:"name"`              // who it is, for the audit stream; 1 to 128 characters. Default AccessKeyID
	Allow           []string    `yaml:"allow"`             // *, names of operations, or beginnings of names and *; required
	Pools           []string    `yaml:"pools"`             // ids of the pools that the key is for. Default, and nil, every pool
}

// The outboxes.
const (
	OutboxNone = "none"
	OutboxLog  = "log" // each message is a line of the log, passwords and codes in it
)

// Outgoing rules the requests to providers.
type Outgoing struct {
	// AllowPrivate opens the guard against private and loopback addresses. Default false.
	AllowPrivate bool `yaml:"allow_private"`
}

// The formats of the log.
const (
	FormatJSON = "json"
	FormatText = "text"
)

// Log is the form and the threshold of the log.
type Log struct {
	Format string     `yaml:"format"` // FormatJSON or FormatText. Default json
	Level  slog.Level `yaml:"level"`  // debug, info, warn or error. Default info
}

// TLS is a certificate for the public listener. ServerConfig opens it.
type TLS struct {
	CertFile   string     `yaml:"cert_file"`   // PEM: the certificate, then its chain; required
	KeyFile    string     `yaml:"key_file"`    // PEM; required
	MinVersion TLSVersion `yaml:"min_version"` // 1.2 or 1.3. Default 1.2
}

// TLSVersion is a protocol version as package crypto/tls numbers it.
type TLSVersion uint16

// Load reads weir.yaml. env looks up environment variables (os.LookupEnv). The error is Faults where the file is wrong; it names
// everything that is wrong, and no secret.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	c := &Config{
		Listen:           "127.0.0.1:8080",
		OperationsListen: "127.0.0.1:9090",
		Region:           "local",
		Outbox:           OutboxNone,
		LoginTraces:      trace.DefaultSignIns,
		Log:              Log{Format: FormatJSON, Level: slog.LevelInfo},
	}
	if err := decodeFile(path, maxConfigFile, env, c, func(d *decoder) { d.check(c) }); err != nil {
		return nil, err
	}
	if c.TLS != nil && c.TLS.MinVersion == 0 {
		c.TLS.MinVersion = tls.VersionTLS12
	}
	return c, nil
}

// LoadPools reads pool.yaml: its syntax. What it says is checked by federation/pool when it is applied. The error is Faults
// where the file is wrong.
func LoadPools(path string, env func(string) (string, bool)) (pool.Spec, error) {
	var s pool.Spec
	if err := decodeFile(path, maxPoolFile, env, &s, nil); err != nil {
		return pool.Spec{}, err
	}
	return s, nil
}
