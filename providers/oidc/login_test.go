package oidc_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

func TestBegin(t *testing.T) {
	t.Run("asks with state, nonce and PKCE", func(t *testing.T) {
		r := newRig(t)
		got := r.begin(r.attempt())
		sum := sha256.Sum256([]byte(verifier))
		want := url.Values{
			"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid email profile"}, "state": {state},
			"nonce": {nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		}
		if got.Encode() != want.Encode() {
			t.Errorf("asks\n%s, want\n%s", got.Encode(), want.Encode())
		}
	})
	t.Run("forwards the hints of the request", func(t *testing.T) {
		r := newRig(t)
		a, age := r.attempt(), 0
		a.Request = federation.Request{LoginHint: "jane&prompt=none", Prompt: []string{"login", "consent"}, ACRValues: "gold", UILocales: "de fr", MaxAge: &age}
		got := r.begin(a)
		for name, want := range map[string]string{
			"login_hint": "jane&prompt=none", "prompt": "login consent", "acr_values": "gold", "ui_locales": "de fr", "max_age": "0",
		} {
			if v := got[name]; len(v) != 1 || v[0] != want {
				t.Errorf("%s = %q, want %q", name, v, want)
			}
		}
	})
	t.Run("always asks for openid", func(t *testing.T) {
		r := newRig(t, "authorize_scopes", "email  groups")
		if got := r.begin(r.attempt()).Get("scope"); got != "openid email groups" {
			t.Errorf("scope = %q", got)
		}
	})
	t.Run("does not let an incomplete attempt out", func(t *testing.T) {
		r := newRig(t)
		for name, change := range map[string]func(*federation.Attempt){
			"id":       func(a *federation.Attempt) { a.ID = "" },
			"nonce":    func(a *federation.Attempt) { a.Nonce = "" },
			"verifier": func(a *federation.Attempt) { a.Verifier = "" },
			"callback": func(a *federation.Attempt) { a.CallbackURL = "" },
			"provider": func(a *federation.Attempt) { a.Provider = "Other" },
			"pool":     func(a *federation.Attempt) { a.PoolID = "local_Example02" },
		} {
			a := r.attempt()
			change(&a)
			_, err := r.rp.Begin(t.Context(), a)
			wantFault(t, err, fault.Internal, oidc.ErrState)
			_, err = r.rp.Finish(t.Context(), a, federation.Response{Query: url.Values{"state": {a.ID}, "code": {"c"}}})
			wantFault(t, err, fault.Internal, oidc.ErrState)
			if t.Failed() {
				t.Fatal(name)
			}
		}
	})
}

func (r *rig) begin(a federation.Attempt) url.Values {
	r.t.Helper()
	ch, err := r.rp.Begin(r.t.Context(), a)
	if err != nil {
		r.t.Fatal(err)
	}
	at, query, _ := strings.Cut(ch.URL, "?")
	if at != r.op.Issuer()+"/authorize" || ch.Form != nil {
		r.t.Fatalf("sends the browser to %q with form %v", at, ch.Form)
	}
	v, err := url.ParseQuery(query)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func TestLogin(t *testing.T) {
	t.Run("proves an identity", func(t *testing.T) {
		r := newRig(t)
		r.putClient(func(c *oidctest.Client) { c.AlwaysRefresh = true })
		r.op.Set(oidctest.Faults{IDToken: func(claims map[string]any) { claims["sid"] = "session-1" }})
		id := r.mustLogin()
		if id.Provider != "Corp" || id.ProviderType != "OIDC" || id.Issuer != r.op.Issuer() || id.Subject != subject || id.SessionIndex != "session-1" {
			t.Errorf("identity %+v", id)
		}
		if !id.AuthTime.Equal(r.clock.Now()) || !id.Tokens.Expires.Equal(r.clock.Now().Add(time.Hour)) {
			t.Errorf("authenticated %s, tokens until %s", id.AuthTime, id.Tokens.Expires)
		}
		if id.Tokens.Access.IsZero() || id.Tokens.Refresh.IsZero() || strings.Count(id.Tokens.ID.Reveal(), ".") != 2 {
			t.Error("tokens are missing")
		}
		for name, want := range map[string]any{
			"sub": subject, "name": "Jane Doe", "email": "jane@example.com", "email_verified": true, "employee_number": json.Number("9007199254740993"),
		} {
			if got := id.Claims[name]; got != want {
				t.Errorf("%s = %#v, want %#v", name, got, want)
			}
		}
	})
	t.Run("takes an answer by form_post", func(t *testing.T) {
		r := newRig(t)
		a := r.attempt()
		resp, err := r.authorize(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.rp.Finish(t.Context(), a, federation.Response{Method: "POST", Form: resp.Query, Query: url.Values{"state": {"other"}}}); err != nil {
			t.Error(err)
		}
	})
	t.Run("accepts what a slow clock allows", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{IDToken: func(c map[string]any) {
			now := r.clock.Now()
			c["iat"], c["nbf"], c["auth_time"], c["exp"] = now.Add(59*time.Second).Unix(), now.Add(59*time.Second).Unix(), now.Add(59*time.Second).Unix(), now.Add(-59*time.Second).Unix()
		}})
		r.mustLogin()
	})
	t.Run("accepts several audiences with azp", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["aud"], c["azp"] = []string{"api", clientID}, clientID }})
		r.mustLogin()
	})
	t.Run("accepts times with a fraction", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["exp"] = float64(r.clock.Now().Unix()) + 300.5 }})
		r.mustLogin()
	})
	t.Run("accepts a response without iss where the provider promises none", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{
			Discovery:     func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") },
			Authorization: func(p url.Values) { p.Del("iss") },
		})
		r.mustLogin()
	})
	t.Run("does without discovery where every endpoint is given", func(t *testing.T) {
		r := newRig(t)
		at := r.op.Issuer()
		r.configure("authorize_url", at+"/authorize", "token_url", at+"/token", "attributes_url", at+"/userinfo", "jwks_uri", at+"/jwks")
		r.mustLogin()
		if n := len(r.op.Requests(oidctest.EndpointDiscovery)); n != 0 {
			t.Errorf("%d discovery requests", n)
		}
	})
	t.Run("prefers a given endpoint to discovery", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{Discovery: func(doc map[string]any) { doc["token_endpoint"] = "http://127.0.0.1:1/" }})
		r.configure("token_url", r.op.Issuer()+"/token")
		r.mustLogin()
	})
	t.Run("serves many at once", func(t *testing.T) {
		r := newRig(t)
		errs := make(chan error)
		for range 20 {
			go func() { _, err := r.login(r.attempt()); errs <- err }()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		for _, at := range []oidctest.Endpoint{oidctest.EndpointDiscovery, oidctest.EndpointJWKS} {
			if n := len(r.op.Requests(at)); n != 1 {
				t.Errorf("%d requests to %s, want 1", n, at)
			}
		}
	})
}

