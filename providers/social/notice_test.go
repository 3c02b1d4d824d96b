package social_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

const noticesAt = "/oauth2/notices/" + servertest.PoolID + "/SignInWithApple/notifications"

// second is another provider of the pool where the same people have the same subjects.
const second = "AppleForTheOthers"

// startNoticed is a Weir whose people sign in with Apple, or with second. pairs are details of the first.
func startNoticed(t *testing.T, pairs ...string) *atApple {
	t.Helper()
	return startApple(t, func(o *servertest.Options) {
		if len(o.Spec.UserPools) == 0 {
			return
		}
		p := &o.Spec.UserPools[0]
		details := map[string]string{}
		for name, v := range p.IdentityProviders[0].ProviderDetails {
			details[name] = v.Reveal()
		}
		for pair := range slices.Chunk(append(pairs, "keep_tokens", "true"), 2) {
			details[pair[0]] = pair[1]
		}
		var flat []string
		for name, v := range details {
			flat = append(flat, name, v)
		}
		o.Spec = servertest.Example(spec("SignInWithApple", "SignInWithApple", appleMapping(), flat...), spec(second, "SignInWithApple", appleMapping(), flat...))
	})
}

// event are the claims of a notification that Apple makes now. more stands in the event beside its type.
func (a *atApple) event(id, kind, subject, more string) map[string]any {
	now := a.Clock.Now().Unix()
	return map[string]any{
		"iss": a.up.URL, "aud": socialtest.AppleClient, "iat": now, "exp": now + 86400, "jti": id,
		"events": `{"type":"` + kind + `","sub":"` + subject + `","event_time":` + strconv.FormatInt(now, 10) + more + `}`,
	}
}

// post brings bytes to an address of Weir.
func (a *atApple) post(at string, body io.Reader) *servertest.Answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, at, body)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.Web().Send(req)
}

// notify brings a notification, which has to be answered by that status. It returns what was recorded.
func (a *atApple) notify(claims map[string]any, status int) []audit.Event {
	a.t.Helper()
	a.Events.Take()
	if ans := a.post(a.URL+noticesAt, bytes.NewReader(a.posted(claims).Body)); ans.Status != status {
		a.t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, a.Log.Text())
	}
	return a.Events.Take()
}

// through is a sign-in of a person through a provider in a browser, up to the tokens.
func (a *atApple) through(b *servertest.Browser, person, provider string) *servertest.Answer {
	a.t.Helper()
	return a.Web().Tokens(a.as(person).signIn(b, "identity_provider", provider))
}

func (a *atApple) stands(what string, app *servertest.App, ans *servertest.Answer, want bool) {
	a.t.Helper()
	refreshed := app.Refresh(ans.Text("refresh_token")).Status == http.StatusOK
	if info := app.UserInfo(ans.Text("access_token")).Status == http.StatusOK; refreshed != want || info != want {
		a.t.Errorf("%s: refresh %t, userInfo %t; want %t", what, refreshed, info, want)
	}
}

func (a *atApple) kept(sub string) int {
	a.t.Helper()
	all, err := a.Broker.Upstream.Of(a.t.Context(), servertest.PoolID, sub)
	if err != nil {
		a.t.Fatal(err)
	}
	return len(all)
}

