package token_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/token"
)

// device is a login of some application in some session.
func (w *world) device(t *testing.T, change func(*token.Grant)) (token.Grant, string) {
	t.Helper()
	in := w.request()
	change(&in)
	code, _ := w.start(t, in)
	s := w.spend()
	s.ClientID = in.ClientID
	g, refresh, err := w.grants.Spend(t.Context(), code, s)
	if err != nil {
		t.Fatal(err)
	}
	return g, refresh
}

// TestEnding signs a user in three times, once into an existing session, and another user once. Each way to end
// grants ends its own and no others.
func TestEnding(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*world, map[string]token.Grant) (int, error)
		want []string // what is over
	}{
		{"a session", func(w *world, g map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndSession(t.Context(), g["laptop"].SessionID)
			return len(ended), err
		}, []string{"laptop", "laptop-mail"}},
		{"a session by a later grant's id is none", func(w *world, g map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndSession(t.Context(), g["laptop-mail"].ID)
			return len(ended), err
		}, nil},
		{"no session", func(w *world, _ map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndSession(t.Context(), "")
			return len(ended), err
		}, nil},
		{"the user", func(w *world, g map[string]token.Grant) (int, error) {
			return w.grants.EndUser(t.Context(), w.pool.ID, w.user.Sub)
		}, []string{"laptop", "laptop-mail", "phone"}},
		{"a user whose sub is a prefix", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndUser(t.Context(), w.pool.ID, w.user.Sub[:8])
		}, nil},
		{"the user of another pool", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndUser(t.Context(), "local_Other0001", w.user.Sub)
		}, nil},
		{"one upstream session", func(w *world, _ map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Corp", "ada@corp", []string{"upstream-1", "upstream-0"})
			return len(ended), err
		}, []string{"laptop", "laptop-mail"}},
		{"all sessions of the upstream principal", func(w *world, _ map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Corp", "ada@corp", nil)
			return len(ended), err
		}, []string{"laptop", "laptop-mail", "phone"}},
		{"the principal of another provider", func(w *world, _ map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Other", "ada@corp", nil)
			return len(ended), err
		}, nil},
		{"an identity of the user", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndIdentity(t.Context(), w.pool.ID, w.user.Sub, w.request().Provider, w.request().Subject)
		}, []string{"laptop", "laptop-mail", "phone"}},
		{"an identity of the user at another provider", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndIdentity(t.Context(), w.pool.ID, w.user.Sub, "Other", w.request().Subject)
		}, nil},
		{"another identity of the user", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndIdentity(t.Context(), w.pool.ID, w.user.Sub, w.request().Provider, "x")
		}, nil},
		{"an identity of another user", func(w *world, _ map[string]token.Grant) (int, error) {
			return w.grants.EndIdentity(t.Context(), w.pool.ID, "6e3a2f0c-5a27-4c8e-9d53-0f6d1a6c7b11", w.request().Provider, w.request().Subject)
		}, nil},
		{"no principal", func(w *world, _ map[string]token.Grant) (int, error) {
			ended, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Corp", "", nil)
			return len(ended), err
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "ES256")
			grants, refresh := map[string]token.Grant{}, map[string]string{}
			grants["laptop"], refresh["laptop"] = w.device(t, func(*token.Grant) {})
			grants["laptop-mail"], refresh["laptop-mail"] = w.device(t, func(g *token.Grant) {
				g.SessionID, g.SessionIndex, g.ClientID = grants["laptop"].SessionID, "", "mailclient0000000000000001"
			})
			grants["phone"], refresh["phone"] = w.device(t, func(g *token.Grant) { g.SessionIndex = "upstream-10" })
			grants["somebody else"], refresh["somebody else"] = w.device(t, func(g *token.Grant) {
				g.Sub, g.Principal = "d3c1a2b4-0f6d-4a52-9a0a-6f6d6f1f2b3c", "a\x00b\xff" // with the same session index
			})
			n, err := c.end(w, grants)
			if err != nil || n != len(c.want) {
				t.Fatalf("ended %d, %v; want %d", n, err, len(c.want))
			}
			for name, g := range grants {
				over := slices.Contains(c.want, name)
				_, err := w.grants.Live(t.Context(), g.ID)
				if (err != nil) != over {
					t.Errorf("%s: live: %v, want over: %t", name, err, over)
				}
				_, _, err = w.grants.Refresh(t.Context(), refresh[name], token.Refresh{ClientID: g.ClientID})
				if (err != nil) != over {
					t.Errorf("%s: refresh: %v, want over: %t", name, err, over)
				}
				if g.SessionID != g.ID {
					continue
				}
				if _, err := w.grants.Session(t.Context(), g.SessionID); (err != nil) != over {
					t.Errorf("%s: session: %v, want over: %t", name, err, over)
				}
			}
			if again, err := c.end(w, grants); err != nil || again != 0 {
				t.Errorf("a second time ended %d, %v; want none", again, err)
			}
		})
	}
}

