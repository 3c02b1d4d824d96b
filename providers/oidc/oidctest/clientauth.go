package oidctest

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var (
	authMethods         = []AuthMethod{SecretBasic, SecretPost, PrivateKeyJWT, NoAuth}
	assertionAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
)

const (
	assertionType    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionMaxLife = time.Hour // bounds the memory of jti values
)

func invalidClient(description string) *oauthError {
	return &oauthError{status: http.StatusUnauthorized, code: "invalid_client", description: description}
}

// authenticate returns the client that proved itself, by its registered method and no
// other (RFC 6749 section 2.3: one method per request).
func (p *Provider) authenticate(r *http.Request) (Client, error) {
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		if len(r.PostForm[name]) > 1 {
			return Client{}, refuse("invalid_request", name+" was sent more than once.")
		}
	}
	user, password, basic := r.BasicAuth()
	secret, assertion := r.PostForm.Get("client_secret"), r.PostForm.Get("client_assertion")
	method, id := NoAuth, r.PostForm.Get("client_id")
	used := 0
	if basic {
		// RFC 6749 section 2.3.1: both halves are form-urlencoded inside the header.
		var errUser, errPassword error
		id, errUser = url.QueryUnescape(user)
		secret, errPassword = url.QueryUnescape(password)
		if errUser != nil || errPassword != nil {
			return Client{}, invalidClient("The credentials are not form-urlencoded.")
		}
		method, used = SecretBasic, used+1
	}
	if r.PostForm.Has("client_secret") {
		method, used = SecretPost, used+1
	}
	if assertion != "" {
		method, used = PrivateKeyJWT, used+1
		if id == "" {
			id = assertedClient(assertion)
		}
	}
	if used > 1 {
		return Client{}, refuse("invalid_request", "More than one method of client authentication was used.")
	}
	client, ok := p.client(id)
	switch {
	case !ok:
		return Client{}, invalidClient("The client is not registered.")
	case basic && r.PostForm.Has("client_id") && r.PostForm.Get("client_id") != id:
		return Client{}, refuse("invalid_request", "The client_id is not the authenticated client's.")
	case client.Auth != method:
		return Client{}, invalidClient("The client is registered for another method: " + string(client.Auth) + ".")
	}
	switch method {
	case SecretBasic, SecretPost:
		if subtle.ConstantTimeCompare([]byte(client.Secret), []byte(secret)) != 1 {
			return Client{}, invalidClient("The client secret is not right.")
		}
	case PrivateKeyJWT:
		if r.PostForm.Get("client_assertion_type") != assertionType {
			return Client{}, invalidClient("The client_assertion_type is not " + assertionType + ".")
		}
		return client, p.checkAssertion(client, assertion)
	case NoAuth:
	}
	return client, nil
}

// assertedClient reads who an assertion claims to be from; nothing is proven yet.
func assertedClient(assertion string) string {
	token, err := jwt.ParseSigned(assertion, assertionAlgorithms)
	if err != nil {
		return ""
	}
	var claims jwt.Claims
	if token.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.Subject
}

// checkAssertion verifies a client assertion as RFC 7523 section 3 and OpenID Connect
// Core section 9 ask.
func (p *Provider) checkAssertion(client Client, assertion string) error {
	token, err := jwt.ParseSigned(assertion, assertionAlgorithms)
	if err != nil {
		return invalidClient("The client_assertion is not a signed JWT.")
	}
	var claims jwt.Claims
	if err := token.Claims(client.PublicKey, &claims); err != nil {
		return invalidClient("The client_assertion does not verify with the client's key.")
	}
	now := p.cfg.Now()
	audienceOK := slices.Contains(claims.Audience, p.cfg.Issuer) ||
		slices.Contains(claims.Audience, p.cfg.Issuer+string(EndpointToken))
	switch {
	case claims.Issuer != client.ID || claims.Subject != client.ID:
		return invalidClient("The iss and sub of the client_assertion must be the client_id.")
	case !audienceOK:
		return invalidClient("The aud of the client_assertion is neither the issuer nor the token endpoint.")
	case claims.Expiry == nil || !now.Before(claims.Expiry.Time()):
		return invalidClient("The client_assertion has expired, or has no exp.")
	case claims.Expiry.Time().After(now.Add(assertionMaxLife)):
		return invalidClient("The client_assertion lives longer than an hour.")
	case claims.NotBefore != nil && now.Before(claims.NotBefore.Time()):
		return invalidClient("The client_assertion is not valid yet.")
	case claims.ID == "":
		return invalidClient("The client_assertion has no jti.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := client.ID + " " + claims.ID
	if _, replayed := p.state.assertions[seen]; replayed {
		return invalidClient("The client_assertion was used before.")
	}
	p.state.assertions[seen] = claims.Expiry.Time()
	return nil
}
