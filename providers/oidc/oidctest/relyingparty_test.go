package oidctest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

const (
	redirectURI = "http://rp.example/callback?fixed=1"
	afterLogout = "http://rp.example/bye"
)

var ada = oidctest.Person{
	Username: "ada", Password: "river-otter", Subject: "subject-ada",
	Claims: map[string]any{
		"name": "Ada Brook", "email": "ada@riverbank.example", "email_verified": true,
		"phone_number": "+1", "groups": []string{"staff", "library"},
	},
}

// sharedRSA is generated once: it is the dear part of a provider.
var sharedRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := sharedRSA()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func confidential() oidctest.Client {
	return oidctest.Client{
		ID: "shop", Name: "The Shop", Secret: "s3cret", AlwaysRefresh: true,
		RedirectURIs: []string{redirectURI}, PostLogoutRedirectURIs: []string{afterLogout},
	}
}

// start runs a provider that signs with ES256, the cheapest.
func start(t *testing.T, clients ...oidctest.Client) *oidctest.Provider {
	t.Helper()
	return oidctest.Start(t, oidctest.Config{
		Name: "Riverbank University", Clients: clients, Now: time.Now, Algorithm: jose.ES256,
		People: []oidctest.Person{ada, {Username: "ben", Password: "heron", Subject: "subject-ben"}},
	})
}

// relyingParty is an independent one: go-oidc and x/oauth2.
type relyingParty struct {
	t        *testing.T
	browser  *http.Client
	config   oauth2.Config
	provider *oidc.Provider
	verifier string
}

func newRelyingParty(t *testing.T, p *oidctest.Provider, c oidctest.Client) *relyingParty {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), p.Issuer())
	if err != nil {
		t.Fatalf("discovery: %v", err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if c.Auth != "" && c.Auth != oidctest.SecretBasic {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &relyingParty{
		t: t, browser: &http.Client{Jar: jar}, provider: provider, verifier: oauth2.GenerateVerifier(),
		config: oauth2.Config{
			ClientID: c.ID, ClientSecret: c.Secret, Endpoint: endpoint, RedirectURL: redirectURI,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
		},
	}
}

func (rp *relyingParty) authorizeURL(opts ...oauth2.AuthCodeOption) string {
	opts = append([]oauth2.AuthCodeOption{oidc.Nonce("nonce-1"), oauth2.S256ChallengeOption(rp.verifier)}, opts...)
	return rp.config.AuthCodeURL("state-1", opts...)
}

func (rp *relyingParty) signIn(opts ...oauth2.AuthCodeOption) url.Values {
	rp.t.Helper()
	callback, err := oidctest.SignIn(rp.t.Context(), rp.browser, rp.authorizeURL(opts...), ada.Username, ada.Password)
	if err != nil {
		rp.t.Fatalf("sign in: %v", err)
	}
	return callback.Params()
}

func (rp *relyingParty) exchange(code string, opts ...oauth2.AuthCodeOption) (*oauth2.Token, error) {
	opts = append([]oauth2.AuthCodeOption{oauth2.VerifierOption(rp.verifier)}, opts...)
	return rp.config.Exchange(rp.t.Context(), code, opts...)
}

// finish exchanges the code and verifies the ID token in full.
func (rp *relyingParty) finish(code string, opts ...oauth2.AuthCodeOption) (*oauth2.Token, *oidc.IDToken) {
	rp.t.Helper()
	token, err := rp.exchange(code, opts...)
	if err != nil {
		rp.t.Fatalf("exchange: %v", err)
	}
	idToken, err := rp.verify(token)
	if err != nil {
		rp.t.Fatalf("verify: %v", err)
	}
	if idToken.Nonce != "nonce-1" {
		rp.t.Fatalf("nonce = %q", idToken.Nonce)
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
		rp.t.Fatalf("at_hash: %v", err)
	}
	return token, idToken
}

func (rp *relyingParty) verify(token *oauth2.Token) (*oidc.IDToken, error) {
	raw, _ := token.Extra("id_token").(string)
	return rp.provider.Verifier(&oidc.Config{ClientID: rp.config.ClientID}).Verify(rp.t.Context(), raw)
}
