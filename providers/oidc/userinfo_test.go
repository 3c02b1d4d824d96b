package oidc_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestUserInfo(t *testing.T) {
	count := func(r *rig) int { return len(r.op.Requests(oidctest.EndpointUserInfo)) }
	t.Run("fills in what a lean ID token leaves out", func(t *testing.T) {
		r := newRig(t)
		r.putClient(func(c *oidctest.Client) { c.LeanIDToken = true })
		id := r.mustLogin()
		if id.Claims["email"] != "jane@example.com" || id.Claims["email_verified"] != true || id.Claims["name"] != "Jane Doe" {
			t.Errorf("claims %v", id.Claims)
		}
	})
	t.Run("is asked by the configured method, with the token in the header only", func(t *testing.T) {
		for _, method := range []string{"GET", "POST"} {
			r := newRig(t, "attributes_request_method", method)
			id := r.mustLogin()
			for _, req := range r.op.Requests(oidctest.EndpointUserInfo) {
				if req.Method != method || req.Header.Get("Authorization") != "Bearer "+id.Tokens.Access.Reveal() || len(req.Params) != 0 {
					t.Errorf("%s: asked by %s with %v", method, req.Method, req.Params)
				}
			}
			if count(r) != 1 {
				t.Errorf("%s: asked %d times", method, count(r))
			}
		}
	})
	t.Run("is not asked where it is never to be", func(t *testing.T) {
		r := newRig(t, "userinfo", "never")
		if r.mustLogin(); count(r) != 0 {
			t.Errorf("asked %d times", count(r))
		}
	})
	t.Run("is not missed in auto", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{Discovery: func(d map[string]any) { delete(d, "userinfo_endpoint") }})
		if id := r.mustLogin(); id.Claims["email"] != "jane@example.com" {
			t.Errorf("claims %v", id.Claims)
		}
	})
	t.Run("is missed in always", func(t *testing.T) {
		r := newRig(t, "userinfo", "always")
		r.op.Set(oidctest.Faults{Discovery: func(d map[string]any) { delete(d, "userinfo_endpoint") }})
		_, err := r.login(r.attempt())
		wantFault(t, err, fault.Config, oidc.ErrDiscovery)
	})
	t.Run("may be signed", func(t *testing.T) {
		r := newRig(t)
		r.putClient(func(c *oidctest.Client) { c.SignedUserInfo, c.LeanIDToken = true, true })
		if id := r.mustLogin(); id.Claims["email"] != "jane@example.com" {
			t.Errorf("claims %v", id.Claims)
		}
	})
	t.Run("cannot speak of the sign-in", func(t *testing.T) {
		r := newRig(t)
		own := []string{"acr", "amr", "azp", "sid"}
		forget := func(c map[string]any) {
			maps.DeleteFunc(c, func(name string, _ any) bool { return slices.Contains(own, name) })
		}
		r.op.Set(oidctest.Faults{IDToken: forget, UserInfo: func(c map[string]any) {
			c["iss"], c["aud"], c["azp"], c["auth_time"], c["sid"], c["nonce"], c["exp"] = "https://evil.example", "other", "other", 1, "s", "n", 1
			c["acr"], c["amr"] = "gold", []string{"hwk"}
		}})
		id := r.mustLogin()
		if id.Claims["iss"] != r.op.Issuer() || id.Claims["aud"] != clientID || id.Claims["nonce"] != nonce || !id.AuthTime.Equal(r.clock.Now()) || id.SessionIndex != "" {
			t.Errorf("identity %+v", id)
		}
		for _, name := range own {
			if v, ok := id.Claims[name]; ok {
				t.Errorf("%s = %v from userinfo", name, v)
			}
		}
	})
}

