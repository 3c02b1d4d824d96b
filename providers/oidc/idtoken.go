package oidc

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/mapping"
)

const (
	maxSubject = 255              // OpenID Connect Core section 2
	maxSession = 1024             // bytes of sid, which every grant of the sign-in keeps
	maxIDAge   = time.Hour        // of an ID token that was made for a sign-in of a few minutes
	maxIDToken = 256 << 10        // bytes
	farFuture  = 253_402_300_799. // 9999-12-31, in seconds: the last time that is one
)

// idToken is a verified ID token.
type idToken struct {
	raw      string
	payload  []byte
	checked  *gooidc.IDToken
	claims   mapping.Claims
	subject  string
	authTime time.Time // zero if not said
	session  string    // sid
}

// signed is the go-oidc key set of one verification. It keeps what go-oidc's errors do not carry: the
// typed error of the key set, and the payload once its signature is good.
type signed struct {
	md      *metadata
	payload []byte
	err     error
	jws     *jose.JSONWebSignature
}

// VerifySignature implements gooidc.KeySet.
func (s *signed) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, s.md.algorithms)
	if err != nil {
		s.err = fmt.Errorf("%w: %w", ErrSignature, brief{err})
		return nil, s.err
	}
	s.jws = jws
	s.payload, s.err = s.md.keys.verify(ctx, jws)
	return s.payload, s.err
}

// demand is what an ID token has to be: for whom, how young, and made for which request.
type demand struct {
	clients []string // whom it may be for, and whom it may have been issued to
	// native: it was not made for the client of the settings, so that of the two checks of the audience ours stands alone.
	native bool
	maxAge time.Duration // since iat, beside the skew
	nonce  func(claims mapping.Claims) bool
	// attempt has what auth_time has to show; it is zero where nobody was sent to the provider.
	attempt federation.Attempt
}

// solicited is the demand on the ID token that answers an attempt.
func (p *Provider) solicited(a federation.Attempt) demand {
	return demand{clients: []string{p.s.clientID}, maxAge: maxIDAge, attempt: a, nonce: func(claims mapping.Claims) bool {
		nonce, _ := claims["nonce"].(string)
		return subtle.ConstantTimeCompare([]byte(nonce), []byte(a.Nonce)) == 1
	}}
}

// verifyIDToken does OpenID Connect Core section 3.1.3.7 in full, but for at_hash. Two checkers stand behind each other: go-oidc
// for form, algorithm, signature, issuer, audience and expiry, and the checks below, which
// are stricter, know the attempt and give each failure its name. A token passes both.
func (p *Provider) verifyIDToken(ctx context.Context, md *metadata, d demand, raw string) (idToken, error) {
	if raw == "" || len(raw) > maxIDToken {
		return idToken{}, unverified(fmt.Errorf("%w: %d bytes", ErrIDToken, len(raw)))
	}
	s := &signed{md: md}
	cfg := *md.verifier
	cfg.SkipClientIDCheck = d.native
	checked, err := gooidc.NewVerifier(p.s.issuer, s, &cfg).Verify(ctx, raw)
	switch {
	case s.err != nil:
		return idToken{}, asUnverified(s.err)
	case s.payload == nil: // refused before its signature was looked at: not a JWS, or its algorithm is not allowed
		return idToken{}, unverified(fmt.Errorf("%w: %w", ErrSignature, brief{err}))
	}
	claims, bad := object(s.payload)
	if bad != nil {
		return idToken{}, unverified(fmt.Errorf("%w: %w", ErrIDToken, brief{bad}))
	}
	l := trace.From(ctx)
	noteSignature(l, s.jws)
	id := idToken{raw: raw, payload: s.payload, checked: checked, claims: claims}
	if err := p.check(d, &id, l); err != nil {
		p.noteFailed(ctx, err, selfClaims(claims)...)
		return idToken{}, err
	}
	if err != nil { // go-oidc's, which none of ours has named
		return idToken{}, unverified(fmt.Errorf("%w: %w", ErrIDToken, brief{err}))
	}
	return id, nil
}

// checkAccess holds the access token of the same answer against at_hash.
func (id *idToken) checkAccess(access secret.Text) error {
	if id.claims["at_hash"] == nil {
		return nil
	}
	if err := id.checked.VerifyAccessToken(access.Reveal()); err != nil {
		return unverified(fmt.Errorf("%w: %w", ErrAtHash, err))
	}
	return nil
}

// asUnverified keeps the code of a fault (the key set could not be fetched) and makes one of a plain error.
func asUnverified(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	return unverified(err)
}