func TestNoticeOfRevokedConsent(t *testing.T) {
	a := startNoticed(t)
	b := a.Browser()
	web := a.through(b, "ada", "SignInWithApple")
	spa := a.SPA().Tokens(b.Get(a.SPA().Authorize())) // single sign-on
	ada := a.user(adaAtApple)
	native, _, err := a.Grants.Issue(t.Context(), token.Grant{PoolID: ada.PoolID, ClientID: servertest.SPAClient, Sub: ada.Sub,
		Provider: "SignInWithApple", Subject: adaAtApple, Principal: adaAtApple, AuthTime: a.Clock.Now()}, 0)
	if err != nil {
		t.Fatal(err)
	}
	bob := a.through(a.Browser(), "bob", "SignInWithApple")
	elsewhere := a.through(a.Browser(), "ada", second)
	gone := a.event("notice-1", "consent-revoked", adaAtApple, "")
	sent := a.posted(gone).Body

	a.Events.Take()
	ans := a.post(a.URL+noticesAt, bytes.NewReader(sent))
	if ans.Status != http.StatusOK || ans.Body != "" {
		t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, a.Log.Text())
	}
	want := []audit.Event{audit.ProviderNotice{Pool: servertest.PoolID, Provider: "SignInWithApple", Kind: "consent_revoked", Sub: ada.Sub, Grants: 3}}
	if got := a.Events.Take(); !slices.Equal(got, want) {
		t.Errorf("events %+v, want %+v", got, want)
	}
	a.stands("ada's", a.Web(), web, false)
	a.stands("ada's by single sign-on", a.SPA(), spa, false)
	a.stands("bob's", a.Web(), bob, true)
	a.stands("ada's through another provider", a.Web(), elsewhere, true)
	if _, err := a.Grants.Live(t.Context(), native.ID); err == nil {
		t.Error("what a native sign-in gave stands")
	}
	if p := b.Get(a.Web().Authorize("prompt", "none", "identity_provider", "SignInWithApple")); p.Params().Get("error") != "login_required" {
		t.Errorf("single sign-on: %v", p.Params())
	}
	if n := a.kept(ada.Sub); n != 0 || len(a.up.Revoked()) != 0 {
		t.Errorf("%d kept, Apple was told of %v", n, a.up.Revoked())
	}

	// Ada comes back. A second copy, which Apple may send for a day, is not about that.
	a.Clock.Advance(time.Minute)
	back := a.through(a.Browser(), "ada", "SignInWithApple")
	a.Engine.Reset()
	a.Events.Take()
	if ans := a.post(a.URL+noticesAt, bytes.NewReader(sent)); ans.Status != http.StatusOK || len(a.Events.Take()) != 0 || a.Engine.Writes() != 0 {
		t.Errorf("second copy: %d %s, wrote %s", ans.Status, ans.Body, a.Engine.Written())
	}
	a.stands("ada's new one", a.Web(), back, true)
}