func TestUserInfoRefused(t *testing.T) {
	info := func(change func(map[string]any)) oidctest.Faults { return oidctest.Faults{UserInfo: change} }
	reply := func(status int, kind, body string) oidctest.Faults {
		return endpoint(oidctest.EndpointUserInfo, oidctest.Reply(status, kind, body))
	}
	signed := func(c *oidctest.Client) { c.SignedUserInfo = true }
	other := "http://127.0.0.1:1/"
	run(t, map[string]attack{
		"userinfo_other_subject":         {faults: info(func(c map[string]any) { c["sub"] = "somebody-else" }), code: fault.Upstream, want: oidc.ErrUserInfoSubject},
		"userinfo_no_subject":            {faults: info(func(c map[string]any) { delete(c, "sub") }), code: fault.Upstream, want: oidc.ErrUserInfoSubject},
		"userinfo_subject_of_other_case": {faults: info(func(c map[string]any) { c["sub"] = 248289761001 }), code: fault.Upstream, want: oidc.ErrUserInfoSubject},
		"garbage":                        {faults: reply(200, "application/json", `<html>`), code: fault.Upstream, want: oidc.ErrUserInfo},
		"list":                           {faults: reply(200, "application/json", `[]`), code: fault.Upstream, want: oidc.ErrUserInfo},
		"null":                           {faults: reply(200, "application/json", `null`), code: fault.Upstream, want: oidc.ErrUserInfo},
		"unauthorized":                   {faults: reply(401, "application/json", `{}`), code: fault.Upstream, want: oidc.ErrUserInfo},
		"error_page":                     {faults: reply(500, "text/html", `<html>`), code: fault.Upstream, want: oidc.ErrUserInfo},
		"huge":                           {faults: endpoint(oidctest.EndpointUserInfo, oidctest.Endless), code: fault.Upstream, want: outgoing.ErrTooLarge},
		"hangs_up":                       {faults: endpoint(oidctest.EndpointUserInfo, oidctest.Drop), code: fault.Upstream, want: oidc.ErrUserInfo},
		"redirect_to_metadata":           {faults: endpoint(oidctest.EndpointUserInfo, oidctest.RedirectTo(302, "http://169.254.169.254/")), code: fault.Config, want: outgoing.ErrPrivateAddress},
		"redirect_of_a_post":             {details: []string{"attributes_request_method", "POST"}, faults: endpoint(oidctest.EndpointUserInfo, oidctest.RedirectTo(307, other)), code: fault.Upstream, want: outgoing.ErrRedirect},
		"signed_with_none":               {client: signed, faults: oidctest.Faults{SignUserInfo: oidctest.SignWithNone}, code: fault.Upstream, want: oidc.ErrSignature},
		"signed_hs256":                   {client: signed, faults: oidctest.Faults{SignUserInfo: oidctest.SignWithPublicKeyAsSecret}, code: fault.Upstream, want: oidc.ErrSignature},
		"signed_by_nobody":               {client: signed, faults: oidctest.Faults{SignUserInfo: oidctest.SignWithOtherKey}, code: fault.Upstream, want: oidc.ErrSignature},
		"signed_by_another_issuer":       {client: signed, faults: info(func(c map[string]any) { c["iss"] = "https://evil.example" }), code: fault.Upstream, want: oidc.ErrIssuer},
		"signed_for_another_client":      {client: signed, faults: info(func(c map[string]any) { c["aud"] = "other" }), code: fault.Upstream, want: oidc.ErrAudience},
		"signed_long_ago":                {client: signed, faults: info(func(c map[string]any) { c["exp"] = at(-time.Hour) }), code: fault.Upstream, want: oidc.ErrExpired},
		"jwt_of_another_type":            {faults: reply(200, "application/jwt", `{"sub":"248289761001"}`), code: fault.Upstream, want: oidc.ErrSignature},
	})
}

