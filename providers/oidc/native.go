package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

const (
	// maxNativeAge bounds the age of an ID token that an app brings. An app brings it as soon as the provider's SDK has signed a person in, and
	// lives on our refresh token afterwards. SDKs keep an ID token for as long as it is valid (an hour at Google, a day at Apple) and give it again
	// without asking anybody: an older one proves that somebody signed in then, and may have been copied since.
	maxNativeAge = 10 * time.Minute

	proofMargin = time.Minute // for nodes whose clocks differ, beside the skew

	publicBrought = "The ID token could not be verified."
)

var _ federation.TokenVerifier = (*Provider)(nil)

// VerifyToken implements federation.TokenVerifier for providers with native_client_ids. The token is checked as that of a sign-in of ours is, with
// these differences: it is for one of native_client_ids, and where it has azp, that is one of them too; it is ten minutes old at most; it
// answers no attempt, so that a nonce is compared with the one that the app brings. Neither userinfo nor further interfaces are
// asked, because there is no access token: at_hash says nothing here.
func (p *Provider) VerifyToken(ctx context.Context, raw secret.Text, nonce string) (federation.Identity, federation.Proof, error) {
	if len(p.s.native) == 0 {
		return federation.Identity{}, federation.Proof{}, federation.NotNative("native_client_ids is not set")
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	md, err := p.describe(ctx)
	if err != nil {
		return federation.Identity{}, federation.Proof{}, err
	}
	id, err := p.verifyIDToken(ctx, md, p.brought(nonce), raw.Reveal())
	if err != nil {
		p.noteFailed(ctx, err)
		return federation.Identity{}, federation.Proof{}, asBrought(err)
	}
	// Before the rules change the claims.
	proof := p.proof(id)
	if name := p.s.rules.Subject; name != "" && id.claims[name] == nil {
		id.claims[name] = id.subject // what the provider's own interface calls it
	}
	who, err := p.identity(id, federation.UpstreamTokens{}, federation.Response{})
	return who, proof, err
}

// brought is the demand on an ID token that an app brings.
func (p *Provider) brought(nonce string) demand {
	return demand{clients: p.s.native, native: true, maxAge: maxNativeAge, nonce: func(claims mapping.Claims) bool {
		if claims["nonce"] == nil {
			return nonce == "" // without it in the token, nothing binds the token to the app's request
		}
		said, _ := claims["nonce"].(string)
		return said != "" && nonce != "" && nonceMatches(said, nonce)
	}}
}

// nonceMatches: apps give the SDK a nonce as it is, or its SHA-256 in hexadecimal, so that a token alone does not show the nonce.
func nonceMatches(said, nonce string) bool {
	sum := sha256.Sum256([]byte(nonce))
	plain := subtle.ConstantTimeCompare([]byte(said), []byte(nonce))
	hashed := subtle.ConstantTimeCompare([]byte(said), []byte(hex.EncodeToString(sum[:])))
	return plain|hashed == 1
}

// asBrought says that it is the app's token which is wrong; what is the provider's fault, its keys not to be had, stays.
func asBrought(err error) error {
	if errors.Is(err, ErrKeys) || errors.Is(err, ErrDiscovery) {
		return err
	}
	var f *fault.Error
	if errors.As(err, &f) && f.Cause != nil {
		err = f.Cause // whose sentence is for a person at a browser
	}
	return fault.New(fault.Invalid, publicBrought, err)
}

// proof names the token by what its signature covers. Of the text alone there can be others with the same meaning: the last character of
// a part in base64url may have unused bits, and to an ECDSA signature (r, s) there is (r, n-s).
func (p *Provider) proof(id idToken) federation.Proof {
	sum := sha256.Sum256(id.payload)
	until, _ := timeOf(id.claims["exp"]) // both were checked
	if iat, _ := timeOf(id.claims["iat"]); iat.Add(maxNativeAge).Before(until) {
		until = iat.Add(maxNativeAge)
	}
	return federation.Proof{
		ID:    fmt.Sprintf("%s %s", textOf(id.claims["iss"]), base64.RawURLEncoding.EncodeToString(sum[:])),
		Until: until.Add(p.s.skew + proofMargin),
	}
}
