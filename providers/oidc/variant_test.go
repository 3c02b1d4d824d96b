package oidc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// ruled is a rig under rules.
func ruled(t *testing.T, rules oidc.Rules, pairs ...string) *rig {
	t.Helper()
	r := newRig(t)
	r.variant = oidc.Variant{Read: func(*detail.Reader) oidc.Rules { return rules }}
	r.configure(pairs...)
	return r
}

// plain is a rig of a variant without ID tokens: userinfo says who signed in.
func plain(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	at := r.op.Issuer()
	r.variant = oidc.Variant{
		Defaults: map[string]string{
			"authorize_url": at + string(oidctest.EndpointAuthorize), "token_url": at + string(oidctest.EndpointToken),
			"attributes_url": at + string(oidctest.EndpointUserInfo), "authorize_scopes": "openid profile",
		},
		Read: func(*detail.Reader) oidc.Rules {
			return oidc.Rules{Subject: "sub", Profile: func(ctx context.Context, api *oidc.API, tokens federation.UpstreamTokens) (mapping.Claims, error) {
				return api.Object(ctx, oidc.Call{URL: api.UserInfoURL(), Bearer: tokens.Access})
			}}
		},
	}
	r.configure("authorize_scopes", "") // the issuer is what an answer with iss is held to
	return r
}

func TestPlainVariant(t *testing.T) {
	r := plain(t)
	at := r.attempt()
	ch, err := r.rp.Begin(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(ch.URL)
	if err != nil {
		t.Fatal(err)
	}
	if v := u.Query(); v.Has("nonce") || v.Get("code_challenge") == "" || v.Get("state") != state {
		t.Errorf("request %v", v)
	}
	id := r.mustLogin()
	if id.Subject != subject || id.Claims["name"] != "Jane Doe" || id.Issuer != r.op.Issuer() {
		t.Errorf("identity %+v", id)
	}
	if n := len(r.op.Requests(oidctest.EndpointDiscovery)); n != 0 {
		t.Errorf("%d discoveries", n)
	}
}

// What only an ID token could show is refused before the person is sent away.
func TestPlainVariantCannotShow(t *testing.T) {
	zero := 0
	for name, c := range map[string]struct {
		request federation.Request
		code    fault.Code
	}{
		"that nobody was asked":             {federation.Request{Prompt: []string{"none"}}, fault.LoginRequired},
		"when the person proved themselves": {federation.Request{MaxAge: &zero}, fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			r := plain(t)
			at := r.attempt()
			at.Request = c.request
			_, err := r.rp.Begin(t.Context(), at)
			wantFault(t, err, c.code, oidc.ErrAuthTime)
		})
	}
}

func TestPlainVariantNeedsASubject(t *testing.T) {
	for name, value := range map[string]any{
		"absent": nil, "empty": "", "fraction": json.Number("1.5"), "exponent": json.Number("1e3"), "boolean": true, "list": []any{"a"}, "too long": strings.Repeat("x", 256),
	} {
		t.Run(name, func(t *testing.T) {
			r := plain(t)
			r.op.Set(oidctest.Faults{UserInfo: func(c map[string]any) {
				if c["sub"] = value; value == nil {
					delete(c, "sub")
				}
			}})
			_, err := r.login(r.attempt())
			wantFault(t, err, fault.Upstream, oidc.ErrSubject)
		})
	}
	t.Run("a number is one", func(t *testing.T) {
		r := plain(t)
		r.op.Set(oidctest.Faults{UserInfo: func(c map[string]any) { c["sub"] = json.Number("583231") }})
		if id := r.mustLogin(); id.Subject != "583231" {
			t.Errorf("subject %q", id.Subject)
		}
	})
}

func TestPlainVariantNeedsItsEndpoints(t *testing.T) {
	v := oidc.Variant{Read: func(*detail.Reader) oidc.Rules {
		return oidc.Rules{Profile: func(context.Context, *oidc.API, federation.UpstreamTokens) (mapping.Claims, error) { return nil, nil }}
	}}
	got := map[string]string{}
	for _, f := range v.Validate(nil, false) {
		got[f.Key] = f.Problem
	}
	for _, key := range []string{"authorize_url", "token_url", "client_id", "client_secret"} {
		if !strings.HasPrefix(got[key], "required") {
			t.Errorf("%s: %q", key, got[key])
		}
	}
	if _, ok := got["oidc_issuer"]; ok {
		t.Error("an issuer is required")
	}
}

