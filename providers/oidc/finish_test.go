package oidc_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// attack is one thing that goes wrong on the way of a login.
type attack struct {
	details []string                                        // over the rig's
	client  func(*oidctest.Client)                          // how the provider knows us
	faults  oidctest.Faults                                 // what the provider does
	request federation.Request                              // what the application asked for
	tamper  func(*federation.Attempt, *federation.Response) // what happens in between
	code    fault.Code
	want    error
}

func idToken(change func(map[string]any)) oidctest.Faults { return oidctest.Faults{IDToken: change} }

func set(name string, value any) oidctest.Faults {
	return idToken(func(c map[string]any) {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	})
}

func endpoint(at oidctest.Endpoint, wrap func(http.Handler) http.Handler) oidctest.Faults {
	return oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{at: wrap}}
}

func response(change func(url.Values)) func(*federation.Attempt, *federation.Response) {
	return func(_ *federation.Attempt, r *federation.Response) { change(r.Query) }
}

func run(t *testing.T, attacks map[string]attack) {
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, a.details...)
			if a.client != nil {
				r.putClient(a.client)
			}
			r.op.Set(a.faults)
			at := r.attempt()
			at.Request = a.request
			resp, err := r.authorize(at)
			if err == nil {
				if a.tamper != nil {
					a.tamper(&at, &resp)
				}
				var id federation.Identity
				if id, err = r.rp.Finish(t.Context(), at, resp); err == nil {
					t.Fatalf("signed in as %+v", id)
				}
			}
			wantFault(t, err, a.code, a.want)
			for _, secret := range []string{theKey, verifier, resp.Query.Get("code")} {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %q: %v", secret, err)
				}
			}
			if len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// noon is the rig's clock.
var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) int64 { return noon.Add(d).Unix() }

