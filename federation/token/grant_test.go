package token_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
)

func TestLoginOfAReturningUserIsTwoWrites(t *testing.T) {
	w := newWorld(t, "ES256")
	if err := w.keys.Ensure(t.Context(), w.pool); err != nil {
		t.Fatal(err)
	}
	w.engine.writes()
	code, started := w.start(t, w.request())
	if n := w.engine.writes(); n != 1 {
		t.Errorf("Start made %d writes, want 1", n)
	}
	g, refresh, err := w.grants.Spend(t.Context(), code, w.spend())
	if err != nil {
		t.Fatal(err)
	}
	if n := w.engine.writes(); n != 1 {
		t.Errorf("Spend made %d writes, want 1", n)
	}
	w.mint(t, g)
	if _, next, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID}); err != nil || next != "" {
		t.Errorf("refresh without rotation: a new token %t, error %v", next != "", err)
	}
	if n := w.engine.writes(); n != 0 {
		t.Errorf("minting and a refresh without rotation made %d writes, want none", n)
	}
	if _, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID, Rotate: true}); err != nil {
		t.Fatal(err)
	}
	if n := w.engine.writes(); n != 1 {
		t.Errorf("a refresh with rotation made %d writes, want 1", n)
	}
	if !reflect.DeepEqual(g, started) {
		t.Errorf("Spend returned %+v, Start %+v", g, started)
	}
}

// Ids in the order of time keep the store's pages together (docs/benchmarks.md).
func TestGrantIDsAreInTheOrderOfTime(t *testing.T) {
	w := newWorld(t, "ES256")
	seen := map[string]bool{}
	before := ""
	for range 20 {
		w.clock.Advance(time.Millisecond)
		_, g := w.start(t, w.request())
		id, err := uuid.Parse(g.ID)
		if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("id %s: version %d, %v; want a UUID of version 7", g.ID, id.Version(), err)
		}
		if sec, nsec := id.Time().UnixTime(); !time.Unix(sec, nsec).Equal(w.clock.Now().Truncate(time.Millisecond)) {
			t.Errorf("id %s tells another time than the clock's %v", g.ID, w.clock.Now())
		}
		if g.ID <= before || seen[g.ID[len(g.ID)-12:]] {
			t.Errorf("id %s after %s: not later, or its end is not random", g.ID, before)
		}
		before, seen[g.ID[len(g.ID)-12:]] = g.ID, true
	}
}

func TestStartFillsInWhatIsItsOwn(t *testing.T) {
	w := newWorld(t, "ES256")
	in := w.request()
	in.ID, in.EventID, in.Created = "chosen by the caller", "", epoch.Add(-time.Hour)
	code, g := w.start(t, in)
	if _, err := uuid.Parse(g.ID); err != nil || g.SessionID != g.ID || !g.Created.Equal(epoch) {
		t.Errorf("got %+v (%v)", g, err)
	}
	if _, err := uuid.Parse(g.EventID); err != nil {
		t.Errorf("event id: %v", err)
	}
	if len(code) != 64 {
		t.Errorf("a code of %d characters, want 64", len(code))
	}
	in.SessionID = g.ID
	if _, second := w.start(t, in); second.SessionID != g.ID || second.ID == g.ID {
		t.Errorf("a grant in a session got %+v", second)
	}
}

func TestStartRefusesAnIncompleteGrant(t *testing.T) {
	w := newWorld(t, "ES256")
	for name, change := range map[string]func(*token.Grant){
		"no pool":             func(g *token.Grant) { g.PoolID = "" },
		"no client":           func(g *token.Grant) { g.ClientID = "" },
		"no user":             func(g *token.Grant) { g.Sub = "" },
		"no redirect_uri":     func(g *token.Grant) { g.RedirectURI = "" },
		"no auth_time":        func(g *token.Grant) { g.AuthTime = time.Time{} },
		"plain challenge":     func(g *token.Grant) { g.CodeChallenge = "too-short" },
		"challenge with more": func(g *token.Grant) { g.CodeChallenge = challenge + "\n" },
	} {
		in := w.request()
		change(&in)
		if code, _, err := w.grants.Start(t.Context(), in, token.Lifetimes{}); err == nil || code != "" {
			t.Errorf("%s: started", name)
		}
	}
	if n := w.engine.writes(); n != 0 {
		t.Errorf("%d writes, want none", n)
	}
}

