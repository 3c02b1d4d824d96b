package social_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// notices is the reader of the pool's provider, which takes notices for the App ID too.
func (a *atApple) notices() federation.NoticeReader {
	a.t.Helper()
	a.Clock.Advance(time.Second)
	a.Apply(servertest.Example(appleSpec(a.up, "app_ids", "com.example.mac "+socialtest.AppleApp)))
	idp, err := a.Directory.Provider(a.t.Context(), servertest.PoolID, "SignInWithApple")
	if err != nil {
		a.t.Fatal(err)
	}
	p, err := a.Broker.Providers.Provider(a.t.Context(), idp)
	if err != nil {
		a.t.Fatal(err)
	}
	return p.(federation.NoticeReader)
}

// posted is a notification with these claims, signed by Apple.
func (a *atApple) posted(claims map[string]any) federation.Response {
	a.t.Helper()
	raw, err := a.up.Sign(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	return body(a.t, map[string]any{"payload": raw})
}

func body(t *testing.T, v any) federation.Response {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return federation.Response{Method: http.MethodPost, Body: b}
}

// claims are those of a fixture, from the stand-in.
func (a *atApple) claims(name string) map[string]any {
	a.t.Helper()
	c := fixture[map[string]any](a.t, name)
	c["iss"] = a.up.URL
	return c
}

func TestAppleNotices(t *testing.T) {
	a := startApple(t)
	r := a.notices()
	at := time.UnixMilli(1777895990700)
	email := "h7k2x9q4vd@privaterelay.appleid.com"
	for name, want := range map[string]federation.Notice{
		"notification-consent-revoked.json": {Kind: federation.ConsentRevoked, ID: "Wh3nT0key0fNotice1", Issued: at},
		"notification-account-delete.json":  {Kind: federation.AccountDeleted, ID: "Wh3nT0key0fNotice2", Issued: at},
		"notification-email-disabled.json":  {Kind: federation.EmailDisabled, ID: "Wh3nT0key0fNotice3", Issued: at, Email: email},
		"notification-email-enabled.json":   {Kind: federation.EmailEnabled, ID: "Wh3nT0key0fNotice4", Issued: time.Unix(1777895990, 0), Email: email},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.ReadNotice(t.Context(), "notifications", a.posted(a.claims(name)))
			if err != nil {
				t.Fatal(err)
			}
			if want.Subject = adaAtApple; got != want {
				t.Errorf("notice %+v, want %+v", got, want)
			}
		})
	}
	t.Run("the old name of a deleted account", func(t *testing.T) {
		c := a.claims("notification-account-delete.json")
		c["events"] = strings.ReplaceAll(c["events"].(string), "account-delete", "account-deleted")
		if got, err := r.ReadNotice(t.Context(), "notifications", a.posted(c)); err != nil || got.Kind != federation.AccountDeleted {
			t.Errorf("notice %+v, %v", got, err)
		}
	})
	t.Run("without an id a second copy is known too", func(t *testing.T) {
		c := a.claims("notification-consent-revoked.json")
		delete(c, "jti")
		sent := a.posted(c)
		first, err := r.ReadNotice(t.Context(), "notifications", sent)
		if err != nil {
			t.Fatal(err)
		}
		second, err := r.ReadNotice(t.Context(), "notifications", sent)
		if err != nil || first.ID == "" || first.ID != second.ID {
			t.Errorf("ids %q and %q, %v", first.ID, second.ID, err)
		}
	})
}

