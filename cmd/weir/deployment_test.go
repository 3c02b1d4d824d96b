package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// deployment is a directory with the two files of an installation, and the provider that it signs in with.
type deployment struct {
	t        *testing.T
	provider *oidctest.Provider
	dir      string
	base     string // of the public listener
	ops      string // of the operations listener
}

const (
	poolID       = "local_Example01"
	clientID     = "exampleclient0000000000001"
	clientSecret = "only-for-tests-0123456789"
	callback     = "http://127.0.0.1:1/callback" // nobody listens: browsers stop there
)

// deploy writes the files. The scheme of a deployment with tls: in more is https.
func deploy(t *testing.T, more ...string) *deployment {
	t.Helper()
	d := &deployment{t: t, dir: t.TempDir(), base: "http://" + address(t), ops: "http://" + address(t)}
	if strings.Contains(strings.Join(more, "\n"), "tls:") {
		d.base = "https" + strings.TrimPrefix(d.base, "http")
	}
	d.provider = oidctest.Start(t, oidctest.Config{
		Now: time.Now,
		Clients: []oidctest.Client{{
			ID: "weir", Secret: "upstream-secret", RedirectURIs: []string{d.base + "/oauth2/idpresponse"},
		}},
		People: []oidctest.Person{{
			Username: "ada", Password: "river-otter", Subject: "subject-ada", Claims: map[string]any{"email": "ada@example.com"},
		}},
	})
	d.write("weir.yaml", fmt.Sprintf(`
base_url: %s
listen: %s
operations_listen: %s
store: bolt:weir.db
sealing_keys: {file: sealing.keys, create: true}
apply: [pool.yaml]
outgoing: {allow_private: true}
`, d.base, host(d.base), host(d.ops))+strings.Join(more, "\n"))
	d.write("pool.yaml", fmt.Sprintf(`
UserPools:
- PoolName: example
  Id: %s
  IdentityProviders:
  - ProviderName: Corp
    ProviderType: OIDC
    ProviderDetails: {client_id: weir, client_secret: upstream-secret, oidc_issuer: %q, authorize_scopes: openid email}
    AttributeMapping: {email: email}
  Clients:
  - ClientName: web
    ClientId: %s
    ClientSecret: %s
    CallbackURLs: [%q]
    AllowedOAuthFlows: [code]
    AllowedOAuthScopes: [openid, email]
    SupportedIdentityProviders: [Corp]
`, poolID, d.provider.Issuer(), clientID, clientSecret, callback))
	return d
}

func address(t *testing.T) string {
	t.Helper()
	a, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func host(base string) string { return base[strings.Index(base, "//")+2:] }

func (d *deployment) path(name string) string { return filepath.Join(d.dir, name) }

func (d *deployment) write(name, body string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(body), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deployment) read(name string) string {
	d.t.Helper()
	body, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(body)
}

// serve runs the deployment and returns when it is ready.
func (d *deployment) serve() *process {
	d.t.Helper()
	p := start(d.t, "serve", "--config", d.path("weir.yaml"))
	d.awaitReady(http.StatusOK)
	return p
}

func (d *deployment) awaitReady(status int) {
	d.t.Helper()
	if err := awaitStatus(d.t.Context(), d.ops+"/readyz", status); err != nil {
		d.t.Fatal(err)
	}
}

// begin goes to the provider, signs in, and returns the address there that leads back to Weir.
func (d *deployment) begin(b *browser) string {
	d.t.Helper()
	b.stopAt = d.provider.Issuer()
	authorize := d.oauth().AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier))
	at, err := oidctest.SignIn(d.t.Context(), &b.client, b.open(authorize).url.String(), "ada", "river-otter")
	if err != nil {
		d.t.Fatal(err)
	}
	b.stopAt = callback
	return at.URL.String()
}

const verifier = "a-verifier-of-at-least-43-characters-0123456789"

func (d *deployment) oauth() *oauth2.Config {
	return &oauth2.Config{
		ClientID: clientID, ClientSecret: clientSecret, RedirectURL: callback, Scopes: []string{"openid", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: d.base + "/oauth2/authorize", TokenURL: d.base + "/oauth2/token"},
	}
}

// signIn goes all the way and returns the verified ID token.
func (d *deployment) signIn(b *browser) *oidc.IDToken {
	d.t.Helper()
	ctx := oidc.ClientContext(d.t.Context(), &b.client)
	at := b.open(d.begin(b))
	code := at.url.Query().Get("code")
	if !strings.HasPrefix(at.url.String(), callback) || code == "" {
		d.t.Fatalf("%s: %d %s", at.url, at.status, at.body)
	}
	tokens, err := d.oauth().Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		d.t.Fatal(err)
	}
	issuer, err := oidc.NewProvider(ctx, d.base+"/"+poolID)
	if err != nil {
		d.t.Fatal(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := issuer.Verifier(&oidc.Config{ClientID: clientID}).Verify(ctx, raw)
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// certificate writes cert.pem and key.pem for the loopback address, and returns the certificate.
func (d *deployment) certificate(serial int64) *x509.Certificate {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "weir"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		d.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	d.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	d.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		d.t.Fatal(err)
	}
	return cert
}

// trust makes the browser accept that certificate alone.
func (b *browser) trust(cert *x509.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	b.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
}

// served is the serial number of the certificate that a new connection gets.
func (d *deployment) served(ctx context.Context) (int64, error) {
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", host(d.base))
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // the handshake is all that is wanted
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}