func TestOnlyHashesOfHandlesAreStored(t *testing.T) {
	w := newWorld(t, "ES256")
	code, g := w.start(t, w.request())
	_, refresh, err := w.grants.Spend(t.Context(), code, w.spend())
	if err != nil {
		t.Fatal(err)
	}
	_, next, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID, Rotate: true, Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.engine.Get(t.Context(), "grant", g.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, handle := range map[string]string{"code": code, "refresh token": refresh, "next refresh token": next} {
		raw, err := base64.RawURLEncoding.DecodeString(handle)
		if err != nil {
			t.Fatal(err)
		}
		// Any 12 bytes of the secret part, in any of the base64 alignments.
		for i := 16; i+12 <= len(raw); i++ {
			part := raw[i : i+12]
			if bytes.Contains(d.Body, part) || bytes.Contains(d.Body, []byte(base64.StdEncoding.EncodeToString(part))) {
				t.Fatalf("the document holds a part of the %s", name)
			}
		}
	}
}

func TestCodeIsRefused(t *testing.T) {
	w := newWorld(t, "ES256")
	good, _ := w.start(t, w.request())
	other, _ := w.start(t, w.request())
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	otherRaw, _ := base64.RawURLEncoding.DecodeString(other)
	for _, c := range []struct {
		name   string
		code   string
		change func(*token.Spend)
		want   error
	}{
		{"empty", "", nil, token.ErrCodeUnknown},
		{"garbage", "not a code", nil, token.ErrCodeUnknown},
		{"too long", strings.Repeat("A", 1<<20), nil, token.ErrCodeUnknown},
		{"of no grant", strings.Repeat("A", 64), nil, token.ErrCodeUnknown},
		{"grant id known, secret guessed", base64.RawURLEncoding.EncodeToString(append(raw[:16:16], make([]byte, 32)...)), nil, token.ErrCodeUnknown},
		{"secret of another grant", base64.RawURLEncoding.EncodeToString(append(raw[:16:16], otherRaw[16:]...)), nil, token.ErrCodeUnknown},
		{"padded", good + "=", nil, token.ErrCodeUnknown},
		{"other client", good, func(s *token.Spend) { s.ClientID = "someotherclient00000000001" }, token.ErrCodeClient},
		{"other redirect_uri", good, func(s *token.Spend) { s.RedirectURI += "/" }, token.ErrCodeRedirect},
		{"no redirect_uri", good, func(s *token.Spend) { s.RedirectURI = "" }, token.ErrCodeRedirect},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.engine.writes()
			s := w.spend()
			if c.change != nil {
				c.change(&s)
			}
			g, refresh, err := w.grants.Spend(t.Context(), c.code, s)
			wantErr(t, err, c.want)
			wantErr(t, err, token.ErrInvalidGrant)
			if refresh != "" || !reflect.DeepEqual(g, token.Grant{}) || w.engine.writes() != 0 {
				t.Errorf("the refusal had an effect")
			}
		})
	}
	if _, _, err := w.grants.Spend(t.Context(), good, w.spend()); err != nil {
		t.Errorf("the code after all these refusals: %v", err)
	}
}

