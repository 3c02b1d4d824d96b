package federation_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

const callback = servertest.HTTP + "/oauth2/idpresponse"

// begin starts a sign-in of the web client at Corp.
func begin(t testing.TB, w *servertest.Weir, change ...func(*federation.Request)) federation.Started {
	t.Helper()
	p, err := w.Directory.Pool(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	idp, err := w.Directory.Provider(t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	req := federation.Request{ClientID: servertest.WebClient, RedirectURI: servertest.WebURI, ResponseType: "code", Scopes: []string{"openid"}, State: "s"}
	for _, c := range change {
		c(&req)
	}
	st, err := w.Broker.Begin(t.Context(), p, idp, req, callback)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// refused checks that an attempt is not opened, and why; the person is told the same in every case.
func refused(t *testing.T, got federation.Attempt, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || fault.CodeOf(err) != fault.Expired || got.ID != "" || got.Request.RedirectURI != "" {
		t.Errorf("attempt %+v, error %v; want %v", got, err, want)
	}
	if got := fault.PublicOf(err); got != "This sign-in is no longer valid. Go back to the application and start again." {
		t.Errorf("public text %q", got)
	}
}

func TestOpenAttempt(t *testing.T) {
	w, _ := servertest.StartExample(t)
	age := 60
	st := begin(t, w, func(r *federation.Request) { r.MaxAge, r.Prompt, r.State = &age, []string{"login"}, "état\n" })
	open := func(id, sealed string) (federation.Attempt, error) { return w.Broker.Open(t.Context(), id, sealed) }
	t.Run("gives back what was sealed", func(t *testing.T) {
		a, err := open(st.Attempt.ID, st.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		if a.Verifier != st.Attempt.Verifier || a.Nonce != st.Attempt.Nonce || *a.Request.MaxAge != 60 || a.Request.State != "état\n" ||
			a.CallbackURL != callback || !a.Started.Equal(w.Clock.Now()) || a.Provider != "Corp" || a.PoolID != servertest.PoolID {
			t.Errorf("attempt %+v", a)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		other := begin(t, w)
		for name, tt := range map[string]struct {
			id, sealed string
			want       error
		}{
			"nothing":                   {st.Attempt.ID, "", federation.ErrAttemptMissing},
			"another's state":           {other.Attempt.ID, st.Sealed, federation.ErrAttemptForeign},
			"no state":                  {"", st.Sealed, federation.ErrAttemptForeign},
			"a longer state":            {st.Attempt.ID + "\x00", st.Sealed, federation.ErrAttemptForeign},
			"not base64":                {st.Attempt.ID, "!", federation.ErrAttemptForeign},
			"short":                     {st.Attempt.ID, st.Sealed[:40], federation.ErrAttemptForeign},
			"cut":                       {st.Attempt.ID, st.Sealed[:len(st.Sealed)-2], federation.ErrAttemptForeign},
			"longer":                    {st.Attempt.ID, st.Sealed + "AA", federation.ErrAttemptForeign},
			"another's end":             {st.Attempt.ID, st.Sealed[:len(st.Sealed)-30] + other.Sealed[len(other.Sealed)-30:], federation.ErrAttemptForeign},
			"sealed for something else": {st.Attempt.ID, encode(w.Ring.Seal([]byte(`{}`), "session\x00"+st.Attempt.ID)), federation.ErrAttemptForeign},
		} {
			t.Run(name, func(t *testing.T) {
				a, err := open(tt.id, tt.sealed)
				refused(t, a, err, tt.want)
			})
		}
	})
	t.Run("what another installation sealed", func(t *testing.T) {
		ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
		if err != nil {
			t.Fatal(err)
		}
		a, err := open(st.Attempt.ID, encode(ring.Seal([]byte(`{}`), "attempt\x00"+st.Attempt.ID)))
		refused(t, a, err, federation.ErrAttemptForeign)
		if !errors.Is(err, secret.ErrUnknownKey) {
			t.Errorf("the log does not say that the key is unknown: %v", err)
		}
	})
	t.Run("in its time only", func(t *testing.T) {
		w.Clock.Advance(federation.AttemptLife)
		if _, err := open(st.Attempt.ID, st.Sealed); err != nil {
			t.Errorf("after %s: %v", federation.AttemptLife, err)
		}
		w.Clock.Advance(time.Nanosecond)
		a, err := open(st.Attempt.ID, st.Sealed)
		refused(t, a, err, federation.ErrAttemptStale)
		w.Clock.Advance(-federation.AttemptLife - time.Minute)
		if _, err := open(st.Attempt.ID, st.Sealed); err != nil {
			t.Errorf("of a node whose clock is a minute ahead: %v", err)
		}
		w.Clock.Advance(-time.Second)
		a, err = open(st.Attempt.ID, st.Sealed)
		refused(t, a, err, federation.ErrAttemptStale)
	})
}

func TestAttemptsDiffer(t *testing.T) {
	w, _ := servertest.StartExample(t)
	seen := map[string]bool{}
	for range 20 {
		st := begin(t, w)
		for _, v := range []string{st.Attempt.ID, st.Attempt.Nonce, st.Attempt.Verifier, st.Sealed} {
			if seen[v] || len(v) < 22 {
				t.Fatalf("%q came before, or is short", v)
			}
			seen[v] = true
		}
		for _, plain := range []string{st.Attempt.Verifier, st.Attempt.Nonce, servertest.WebURI} {
			if strings.Contains(st.Sealed, plain) {
				t.Errorf("the cookie shows %q", plain)
			}
		}
	}
}

func TestOversizedAttempt(t *testing.T) {
	w, _ := servertest.StartExample(t)
	p, err := w.Directory.Pool(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	idp, err := w.Directory.Provider(t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	w.Events.Take()
	req := federation.Request{ClientID: servertest.WebClient, RedirectURI: servertest.WebURI, State: strings.Repeat("x", federation.MaxSealed)}
	st, err := w.Broker.Begin(t.Context(), p, idp, req, callback)
	if fault.CodeOf(err) != fault.Invalid || st.Sealed != "" || len(w.Events.Take()) != 0 {
		t.Errorf("%v, %d characters", err, len(st.Sealed))
	}
}

// Session and SignOut against cookies that are not what they should be.
func TestSessions(t *testing.T) {
	w, _ := servertest.StartExample(t)
	b := w.Browser()
	w.Web().Login(b, servertest.As("ada"))
	sealed := b.Cookie("weir_s_")[0].Value
	anchor, err := w.Broker.Session(t.Context(), servertest.PoolID, sealed)
	if err != nil || anchor.Provider != "Corp" || anchor.SessionID != anchor.ID {
		t.Fatalf("%+v, %v", anchor, err)
	}
	none := func(name, poolID, sealed string) {
		t.Helper()
		if g, err := w.Broker.Session(t.Context(), poolID, sealed); !errors.Is(err, federation.ErrNoSession) || g.ID != "" {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
		if err := w.Broker.SignOut(t.Context(), poolID, servertest.WebClient, sealed); err != nil {
			t.Errorf("sign out with %s: %v", name, err)
		}
	}
	none("nothing", servertest.PoolID, "")
	none("no base64", servertest.PoolID, "!")
	none("another pool's", servertest.OtherPool, sealed)
	none("an attempt", servertest.PoolID, begin(t, w).Sealed)
	none("of no grant", servertest.PoolID, encode(w.Ring.Seal([]byte("x\x00"), "session\x00"+servertest.PoolID)))
	none("of nothing", servertest.PoolID, encode(w.Ring.Seal(nil, "session\x00"+servertest.PoolID)))
	if g, err := w.Broker.Session(t.Context(), servertest.OtherPool, encode(w.Ring.Seal([]byte(anchor.ID), "session\x00"+servertest.OtherPool))); !errors.Is(err, federation.ErrNoSession) {
		t.Errorf("a grant of another pool: %+v, %v", g, err)
	}
	if _, err := w.Broker.Session(t.Context(), servertest.PoolID, sealed); err != nil {
		t.Errorf("sign-outs with foreign cookies ended it: %v", err)
	}
	w.Clock.Advance(federation.SessionLife)
	none("over", servertest.PoolID, sealed)
}

func TestProviderOfAnotherName(t *testing.T) {
	w, _ := servertest.StartExample(t)
	st := begin(t, w)
	a := st.Attempt
	a.Provider = "Nobody"
	_, err := w.Broker.Finish(t.Context(), a, federation.Response{})
	if fault.CodeOf(err) != fault.Expired {
		t.Errorf("error %v", err)
	}
	a = st.Attempt
	a.PoolID = "local_Nobody001"
	if _, err = w.Broker.Finish(t.Context(), a, federation.Response{}); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("error %v", err)
	}
}

// FuzzOpenAttempt: no cookie but the sealed one opens, and only for its own state.
func FuzzOpenAttempt(f *testing.F) {
	w, _ := servertest.StartExample(f)
	st := begin(f, w)
	f.Add(st.Attempt.ID, st.Sealed)
	f.Add("", "")
	f.Add(st.Attempt.ID, st.Sealed+"=")
	f.Add(st.Attempt.ID, st.Sealed+"\n")
	f.Add(st.Attempt.ID+"\x00", st.Sealed)
	f.Add("x", encode(w.Ring.Seal([]byte(`{"id":"x"}`), "session\x00x")))
	f.Fuzz(func(t *testing.T, id, sealed string) {
		a, err := w.Broker.Open(t.Context(), id, sealed)
		if err == nil && (id != st.Attempt.ID || a.ID != id || a.Verifier != st.Attempt.Verifier) {
			t.Fatalf("opened %q for %q", sealed, id)
		}
		if err != nil && fault.CodeOf(err) != fault.Expired {
			t.Fatalf("error %v", err)
		}
		if g, err := w.Broker.Session(t.Context(), servertest.PoolID, sealed); err == nil {
			t.Fatalf("a session %+v", g)
		}
	})
}