// The grant that began a session may be over and gone long before those that came of it by single sign-on.
func TestNoticeEndsWhatOutlivedTheSession(t *testing.T) {
	a := startNoticed(t)
	b := a.Browser()
	a.Web().Code(a.signIn(b, "identity_provider", "SignInWithApple")) // never redeemed
	spa := a.SPA().Tokens(b.Get(a.SPA().Authorize()))
	a.Clock.Advance(2 * time.Hour)
	if _, err := a.Engine.Sweep(t.Context(), a.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	a.notify(a.event("notice-1", "consent-revoked", adaAtApple, ""), http.StatusOK)
	if got := a.SPA().Refresh(spa.Text("refresh_token")); got.Text("error") != "invalid_grant" {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
}

func TestNoticeOfDeletedAccount(t *testing.T) {
	for name, tt := range map[string]struct {
		details []string
		linked  bool
		deleted bool
	}{
		"recorded by default":                  {nil, false, false},
		"recorded":                             {[]string{"on_data_deletion", "record"}, false, false},
		"deleted":                              {[]string{"on_data_deletion", "delete"}, false, true},
		"not deleted, for there is a way left": {[]string{"on_data_deletion", "delete"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := startNoticed(t, tt.details...)
			ans := a.through(a.Browser(), "ada", "SignInWithApple")
			bob := a.through(a.Browser(), "bob", "SignInWithApple")
			ada := a.user(adaAtApple)
			if tt.linked {
				a.link(ada, "Other")
			}
			who := once.Person{PoolID: servertest.PoolID, Provider: "SignInWithApple", Subject: adaAtApple}
			if err := a.Once.Keep(t.Context(), who, map[string]any{"name": "Ada"}); err != nil {
				t.Fatal(err)
			}
			got := a.notify(a.event("notice-1", "account-delete", adaAtApple, ""), http.StatusOK)
			want := audit.ProviderNotice{Pool: servertest.PoolID, Provider: "SignInWithApple", Kind: "account_deleted", Sub: ada.Sub, Grants: 1, Deleted: tt.deleted}
			if len(got) == 0 || got[len(got)-1] != want {
				t.Errorf("events %+v, want %+v", got, want)
			}
			_, err := a.Directory.User(t.Context(), servertest.PoolID, ada.Sub)
			if deleted := fault.CodeOf(err) == fault.NotFound; deleted != tt.deleted {
				t.Errorf("user: %v", err)
			}
			a.stands("ada's", a.Web(), ans, false)
			a.stands("bob's", a.Web(), bob, true)
			if name, err := a.Once.Recall(t.Context(), who); name != nil || err != nil {
				t.Errorf("recalled %v, %v", name, err)
			}
			if n := a.kept(ada.Sub); n != 0 || len(a.up.Revoked()) != 0 {
				t.Errorf("%d kept, Apple was told of %v", n, a.up.Revoked())
			}
		})
	}
}

// link gives a user one more identity, as the store has it.
func (a *atApple) link(u pool.User, provider string) {
	a.t.Helper()
	docs, err := a.Engine.List(a.t.Context(), "user", "", "", 10)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, d := range docs {
		if strings.Contains(d.Key, u.Sub) {
			d.Body = bytes.Replace(d.Body, []byte(`"ids":[`), []byte(`"ids":[{"provider":"`+provider+`","type":"OIDC","subject":"x","created":"2026-05-04T12:00:00Z"},`), 1)
			if _, err := a.Engine.Put(a.t.Context(), "user", d); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	if got := a.user(u.Identities[0].Subject); len(got.Identities) != 2 {
		a.t.Fatalf("user %+v", got)
	}
}

func TestNoticeOfMail(t *testing.T) {
	for name, tt := range map[string]struct {
		kind, address string
		before, after string
	}{
		"disabled":                           {"email-disabled", "x1y2z3@privaterelay.appleid.com", "true", "false"},
		"disabled, in another case":          {"email-disabled", "X1y2z3@PrivateRelay.AppleID.com", "true", "false"},
		"enabled":                            {"email-enabled", "x1y2z3@privaterelay.appleid.com", "false", "true"},
		"disabled, of another address":       {"email-disabled", "other@privaterelay.appleid.com", "true", "true"},
		"enabled, of an address before this": {"email-enabled", "other@privaterelay.appleid.com", "false", "false"},
		"enabled, of no address":             {"email-enabled", "", "false", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			a := startNoticed(t)
			a.up.Claims = func(c map[string]any) { c["email_verified"] = tt.before }
			ans := a.through(a.Browser(), "eve", "SignInWithApple")
			got := a.notify(a.event("notice-1", tt.kind, eveAtApple, `,"email":"`+tt.address+`"`), http.StatusOK)
			eve := a.user(eveAtApple)
			if eve.Attributes["email_verified"] != tt.after || eve.Attributes["email"] != "x1y2z3@privaterelay.appleid.com" {
				t.Errorf("attributes %v", eve.Attributes)
			}
			if len(got) != 1 || got[0].(audit.ProviderNotice).Sub != eve.Sub {
				t.Errorf("events %+v", got)
			}
			a.stands("eve's", a.Web(), ans, true)
		})
	}
	t.Run("where the provider does not say whether an address is verified", func(t *testing.T) {
		a := startApple(t, func(o *servertest.Options) {
			if len(o.Spec.UserPools) > 0 {
				delete(o.Spec.UserPools[0].IdentityProviders[0].AttributeMapping, "email_verified")
			}
		})
		a.Web().Code(a.as("eve").signIn(a.Browser()))
		before := a.user(eveAtApple).Attributes["email_verified"]
		a.notify(a.event("notice-1", "email-enabled", eveAtApple, `,"email":"x1y2z3@privaterelay.appleid.com"`), http.StatusOK)
		if got := a.user(eveAtApple).Attributes["email_verified"]; got != before {
			t.Errorf("email_verified %q, was %q", got, before)
		}
	})
}

func TestNoticeOfAnUnknownPerson(t *testing.T) {
	a := startNoticed(t, "on_data_deletion", "delete")
	for _, kind := range []string{"consent-revoked", "account-delete", "email-disabled"} {
		got := a.notify(a.event(kind, kind, "001234.nobody.1200", `,"email":"ada@example.com"`), http.StatusOK)
		if len(got) != 1 || got[0].(audit.ProviderNotice).Sub != "" {
			t.Errorf("%s: events %+v", kind, got)
		}
	}
}
