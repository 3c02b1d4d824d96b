package token_test

import (
	"testing"
	"time"

	"github.com/weir-id/weir/federation/token"
)

// direct is a grant of an application that brought a proof and went through no redirect.
func (w *world) direct() token.Grant {
	in := w.request()
	in.RedirectURI, in.Nonce, in.CodeChallenge, in.SessionID, in.Principal = "", "", "", "", "ada@corp"
	return in
}

func (w *world) issue(t *testing.T) (token.Grant, string) {
	t.Helper()
	g, refresh, err := w.grants.Issue(t.Context(), w.direct(), 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return g, refresh
}

func TestIssueIsOneWriteAndGivesARefreshToken(t *testing.T) {
	w := newWorld(t, "ES256")
	w.engine.writes()
	g, refresh := w.issue(t)
	if n := w.engine.writes(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
	if g.ID == "" || g.EventID == "" || !g.Created.Equal(epoch) || g.SessionID != g.ID {
		t.Errorf("grant %+v", g)
	}
	w.mint(t, g)
	again, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
	if err != nil || again.ID != g.ID {
		t.Errorf("refresh: %+v, %v", again, err)
	}
	if _, err := w.grants.Live(t.Context(), g.ID); err != nil {
		t.Errorf("live: %v", err)
	}
	_, _, err = w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: "exampleclient0000000000002"})
	wantErr(t, err, token.ErrRefreshClient)
	w.clock.Advance(2 * time.Hour)
	_, _, err = w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
	wantErr(t, err, token.ErrRefreshExpired)
}

func TestIssueBeginsNoSessionAndHasNoCode(t *testing.T) {
	w := newWorld(t, "ES256")
	g, refresh := w.issue(t)
	_, err := w.grants.Session(t.Context(), g.ID)
	wantErr(t, err, token.ErrSessionEnded)
	for _, code := range []string{refresh, g.ID, ""} {
		_, _, err = w.grants.Spend(t.Context(), code, token.Spend{ClientID: w.client.ID})
		wantErr(t, err, token.ErrCodeUnknown)
	}
	if _, err := w.grants.Live(t.Context(), g.ID); err != nil {
		t.Errorf("the attempts cost the grant: %v", err)
	}
}

func TestIssuedGrantsEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, g token.Grant, refresh string) error{
		"with the user": func(w *world, _ token.Grant, _ string) error {
			_, err := w.grants.EndUser(t.Context(), w.pool.ID, w.user.Sub)
			return err
		},
		"by the provider's word": func(w *world, _ token.Grant, _ string) error {
			_, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Corp", "ada@corp", nil)
			return err
		},
		"by the application's": func(w *world, _ token.Grant, refresh string) error {
			return second(w.grants.Revoke(t.Context(), refresh, w.client.ID))
		},
		"as a session of its own": func(w *world, g token.Grant, _ string) error {
			_, err := w.grants.EndSession(t.Context(), g.SessionID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ES256")
			g, refresh := w.issue(t)
			if err := end(w, g, refresh); err != nil {
				t.Fatal(err)
			}
			_, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
			wantErr(t, err, token.ErrRevoked)
			_, err = w.grants.Live(t.Context(), g.ID)
			wantErr(t, err, token.ErrRevoked)
		})
	}
}

func TestIssueRefusesWhatBelongsToACode(t *testing.T) {
	w := newWorld(t, "ES256")
	for name, change := range map[string]func(*token.Grant){
		"a redirect URI":     func(g *token.Grant) { g.RedirectURI = "https://app.example.com/callback" },
		"a session":          func(g *token.Grant) { g.SessionID = "5b7a4c1e-0f6d-4a52-9a0a-6f6d6f1f2b3c" },
		"a challenge":        func(g *token.Grant) { g.CodeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" },
		"no pool":            func(g *token.Grant) { g.PoolID = "" },
		"no client":          func(g *token.Grant) { g.ClientID = "" },
		"no user":            func(g *token.Grant) { g.Sub = "" },
		"no time of a login": func(g *token.Grant) { g.AuthTime = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			in := w.direct()
			change(&in)
			w.engine.writes()
			if _, refresh, err := w.grants.Issue(t.Context(), in, 0); err == nil || refresh != "" || w.engine.writes() != 0 {
				t.Errorf("issued %q, %v", refresh, err)
			}
		})
	}
}
