package socialtest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// facebookFields are the fields of a person that the stand-in knows, by the permission that opens them.
var facebookFields = map[string]string{
	"id": "public_profile", "name": "public_profile", "first_name": "public_profile", "middle_name": "public_profile", "last_name": "public_profile",
	"short_name": "public_profile", "name_format": "public_profile", "picture": "public_profile", "email": "email", "birthday": "user_birthday",
}

// Facebook is a stand-in for Facebook Login and the part of the Graph API that a login needs. Its Server says who the client is; Server.Person is
// an id of People.
type Facebook struct {
	Server
	// People are profiles by app-scoped id, with all that Facebook knows of a person.
	People map[string]map[string]any
	// Debug changes what debug_token says of a token.
	Debug func(data map[string]any)

	signing *rsa.PrivateKey // of Limited Login
	removed []string
}

// Start serves until the test ends.
func (f *Facebook) Start(t testing.TB) {
	t.Helper()
	var err error
	if f.signing, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatalf("socialtest: %v", err)
	}
	f.AuthorizePath, f.TokenPath = "/v25.0/dialog/oauth", "/v25.0/oauth/access_token"
	f.Authorize = checkFacebook
	f.Authenticate = func(r *http.Request) error {
		if r.PostForm.Get("client_id") != f.ClientID {
			return graphFailure(101, 0, "Error validating application. Cannot get application info due to a system error.")
		}
		if r.PostForm.Get("client_secret") != f.ClientSecret {
			return graphFailure(1, 0, "Error validating client secret.")
		}
		return nil
	}
	f.Refusal = func(_ int, code, description string) *Failure {
		switch {
		case code == "invalid_grant" && strings.Contains(description, "redirect_uri"):
			return graphFailure(100, 36008, "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request")
		case code == "invalid_grant":
			return graphFailure(100, 36009, "This authorization code has been used.")
		}
		return graphFailure(100, 0, code)
	}
	f.Cancelled = url.Values{"error": {"access_denied"}, "error_code": {"200"}, "error_description": {"Permissions error"}, "error_reason": {"user_denied"}}
	f.Token = func(_ Grant, body map[string]any) error {
		body["token_type"], body["expires_in"] = "bearer", 5183944
		return nil
	}
	f.Server.Start(t, func(mux *http.ServeMux) {
		mux.HandleFunc("GET /v25.0/debug_token", f.debug)
		mux.HandleFunc("GET /v25.0/me", f.me)
		mux.HandleFunc("DELETE /v25.0/{user}/permissions", f.remove)
		mux.HandleFunc("GET /.well-known/oauth/openid/jwks/", func(w http.ResponseWriter, _ *http.Request) {
			Send(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: f.signing.Public(), KeyID: "limited", Algorithm: "RS256", Use: "sig"}}})
		})
	})
}

// graphFailure is an error of the Graph API.
func graphFailure(code, subcode int, message string) *Failure {
	e := map[string]any{"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "AbCdEfGhIjKlMnOpQrStUv"}
	if subcode != 0 {
		e["error_subcode"] = subcode
	}
	return &Failure{http.StatusBadRequest, map[string]any{"error": e}}
}

func checkFacebook(v url.Values) error {
	for name := range v {
		if !slices.Contains([]string{"client_id", "redirect_uri", "response_type", "scope", "state", "auth_type", "code_challenge", "code_challenge_method"}, name) {
			return errors.New("the parameter " + name + " is not documented")
		}
	}
	if kind := v.Get("auth_type"); kind != "" && kind != "reauthenticate" && kind != "rerequest" {
		return errors.New("auth_type " + kind)
	}
	for _, scope := range permissions(v) {
		if !slices.Contains([]string{"public_profile", "email", "user_birthday"}, scope) {
			return errors.New("Invalid Scopes: " + scope)
		}
	}
	return nil
}

// permissions are those of an authorization request.
func permissions(v url.Values) []string {
	return strings.FieldsFunc(v.Get("scope"), func(c rune) bool { return c == ',' || c == ' ' })
}

func (f *Facebook) sum(text string) []byte {
	mac := hmac.New(sha256.New, []byte(f.ClientSecret))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// presented is the access token of a call, where the documentation has it.
func presented(r *http.Request) string { return r.URL.Query().Get("access_token") }

func (f *Facebook) debug(w http.ResponseWriter, r *http.Request) {
	if presented(r) != f.ClientID+"|"+f.ClientSecret {
		Fail(w, graphFailure(190, 0, "Invalid OAuth access token signature."))
		return
	}
	g, ok := f.Access(r.URL.Query().Get("input_token"))
	data := map[string]any{"is_valid": false, "scopes": []string{}, "error": map[string]any{"code": 190, "message": "Malformed access token"}}
	if ok {
		data = map[string]any{
			"app_id": g.Query.Get("client_id"), "type": "USER", "application": "Weir", "is_valid": true, "user_id": g.Person,
			"issued_at": f.Now().Unix(), "expires_at": f.Now().Add(60 * 24 * time.Hour).Unix(), "scopes": permissions(g.Query),
		}
	}
	f.mu.Lock()
	change := f.Debug
	f.mu.Unlock()
	if change != nil {
		change(data)
	}
	Send(w, http.StatusOK, map[string]any{"data": data})
}

// caller returns whose token a request has, if it proves that it is the app's.
func (f *Facebook) caller(r *http.Request) (Grant, error) {
	g, ok := f.Access(presented(r))
	if !ok {
		return g, graphFailure(190, 0, "Invalid OAuth access token "+presented(r))
	}
	if r.URL.Query().Get("appsecret_proof") != hex.EncodeToString(f.sum(presented(r))) {
		return g, graphFailure(100, 0, "Invalid appsecret_proof provided in the API argument")
	}
	return g, nil
}

func (f *Facebook) me(w http.ResponseWriter, r *http.Request) {
	g, err := f.caller(r)
	if err != nil {
		Fail(w, err)
		return
	}
	out := map[string]any{"id": g.Person}
	seen := map[string]bool{}
	for _, name := range strings.Split(r.URL.Query().Get("fields"), ",") {
		needs, known := facebookFields[name]
		if !known || seen[name] {
			Fail(w, graphFailure(100, 0, "Tried accessing nonexisting field ("+name+") on node type (User)"))
			return
		}
		seen[name] = true
		if v, ok := f.People[g.Person][name]; ok && slices.Contains(permissions(g.Query), needs) {
			out[name] = v
		}
	}
	Send(w, http.StatusOK, out)
}

// remove is what a person does by removing the app: every token goes with it.
func (f *Facebook) remove(w http.ResponseWriter, r *http.Request) {
	g, err := f.caller(r)
	if err == nil && r.PathValue("user") != g.Person {
		err = graphFailure(100, 33, "Unsupported delete request.")
	}
	if err != nil {
		Fail(w, err)
		return
	}
	f.Forget(presented(r))
	f.mu.Lock()
	f.removed = append(f.removed, g.Person)
	f.mu.Unlock()
	Send(w, http.StatusOK, map[string]any{"success": true})
}

// Removed are the people who permit nothing any more, the first first.
func (f *Facebook) Removed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.removed)
}

// Limited is an ID token of Limited Login with these claims.
func (f *Facebook) Limited(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: f.signing, KeyID: "limited"}}, nil)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// SignedRequest is what Facebook sends to a callback.
func (f *Facebook) SignedRequest(claims map[string]any) (string, error) {
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	payload := base64.RawURLEncoding.EncodeToString(raw)
	return base64.RawURLEncoding.EncodeToString(f.sum(payload)) + "." + payload, nil
}
