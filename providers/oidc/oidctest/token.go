package oidctest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// codeVerifier is the syntax of RFC 7636 section 4.1.
var codeVerifier = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	body, err := p.exchange(r)
	if err != nil {
		writeOAuthError(w, err)
		return
	}
	if alter := p.currentFaults().TokenResponse; alter != nil {
		alter(body)
	}
	writeJSON(w, http.StatusOK, body)
}

func (p *Provider) exchange(r *http.Request) (map[string]any, error) {
	client, err := p.authenticate(r)
	if err != nil {
		return nil, err
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, refuse("invalid_request", name+" was sent more than once.")
		}
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		return p.exchangeCode(client, r.PostForm)
	case "refresh_token":
		return p.exchangeRefresh(client, r.PostForm)
	case "":
		return nil, refuse("invalid_request", "A grant_type is required.")
	default:
		return nil, refuse("unsupported_grant_type", "The grant_type must be authorization_code or refresh_token.")
	}
}

func (p *Provider) exchangeCode(client Client, form url.Values) (map[string]any, error) {
	c, err := p.spendCode(client, form.Get("code"))
	if err != nil {
		return nil, err
	}
	if form.Get("redirect_uri") != c.request.redirectURI {
		return nil, refuse("invalid_grant", "The redirect_uri is not the one of the authorization request.")
	}
	if err := checkVerifier(c.request.challenge, form.Get("code_verifier")); err != nil {
		return nil, err
	}
	withRefresh := client.AlwaysRefresh || slices.Contains(c.grant.scopes, "offline_access")
	return p.issue(client, c.grant, c.grant.scopes, c.request.nonce, withRefresh)
}

// spendCode takes the code before anything is given for it: of two requests with one
// code a single one wins, and the second ends what the first was given (RFC 6749
// section 4.1.2). A wrong client does not spend another one's code.
func (p *Provider) spendCode(client Client, value string) (*code, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.state.codes[value]
	switch {
	case !ok:
		return nil, refuse("invalid_grant", "The code is not known.")
	case c.grant.client != client.ID:
		return nil, refuse("invalid_grant", "The code was given to another client.")
	case c.spent:
		c.grant.ended = true
		return nil, refuse("invalid_grant", "The code was used before; what it gave is revoked.")
	case !p.cfg.Now().Before(c.expires):
		return nil, refuse("invalid_grant", "The code has expired.")
	}
	c.spent = true
	return c, nil
}

func checkVerifier(challenge, verifier string) error {
	switch {
	case challenge == "" && verifier == "":
		return nil
	case challenge == "":
		// RFC 9700 section 2.1.1: a verifier without a challenge is a downgrade.
		return refuse("invalid_grant", "A code_verifier was sent for a request without code_challenge.")
	case !codeVerifier.MatchString(verifier):
		return refuse("invalid_grant", "A code_verifier of 43 to 128 characters is required.")
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) != 1 {
		return refuse("invalid_grant", "The code_verifier does not match the code_challenge.")
	}
	return nil
}

func (p *Provider) exchangeRefresh(client Client, form url.Values) (map[string]any, error) {
	g, err := p.spendRefresh(client, form.Get("refresh_token"))
	if err != nil {
		return nil, err
	}
	scopes := g.scopes
	if form.Get("scope") != "" {
		scopes = strings.Fields(form.Get("scope"))
		if slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(g.scopes, s) }) {
			return nil, refuse("invalid_scope", "The scope is wider than what was granted.")
		}
	}
	// OpenID Connect Core section 12.2: no nonce in an ID token from a refresh.
	return p.issue(client, g, scopes, "", true)
}

// spendRefresh rotates: a refresh token works once, and its reuse ends the whole
// grant, since one of its two holders is a thief (RFC 9700 section 4.14.2).
func (p *Provider) spendRefresh(client Client, value string) (*grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.state.refresh[value]
	switch {
	case !ok || t.grant.ended || !p.cfg.Now().Before(t.expires):
		return nil, refuse("invalid_grant", "The refresh token is not valid.")
	case t.grant.client != client.ID:
		return nil, refuse("invalid_grant", "The refresh token was given to another client.")
	case t.spent:
		t.grant.ended = true
		return nil, refuse("invalid_grant", "The refresh token was used before; its sign-in is ended.")
	}
	t.spent = true
	p.state.refresh[value] = t
	return t.grant, nil
}

// issue mints the token response of a grant.
func (p *Provider) issue(client Client, g *grant, scopes []string, nonce string, withRefresh bool) (map[string]any, error) {
	now, access := p.cfg.Now(), randomID()
	if client.JWTAccessToken {
		var err error
		if access, err = p.jwtAccessToken(g, scopes, now); err != nil {
			return nil, err
		}
	}
	body := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()),
		"scope": strings.Join(scopes, " "),
	}
	if slices.Contains(scopes, "openid") {
		idToken, err := p.idToken(client, g, scopes, nonce, access, now)
		if err != nil {
			return nil, err
		}
		body["id_token"] = idToken
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.sweep(now)
	p.state.access[access] = accessToken{grant: g, scopes: scopes, expires: now.Add(tokenLife)}
	if withRefresh {
		refresh := randomID()
		p.state.refresh[refresh] = refreshToken{grant: g, expires: now.Add(refreshLife)}
		body["refresh_token"] = refresh
	}
	return body, nil
}

func (p *Provider) idToken(client Client, g *grant, scopes []string, nonce, access string, now time.Time) (string, error) {
	claims := map[string]any{}
	if !client.LeanIDToken {
		claims = releasedClaims(g.person, scopes)
	}
	maps.Copy(claims, map[string]any{
		"iss": p.cfg.Issuer, "sub": g.person.Subject, "aud": client.ID,
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "auth_time": g.authTime.Unix(),
		"sid": g.sid, "amr": []string{"pwd"}, "at_hash": tokenHash(p.cfg.Algorithm, access),
	})
	if nonce != "" {
		claims["nonce"] = nonce
	}
	faults := p.currentFaults()
	if faults.IDToken != nil {
		faults.IDToken(claims)
	}
	return p.signClaims(claims, faults.SignIDToken)
}

// jwtAccessToken is RFC 9068. The provider itself is the audience: its userinfo is the
// only resource it knows.
func (p *Provider) jwtAccessToken(g *grant, scopes []string, now time.Time) (string, error) {
	payload, err := json.Marshal(map[string]any{
		"iss": p.cfg.Issuer, "sub": g.person.Subject, "aud": p.cfg.Issuer, "client_id": g.client,
		"scope": strings.Join(scopes, " "), "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "jti": randomID(),
	})
	if err != nil {
		return "", errors.Join(errors.New("oidctest: encode the access token"), err)
	}
	return sign(p.cfg.Algorithm, p.signingKey(), payload, "at+jwt")
}

// scopeClaims is OpenID Connect Core section 5.4.
var scopeClaims = map[string][]string{
	"profile": {
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
		"website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

func releasedClaims(person Person, scopes []string) map[string]any {
	claims := maps.Clone(person.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	for scope, names := range scopeClaims {
		if slices.Contains(scopes, scope) {
			continue
		}
		for _, name := range names {
			delete(claims, name)
		}
	}
	return claims
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "The answer could not be encoded.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is not this server's fault
}

func writeOAuthError(w http.ResponseWriter, err error) {
	var oe *oauthError
	if !errors.As(err, &oe) {
		oe = &oauthError{status: http.StatusInternalServerError, code: "server_error", description: "Something went wrong."}
	}
	status := oe.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	writeJSON(w, status, map[string]string{"error": oe.code, "error_description": oe.description})
}
