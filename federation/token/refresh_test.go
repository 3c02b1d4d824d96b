package token_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/token"
)

// family drives the refresh tokens of one login.
type family struct {
	*testing.T
	*world
	grant token.Grant
	in    token.Refresh
}

func newFamily(t *testing.T, rotate bool, grace time.Duration) (family, string) {
	w := newWorld(t, "ES256")
	g, refresh := w.login(t)
	return family{t, w, g, token.Refresh{ClientID: w.client.ID, Rotate: rotate, Grace: grace}}, refresh
}

func (f family) good(refresh string) string {
	f.Helper()
	g, next, err := f.grants.Refresh(f.Context(), refresh, f.in)
	if err != nil {
		f.Fatal(err)
	}
	if g.ID != f.grant.ID {
		f.Fatalf("got grant %s, want %s", g.ID, f.grant.ID)
	}
	return next
}

func (f family) refused(refresh string, want error) {
	f.Helper()
	g, next, err := f.grants.Refresh(f.Context(), refresh, f.in)
	wantErr(f, err, want)
	wantErr(f, err, token.ErrInvalidGrant)
	if g.ID != "" || next != "" {
		f.Error("a refusal with an answer")
	}
}

func TestRefreshWithoutRotationKeepsTheToken(t *testing.T) {
	f, r := newFamily(t, false, 0)
	for range 3 {
		if f.good(r) != "" {
			t.Error("the token was replaced")
		}
		f.clock.Advance(9 * 24 * time.Hour)
	}
}

func TestRefreshExpiresAtATimeFixedByTheGrant(t *testing.T) {
	f, r := newFamily(t, true, time.Minute)
	for range 29 {
		f.clock.Advance(24 * time.Hour)
		r = f.good(r)
	}
	f.clock.Advance(24*time.Hour - 1)
	r = f.good(r)
	f.clock.Advance(1)
	f.refused(r, token.ErrRefreshExpired)
	if _, err := f.grants.Live(t.Context(), f.grant.ID); err != nil {
		t.Errorf("the access token minted a moment ago: %v", err)
	}
}

func TestRotationReplacesTheToken(t *testing.T) {
	f, first := newFamily(t, true, 0)
	second := f.good(first)
	third := f.good(second)
	if second == "" || first == second || second == third {
		t.Fatal("a token came twice")
	}
	if first[:40] != third[:40] {
		t.Error("the family part changed")
	}
	f.refused(first, token.ErrRefreshReused)
	f.refused(third, token.ErrRevoked)
	_, err := f.grants.Live(t.Context(), f.grant.ID)
	wantErr(t, err, token.ErrRevoked)
}

func TestGraceAnswersALostAnswerAgain(t *testing.T) {
	f, first := newFamily(t, true, 30*time.Second)
	second := f.good(first)
	f.engine.writes()
	f.clock.Advance(30*time.Second - 1)
	if again := f.good(first); again != second {
		t.Error("the lost answer was answered with another token: the family forked")
	}
	if n := f.engine.writes(); n != 0 {
		t.Errorf("%d writes, want none", n)
	}
	f.in.Rotate = false // the admin turned rotation off meanwhile
	if again := f.good(first); again != second {
		t.Error("the lost answer is lost when rotation is off")
	}
	f.in.Rotate = true
	third := f.good(second)
	f.refused(first, token.ErrRefreshReused) // two steps back, though its own grace is not over
	f.refused(third, token.ErrRevoked)
}

func TestReuseAfterTheGraceRevokesTheFamily(t *testing.T) {
	f, first := newFamily(t, true, 30*time.Second)
	second := f.good(first)
	f.clock.Advance(30 * time.Second)
	f.refused(first, token.ErrRefreshReused)
	f.refused(second, token.ErrRevoked)
}

