package social_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

func TestNoticesWithoutEffect(t *testing.T) {
	a := startNoticed(t, "on_data_deletion", "delete")
	o := servertest.WithOther(a.spec, appleSpec(a.up))
	a.Apply(o)
	ans := a.through(a.Browser(), "ada", "SignInWithApple")
	good := a.event("notice-1", "account-delete", adaAtApple, "")
	stranger := socialtest.StartApple(t, a.Clock.Now, callback, nil)
	forged, err := stranger.Sign(good)
	if err != nil {
		t.Fatal(err)
	}
	other := a.event("notice-1", "account-delete", adaAtApple, "")
	other["aud"] = "com.example.other"
	body := func(claims map[string]any) string { return string(a.posted(claims).Body) }
	elsewhere := func(old, replacement string) string { return a.URL + strings.Replace(noticesAt, old, replacement, 1) }
	for name, tt := range map[string]struct {
		at, body string
		status   int
		code     string
		recorded string
	}{
		"forged":                          {"", `{"payload":"` + forged + `"}`, 400, "invalid_request", "signature"},
		"for another audience":            {"", body(other), 400, "invalid_request", "audience"},
		"no JSON":                         {"", "payload=x", 400, "invalid_request", "POST of an object"},
		"nothing":                         {"", "", 400, "invalid_request", "POST of an object"},
		"of an unknown sort":              {"", body(a.event("notice-2", "birthday", adaAtApple, "")), 200, "", "birthday"},
		"at an unknown door":              {elsewhere("notifications", "deauthorize"), body(good), 404, "not_found", ""},
		"of an unknown provider":          {elsewhere("SignInWithApple", "Nobody"), body(good), 404, "not_found", ""},
		"of an unknown pool":              {elsewhere(servertest.PoolID, "local_Nowhere01"), body(good), 404, "not_found", ""},
		"of no pool":                      {elsewhere(servertest.PoolID, "%00"), body(good), 404, "not_found", ""},
		"of a broken name":                {elsewhere("SignInWithApple", "a%2Fb"), body(good), 404, "not_found", ""},
		"at the host of another pool":     {strings.Replace(elsewhere("", ""), "login.test", "other.login.test", 1), body(good), 404, "not_found", ""},
		"of another pool at a pool's own": {strings.Replace(elsewhere(servertest.PoolID, servertest.OtherPool), "login.test", "acme.login.test", 1), body(good), 404, "not_found", ""},
		"too large":                       {"", strings.Repeat("x", 65<<10), 413, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a.Engine.Reset()
			a.Events.Take()
			at := tt.at
			if at == "" {
				at = a.URL + noticesAt
			}
			got := a.post(at, strings.NewReader(tt.body))
			if got.Status != tt.status || tt.code != "" && got.Text("error") != tt.code || got.Status == http.StatusOK && got.Body != "" {
				t.Errorf("answer %d %s", got.Status, got.Body)
			}
			if got.Status == http.StatusNotFound && !strings.Contains(got.Text("error_description"), "There is nothing at this address.") {
				t.Errorf("answer %s", got.Body)
			}
			if n := a.Engine.Writes(); n != 0 {
				t.Errorf("wrote %s", a.Engine.Written())
			}
			a.onlyRefused(got, tt.recorded)
		})
	}
	t.Run("too large, of a length that is not announced", func(t *testing.T) {
		if got := a.post(a.URL+noticesAt, io.MultiReader(strings.NewReader(strings.Repeat("x", 65<<10)))); got.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("answer %d %s", got.Status, got.Body)
		}
	})
	a.stands("ada's", a.Web(), ans, true)
}

// onlyRefused checks that nothing was recorded but a refusal for that reason, or nothing where it is "".
func (a *atApple) onlyRefused(ans *servertest.Answer, reason string) {
	a.t.Helper()
	events := a.Events.Take()
	if reason == "" && len(events) == 0 {
		return
	}
	if len(events) == 1 {
		e, ok := events[0].(audit.ProviderNoticeRefused)
		if ok && reason != "" && strings.Contains(e.Reason, reason) && e.Reference == ans.Header.Get("X-Request-Id") && e.Provider == "SignInWithApple" && e.Door == "notifications" {
			return
		}
	}
	a.t.Errorf("events %+v, want the reason %q", events, reason)
}

// What could not be done is sent again by the provider, and then it is done.
func TestNoticesAreNotLost(t *testing.T) {
	keysAway := func(s *socialtest.Server) {
		s.Override = map[string]http.HandlerFunc{"/auth/keys": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }}
	}
	for name, tt := range map[string]struct {
		fail, repair func(*atApple)
		done         bool // though it was not remembered
	}{
		"the store is away":          {func(a *atApple) { a.Engine.SetDown(true) }, func(a *atApple) { a.Engine.SetDown(false) }, false},
		"grants cannot be written":   {func(a *atApple) { a.Engine.SetFull("grant") }, func(a *atApple) { a.Engine.SetFull() }, false},
		"it cannot be remembered":    {func(a *atApple) { a.Engine.SetFull("samlreplay") }, func(a *atApple) { a.Engine.SetFull() }, true},
		"Apple's keys are away":      {func(a *atApple) { a.up.Change(keysAway) }, func(a *atApple) { a.up.Change(func(s *socialtest.Server) { s.Override = nil }) }, false},
		"nothing at all was failing": {func(*atApple) {}, func(*atApple) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := startNoticed(t)
			ans := a.through(a.Browser(), "ada", "SignInWithApple")
			if strings.HasPrefix(name, "Apple's") {
				a.Weir = servertest.Start(t, servertest.Options{Beside: a.Weir, Spec: a.spec}) // with no keys in memory
			}
			n := a.event("notice-1", "consent-revoked", adaAtApple, "")
			tt.fail(a)
			status := http.StatusServiceUnavailable
			if strings.HasPrefix(name, "nothing") {
				status = http.StatusOK
			}
			a.notify(n, status)
			tt.repair(a)
			a.stands("ada's after the failure", a.Web(), ans, !tt.done)
			a.Clock.Advance(time.Minute) // after which the directory and the keys are asked for again
			a.notify(n, http.StatusOK)
			if _, err := a.Grants.Live(t.Context(), a.Web().Claims(ans.Text("access_token"))["origin_jti"].(string)); !errors.Is(err, token.ErrRevoked) {
				t.Errorf("ada's grant: %v", err)
			}
		})
	}
}