func TestFinish(t *testing.T) {
	zero, minute := 0, 60
	run(t, map[string]attack{
		// Signature and algorithm.
		"alg_none":               {faults: oidctest.Faults{SignIDToken: oidctest.SignWithNone}, code: fault.Upstream, want: oidc.ErrSignature},
		"hs256_with_public_key":  {faults: oidctest.Faults{SignIDToken: oidctest.SignWithPublicKeyAsSecret}, code: fault.Upstream, want: oidc.ErrSignature},
		"key_nobody_published":   {faults: oidctest.Faults{SignIDToken: oidctest.SignWithOtherKey}, code: fault.Upstream, want: oidc.ErrSignature},
		"kid_nobody_published":   {faults: oidctest.Faults{SignIDToken: oidctest.SignWithUnknownKey}, code: fault.Upstream, want: oidc.ErrSignature},
		"alg_not_allowed":        {details: []string{"id_token_signed_response_alg", "RS256"}, code: fault.Upstream, want: oidc.ErrSignature},
		"alg_not_in_discovery":   {faults: oidctest.Faults{Discovery: func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"RS256"} }}, code: fault.Upstream, want: oidc.ErrSignature},
		"no_id_token":            {faults: oidctest.Faults{TokenResponse: func(b map[string]any) { delete(b, "id_token") }}, code: fault.Upstream, want: oidc.ErrIDToken},
		"id_token_not_a_string":  {faults: oidctest.Faults{TokenResponse: func(b map[string]any) { b["id_token"] = 7 }}, code: fault.Upstream, want: oidc.ErrIDToken},
		"id_token_not_a_jwt":     {faults: oidctest.Faults{TokenResponse: func(b map[string]any) { b["id_token"] = "x" }}, code: fault.Upstream, want: oidc.ErrSignature},
		"id_token_as_json_jws":   {faults: oidctest.Faults{TokenResponse: jsonJWS}, code: fault.Upstream, want: oidc.ErrSignature},
		"id_token_too_large":     {faults: set("filler", strings.Repeat("x", 256<<10)), code: fault.Upstream, want: oidc.ErrIDToken},
		"claims_not_an_object":   {faults: oidctest.Faults{SignIDToken: payload(`[]`)}, code: fault.Upstream, want: oidc.ErrIDToken},
		"claims_null":            {faults: oidctest.Faults{SignIDToken: payload(`null`)}, code: fault.Upstream, want: oidc.ErrIDToken},
		"claims_two_objects":     {faults: oidctest.Faults{SignIDToken: payload(`{}{}`)}, code: fault.Upstream, want: oidc.ErrIDToken},
		"claim_source_undefined": {faults: set("_claim_names", map[string]string{"email": "nowhere"}), code: fault.Upstream, want: oidc.ErrIDToken},

		// Whose token it is.
		"iss_other":               {faults: set("iss", "https://evil.example"), code: fault.Upstream, want: oidc.ErrIssuer},
		"iss_with_slash":          {faults: idToken(func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }), code: fault.Upstream, want: oidc.ErrIssuer},
		"iss_absent":              {faults: set("iss", nil), code: fault.Upstream, want: oidc.ErrIssuer},
		"aud_other_client":        {faults: set("aud", "other"), code: fault.Upstream, want: oidc.ErrAudience},
		"aud_absent":              {faults: set("aud", nil), code: fault.Upstream, want: oidc.ErrAudience},
		"aud_empty":               {faults: set("aud", []string{}), code: fault.Upstream, want: oidc.ErrAudience},
		"aud_not_strings":         {faults: set("aud", []any{clientID, 7}), code: fault.Upstream, want: oidc.ErrAudience},
		"azp_other_client":        {faults: set("azp", "other"), code: fault.Upstream, want: oidc.ErrParty},
		"azp_null":                {faults: idToken(func(c map[string]any) { c["azp"] = nil }), code: fault.Upstream, want: oidc.ErrParty},
		"azp_absent_with_two_aud": {faults: set("aud", []string{clientID, "other"}), code: fault.Upstream, want: oidc.ErrParty},
		"nonce_mismatch":          {faults: set("nonce", "other"), code: fault.Invalid, want: oidc.ErrNonce},
		"nonce_absent":            {faults: set("nonce", nil), code: fault.Invalid, want: oidc.ErrNonce},
		"nonce_of_another_case":   {faults: set("nonce", strings.ToUpper(nonce)), code: fault.Invalid, want: oidc.ErrNonce},
		"at_hash_wrong":           {faults: set("at_hash", "77QmUPtjPfzWtF2AnpK9RQ"), code: fault.Upstream, want: oidc.ErrAtHash},
		"at_hash_empty":           {faults: set("at_hash", ""), code: fault.Upstream, want: oidc.ErrAtHash},
		"access_token_swapped":    {faults: oidctest.Faults{TokenResponse: func(b map[string]any) { b["access_token"] = "another" }}, code: fault.Upstream, want: oidc.ErrAtHash},
		"sub_absent":              {faults: set("sub", nil), code: fault.Upstream, want: oidc.ErrSubject},
		"sub_empty":               {faults: set("sub", ""), code: fault.Upstream, want: oidc.ErrSubject},
		"sub_too_long":            {faults: set("sub", strings.Repeat("x", 256)), code: fault.Upstream, want: oidc.ErrSubject},
		"sid_too_long":            {faults: set("sid", strings.Repeat("x", 1025)), code: fault.Upstream, want: oidc.ErrIDToken},
		"sub_not_text":            {faults: set("sub", "a\x00b"), code: fault.Upstream, want: oidc.ErrSubject},
		"sub_not_utf8":            {faults: set("sub", "a\xffb"), code: fault.Upstream, want: oidc.ErrSubject},

		// When.
		"expired":              {faults: set("exp", at(-61*time.Second)), code: fault.Upstream, want: oidc.ErrExpired},
		"expired_this_second":  {details: []string{"clock_skew_seconds", "0"}, faults: set("exp", at(0)), code: fault.Upstream, want: oidc.ErrExpired},
		"exp_absent":           {faults: set("exp", nil), code: fault.Upstream, want: oidc.ErrExpired},
		"exp_beyond_time":      {faults: set("exp", json.Number("1e300")), code: fault.Upstream, want: oidc.ErrExpired},
		"not_valid_yet":        {faults: set("nbf", at(61*time.Second)), code: fault.Upstream, want: oidc.ErrNotYet},
		"iat_future":           {faults: set("iat", at(61*time.Second)), code: fault.Upstream, want: oidc.ErrIssuedAt},
		"iat_long_ago":         {faults: set("iat", at(-62*time.Minute)), code: fault.Upstream, want: oidc.ErrIssuedAt},
		"iat_absent":           {faults: set("iat", nil), code: fault.Upstream, want: oidc.ErrIssuedAt},
		"max_age_not_honoured": {request: federation.Request{MaxAge: &minute}, faults: set("auth_time", at(-121*time.Second)), code: fault.Upstream, want: oidc.ErrAuthTime},
		"max_age_not_answered": {request: federation.Request{MaxAge: &zero}, faults: set("auth_time", nil), code: fault.Upstream, want: oidc.ErrAuthTime},
		"login_not_prompted":   {request: federation.Request{Prompt: []string{"login"}}, faults: set("auth_time", at(-time.Hour)), code: fault.Upstream, want: oidc.ErrAuthTime},
		"auth_time_future":     {faults: set("auth_time", at(time.Hour)), code: fault.Upstream, want: oidc.ErrAuthTime},
	})
}

