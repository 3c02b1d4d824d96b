package socialtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Amazon is a stand-in for Login with Amazon. Its Server says who the client is; Server.Person is a user_id of People.
type Amazon struct {
	Server
	// People are profiles by user_id, with all that Amazon knows of a person.
	People map[string]map[string]any
	// Info changes what tokeninfo answers.
	Info func(info map[string]any)
}

// Start serves until the test ends.
func (a *Amazon) Start(t testing.TB) {
	t.Helper()
	a.AuthorizePath, a.TokenPath = "/ap/oa", "/auth/o2/token"
	a.Authorize = func(v url.Values) error {
		for _, scope := range strings.Fields(v.Get("scope")) {
			if !slices.Contains([]string{"profile", "profile:user_id", "postal_code"}, scope) {
				return Refuse(http.StatusBadRequest, "invalid_scope", scope)
			}
		}
		return nil
	}
	a.Refusal = func(status int, code, description string) *Failure {
		return &Failure{status, map[string]string{"error": code, "error_description": description, "request_id": "0f3d5c2a-9b1e-4c77-8a64-2d6f1e0b9c35"}}
	}
	a.Cancelled = url.Values{"error": {"access_denied"}, "error_description": {"The customer or authorization server denied the request"}}
	a.Token = func(_ Grant, body map[string]any) error {
		body["token_type"], body["refresh_token"] = "bearer", "Atzr|"+body["access_token"].(string)
		return nil
	}
	a.Server.Start(t, func(mux *http.ServeMux) {
		mux.HandleFunc("GET /auth/o2/tokeninfo", a.tokenInfo)
		mux.HandleFunc("GET /user/profile", a.profile)
	})
}

func (a *Amazon) tokenInfo(w http.ResponseWriter, r *http.Request) {
	g, ok := a.Access(r.URL.Query().Get("access_token"))
	if !ok {
		Fail(w, a.Refusal(http.StatusBadRequest, "invalid_token", "The access token is not valid: "+r.URL.Query().Get("access_token")))
		return
	}
	info := map[string]any{
		"iss": "https://www.amazon.com", "user_id": g.Person, "aud": g.Query.Get("client_id"), "app_id": "amzn1.application.436457DFHDH",
		"exp": 3597, "iat": a.Now().Unix(),
	}
	a.mu.Lock()
	change := a.Info
	a.mu.Unlock()
	if change != nil {
		change(info)
	}
	Send(w, http.StatusOK, info)
}

func (a *Amazon) profile(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g, ok := a.Access(token)
	if !ok {
		Fail(w, a.Refusal(http.StatusBadRequest, "invalid_token", "The access token is not valid: "+token))
		return
	}
	shown := map[string][]string{"profile": {"user_id", "email", "name"}, "profile:user_id": {"user_id"}, "postal_code": {"user_id", "postal_code"}}
	out := map[string]any{}
	for _, scope := range g.Scopes {
		for _, name := range shown[scope] {
			if v, ok := a.People[g.Person][name]; ok {
				out[name] = v
			}
		}
	}
	Send(w, http.StatusOK, out)
}