// check verifies the claims and reads what the identity is made of.
func (p *Provider) check(d demand, id *idToken, l *trace.Login) error {
	want := p.s.issuer
	if iss, ok := id.claims["iss"].(string); ok && slices.Contains(p.s.rules.Aliases, iss) {
		id.claims["iss"] = want
	}
	if p.s.rules.Issuer != nil {
		want = p.s.rules.Issuer(maps.Clone(id.claims))
	}
	if iss, _ := id.claims["iss"].(string); want == "" || iss != want {
		return unverified(fmt.Errorf("%w: ID token is of %s, the provider is %q", ErrIssuer, quote(iss), want))
	}
	l.Pass(stepIssuer, "iss", want)
	if err := checkAudience(id.claims, d.clients); err != nil {
		return unverified(err)
	}
	l.Pass(stepAudience)
	if err := p.checkTimes(id.claims, d.maxAge); err != nil {
		return unverified(err)
	}
	l.Pass(stepTimes)
	without := id.claims["nonce"] == nil && p.s.rules.NonceOptional != nil && p.s.rules.NonceOptional(maps.Clone(id.claims))
	if !without && !d.nonce(id.claims) {
		return fault.New(fault.Invalid, publicForeign, fmt.Errorf("%w: not that of the request", ErrNonce))
	}
	if without {
		l.Skip(stepNonce)
	} else {
		l.Pass(stepNonce)
	}
	if err := p.checkAuthTime(d.attempt, id); err != nil {
		return unverified(err)
	}
	id.subject, _ = id.claims["sub"].(string)
	if !goodSubject(id.subject) {
		return unverified(fmt.Errorf("%w: %d bytes", ErrSubject, len(id.subject)))
	}
	if id.session, _ = id.claims["sid"].(string); len(id.session) > maxSession {
		return unverified(fmt.Errorf("%w: sid of %d bytes", ErrIDToken, len(id.session)))
	}
	return nil
}

// checkAudience does steps 3 to 5: the token is for one of these clients, and where it says whom it was issued to, or is for others
// too, it was issued to one of these.
func checkAudience(claims mapping.Claims, clients []string) error {
	ours := func(id string) bool { return slices.Contains(clients, id) }
	aud := stringsOf(claims["aud"])
	if !slices.ContainsFunc(aud, ours) {
		return fmt.Errorf("%w: without this client", ErrAudience)
	}
	azp, said := claims["azp"]
	if !said && len(aud) > 1 {
		return fmt.Errorf("%w: absent, with %d audiences", ErrParty, len(aud))
	}
	if party, _ := azp.(string); said && !ours(party) {
		return fmt.Errorf("%w: another client", ErrParty)
	}
	return nil
}

// checkTimes does steps 9 and 10, with the configured skew to either side.
func (p *Provider) checkTimes(claims mapping.Claims, maxAge time.Duration) error {
	now := p.now()
	exp, ok := timeOf(claims["exp"])
	if !ok || !now.Before(exp.Add(p.s.skew)) {
		return fmt.Errorf("%w: exp %s", ErrExpired, exp.UTC().Format(time.RFC3339))
	}
	if claims["nbf"] != nil {
		if nbf, ok := timeOf(claims["nbf"]); !ok || now.Add(p.s.skew).Before(nbf) {
			return fmt.Errorf("%w: nbf %s", ErrNotYet, nbf.UTC().Format(time.RFC3339))
		}
	}
	iat, ok := timeOf(claims["iat"])
	if !ok || now.Add(p.s.skew).Before(iat) || now.Sub(iat) > maxAge+p.s.skew {
		return fmt.Errorf("%w: iat %s", ErrIssuedAt, iat.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkAuthTime does step 13. The authorization request went through the person's browser, so that max_age and
// prompt=login may have been taken out of it: only auth_time shows that they were honoured.
func (p *Provider) checkAuthTime(a federation.Attempt, id *idToken) error {
	at, ok := timeOf(id.claims["auth_time"])
	if ok && p.now().Add(p.s.skew).Before(at) {
		return fmt.Errorf("%w: in the future", ErrAuthTime)
	}
	if ok {
		id.authTime = at
	}
	if limit := a.Request.MaxAge; limit != nil {
		if !ok {
			return fmt.Errorf("%w: absent, with max_age", ErrAuthTime)
		}
		// The limit counts from the request: a person may take a while between it and the callback.
		if a.Started.Sub(at) > time.Duration(*limit)*time.Second+p.s.skew {
			return fmt.Errorf("%w: older than max_age", ErrAuthTime)
		}
	}
	if ok && slices.Contains(a.Request.Prompt, "login") && a.Started.Sub(at) > p.s.skew {
		return fmt.Errorf("%w: before the attempt, with prompt=login", ErrAuthTime)
	}
	return nil
}

// goodSubject admits 1 to 255 bytes of text. The replacement character stands for bytes that were not UTF-8: two
// people could meet in it.
func goodSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}

// object decodes one JSON object, numbers as json.Number: large ones keep every digit.
func object(data []byte) (mapping.Claims, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var claims mapping.Claims
	if err := dec.Decode(&claims); err != nil {
		return nil, err
	}
	if claims == nil {
		return nil, errors.New("null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return claims, nil
}

// timeOf reads a NumericDate (RFC 7519 section 2).
func timeOf(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > farFuture {
		return time.Time{}, false
	}
	return time.Unix(int64(math.Floor(f)), 0), true
}

// stringsOf reads a claim that is a string or a list of strings (RFC 7519 section 4.1.3); anything else is nil.
func stringsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil
			}
			list = append(list, s)
		}
		return list
	}
	return nil
}
