package server_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/server/servertest"
)

// An ordinary relying party, which knows the issuer's address and nothing else of Weir, gets a person signed in.
func TestLoginWithAnOrdinaryRelyingParty(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			clock := servertest.NewClock()
			spec := servertest.Example(servertest.Provider("Corp", servertest.OIDC(t, clock)))
			spec.UserPools[0].SigningAlgorithm = alg
			w := servertest.Start(t, servertest.Options{Spec: spec, BaseURL: servertest.HTTPS, Clock: clock})
			ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: w.Transport()})
			provider, err := oidc.NewProvider(ctx, w.URL+"/"+servertest.PoolID)
			if err != nil {
				t.Fatal(err)
			}
			rp := oauth2.Config{
				ClientID: servertest.WebClient, ClientSecret: servertest.WebSecret, Endpoint: provider.Endpoint(),
				RedirectURL: servertest.WebURI, Scopes: []string{"openid", "email"},
			}
			verifier := oauth2.GenerateVerifier()
			back := w.Browser().SignIn(rp.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce")), servertest.As("ada"))
			if got := back.Params(); got.Get("state") != "the state" || got.Get("iss") != w.URL+"/"+servertest.PoolID {
				t.Fatalf("answer %d to %v: %s", back.Status, back.Location, back.Body)
			}
			checkTokens(ctx, t, w, provider, rp, back.Params().Get("code"), verifier)
		})
	}
}

func checkTokens(ctx context.Context, t *testing.T, w *servertest.Weir, provider *oidc.Provider, rp oauth2.Config, code, verifier string) {
	t.Helper()
	tokens, err := rp.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: rp.ClientID, Now: w.Clock.Now}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != "the nonce" || id.VerifyAccessToken(tokens.AccessToken) != nil {
		t.Errorf("nonce %q, at_hash %v", id.Nonce, id.VerifyAccessToken(tokens.AccessToken))
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != id.Subject || info.Email != "ada@corp.example" || !info.EmailVerified {
		t.Errorf("userinfo %+v, ID token of %s", info, id.Subject)
	}
	tokens.Expiry = w.Clock.Now().AddDate(-1, 0, 0) // the library's own clock decides: long over
	again, err := rp.TokenSource(ctx, tokens).Token()
	if err != nil || again.AccessToken == tokens.AccessToken || again.RefreshToken != tokens.RefreshToken {
		t.Errorf("refresh: %v", err)
	}
}