// TestEmailVerified: an address is verified only by a word that was given for it.
func TestEmailVerified(t *testing.T) {
	const a, b = "jane@example.com", "admin@example.com"
	type pair struct{ email, verified any } // nil: absent
	for name, c := range map[string]struct{ id, info, want pair }{
		"ID token alone":                                {pair{a, true}, pair{nil, nil}, pair{a, true}},
		"ID token alone, without a word":                {pair{a, nil}, pair{nil, nil}, pair{a, nil}},
		"userinfo alone":                                {pair{nil, nil}, pair{a, true}, pair{a, true}},
		"userinfo alone, without a word":                {pair{nil, nil}, pair{a, nil}, pair{a, nil}},
		"both the same":                                 {pair{a, true}, pair{a, true}, pair{a, true}},
		"the same address, one word":                    {pair{a, true}, pair{a, nil}, pair{a, true}},
		"the same address, the other word":              {pair{a, nil}, pair{a, true}, pair{a, true}},
		"the same address, userinfo says no":            {pair{a, true}, pair{a, false}, pair{a, false}},
		"the same address, the ID token says no":        {pair{a, false}, pair{a, true}, pair{a, false}},
		"the same address, words as text":               {pair{a, "true"}, pair{a, "true"}, pair{a, "true"}},
		"another address, the ID token does not vouch":  {pair{a, true}, pair{b, nil}, pair{b, nil}},
		"another address, userinfo says no":             {pair{a, true}, pair{b, false}, pair{b, false}},
		"another address, userinfo vouches":             {pair{a, false}, pair{b, true}, pair{b, true}},
		"another address by case":                       {pair{a, true}, pair{"Jane@example.com", nil}, pair{"Jane@example.com", nil}},
		"a word of userinfo without address":            {pair{a, false}, pair{nil, true}, pair{a, false}},
		"a word of userinfo for an unvouched address":   {pair{a, nil}, pair{nil, true}, pair{a, nil}},
		"a word of the ID token, address from userinfo": {pair{nil, true}, pair{b, nil}, pair{b, nil}},
		"a word for no address at all":                  {pair{nil, true}, pair{nil, nil}, pair{nil, nil}},
		"a word for an empty address":                   {pair{a, true}, pair{"", true}, pair{"", nil}},
		"an address that is no text":                    {pair{nil, nil}, pair{[]string{a}, true}, pair{nil, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, claim := range []string{"email", "phone_number"} {
				put := func(p pair) func(map[string]any) {
					return func(c map[string]any) {
						for name, v := range map[string]any{claim: p.email, claim + "_verified": p.verified} {
							if delete(c, name); v != nil {
								c[name] = v
							}
						}
					}
				}
				r.op.Set(oidctest.Faults{IDToken: put(c.id), UserInfo: put(c.info)})
				id := r.mustLogin()
				if got := id.Claims[claim+"_verified"]; got != c.want.verified {
					t.Errorf("%s_verified = %v, want %v", claim, got, c.want.verified)
				}
				if got, ok := id.Claims[claim].(string); ok && got != c.want.email {
					t.Errorf("%s = %v, want %v", claim, got, c.want.email)
				}
			}
		})
	}
}

func TestNullOfUserInfoIsAbsent(t *testing.T) {
	r := newRig(t)
	r.op.Set(oidctest.Faults{UserInfo: func(c map[string]any) { c["email"], c["email_verified"], c["name"] = nil, nil, nil }})
	id := r.mustLogin()
	if id.Claims["email"] != "jane@example.com" || id.Claims["email_verified"] != true || id.Claims["name"] != "Jane Doe" {
		t.Errorf("claims %v", id.Claims)
	}
}

func TestUserInfoKeepsTheTokenFromOtherHosts(t *testing.T) {
	// The provider redirects to a server elsewhere, which answers as userinfo does.
	var seen []string
	elsewhere := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnauthorized)
	})
	r := newRig(t)
	r.op.Set(endpoint(oidctest.EndpointUserInfo, oidctest.RedirectTo(302, elsewhere)))
	_, err := r.login(r.attempt())
	wantFault(t, err, fault.Upstream, oidc.ErrUserInfo)
	if len(seen) != 1 || seen[0] != "" {
		t.Errorf("the other host saw %q", seen)
	}
}
