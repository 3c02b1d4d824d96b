package oidc

import (
	"context"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/mapping"
)

// protected are the claims by which an ID token speaks of itself and of the sign-in. Userinfo neither
// replaces nor adds them: they count because they were signed for this attempt.
var protected = []string{
	"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "amr", "sid",
	"cnf", "events", "_claim_names", "_claim_sources",
}

// vouched are the claims that vouch for another one, by the claim they vouch for.
var vouched = map[string]string{"email": "email_verified", "phone_number": "phone_number_verified"}

// fetchUserInfo returns the verified claims of the userinfo endpoint (OpenID Connect Core section 5.3) about subject.
func (p *Provider) fetchUserInfo(ctx context.Context, md *metadata, accessToken, subject string) (mapping.Claims, error) {
	header := http.Header{"Authorization": {"Bearer " + accessToken}, "Accept": {"application/json, application/jwt"}}
	body, contentType, err := fetch(ctx, p.http, ErrUserInfo, p.s.userInfoMethod, md.userInfoURL, header)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(contentType) // an unreadable type is not that of a JWT
	isJWT := kind == "application/jwt"
	if isJWT {
		if body, err = md.payload(ctx, body); err != nil {
			return nil, asUnverified(err)
		}
	}
	claims, err := object(body)
	if err != nil {
		return nil, badAnswer(ErrUserInfo, brief{err})
	}
	if isJWT {
		if err := p.checkSignedInfo(claims); err != nil {
			return nil, unverified(err)
		}
	}
	// Section 5.3.2: without the same sub, the answer must not be used.
	if sub, _ := claims["sub"].(string); sub != subject {
		return nil, unverified(ErrUserInfoSubject)
	}
	return claims, nil
}

// payload returns what a signed userinfo answer says.
func (md *metadata) payload(ctx context.Context, body []byte) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(strings.TrimSpace(string(body)), md.algorithms)
	if err != nil {
		return nil, fmt.Errorf("%w: userinfo: %w", ErrSignature, brief{err})
	}
	return md.keys.verify(ctx, jws)
}

// checkSignedInfo checks what section 5.3.2 puts into a signed answer, where it is there.
func (p *Provider) checkSignedInfo(claims mapping.Claims) error {
	if iss, said := claims["iss"]; said && iss != p.s.issuer {
		return fmt.Errorf("%w: of signed userinfo", ErrIssuer)
	}
	if aud, said := claims["aud"]; said && !slices.Contains(stringsOf(aud), p.s.clientID) {
		return fmt.Errorf("%w: of signed userinfo", ErrAudience)
	}
	if v, said := claims["exp"]; said {
		if exp, ok := timeOf(v); !ok || !p.now().Before(exp.Add(p.s.skew)) {
			return fmt.Errorf("%w: signed userinfo, exp %s", ErrExpired, exp.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// merge lays userinfo over the ID token's claims. An address and the word for it come from the same place:
// where userinfo has an address, the ID token's word counts only if it was given for the same one, and then both
// have to vouch. Where userinfo has none, its word is dropped. A null is an absent claim (section 5.3.2).
func merge(id, info mapping.Claims) mapping.Claims {
	merged := maps.Clone(id)
	for name, value := range info {
		if value != nil && !slices.Contains(protected, name) {
			merged[name] = value
		}
	}
	for name, verified := range vouched {
		word, said := pick(id, info, name, verified)
		if said {
			merged[verified] = word
		} else {
			delete(merged, verified)
		}
	}
	return merged
}

// pick returns the word that goes with the merged claim called name.
func pick(id, info mapping.Claims, name, verified string) (any, bool) {
	ours, theirs := id[name], info[name]
	if theirs == nil {
		word, said := id[verified]
		return word, said
	}
	word, said := info[verified]
	a, aok := ours.(string)
	b, bok := theirs.(string)
	if !aok || !bok || a != b {
		return word, said
	}
	if !said || word == nil {
		word, said = id[verified]
		return word, said
	}
	if own, ok := id[verified]; ok && !yes(own) {
		return own, true
	}
	return word, said
}

// yes reports whether a word vouches. Some providers write it as a string.
func yes(word any) bool { return word == true || word == "true" }

// withoutOrphans drops words for addresses that are not there: in a pool that keeps an earlier
// address, they would vouch for that one.
func withoutOrphans(claims mapping.Claims) mapping.Claims {
	for name, verified := range vouched {
		if address, ok := claims[name].(string); !ok || address == "" {
			delete(claims, verified)
		}
	}
	return claims
}