func payload(text string) oidctest.Sign {
	return func(key jose.JSONWebKey, _ []byte) (string, error) { return oidctest.SignHonestly(key, []byte(text)) }
}

// jsonJWS turns the ID token into the JSON serialization, which may carry an unprotected header.
func jsonJWS(body map[string]any) {
	parts := strings.Split(body["id_token"].(string), ".")
	body["id_token"] = `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`
}

func TestFinishResponse(t *testing.T) {
	run(t, map[string]attack{
		"state_of_another_attempt": {tamper: func(a *federation.Attempt, _ *federation.Response) { a.ID = "other" }, code: fault.Invalid, want: oidc.ErrState},
		"state_absent":             {tamper: response(func(v url.Values) { v.Del("state") }), code: fault.Invalid, want: oidc.ErrState},
		"state_twice":              {tamper: response(func(v url.Values) { v.Add("state", "x") }), code: fault.Invalid, want: oidc.ErrResponse},
		"code_absent":              {tamper: response(func(v url.Values) { v.Del("code") }), code: fault.Invalid, want: oidc.ErrResponse},
		"code_twice":               {tamper: response(func(v url.Values) { v.Add("code", "x") }), code: fault.Invalid, want: oidc.ErrResponse},
		"code_huge":                {tamper: response(func(v url.Values) { v.Set("code", strings.Repeat("x", 9<<10)) }), code: fault.Invalid, want: oidc.ErrResponse},
		"no_parameters":            {tamper: func(_ *federation.Attempt, r *federation.Response) { r.Query = nil }, code: fault.Invalid, want: oidc.ErrState},
		"mix_up_iss":               {tamper: response(func(v url.Values) { v.Set("iss", "https://evil.example") }), code: fault.Invalid, want: oidc.ErrIssuer},
		"mix_up_iss_absent":        {tamper: response(func(v url.Values) { v.Del("iss") }), code: fault.Invalid, want: oidc.ErrIssuer},
		"mix_up_iss_twice":         {tamper: response(func(v url.Values) { v.Add("iss", v.Get("iss")) }), code: fault.Invalid, want: oidc.ErrResponse},
		"mix_up_iss_in_error":      {tamper: response(func(v url.Values) { v.Set("iss", "https://evil.example"); v.Set("error", "access_denied") }), code: fault.Invalid, want: oidc.ErrIssuer},
		"code_injected":            {tamper: response(func(v url.Values) { v.Set("code", "of-somebody-else") }), code: fault.Expired, want: oidc.ErrToken},
		"verifier_of_another":      {tamper: func(a *federation.Attempt, _ *federation.Response) { a.Verifier = strings.Repeat("x", 43) }, code: fault.Expired, want: oidc.ErrToken},
		"nonce_of_another":         {tamper: func(a *federation.Attempt, _ *federation.Response) { a.Nonce = "other" }, code: fault.Invalid, want: oidc.ErrNonce},
	})
}

func TestProviderError(t *testing.T) {
	hostile := "<script>alert(1)</script>\n\x1b[2J" + strings.Repeat("x", 5000)
	for code, want := range map[string]fault.Code{
		"access_denied": fault.Denied, "user_cancelled_login": fault.Denied, "unmet_authentication_requirements": fault.Denied,
		"login_required": fault.LoginRequired, "interaction_required": fault.LoginRequired, "consent_required": fault.LoginRequired, "account_selection_required": fault.LoginRequired,
		"temporarily_unavailable": fault.Upstream, "server_error": fault.Upstream, "invalid_request": fault.Upstream, "something_new": fault.Upstream, hostile: fault.Upstream,
		"unauthorized_client": fault.Config, "invalid_scope": fault.Config, "unsupported_response_type": fault.Config,
	} {
		t.Run(code[:min(len(code), 40)], func(t *testing.T) {
			r := newRig(t)
			r.op.Set(oidctest.Faults{AuthorizeError: url.Values{"error": {code}, "error_description": {hostile}}})
			_, err := r.login(r.attempt())
			wantFault(t, err, want, oidc.ErrAnswer)
			if public := fault.PublicOf(err); strings.Contains(public, "script") || strings.Contains(public, code) {
				t.Errorf("public text %q quotes the provider", public)
			}
			if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("cause of %d bytes: %q", len(text), text)
			}
		})
	}
	t.Run("cancel at the form", func(t *testing.T) {
		r := newRig(t)
		ch, err := r.rp.Begin(t.Context(), r.attempt())
		if err != nil {
			t.Fatal(err)
		}
		back, err := oidctest.Cancel(t.Context(), r.browser, ch.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.rp.Finish(t.Context(), r.attempt(), federation.Response{Method: "GET", Query: back.Params()})
		wantFault(t, err, fault.Denied, oidc.ErrAnswer)
	})
}