func TestCodeLivesFiveMinutes(t *testing.T) {
	w := newWorld(t, "ES256")
	first, _ := w.start(t, w.request())
	second, _ := w.start(t, w.request())
	w.clock.Advance(5*time.Minute - 1)
	if _, _, err := w.grants.Spend(t.Context(), first, w.spend()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(1)
	_, _, err := w.grants.Spend(t.Context(), second, w.spend())
	wantErr(t, err, token.ErrCodeExpired)
	if fault.CodeOf(err) != fault.Expired {
		t.Errorf("got fault %v, want expired", fault.CodeOf(err))
	}
}

// s256 is RFC 7636 section 4.2.
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestPKCE(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, c := range []struct {
		name, challenge, verifier string
		ok                        bool
	}{
		{"RFC 7636 appendix B", challenge, verifier, true},
		{"longest verifier", s256(long), long, true},
		{"shortest verifier", s256(long[:43]), long[:43], true},
		{"no challenge and no verifier", "", "", true},
		{"wrong verifier", challenge, strings.Repeat("x", 43), false},
		{"missing verifier", challenge, "", false},
		{"verifier without challenge", "", verifier, false},
		{"challenge in place of the verifier", challenge, challenge, false},
		{"42 characters", s256(long[:42]), long[:42], false},
		{"129 characters", s256(long + "a"), long + "a", false},
		{"reserved character", s256(long + "+"), long + "+", false},
		{"line break at the end", s256(verifier + "\n"), verifier + "\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "ES256")
			in := w.request()
			in.CodeChallenge = c.challenge
			code, _ := w.start(t, in)
			s := w.spend()
			s.Verifier = c.verifier
			w.engine.writes()
			_, refresh, err := w.grants.Spend(t.Context(), code, s)
			if c.ok {
				if err != nil || refresh == "" {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			wantErr(t, err, token.ErrPKCE)
			if refresh != "" || w.engine.writes() != 1 {
				t.Error("want one write that burns the code, and no token")
			}
			s.Verifier = verifier
			_, _, err = w.grants.Spend(t.Context(), code, s)
			wantErr(t, err, token.ErrCodeReused)
		})
	}
}

func TestCodeUsedTwiceRevokesWhatItGave(t *testing.T) {
	for _, after := range []time.Duration{0, time.Hour, 29 * 24 * time.Hour} {
		w := newWorld(t, "ES256")
		code, _ := w.start(t, w.request())
		g, refresh, err := w.grants.Spend(t.Context(), code, w.spend())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.grants.Live(t.Context(), g.ID); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(after)
		_, _, err = w.grants.Spend(t.Context(), code, w.spend())
		wantErr(t, err, token.ErrCodeReused)
		_, _, err = w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
		wantErr(t, err, token.ErrRevoked)
		_, err = w.grants.Live(t.Context(), g.ID)
		wantErr(t, err, token.ErrRevoked)
		if fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("got fault %v, want unauthenticated", fault.CodeOf(err))
		}
		w.engine.writes()
		_, _, err = w.grants.Spend(t.Context(), code, w.spend())
		wantErr(t, err, token.ErrCodeReused)
		if w.engine.writes() != 0 {
			t.Error("a third use was written down")
		}
	}
}

func TestThirtyTwoUsersOfOneCode(t *testing.T) {
	w := newWorld(t, "ES256")
	for range 8 {
		code, g := w.start(t, w.request())
		refresh := make([]string, 32)
		errs := together(32, func(i int) (err error) {
			_, refresh[i], err = w.grants.Spend(t.Context(), code, w.spend())
			return err
		})
		winners := 0
		for i, err := range errs {
			if err != nil {
				wantErr(t, err, token.ErrCodeReused)
				continue
			}
			winners++
			_, _, err := w.grants.Refresh(t.Context(), refresh[i], token.Refresh{ClientID: w.client.ID})
			wantErr(t, err, token.ErrRevoked)
		}
		if winners > 1 {
			t.Fatalf("%d winners, want at most one", winners)
		}
		_, err := w.grants.Live(t.Context(), g.ID)
		wantErr(t, err, token.ErrRevoked)
	}
}

func TestGrantStopsWithTheUser(t *testing.T) {
	w := newWorld(t, "ES256")
	g, _ := w.login(t)
	for _, c := range []struct {
		name   string
		change func(*pool.User)
		want   error
	}{
		{"as it was", func(*pool.User) {}, nil},
		{"disabled", func(u *pool.User) { u.Enabled = false }, token.ErrUserDisabled},
		{"signed out everywhere", func(u *pool.User) { u.SignedOutAt = w.clock.Now() }, token.ErrSignedOut},
	} {
		u := w.user
		c.change(&u)
		wantErr(t, g.Check(u), c.want)
	}
	stranger := w.user
	stranger.Sub = "another"
	if g.Check(stranger) == nil {
		t.Error("another user's grant was let through")
	}
}

func TestDocumentOutlivesEverythingThatNeedsIt(t *testing.T) {
	w := newWorld(t, "ES256")
	code, g := w.start(t, w.request())
	expires := func() time.Duration {
		d, err := w.engine.Get(t.Context(), "grant", g.ID)
		if err != nil {
			t.Fatal(err)
		}
		return d.Expires.Sub(epoch)
	}
	if got := expires(); got != time.Hour {
		t.Errorf("started: expires after %v, want the session's hour", got)
	}
	_, refresh, err := w.grants.Spend(t.Context(), code, w.spend())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := expires(), 31*24*time.Hour; got != want {
		t.Errorf("spent: expires after %v, want %v (refresh token and the last access token)", got, want)
	}
	if _, err := w.grants.Revoke(t.Context(), refresh, w.client.ID); err != nil {
		t.Fatal(err)
	}
	if got := expires(); got != token.MaxTokenLife {
		t.Errorf("revoked: expires after %v, want the life of an access token", got)
	}
	w.clock.Advance(token.MaxTokenLife)
	if n, err := w.engine.Sweep(t.Context(), w.clock.Now().Add(time.Second)); err != nil || n != 1 {
		t.Errorf("Sweep removed %d (%v), want the one grant", n, err)
	}
	_, err = w.grants.Live(t.Context(), g.ID)
	wantErr(t, err, token.ErrRevoked)
}

func TestSession(t *testing.T) {
	w := newWorld(t, "ES256")
	_, anchor := w.start(t, w.request())
	in := w.request()
	in.SessionID = anchor.ID
	_, second := w.start(t, in)
	w.clock.Advance(time.Hour - 1)
	if got, err := w.grants.Session(t.Context(), anchor.ID); err != nil || !reflect.DeepEqual(got, anchor) {
		t.Errorf("within the hour: %+v, %v", got, err)
	}
	for name, id := range map[string]string{"a grant that began none": second.ID, "none": "", "unknown": uuid.NewString(), "NUL": "a\x00b", "long": strings.Repeat("x", 4096)} {
		_, err := w.grants.Session(t.Context(), id)
		if wantErr(t, err, token.ErrSessionEnded); fault.CodeOf(err) != fault.Expired {
			t.Errorf("%s: fault %v, want expired", name, fault.CodeOf(err))
		}
	}
	w.clock.Advance(1)
	_, err := w.grants.Session(t.Context(), anchor.ID)
	wantErr(t, err, token.ErrSessionEnded)
	if _, err := w.grants.Live(t.Context(), ""); err == nil {
		t.Error("a grant without a name is live")
	}
}
