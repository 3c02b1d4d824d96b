package oidctest

import (
	"net/http"
	"slices"
	"strings"
)

// userInfo takes the bearer token from the header or a form (RFC 6750 sections 2.1 and
// 2.2), never from the query.
func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = r.PostForm.Get("access_token")
	} else if r.PostForm.Has("access_token") {
		refuseBearer(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="userinfo"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	t, ok := p.state.access[token]
	ok = ok && !t.grant.ended && p.cfg.Now().Before(t.expires)
	p.mu.Unlock()
	if !ok {
		refuseBearer(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	if !slices.Contains(t.scopes, "openid") {
		refuseBearer(w, http.StatusForbidden, "insufficient_scope")
		return
	}
	p.writeUserInfo(w, t)
}

func (p *Provider) writeUserInfo(w http.ResponseWriter, t accessToken) {
	client, _ := p.client(t.grant.client)
	claims := releasedClaims(t.grant.person, t.scopes)
	claims["sub"] = t.grant.person.Subject
	if client.SignedUserInfo {
		claims["iss"], claims["aud"] = p.cfg.Issuer, client.ID
	}
	faults := p.currentFaults()
	if faults.UserInfo != nil {
		faults.UserInfo(claims)
	}
	if !client.SignedUserInfo {
		writeJSON(w, http.StatusOK, claims)
		return
	}
	token, err := p.signClaims(claims, faults.SignUserInfo)
	if err != nil {
		writeOAuthError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(token)) // a client that is gone is not this server's fault
}

func refuseBearer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="userinfo", error="`+code+`"`)
	writeJSON(w, status, map[string]string{"error": code})
}

// revoke is RFC 7009. A token nobody knows is revoked already.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	client, err := p.authenticate(r)
	if err == nil {
		err = p.revokeToken(client, r.PostForm.Get("token"))
	}
	if err != nil {
		writeOAuthError(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (p *Provider) revokeToken(client Client, token string) error {
	if token == "" {
		return refuse("invalid_request", "A token is required.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	foreign := refuse("invalid_grant", "The token was given to another client.")
	if t, ok := p.state.refresh[token]; ok {
		if t.grant.client != client.ID {
			return foreign
		}
		t.grant.ended = true
	}
	if t, ok := p.state.access[token]; ok {
		if t.grant.client != client.ID {
			return foreign
		}
		delete(p.state.access, token)
	}
	return nil
}
