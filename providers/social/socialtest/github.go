package socialtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// GitHub is a stand-in for GitHub and its REST API, which is at /api. Its Server says who the client is; Server.Person is a login of People.
type GitHub struct {
	Server
	People map[string]GitHubUser // by login
}

// GitHubUser is what GitHub knows of a person, in the form of its answers.
type GitHubUser struct {
	Profile map[string]any
	Emails  []map[string]any
}

// Start serves until the test ends.
func (g *GitHub) Start(t testing.TB) {
	t.Helper()
	g.AuthorizePath, g.TokenPath = "/login/oauth/authorize", "/login/oauth/access_token"
	codes := map[string]string{"invalid_grant": "bad_verification_code", "invalid_client": "incorrect_client_credentials"}
	g.Refusal = func(_ int, code, description string) *Failure {
		if own := codes[code]; own != "" {
			code = own
		}
		return Refuse(http.StatusOK, code, description)
	}
	g.Cancelled = url.Values{"error": {"access_denied"}, "error_description": {"The user has denied your application access."}}
	g.Token = func(gr Grant, body map[string]any) error {
		body["token_type"], body["scope"] = "bearer", strings.Join(gr.Scopes, ",")
		delete(body, "expires_in")
		return nil
	}
	g.Server.Start(t, func(mux *http.ServeMux) {
		mux.HandleFunc("GET /api/user", g.user)
		mux.HandleFunc("GET /api/user/emails", g.emails)
		mux.HandleFunc("POST /api/applications/{client}/token", g.check)
		mux.HandleFunc("DELETE /api/applications/{client}/token", g.remove)
	})
}

// polite refuses what the REST API refuses from anybody.
func polite(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Header.Get("User-Agent") == "":
		http.Error(w, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header", http.StatusForbidden)
	case r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-GitHub-Api-Version") != "2022-11-28":
		Send(w, http.StatusBadRequest, map[string]string{"message": "Accept or X-GitHub-Api-Version is not as documented"})
	default:
		return true
	}
	return false
}

func (g *GitHub) bearer(w http.ResponseWriter, r *http.Request) (Grant, bool) {
	if !polite(w, r) {
		return Grant{}, false
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	gr, ok := g.Access(token)
	if !ok {
		Send(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
	}
	return gr, ok
}

func (g *GitHub) user(w http.ResponseWriter, r *http.Request) {
	if gr, ok := g.bearer(w, r); ok {
		Send(w, http.StatusOK, g.People[gr.Person].Profile)
	}
}

func (g *GitHub) emails(w http.ResponseWriter, r *http.Request) {
	gr, ok := g.bearer(w, r)
	switch {
	case !ok:
	case !slices.Contains(gr.Scopes, "user:email") && !slices.Contains(gr.Scopes, "user"):
		Send(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
	default:
		Send(w, http.StatusOK, g.People[gr.Person].Emails)
	}
}

func (g *GitHub) check(w http.ResponseWriter, r *http.Request) {
	gr, token, ok := g.named(w, r)
	if !ok {
		return
	}
	person := g.People[gr.Person].Profile
	Send(w, http.StatusOK, map[string]any{
		"id": 1, "scopes": gr.Scopes, "token": token, "app": map[string]any{"client_id": g.ClientID, "name": "Weir"},
		"user": map[string]any{"login": person["login"], "id": person["id"], "type": "User"},
	})
}

func (g *GitHub) remove(w http.ResponseWriter, r *http.Request) {
	if _, token, ok := g.named(w, r); ok {
		g.Forget(token)
		w.WriteHeader(http.StatusNoContent)
	}
}

// named returns the token of the client's own that the body of a request names, and answers where there is none.
func (g *GitHub) named(w http.ResponseWriter, r *http.Request) (Grant, string, bool) {
	if !polite(w, r) {
		return Grant{}, "", false
	}
	id, key, _ := r.BasicAuth()
	if id != g.ClientID || key != g.ClientSecret || r.PathValue("client") != id {
		Send(w, http.StatusUnauthorized, map[string]string{"message": "Requires authentication"})
		return Grant{}, "", false
	}
	var body struct {
		Token string `json:"access_token"`
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(raw, &body) != nil {
		Send(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return Grant{}, "", false
	}
	gr, ok := g.Access(body.Token)
	if !ok || gr.Query.Get("client_id") != g.ClientID {
		Send(w, http.StatusNotFound, map[string]string{"message": "Not Found: " + body.Token})
		return Grant{}, "", false
	}
	return gr, body.Token, true
}