func TestRulesOfTheIDToken(t *testing.T) {
	issuerOfTenant := func(c mapping.Claims) string {
		tid, _ := c["tid"].(string)
		return "https://login.example.com/" + tid
	}
	run := func(name string, rules oidc.Rules, change func(map[string]any), code fault.Code, want error) {
		t.Run(name, func(t *testing.T) {
			r := ruled(t, rules)
			r.op.Set(idToken(change))
			_, err := r.login(r.attempt())
			wantFault(t, err, code, want)
		})
	}
	run("an issuer that does not follow from the token", oidc.Rules{Issuer: issuerOfTenant},
		func(c map[string]any) { c["iss"], c["tid"] = "https://login.example.com/a", "b" }, fault.Upstream, oidc.ErrIssuer)
	run("an issuer that follows from nothing", oidc.Rules{Issuer: func(mapping.Claims) string { return "" }},
		func(c map[string]any) { c["iss"] = "" }, fault.Upstream, oidc.ErrIssuer)
	run("a nonce that is wrong where it may be absent", oidc.Rules{NonceOptional: func(mapping.Claims) bool { return true }},
		func(c map[string]any) { c["nonce"] = "another" }, fault.Invalid, oidc.ErrNonce)
	run("a nonce that is absent where it may not be", oidc.Rules{NonceOptional: func(mapping.Claims) bool { return false }},
		func(c map[string]any) { delete(c, "nonce") }, fault.Invalid, oidc.ErrNonce)
	run("an account that is not admitted", oidc.Rules{Check: func(mapping.Claims) error { return errors.New("of another domain") }},
		func(map[string]any) {}, fault.Denied, oidc.ErrRestricted)
	run("an audience, whatever the rules", oidc.Rules{NonceOptional: func(mapping.Claims) bool { return true }, Check: func(mapping.Claims) error { return nil }},
		func(c map[string]any) { c["aud"] = "another" }, fault.Upstream, oidc.ErrAudience)
	run("what the provider's interface does not tell", oidc.Rules{More: func(context.Context, *oidc.API, federation.UpstreamTokens, mapping.Claims) (mapping.Claims, error) {
		return nil, oidc.Refuse(oidc.ErrUserInfo, "nothing")
	}}, func(map[string]any) {}, fault.Upstream, oidc.ErrUserInfo)

	t.Run("are taken", func(t *testing.T) {
		r := ruled(t, oidc.Rules{
			Issuer:        issuerOfTenant,
			NonceOptional: func(c mapping.Claims) bool { return c["nonce_supported"] == false },
			More: func(_ context.Context, _ *oidc.API, _ federation.UpstreamTokens, c mapping.Claims) (mapping.Claims, error) {
				c["name"] = "not ours to change"
				return mapping.Claims{"name": "Mallory", "sub": "2", "acr": "high", "birthdate": "1815-12-10"}, nil
			},
			Claims: func(c mapping.Claims, _ federation.Response) { c["shaped"] = "yes" },
		})
		r.op.Set(oidctest.Faults{
			IDToken: func(c map[string]any) {
				c["iss"], c["tid"], c["nonce_supported"] = "https://login.example.com/a", "a", false
				delete(c, "nonce")
			},
			Authorization: func(v url.Values) { v.Set("iss", "https://login.example.com/a") },
		})
		id := r.mustLogin()
		if id.Issuer != "https://login.example.com/a" || id.Subject != subject {
			t.Errorf("identity %+v", id)
		}
		for name, want := range map[string]any{"name": "Jane Doe", "birthdate": "1815-12-10", "shaped": "yes", "acr": nil} {
			if id.Claims[name] != want {
				t.Errorf("%s: %v, want %v", name, id.Claims[name], want)
			}
		}
	})
	t.Run("an answer of another issuer than the token's", func(t *testing.T) {
		r := ruled(t, oidc.Rules{Issuer: issuerOfTenant})
		r.op.Set(oidctest.Faults{
			IDToken:       func(c map[string]any) { c["iss"], c["tid"] = "https://login.example.com/a", "a" },
			Authorization: func(v url.Values) { v.Set("iss", "https://login.example.com/b") },
		})
		_, err := r.login(r.attempt())
		wantFault(t, err, fault.Invalid, oidc.ErrIssuer)
	})
}

