package social_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// sent are the client secrets that Apple got, and when each ends.
func sent(t *testing.T, up *socialtest.Apple) (secrets []string, ends []time.Time) {
	t.Helper()
	for _, r := range up.Requests("/auth/token") {
		raw := r.Form.Get("client_secret")
		jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var c struct{ Exp int64 }
		if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &c); err != nil {
			t.Fatal(err)
		}
		secrets, ends = append(secrets, raw), append(ends, time.Unix(c.Exp, 0))
	}
	return secrets, ends
}

func TestAppleSecretIsRenewedBeforeItsEnd(t *testing.T) {
	a := startApple(t)
	for range 13 { // three hours, a sign-in every quarter of an hour
		a.Web().Code(a.signIn(a.Browser(), "prompt", "login"))
		_, ends := sent(t, a.up)
		if left := ends[len(ends)-1].Sub(a.Clock.Now()); left < 20*time.Minute || left > 24*time.Hour {
			t.Errorf("a secret was sent with %v left", left)
		}
		a.Clock.Advance(15 * time.Minute)
	}
	secrets, _ := sent(t, a.up)
	different := map[string]bool{}
	for _, s := range secrets {
		different[s] = true
	}
	if len(different) < 3 || len(different) > 7 {
		t.Errorf("%d secrets in three hours", len(different))
	}
	a.Clock.Advance(-24 * time.Hour) // a clock that was wrong and was set right
	a.Web().Code(a.signIn(a.Browser(), "prompt", "login"))
}

func TestAppleSecretIsForAllAtOnce(t *testing.T) {
	a := startApple(t)
	const n = 8
	pages, errs := make(chan *servertest.Page, n), make(chan error, n)
	for range n {
		b := a.Browser()
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Web().Authorize(), nil)
			var p *servertest.Page
			if err == nil {
				p, err = b.Try(req)
			}
			if err == nil {
				req, err = upstream(t.Context(), b, p)
			}
			if err == nil {
				p, err = b.Try(req)
			}
			pages <- p
			errs <- err
		}()
	}
	for range n {
		p := <-pages
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		a.Web().Code(p)
	}
}

func TestAppleSecretIsNotLogged(t *testing.T) {
	a := startApple(t)
	a.up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/auth/token": func(w http.ResponseWriter, r *http.Request) { // a provider that repeats what it was sent
			socialtest.Send(w, http.StatusBadRequest, map[string]string{"error": "invalid_client", "error_description": r.PostForm.Encode()})
		}}
	})
	a.refused(a.signIn(a.Browser()), "invalid_request", "[secret]")
	secrets, _ := sent(t, a.up)
	key := strings.Split(a.up.Key(), "\n")[1]
	if log := a.Log.Text(); strings.Contains(log, secrets[0]) || strings.Contains(log, strings.Split(secrets[0], ".")[2]) || strings.Contains(log, key) {
		t.Error("the log holds the client secret or the key")
	}
}

func TestAppleRefusesTheClient(t *testing.T) {
	other := socialtest.StartApple(t, time.Now, callback, nil)
	for name, pair := range map[string][]string{
		"another team":                  {"team_id", "TEAM999999"},
		"another key id":                {"key_id", "KEY9999999"},
		"another key":                   {"private_key", other.Key()},
		"an issuer that is not Apple's": {"oidc_issuer", "https://appleid.apple.com"},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t)
			s := servertest.Example(appleSpec(a.up, pair...))
			a.Clock.Advance(time.Second)
			a.Apply(s)
			p := a.signIn(a.Browser())
			a.refused(p, "invalid_request", "invalid_client", "private_key", "key_id", "team_id", "client_id")
			tr, err := a.Traces.Get(t.Context(), p.Header.Get("X-Request-Id"))
			if err != nil || len(tr.Facts) != 1 || tr.Facts[0].Name != trace.FactAdvice || !strings.Contains(tr.Facts[0].Text, "team_id") {
				t.Errorf("trace %+v, %v", tr, err)
			}
			if len(users(t, a.Weir)) != 0 {
				t.Error("a user was made")
			}
		})
	}
}

// The stand-in is as strict as Apple's documents, so that passing it says something.
func TestAppleStandInChecksTheClientSecret(t *testing.T) {
	clock := servertest.NewClock()
	up := socialtest.StartApple(t, clock.Now, callback, nil)
	key := up.Signer()
	now := clock.Now().Unix()
	good := map[string]any{"iss": socialtest.AppleTeam, "sub": socialtest.AppleClient, "aud": up.URL, "iat": now, "exp": now + 3600}
	for name, tt := range map[string]struct {
		claims map[string]any
		kid    string
		status int
	}{
		"a good one":           {nil, socialtest.AppleKeyID, http.StatusOK},
		"half a year":          {map[string]any{"exp": now + 15_777_000}, socialtest.AppleKeyID, http.StatusOK},
		"longer":               {map[string]any{"exp": now + 15_777_001}, socialtest.AppleKeyID, http.StatusBadRequest},
		"past":                 {map[string]any{"iat": now - 20, "exp": now - 10}, socialtest.AppleKeyID, http.StatusBadRequest},
		"from the future":      {map[string]any{"iat": now + 10}, socialtest.AppleKeyID, http.StatusBadRequest},
		"without iat":          {map[string]any{"iat": nil}, socialtest.AppleKeyID, http.StatusBadRequest},
		"of another team":      {map[string]any{"iss": "TEAM999999"}, socialtest.AppleKeyID, http.StatusBadRequest},
		"about another client": {map[string]any{"sub": "com.example.other"}, socialtest.AppleKeyID, http.StatusBadRequest},
		"for somebody else":    {map[string]any{"aud": "https://example.com"}, socialtest.AppleKeyID, http.StatusBadRequest},
		"of another key id":    {nil, "KEY9999999", http.StatusBadRequest},
		"of no key id":         {nil, "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			claims := maps.Clone(good)
			maps.Copy(claims, tt.claims)
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: tt.kid}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign(payload)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if got := revoke(t, up, raw); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
		})
	}
	t.Run("signed by nobody", func(t *testing.T) {
		b64 := base64.RawURLEncoding.EncodeToString
		payload, err := json.Marshal(good)
		if err != nil {
			t.Fatal(err)
		}
		none := b64([]byte(`{"alg":"none","kid":"`+socialtest.AppleKeyID+`"}`)) + "." + b64(payload) + "."
		if got := revoke(t, up, none); got != http.StatusBadRequest {
			t.Errorf("status %d", got)
		}
	})
	if got := len(up.Revoked()); got != 2 {
		t.Errorf("%d tokens were revoked", got)
	}
}

func revoke(t *testing.T, up *socialtest.Apple, secret string) int {
	t.Helper()
	v := url.Values{"client_id": {socialtest.AppleClient}, "client_secret": {secret}, "token": {"x"}, "token_type_hint": {"refresh_token"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, up.URL+"/auth/revoke", strings.NewReader(v.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}