func TestTokenEndpoint(t *testing.T) {
	reply := func(status int, body string) oidctest.Faults {
		return endpoint(oidctest.EndpointToken, oidctest.Reply(status, "application/json", body))
	}
	echo := endpoint(oidctest.EndpointToken, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // repeats all that it was sent
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_request " + r.Form.Get("client_secret"), "error_description": r.Form.Encode()})
		})
	})
	run(t, map[string]attack{
		"wrong_secret":             {details: []string{"client_secret", "wrong"}, code: fault.Config, want: oidc.ErrToken},
		"wrong_method":             {details: []string{"token_endpoint_auth_method", "client_secret_post"}, code: fault.Config, want: oidc.ErrToken},
		"bare_401":                 {faults: reply(401, `{}`), code: fault.Config, want: oidc.ErrToken},
		"unavailable":              {faults: reply(503, `busy`), code: fault.Upstream, want: oidc.ErrToken},
		"garbage":                  {faults: reply(200, `<html>`), code: fault.Upstream, want: oidc.ErrToken},
		"error_with_200":           {faults: reply(200, `{"error":"invalid_grant"}`), code: fault.Expired, want: oidc.ErrToken},
		"without_access_token":     {faults: reply(200, `{"id_token":"x"}`), code: fault.Upstream, want: oidc.ErrToken},
		"other_token_type":         {faults: oidctest.Faults{TokenResponse: func(b map[string]any) { b["token_type"] = "DPoP" }}, code: fault.Upstream, want: oidc.ErrToken},
		"repeats_the_secret":       {faults: echo, details: []string{"token_endpoint_auth_method", "client_secret_post"}, client: func(c *oidctest.Client) { c.Auth = oidctest.SecretPost }, code: fault.Upstream, want: oidc.ErrToken},
		"redirects":                {faults: endpoint(oidctest.EndpointToken, oidctest.RedirectTo(307, "http://127.0.0.1:1/")), code: fault.Upstream, want: outgoing.ErrRedirect},
		"redirects_with_see_other": {faults: endpoint(oidctest.EndpointToken, oidctest.RedirectTo(303, "/jwks")), code: fault.Upstream, want: outgoing.ErrRedirect},
		"huge":                     {faults: endpoint(oidctest.EndpointToken, oidctest.Endless), code: fault.Upstream, want: outgoing.ErrTooLarge},
		"hangs_up":                 {faults: endpoint(oidctest.EndpointToken, oidctest.Drop), code: fault.Upstream, want: oidc.ErrToken},
	})
}

// A provider, or a proxy before it, that repeats what it was sent brings no secret into the log, in whatever form it was sent.
func TestRepeatedSecretsAreNotQuoted(t *testing.T) {
	const awkward = "a:b%+ é&c=d"
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		for _, member := range []string{"error", "error_description"} {
			t.Run(method+" in "+member, func(t *testing.T) {
				r := newRig(t, "client_secret", awkward, "token_endpoint_auth_method", method)
				r.putClient(func(c *oidctest.Client) { c.Secret, c.Auth = awkward, oidctest.AuthMethod(method) })
				for _, part := range []func(*http.Request) string{
					func(r *http.Request) string { return r.Form.Get("client_secret") },
					func(r *http.Request) string { return "client_secret=" + url.QueryEscape(r.Form.Get("client_secret")) },
					func(r *http.Request) string { return r.Header.Get("Authorization") },
					func(r *http.Request) string { return "code=" + r.Form.Get("code") },
				} {
					r.op.Set(endpoint(oidctest.EndpointToken, func(http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
							w.Header().Set("Content-Type", "application/json")
							w.WriteHeader(http.StatusBadRequest)
							_ = json.NewEncoder(w).Encode(map[string]string{"error": "x", member: part(req)})
						})
					}))
					_, err := r.login(r.attempt())
					wantFault(t, err, fault.Upstream, oidc.ErrToken)
					basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":" + url.QueryEscape(awkward)))
					for _, form := range []string{awkward, strconv.QuoteToASCII(awkward), url.QueryEscape(awkward), basic} {
						if strings.Contains(err.Error(), strings.Trim(form, `"`)) {
							t.Errorf("the error holds the secret as %q: %v", form, err)
						}
					}
				}
			})
		}
	}
}