func TestAppleNoticesRefused(t *testing.T) {
	a := startApple(t)
	r := a.notices()
	stranger := socialtest.StartApple(t, a.Clock.Now, callback, nil)
	now := a.Clock.Now().Unix()
	event := func(pairs string) string {
		return `{"type":"consent-revoked","sub":"` + adaAtApple + `","event_time":1777895990700` + pairs + `}`
	}
	for name, change := range map[string]map[string]any{
		"of another issuer":           {"iss": "https://appleid.apple.com"},
		"for another client":          {"aud": "com.example.other"},
		"for nobody":                  {"aud": nil},
		"for the App ID and another":  {"aud": []string{socialtest.AppleApp, "com.example.other"}},
		"past its end":                {"exp": now - 3600},
		"issued long ago":             {"iat": now - 25*3600},
		"issued later":                {"iat": now + 3600},
		"without a time":              {"iat": nil},
		"without events":              {"events": nil},
		"events in a list":            {"events": []any{event("")}},
		"events that are no object":   {"events": `"x"`},
		"without a subject":           {"events": `{"type":"consent-revoked","event_time":1777895990700}`},
		"of a subject that is large":  {"events": event(`,"sub":"` + strings.Repeat("s", 400) + `"`)},
		"without a time of the event": {"events": `{"type":"consent-revoked","sub":"x"}`},
		"of an event to come":         {"events": event(`,"event_time":1777999999999`)},
		"of an event out of time":     {"events": event(`,"event_time":99999999999999999`)},
		"a subject that is a number":  {"events": event(`,"sub":7`)},
	} {
		t.Run(name, func(t *testing.T) {
			c := a.claims("notification-consent-revoked.json")
			maps.Copy(c, change)
			got, err := r.ReadNotice(t.Context(), "notifications", a.posted(c))
			if fault.CodeOf(err) != fault.Invalid || err == nil || got != (federation.Notice{}) {
				t.Errorf("notice %+v, %v", got, err)
			}
		})
	}
	good := a.claims("notification-consent-revoked.json")
	payload, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := stranger.Sign(good)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, raw := range map[string]string{
		"signed by somebody else": forged,
		"alg none":                b64([]byte(`{"alg":"none"}`)) + "." + b64(payload) + ".",
		"signed with a text":      hmac(t, payload),
		"changed":                 strings.Replace(forged, ".", ".e", 1),
		"empty":                   "",
		"large":                   strings.Repeat("x", 70<<10),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := r.ReadNotice(t.Context(), "notifications", body(t, map[string]any{"payload": raw})); err == nil || fault.CodeOf(err) != fault.Invalid {
				t.Errorf("notice %+v, %v", got, err)
			}
		})
	}
	for name, res := range map[string]federation.Response{
		"a GET":            {Method: http.MethodGet, Body: a.posted(good).Body},
		"no body":          {Method: http.MethodPost},
		"a form":           {Method: http.MethodPost, Body: []byte("payload=x")},
		"a list":           body(t, []string{"x"}),
		"a payload object": body(t, map[string]any{"payload": good}),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := r.ReadNotice(t.Context(), "notifications", res); err == nil || fault.CodeOf(err) != fault.Invalid {
				t.Errorf("notice %+v, %v", got, err)
			}
		})
	}
	t.Run("at another door", func(t *testing.T) {
		if _, err := r.ReadNotice(t.Context(), "deauthorize", a.posted(good)); !errors.Is(err, federation.ErrNoNotices) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("of an unknown event", func(t *testing.T) {
		c := maps.Clone(good)
		c["events"] = event(`,"type":"birthday"`)
		if _, err := r.ReadNotice(t.Context(), "notifications", a.posted(c)); !errors.Is(err, federation.ErrNoticeUnknown) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("for an App ID that is not named", func(t *testing.T) {
		a.Clock.Advance(time.Second)
		a.Apply(servertest.Example(appleSpec(a.up)))
		idp, err := a.Directory.Provider(t.Context(), servertest.PoolID, "SignInWithApple")
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Broker.Providers.Provider(t.Context(), idp)
		if err != nil {
			t.Fatal(err)
		}
		if d := idp.Details.Get("app_ids"); d != "" {
			t.Fatalf("app_ids is %q", d)
		}
		_, err = p.(federation.NoticeReader).ReadNotice(t.Context(), "notifications", a.posted(a.claims("notification-email-disabled.json")))
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("error %v", err)
		}
	})
}

// While Apple's keys are not to be had nothing is refused for good: Apple sends it again.
func TestAppleNoticeWaitsForTheKeys(t *testing.T) {
	a := startApple(t)
	r := a.notices()
	a.up.Change(func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/auth/keys": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }}
	})
	if _, err := r.ReadNotice(t.Context(), "notifications", a.posted(a.claims("notification-consent-revoked.json"))); fault.CodeOf(err) != fault.Upstream {
		t.Errorf("error %v", err)
	}
}

func hmac(t *testing.T, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte("a-key-of-32-bytes-that-is-public")}, nil)
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
	return raw
}
