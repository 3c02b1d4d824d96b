package oauth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

// outages are the ways in which a store is away.
var outages = map[string]func(*servertest.Engine, bool){"away": (*servertest.Engine).SetDown, "hanging": (*servertest.Engine).SetHang}

func short(o *servertest.Options) { o.StoreTime = time.Second }

// comeAgain fails unless the answer is a 503 that says when to come again.
func comeAgain(t *testing.T, ans *servertest.Answer) {
	t.Helper()
	if ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "" || ans.Text("error") != "temporarily_unavailable" {
		t.Errorf("answer %d, Retry-After %q, %s", ans.Status, ans.Header.Get("Retry-After"), ans.Body)
	}
}

// An ID token that an app brings while the store is away is as good as before when the store is back, for one exchange.
func TestExchangeInAnOutage(t *testing.T) {
	for name, set := range outages {
		t.Run(name, func(t *testing.T) {
			w, up := startNative(t, short)
			spa, raw := w.SPA(), brought(t, w, up, nil)
			set(w.Engine, true)
			comeAgain(t, spa.Post("/oauth2/token", exchange(raw)))
			set(w.Engine, false)
			if n := usersOf(t, w); n != 0 {
				t.Errorf("%d users of an exchange that was not answered", n)
			}
			ans := spa.Post("/oauth2/token", exchange(raw))
			if ans.Status != http.StatusOK || spa.UserInfo(ans.Text("access_token")).Status != http.StatusOK || usersOf(t, w) != 1 {
				t.Errorf("afterwards: %d %s", ans.Status, ans.Body)
			}
			if again := spa.Post("/oauth2/token", exchange(raw)); again.Status != http.StatusBadRequest {
				t.Errorf("once more: %d %s", again.Status, again.Body)
			}
		})
	}
}

// A store that fails in the middle of an exchange. What was spent before it failed stays spent: the app asks the provider's SDK for another token, as it
// does anyway. No token is issued twice and no user made twice.
func TestExchangeInAnOutageThatBeginsMeanwhile(t *testing.T) {
	for kind, spent := range map[string]bool{"samlreplay": false, "user": true, "grant": true} {
		t.Run(kind, func(t *testing.T) {
			w, up := startNative(t, short)
			spa, raw := w.SPA(), brought(t, w, up, nil)
			w.Engine.SetFull(kind)
			comeAgain(t, spa.Post("/oauth2/token", exchange(raw)))
			w.Engine.SetFull()
			ans := spa.Post("/oauth2/token", exchange(raw))
			if (ans.Status == http.StatusOK) == spent || spent && ans.Text("error") != "invalid_request" {
				t.Errorf("afterwards: %d %s", ans.Status, ans.Body)
			}
			w.Clock.Advance(time.Second)
			if ans := spa.Post("/oauth2/token", exchange(brought(t, w, up, nil))); ans.Status != http.StatusOK || usersOf(t, w) != 1 {
				t.Errorf("with another token: %d %s, %d users", ans.Status, ans.Body, usersOf(t, w))
			}
		})
	}
}

// Tokens of a provider that are kept: while the store is away nobody gets one, and the refresh token, which the provider may take once, is not used.
func TestUpstreamTokenInAnOutage(t *testing.T) {
	for name, set := range outages {
		for old, age := range map[string]time.Duration{"good": 0, "to be refreshed": 59*time.Minute + time.Second} {
			t.Run(name+", "+old, func(t *testing.T) {
				w, up := servertest.StartExample(t, keeping(), short)
				web := w.Web()
				login := web.Login(w.Browser(), ada)
				before := upstreamToken(web, login.Text("access_token"), "Corp").Text("access_token")
				w.Clock.Advance(age)
				access := login.Text("access_token")
				set(w.Engine, true)
				comeAgain(t, upstreamToken(web, access, "Corp"))
				set(w.Engine, false)
				for range 2 {
					got := upstreamToken(web, access, "Corp")
					if got.Status != http.StatusOK || (got.Text("access_token") == before) != (age == 0) || !works(t, web, up, got.Text("access_token")) {
						t.Errorf("afterwards: %d %s", got.Status, got.Body)
					}
				}
			})
		}
	}
	t.Run("of writes alone", func(t *testing.T) { // the claim of the refresh token cannot be written, so it is not used
		w, up := servertest.StartExample(t, keeping(), short)
		web := w.Web()
		access := web.Login(w.Browser(), ada).Text("access_token")
		w.Clock.Advance(59*time.Minute + time.Second)
		w.Engine.SetFull("upstream_tokens")
		comeAgain(t, upstreamToken(web, access, "Corp"))
		w.Engine.SetFull()
		if got := upstreamToken(web, access, "Corp"); got.Status != http.StatusOK || !works(t, web, up, got.Text("access_token")) {
			t.Errorf("afterwards: %d %s", got.Status, got.Body)
		}
	})
}