func TestForgedTokensDoNotTouchTheFamily(t *testing.T) {
	f, r := newFamily(t, true, 0)
	_, other := f.login(t)
	raw, _ := base64.RawURLEncoding.DecodeString(r)
	otherRaw, _ := base64.RawURLEncoding.DecodeString(other)
	join := func(parts ...[]byte) string {
		var b []byte
		for _, p := range parts {
			b = append(b, p...)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	code, _ := f.start(t, f.request())
	f.engine.writes()
	for name, forged := range map[string]string{
		"empty":                        "",
		"long":                         strings.Repeat("A", 1<<20),
		"a code":                       code,
		"of no grant":                  strings.Repeat("A", 86),
		"only the grant's id is known": join(raw[:16], make([]byte, 48)),
		"another grant's token":        join(raw[:16], otherRaw[16:]),
		"right secret, wrong family":   join(raw[:16], otherRaw[16:32], raw[32:]),
	} {
		f.refused(forged, token.ErrRefreshUnknown)
		if ended, err := f.grants.Revoke(t.Context(), forged, f.client.ID); err != nil || ended {
			t.Errorf("%s: Revoke: %v, %v, want false and nil (RFC 7009 section 2.2)", name, ended, err)
		}
	}
	f.in.ClientID = "someotherclient00000000001"
	f.refused(r, token.ErrRefreshClient)
	wantErr(t, second(f.grants.Revoke(t.Context(), r, f.in.ClientID)), token.ErrRefreshClient)
	f.in.ClientID = f.client.ID
	if n := f.engine.writes(); n != 0 {
		t.Errorf("%d writes, want none", n)
	}
	f.good(r)
}

func TestUnspentCodeHasNoRefreshToken(t *testing.T) {
	w := newWorld(t, "ES256")
	code, _ := w.start(t, w.request())
	raw, _ := base64.RawURLEncoding.DecodeString(code)
	_, _, err := w.grants.Refresh(t.Context(), base64.RawURLEncoding.EncodeToString(append(raw[:16:16], make([]byte, 48)...)), token.Refresh{ClientID: w.client.ID})
	wantErr(t, err, token.ErrRefreshUnknown)
}

func TestThirtyTwoRefreshesAtOnce(t *testing.T) {
	for name, grace := range map[string]time.Duration{"with grace": time.Minute, "without": 0} {
		t.Run(name, func(t *testing.T) {
			f, r := newFamily(t, true, grace)
			next := make([]string, 32)
			errs := together(32, func(i int) (err error) {
				_, next[i], err = f.grants.Refresh(t.Context(), r, f.in)
				return err
			})
			given := map[string]int{}
			for i, err := range errs {
				if err == nil {
					given[next[i]]++
				} else if grace > 0 {
					t.Error(err)
				}
			}
			if len(given) != 1 {
				t.Fatalf("%d different tokens were given, want 1", len(given))
			}
			for token, n := range given {
				if grace > 0 {
					f.good(token)
				} else if n != 1 {
					t.Errorf("%d winners, want 1", n)
				}
			}
			if grace == 0 {
				_, err := f.grants.Live(t.Context(), f.grant.ID)
				wantErr(t, err, token.ErrRevoked)
			}
		})
	}
}

func TestRevokeEndsTheFamilyByAnyOfItsTokens(t *testing.T) {
	for _, which := range []string{"current", "replaced"} {
		f, first := newFamily(t, true, time.Minute)
		second := f.good(first)
		by := map[string]string{"current": second, "replaced": first}[which]
		f.engine.writes()
		for range 2 {
			if _, err := f.grants.Revoke(t.Context(), by, f.client.ID); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.engine.writes(); n != 1 {
			t.Errorf("%s: revoking twice made %d writes, want 1", which, n)
		}
		f.refused(second, token.ErrRevoked)
		_, err := f.grants.Live(t.Context(), f.grant.ID)
		wantErr(t, err, token.ErrRevoked)
		if _, err := f.grants.Session(t.Context(), f.grant.SessionID); err != nil {
			t.Errorf("%s: revoking tokens ended the session: %v", which, err)
		}
	}
}