func TestRulesOfTheRequest(t *testing.T) {
	made := 0
	r := ruled(t, oidc.Rules{
		Authorize: func(v url.Values, a federation.Attempt) { v.Set("hd", "example.com"); v.Set("about", a.Provider) },
		Secret:    func(time.Time) (secret.Text, error) { made++; return secret.New(theKey), nil },
	}, "client_secret", "")
	ch, err := r.rp.Begin(t.Context(), r.attempt())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(ch.URL)
	if err != nil || u.Query().Get("hd") != "example.com" || u.Query().Get("about") != "Corp" || u.Query().Get("nonce") != nonce {
		t.Errorf("request %v, %v", u, err)
	}
	r.mustLogin()
	if made == 0 {
		t.Error("the secret was not made")
	}
	r = ruled(t, oidc.Rules{Secret: func(time.Time) (secret.Text, error) { return secret.Text{}, errors.New("no key") }}, "client_secret", "")
	_, err = r.login(r.attempt())
	wantFault(t, err, fault.Config, oidc.ErrToken)
}

// A token endpoint that does not speak as RFC 6749 does is translated.
func TestRulesOfErrorCodes(t *testing.T) {
	r := ruled(t, oidc.Rules{Code: func(status int, body []byte) (string, string) {
		if status == http.StatusBadRequest && strings.Contains(string(body), "36009") {
			return "invalid_grant", "the code was used"
		}
		return "", ""
	}})
	r.op.Set(endpoint(oidctest.EndpointToken, oidctest.Reply(http.StatusBadRequest, "application/json", `{"error":{"code":100,"error_subcode":36009}}`)))
	_, err := r.login(r.attempt())
	wantFault(t, err, fault.Expired, oidc.ErrToken)
	if err == nil || !strings.Contains(err.Error(), "the code was used") {
		t.Errorf("error %v", err)
	}
}

func TestDefaultsCountWhereNothingIsSaid(t *testing.T) {
	r := newRig(t)
	issuer := r.op.Issuer()
	r.variant = oidc.Variant{Defaults: map[string]string{"oidc_issuer": issuer, "authorize_scopes": "openid email"}}
	r.configure("oidc_issuer", "", "authorize_scopes", "")
	r.mustLogin()
	if got := r.op.Requests(oidctest.EndpointAuthorize)[0].Params.Get("scope"); got != "openid email" {
		t.Errorf("scope %q", got)
	}
	r.variant.Defaults["oidc_issuer"] = "https://nobody.example.com"
	r.configure("oidc_issuer", issuer, "authorize_scopes", "openid")
	r.mustLogin()
	if got := r.op.Requests(oidctest.EndpointAuthorize)[1].Params.Get("scope"); got != "openid" {
		t.Errorf("scope %q", got)
	}
}

// What a provider answers to a call may repeat what was sent.
func TestCallsDoNotQuoteSecrets(t *testing.T) {
	const proof = "proof-of-possession"
	r := plain(t)
	inner := r.variant.Read
	r.variant.Read = func(d *detail.Reader) oidc.Rules {
		rules := inner(d)
		rules.Profile = func(ctx context.Context, api *oidc.API, tokens federation.UpstreamTokens) (mapping.Claims, error) {
			return api.Object(ctx, oidc.Call{URL: api.UserInfoURL(), Query: url.Values{"proof": {proof}}, Bearer: tokens.Access, Secrets: []string{proof}})
		}
		return rules
	}
	r.configure()
	var token string
	r.op.Set(endpoint(oidctest.EndpointUserInfo, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			token = strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte("bad " + token + " " + req.URL.RawQuery))
		})
	}))
	_, err := r.login(r.attempt())
	wantFault(t, err, fault.Upstream, oidc.ErrUserInfo)
	if token == "" || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), proof) || !strings.Contains(err.Error(), "bad [secret]") {
		t.Errorf("token %q, error %v", token, err)
	}
}
