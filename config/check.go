package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/trace"
)

// parsers read the scalars that have a syntax of their own. Their errors are messages for a fault.
var parsers = map[reflect.Type]func(string) (any, error){
	reflect.TypeFor[Store]():        func(s string) (any, error) { return ParseStore(s) },
	reflect.TypeFor[slog.Level]():   parseLevel,
	reflect.TypeFor[TLSVersion]():   parseTLSVersion,
	reflect.TypeFor[netip.Prefix](): parsePrefix,
}

func parseLevel(s string) (any, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return nil, errors.New("want debug, info, warn or error")
}

func parseTLSVersion(s string) (any, error) {
	switch s {
	case "1.2":
		return TLSVersion(tls.VersionTLS12), nil
	case "1.3":
		return TLSVersion(tls.VersionTLS13), nil
	}
	return nil, errors.New("want 1.2 or 1.3")
}

func parsePrefix(s string) (any, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return nil, errors.New("want addresses such as 10.0.0.0/8, 192.0.2.7 or fd00::/8")
	}
	return p.Masked(), nil
}

var (
	regionShape    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,45}$`) // with _ and nine characters, a pool id has at most 55
	keyIDShape     = regexp.MustCompile(`^[A-Za-z0-9_]{1,128}$`)
	keyNameShape   = regexp.MustCompile(`^[A-Za-z0-9_.@+-]+( [A-Za-z0-9_.@+-]+)*$`)
	operationShape = regexp.MustCompile(`^(\*|[A-Z][A-Za-z0-9]{0,126}(\*|[A-Za-z0-9]))$`)
	poolIDShape    = regexp.MustCompile(`^[A-Za-z0-9_-]+_[A-Za-z0-9]+$`)
	hostShape      = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// weakSecret is the length in bytes under which an admin key's secret is worth a warning: one signed request lets
// an eavesdropper try secrets offline.
const weakSecret = 20

const (
	maxKeyName = 128 // bytes
	maxPoolID  = 55  // bytes, as package pool has it
)

// check judges the values of a decoded weir.yaml and makes its paths absolute.
func (d *decoder) check(c *Config) {
	d.checkBaseURL(c)
	d.checkListeners(c)
	if !regionShape.MatchString(c.Region) {
		d.at("region", "want 1 to 45 letters, digits, - or _")
	}
	switch {
	case !d.has("store"):
		d.at("store", "required; for example bolt:/var/lib/weir/weir.db")
	case c.Store.Kind == StoreBolt:
		c.Store.Path = d.resolvePath(c.Store.Path)
	}
	d.checkSealingKeys(c)
	for i, file := range c.Apply {
		if file == "" {
			d.at(fmt.Sprintf("apply[%d]", i), "is empty; want a path")
		}
		c.Apply[i] = d.resolvePath(file)
	}
	d.checkAdminKeys(c)
	switch c.Outbox {
	case OutboxNone:
	case OutboxLog:
		c.Warnings = append(c.Warnings, "outbox: messages to people are written to the log, temporary passwords among them: whoever reads the log can sign in as they")
	default:
		d.at("outbox", "want none or log")
	}
	if c.LoginTraces < 0 || c.LoginTraces > trace.MostSignIns {
		d.at("login_traces", fmt.Sprintf("want 0 to %d; 0 keeps none of sign-ins that succeeded", trace.MostSignIns))
	}
	if c.Log.Format != FormatJSON && c.Log.Format != FormatText {
		d.at("log.format", "want json or text")
	}
	d.checkTLS(c)
	for _, p := range c.TrustedProxies {
		if p.Bits() == 0 {
			c.Warnings = append(c.Warnings, "trusted_proxies holds every address: any client can claim to be any other address, scheme or host")
		}
	}
}

// resolvePath makes a path of the file absolute: relative ones start in the file's directory.
func (d *decoder) resolvePath(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

func (d *decoder) checkBaseURL(c *Config) {
	if !d.has("base_url") {
		d.at("base_url", "required; for example https://login.example.com")
		return
	}
	normal, err := normalBaseURL(c.BaseURL)
	if err != nil {
		d.at("base_url", err.Error())
		return
	}
	c.BaseURL = normal
	u, err := url.Parse(normal)
	if err != nil || u.Scheme == "https" {
		return
	}
	if c.TLS != nil {
		d.at("base_url", "must begin with https:// where tls is set")
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) {
		c.Warnings = append(c.Warnings, "base_url is plain http on a host that is not this machine: cookies, codes and tokens can be read on the way")
	}
}

// normalBaseURL returns a base URL as browsers write an origin (RFC 6454 section 6.2): lower case, without the scheme's
// own port. A path prefix is refused: the endpoints of the original stand at the root, and
// cookies of two deployments on one host would meet.
func normalBaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return "", errors.New("want an absolute address such as https://login.example.com")
	case u.User != nil:
		return "", errors.New("must not hold a user name or password")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, strings.Contains(s, "#"):
		return "", errors.New("must end after the host and port: no path, query or fragment")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return "", errors.New("the host is not an address")
		}
		host = "[" + a.String() + "]"
	} else if !hostShape.MatchString(host) {
		return "", errors.New("the host must be letters, digits, dots and hyphens (international names as xn--…)")
	}
	own := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if port != "" && !validPort(port, 1) {
		return "", errors.New("the port must be a number from 1 to 65535")
	}
	if port == "" || port == own {
		return u.Scheme + "://" + host, nil
	}
	return u.Scheme + "://" + host + ":" + port, nil
}

func validPort(s string, least uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= least
}

func (d *decoder) checkListeners(c *Config) {
	if c.OperationsListen == "off" {
		c.OperationsListen = ""
	}
	address := func(path, s string) (port string) {
		_, port, err := net.SplitHostPort(s)
		if err != nil || !validPort(port, 0) {
			d.at(path, "want host:port, such as 127.0.0.1:8080, or :8080 for every address of the machine")
		}
		return port
	}
	port := address("listen", c.Listen)
	if c.OperationsListen == "" {
		return
	}
	if address("operations_listen", c.OperationsListen); c.OperationsListen == c.Listen && port != "0" {
		d.at("operations_listen", "must not be the same as listen: its pages are not for the public")
	}
}

func (d *decoder) checkSealingKeys(c *Config) {
	k := &c.SealingKeys
	byFile, byEnv := d.has("sealing_keys.file"), d.has("sealing_keys.env")
	switch {
	case !d.has("sealing_keys"): // Open says what to do
	case byFile == byEnv:
		d.at("sealing_keys", "want exactly one of file and env")
	case byFile && k.File == "":
		d.at("sealing_keys.file", "is empty; want a path")
	case byFile:
		k.File = d.resolvePath(k.File)
	case k.Env == "":
		d.at("sealing_keys.env", "is empty; want the name of an environment variable")
	case k.Create:
		d.at("sealing_keys.create", "only a file can be created; an environment variable cannot")
	}
}

func (d *decoder) checkAdminKeys(c *Config) {
	seen := map[string]bool{}
	for i, k := range c.AdminKeys {
		path := fmt.Sprintf("admin_keys[%d]", i)
		switch id := path + ".access_key_id"; {
		case !d.has(id):
			d.at(id, "required")
		case !keyIDShape.MatchString(k.AccessKeyID):
			d.at(id, "want 1 to 128 letters, digits or _")
		case seen[k.AccessKeyID]:
			d.at(id, "stands twice; each key needs its own id")
		}
		seen[k.AccessKeyID] = true
		switch key := path + ".secret_access_key"; {
		case !d.has(key):
			d.at(key, "required")
		case !k.SecretAccessKey.IsZero() && len(k.SecretAccessKey.Reveal()) < weakSecret:
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is shorter than %d characters and can be guessed", key, weakSecret))
		}
		d.checkPolicy(path, &c.AdminKeys[i])
	}
}

// checkPolicy judges who a key is and what it may do.
func (d *decoder) checkPolicy(path string, k *AdminKey) {
	switch name := path + ".name"; {
	case !d.has(name):
		k.Name = k.AccessKeyID
	case len(k.Name) > maxKeyName || !keyNameShape.MatchString(k.Name):
		d.at(name, "want 1 to 128 letters, digits, single spaces and . _ @ + -")
	}
	if len(k.Allow) == 0 {
		d.at(path+".allow", `required: operations such as ListUsers or List*, or "*" for all`)
	}
	for j, op := range k.Allow {
		if !operationShape.MatchString(op) {
			d.at(fmt.Sprintf("%s.allow[%d]", path, j), `want *, the name of an operation, such as ListUsers, or its beginning and *, such as List*`)
		} else if !namesOperation(op) {
			d.at(fmt.Sprintf("%s.allow[%d]", path, j), "no operation of the API has this name: see docs/api.md")
		}
	}
	if len(k.Allow) > 1 && slices.Contains(k.Allow, "*") {
		d.at(path+".allow", `"*" allows everything; name nothing beside it`)
	}
	if d.has(path+".pools") && len(k.Pools) == 0 {
		d.at(path+".pools", "is empty; name pools, or leave the key out for every pool")
	}
	for j, id := range k.Pools {
		if len(id) > maxPoolID || !poolIDShape.MatchString(id) {
			d.at(fmt.Sprintf("%s.pools[%d]", path, j), "want the id of a pool, such as local_Example01")
		}
	}
}

// namesOperation reports whether an entry of a policy means any operation at all: a slip would quietly allow nothing.
func namesOperation(entry string) bool {
	prefix, open := strings.CutSuffix(entry, "*")
	return slices.ContainsFunc(api.OperationNames(), func(name string) bool {
		return name == entry || open && strings.HasPrefix(name, prefix)
	})
}

func (d *decoder) checkTLS(c *Config) {
	if c.TLS == nil {
		return
	}
	c.TLS.CertFile = d.pemFile("tls.cert_file", c.TLS.CertFile)
	c.TLS.KeyFile = d.pemFile("tls.key_file", c.TLS.KeyFile)
}

func (d *decoder) pemFile(path, file string) string {
	if file == "" {
		d.at(path, "required: the path of a PEM file")
		return ""
	}
	return d.resolvePath(file)
}