func TestCodeUnderWayEndsWithItsSession(t *testing.T) {
	w := newWorld(t, "ES256")
	code, g := w.start(t, w.request())
	if _, err := w.grants.EndSession(t.Context(), g.SessionID); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.grants.Spend(t.Context(), code, w.spend())
	wantErr(t, err, token.ErrRevoked)
}

func TestSessionOutlivesRevokedTokensAndCanStillBeEnded(t *testing.T) {
	w := newWorld(t, "ES256")
	g, refresh := w.login(t)
	if _, err := w.grants.Revoke(t.Context(), refresh, w.client.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := w.grants.EndUser(t.Context(), w.pool.ID, w.user.Sub); err != nil || n != 1 {
		t.Fatalf("ended %d, %v; want the session that was left", n, err)
	}
	_, err := w.grants.Session(t.Context(), g.SessionID)
	wantErr(t, err, token.ErrSessionEnded)
}

func TestEndUserWithMoreGrantsThanAPage(t *testing.T) {
	w := newWorld(t, "ES256")
	const n = 450
	for range n {
		w.start(t, w.request())
	}
	count := func(want int) {
		t.Helper()
		if got, err := w.grants.CountUser(t.Context(), w.user); err != nil || got != want {
			t.Errorf("%d give something, %v; want %d", got, err, want)
		}
	}
	count(n)
	if got, err := w.grants.EndUser(t.Context(), w.pool.ID, w.user.Sub); err != nil || got != n {
		t.Errorf("ended %d, %v; want %d", got, err, n)
	}
	count(0)
	w.start(t, w.request())
	w.user.Enabled = false
	count(0)
}

// TestGrantOfASessionThatEndsMeanwhile signs on from a session that is ended between the look at it and the write of the
// grant, where ending cannot find the grant yet.
func TestGrantOfASessionThatEndsMeanwhile(t *testing.T) {
	w := newWorld(t, "ES256")
	first, refresh := w.login(t)
	began, err := w.grants.Session(t.Context(), first.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.grants.EndSession(t.Context(), first.SessionID); err != nil {
		t.Fatal(err)
	}
	in := w.request()
	in.SessionID = began.ID
	code, _ := w.start(t, in)
	_, _, err = w.grants.Spend(t.Context(), code, w.spend())
	wantErr(t, err, token.ErrInvalidGrant)
	wantErr(t, err, token.ErrSessionEnded)
	_, _, err = w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
	wantErr(t, err, token.ErrRevoked)
}

// A session that ran out was not ended: what was granted in its last moment stands.
func TestGrantOfASessionThatRunsOut(t *testing.T) {
	w := newWorld(t, "ES256")
	first, _ := w.login(t)
	in := w.request()
	in.SessionID = first.ID
	w.clock.Advance(time.Hour - time.Second)
	code, _ := w.start(t, in)
	w.clock.Advance(time.Minute)
	if _, _, err := w.grants.Spend(t.Context(), code, w.spend()); err != nil {
		t.Fatal(err)
	}
}

// Another application's refresh token may outlive the grant that began the session by weeks.
func TestEndUpstreamReachesWhatOutlivedTheFirstGrant(t *testing.T) {
	w := newWorld(t, "ES256")
	first, _ := w.device(t, func(*token.Grant) {})
	later, refresh := w.device(t, func(g *token.Grant) { g.SessionID, g.ClientID = first.SessionID, "mailclient0000000000000001" })
	if err := w.engine.Delete(t.Context(), "grant", first.ID); err != nil { // as its expiry does
		t.Fatal(err)
	}
	ended, err := w.grants.EndUpstream(t.Context(), w.pool.ID, "Corp", "ada@corp", nil)
	if err != nil || len(ended) != 1 || ended[0].ID != later.ID {
		t.Errorf("ended %+v, %v", ended, err)
	}
	if _, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: later.ClientID}); err == nil {
		t.Error("the refresh token still works")
	}
}