func TestClientAuthentication(t *testing.T) {
	t.Run("client_secret_basic by default, with awkward characters", func(t *testing.T) {
		r := newRig(t)
		r.putClient(func(c *oidctest.Client) { c.Secret = "a:b%+ é&" })
		r.configure("client_secret", "a:b%+ é&")
		r.mustLogin()
	})
	t.Run("client_secret_post as configured", func(t *testing.T) {
		r := newRig(t, "token_endpoint_auth_method", "client_secret_post")
		r.putClient(func(c *oidctest.Client) { c.Auth = oidctest.SecretPost })
		r.mustLogin()
	})
	t.Run("client_secret_post where discovery has only that", func(t *testing.T) {
		r := newRig(t)
		r.op.Set(oidctest.Faults{Discovery: func(doc map[string]any) {
			doc["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt", "client_secret_post"}
		}})
		r.putClient(func(c *oidctest.Client) { c.Auth = oidctest.SecretPost })
		r.mustLogin()
	})
	t.Run("none sends the client_id alone", func(t *testing.T) {
		r := newRig(t, "token_endpoint_auth_method", "none")
		r.putClient(func(c *oidctest.Client) { c.Auth, c.Secret = oidctest.NoAuth, "" })
		r.mustLogin()
		for _, req := range r.op.Requests(oidctest.EndpointToken) {
			if req.Header.Get("Authorization") != "" || req.Params.Has("client_secret") || req.Params.Get("client_id") != clientID {
				t.Errorf("token request with %v", req.Params)
			}
		}
	})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		private, public any
		audience        string
	}{
		"P-256 to the issuer":           {ec, &ec.PublicKey, ""},
		"Ed25519 to the token endpoint": {ed, ed.Public(), "token_endpoint"},
	} {
		t.Run("private_key_jwt with "+name, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(c.private)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, "client_secret", "", "private_key_id", "key-1", "client_assertion_audience", c.audience,
				"private_key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
			r.putClient(func(cl *oidctest.Client) { cl.Auth, cl.Secret, cl.PublicKey = oidctest.PrivateKeyJWT, "", c.public })
			r.mustLogin()
			r.mustLogin() // a second assertion is another one
			want := r.op.Issuer()
			if c.audience != "" {
				want += "/token"
			}
			for _, req := range r.op.Requests(oidctest.EndpointToken) {
				r.checkAssertion(req.Params.Get("client_assertion"), c.public, want)
			}
		})
	}
}

func (r *rig) checkAssertion(assertion string, public any, audience string) {
	r.t.Helper()
	token, err := jwt.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		r.t.Fatal(err)
	}
	var claims map[string]any
	if err := token.Claims(public, &claims); err != nil {
		r.t.Fatal(err)
	}
	exp, _ := claims["exp"].(float64)
	if claims["aud"] != audience || token.Headers[0].KeyID != "key-1" || time.Unix(int64(exp), 0).After(r.clock.Now().Add(time.Minute)) {
		r.t.Errorf("assertion %v, kid %q", claims, token.Headers[0].KeyID)
	}
}
