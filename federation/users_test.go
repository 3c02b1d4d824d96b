package federation_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

const by = "an administrator"

var ada = servertest.As("ada")

// startKeeping is a Weir that keeps the tokens of Corp, where ada signed in. The requests of that are forgotten.
func startKeeping(t *testing.T, change ...func(*servertest.Options)) (*servertest.Weir, *oidctest.Provider, *servertest.Browser, *servertest.Answer, string) {
	t.Helper()
	w, up := servertest.StartExample(t, append(change, func(o *servertest.Options) {
		d := o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails
		d["keep_tokens"], d["authorize_scopes"] = secret.New("true"), secret.New("openid email offline_access")
	})...)
	b := w.Browser()
	ans := w.Web().Login(b, ada)
	sub, _ := w.Web().Claims(ans.Text("access_token"))["sub"].(string)
	up.Forget()
	w.Events.Take()
	return w, up, b, ans, sub
}

// over checks that nothing of a sign-in gives anything any more.
func over(t *testing.T, w *servertest.Weir, b *servertest.Browser, ans *servertest.Answer) {
	t.Helper()
	web := w.Web()
	if got := web.Refresh(ans.Text("refresh_token")); got.Text("error") != "invalid_grant" {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
	if got := web.UserInfo(ans.Text("access_token")); got.Status != http.StatusUnauthorized {
		t.Errorf("userInfo: %d %s", got.Status, got.Body)
	}
	if got := web.Post("/oauth2/introspect", url.Values{"token": {ans.Text("access_token")}}); got.JSON["active"] != false {
		t.Errorf("introspection: %s", got.Body)
	}
	if p := b.Get(web.Authorize("prompt", "none")); p.Params().Get("error") != "login_required" {
		t.Errorf("single sign-on: %v", p.Params())
	}
}

func kept(t *testing.T, w *servertest.Weir, sub string) int {
	t.Helper()
	all, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// revoked are the tokens that the provider was told to end.
func revoked(up *oidctest.Provider) []string {
	var out []string
	for _, r := range up.Requests(oidctest.EndpointRevocation) {
		out = append(out, r.Params.Get("token"))
	}
	return out
}

func TestSignOutEverywhere(t *testing.T) {
	w, up, b, ans, sub := startKeeping(t)
	w.SPA().Tokens(b.Get(w.SPA().Authorize())) // single sign-on
	all, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d kept, %v", len(all), err)
	}
	w.Events.Take()
	n, err := w.Broker.SignOutEverywhere(t.Context(), servertest.PoolID, sub, by)
	if err != nil || n != 2 {
		t.Fatalf("%d grants, %v", n, err)
	}
	want := []audit.Event{
		audit.UpstreamRevoked{Pool: servertest.PoolID, Sub: sub, Provider: "Corp"},
		audit.UserSignedOut{Pool: servertest.PoolID, Sub: sub, Grants: 2, By: by},
	}
	if got := w.Events.Take(); !slices.Equal(got, want) {
		t.Errorf("events %+v", got)
	}
	over(t, w, b, ans)
	if got := revoked(up); kept(t, w, sub) != 0 || len(got) != 1 || got[0] != all[0].Tokens.Refresh.Reveal() {
		t.Errorf("%d kept, revoked %q", kept(t, w, sub), got)
	}
	w.Clock.Advance(time.Second)
	if again := w.Web().Login(w.Browser(), ada); w.Web().UserInfo(again.Text("access_token")).Text("sub") != sub {
		t.Error("a new sign-in is not the same user's")
	}
	if kept(t, w, sub) != 1 {
		t.Error("and its tokens are not kept")
	}
}

// TestSignOutDoesNotDependOnTheProvider: what the provider did not confirm is gone here all the same, and in the audit stream.
func TestSignOutDoesNotDependOnTheProvider(t *testing.T) {
	for name, f := range map[string]func(http.Handler) http.Handler{
		"which is down":           oidctest.Drop,
		"which does not answer":   oidctest.Hang(nil),
		"which says no":           oidctest.Reply(400, "application/json", `{"error":"unsupported_token_type"}`),
		"which answers with a no": oidctest.Reply(503, "text/plain", "later"),
	} {
		t.Run(name, func(t *testing.T) {
			w, up, b, ans, sub := startKeeping(t, func(o *servertest.Options) { o.UpstreamTimeout = 200 * time.Millisecond })
			up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointRevocation: f}})
			if _, err := w.Broker.SignOutEverywhere(t.Context(), servertest.PoolID, sub, by); err != nil {
				t.Fatal(err)
			}
			over(t, w, b, ans)
			if n := kept(t, w, sub); n != 0 {
				t.Errorf("%d kept", n)
			}
			ev := w.Log.Records("msg", "upstream.revoke_failed")
			if len(ev) != 1 || ev[0]["reason"] == "" || ev[0]["sub"] != sub {
				t.Errorf("events %v", ev)
			}
		})
	}
}

// TestOneProviderDoesNotKeepAnotherFromHearing: a user with identities at two providers, one of which hangs.
func TestOneProviderDoesNotKeepAnotherFromHearing(t *testing.T) {
	clock := servertest.NewClock()
	twin := servertest.OIDC(t, clock)
	w, up, _, _, sub := startKeeping(t, func(o *servertest.Options) {
		o.UpstreamTimeout = 200 * time.Millisecond
		p := servertest.Provider("Twin", twin)
		p.ProviderDetails["keep_tokens"] = secret.New("true")
		o.Spec.UserPools[0].IdentityProviders = append(o.Spec.UserPools[0].IdentityProviders, p)
	})
	twin.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{oidctest.EndpointRevocation: oidctest.Hang(nil)}})
	more := upstream.Kept{PoolID: servertest.PoolID, Sub: sub, Provider: "Twin", Subject: "ada-0001"}
	more.Tokens.Access, more.Tokens.Refresh = secret.New("a"), secret.New("r")
	if err := w.Broker.Upstream.Keep(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Broker.SignOutEverywhere(t.Context(), servertest.PoolID, sub, by); err != nil {
		t.Fatal(err)
	}
	if len(revoked(up)) != 1 || len(revoked(twin)) != 1 || kept(t, w, sub) != 0 {
		t.Errorf("revoked %q and %q, %d kept", revoked(up), revoked(twin), kept(t, w, sub))
	}
	good, bad := w.Log.Records("msg", "upstream.revoked"), w.Log.Records("msg", "upstream.revoke_failed")
	if len(good) != 1 || good[0]["provider"] != "Corp" || len(bad) != 1 || bad[0]["provider"] != "Twin" {
		t.Errorf("events %v and %v", good, bad)
	}
}

func TestDeleteUser(t *testing.T) {
	w, up, b, ans, sub := startKeeping(t)
	n, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by)
	if err != nil || n != 1 {
		t.Fatalf("%d grants, %v", n, err)
	}
	over(t, w, b, ans)
	if _, err := w.Directory.User(t.Context(), servertest.PoolID, sub); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the user: %v", err)
	}
	if len(revoked(up)) != 1 || kept(t, w, sub) != 0 {
		t.Errorf("revoked %q, %d kept", revoked(up), kept(t, w, sub))
	}
	if got := servertest.Names(w.Events.Take()); !slices.Contains(got, "user.deleted") {
		t.Errorf("events %q", got)
	}
	again := w.Web().Login(w.Browser(), ada)
	if got := w.Web().UserInfo(again.Text("access_token")); got.Status != http.StatusOK || got.Text("sub") == sub || got.Text("username") != "Corp_ada-0001" {
		t.Errorf("who signs in afterwards: %s", got.Body)
	}
}

// TestDeleteUserCutShort: wherever it stops, nobody is signed in, and a second call completes it.
func TestDeleteUserCutShort(t *testing.T) {
	w, _, b, ans, sub := startKeeping(t)
	w.Engine.SetFull("grant")
	if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by); err == nil {
		t.Fatal("deleted without ending the grants")
	}
	w.Engine.SetFull()
	over(t, w, b, ans)
	if p := w.Browser().SignIn(w.Web().Authorize(), ada); p.Params().Get("error") != "access_denied" {
		t.Errorf("a sign-in: %v", p.Params())
	}
	if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.User(t.Context(), servertest.PoolID, sub); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the user: %v", err)
	}
}

func TestSetEnabled(t *testing.T) {
	w, up, b, ans, sub := startKeeping(t)
	n, err := w.Broker.SetEnabled(t.Context(), servertest.PoolID, sub, false, by)
	if err != nil || n != 1 {
		t.Fatalf("%d grants, %v", n, err)
	}
	over(t, w, b, ans)
	if p := w.Browser().SignIn(w.Web().Authorize(), ada); p.Params().Get("error") != "access_denied" {
		t.Errorf("a sign-in: %v", p.Params())
	}
	if _, _, err := w.Broker.UpstreamToken(t.Context(), servertest.PoolID, sub, "Corp"); fault.CodeOf(err) != fault.LoginRequired {
		t.Errorf("the provider's token: %v", err)
	}
	if len(revoked(up)) != 0 || kept(t, w, sub) != 1 {
		t.Errorf("revoked %q, %d kept", revoked(up), kept(t, w, sub))
	}
	w.Clock.Advance(time.Second)
	if _, err := w.Broker.SetEnabled(t.Context(), servertest.PoolID, sub, true, by); err != nil {
		t.Fatal(err)
	}
	over(t, w, b, ans) // what ended does not come back
	w.Web().Login(w.Browser(), ada)
	got := servertest.Names(w.Events.Take())
	for _, want := range []string{"user.disabled", "user.enabled"} {
		if !slices.Contains(got, want) {
			t.Errorf("events %q without %s", got, want)
		}
	}
}

func TestUsersWhoAreNotThere(t *testing.T) {
	w, _ := servertest.StartExample(t)
	for name, f := range map[string]func(poolID, sub string) error{
		"sign out": func(p, s string) error { _, err := w.Broker.SignOutEverywhere(t.Context(), p, s, by); return err },
		"disable":  func(p, s string) error { _, err := w.Broker.SetEnabled(t.Context(), p, s, false, by); return err },
		"delete":   func(p, s string) error { _, err := w.Broker.DeleteUser(t.Context(), p, s, by); return err },
		"token":    func(p, s string) error { _, _, err := w.Broker.UpstreamToken(t.Context(), p, s, "Corp"); return err },
		"state":    func(p, s string) error { _, err := w.Broker.UserState(t.Context(), p, s); return err },
	} {
		for _, who := range [][2]string{{servertest.PoolID, "nobody"}, {servertest.PoolID, ""}, {"local_Nowhere01", "nobody"}} {
			if err := f(who[0], who[1]); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%s %q: %v", name, who, err)
			}
		}
	}
	if ev := w.Events.Take(); len(ev) != 0 {
		t.Errorf("events %q", servertest.Names(ev))
	}
}

// hooked runs something before tokens are written.
type hooked struct {
	store.Engine
	before func()
}

func (h *hooked) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	return h.Engine.Put(ctx, kind, d)
}

// TestDeletedDuringTheSignIn: a user who is deleted or disabled between being found and having tokens kept leaves none behind.
func TestDeletedDuringTheSignIn(t *testing.T) {
	for name, end := range map[string]func(*servertest.Weir, string) error{
		"deleted": func(w *servertest.Weir, sub string) error {
			_, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by)
			return err
		},
		"disabled": func(w *servertest.Weir, sub string) error {
			_, err := w.Broker.SetEnabled(t.Context(), servertest.PoolID, sub, false, by)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, up, _, _, sub := startKeeping(t)
			w.Broker.Upstream.Engine = &hooked{Engine: w.Engine, before: func() {
				if err := end(w, sub); err != nil {
					t.Error(err)
				}
			}}
			if p := w.Browser().SignIn(w.Web().Authorize(), ada); p.Params().Get("error") != "access_denied" {
				t.Errorf("the sign-in: %v", p.Params())
			}
			if n := kept(t, w, sub); n != 0 {
				t.Errorf("%d kept", n)
			}
			// Those of the sign-in, and before them those that the deletion took.
			if got, want := len(revoked(up)), map[string]int{"deleted": 2, "disabled": 1}[name]; got != want {
				t.Errorf("%d revoked, want %d", got, want)
			}
		})
	}
}

// TestUpstreamTokenIsOfALinkedIdentity: what is kept of an identity that the user no longer has, or of a provider that no longer keeps
// tokens, cannot be had.
func TestUpstreamTokenIsOfALinkedIdentity(t *testing.T) {
	w, _, _, _, sub := startKeeping(t)
	token := func() error {
		_, _, err := w.Broker.UpstreamToken(t.Context(), servertest.PoolID, sub, "Corp")
		return err
	}
	if err := token(); err != nil {
		t.Fatal(err)
	}
	all, err := w.Broker.Upstream.Of(t.Context(), servertest.PoolID, sub)
	if err != nil {
		t.Fatal(err)
	}
	foreign := all[0]
	foreign.Subject = "bob-0001"
	foreign.Tokens.Access = secret.New("of-somebody-else")
	w.Clock.Advance(time.Second)
	if err := w.Broker.Upstream.Keep(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	got, _, err := w.Broker.UpstreamToken(t.Context(), servertest.PoolID, sub, "Corp")
	if err != nil || got.Subject != "ada-0001" {
		t.Errorf("tokens of %q, %v", got.Subject, err)
	}
	idp, err := w.Directory.Provider(t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	delete(idp.Details, "keep_tokens")
	if _, err := w.Directory.UpdateProvider(t.Context(), idp); err != nil {
		t.Fatal(err)
	}
	if err := token(); fault.CodeOf(err) != fault.LoginRequired {
		t.Errorf("the provider keeps none any more: %v", err)
	}
	if idp.KeepsTokens() || (pool.IdentityProvider{Type: "SAML", Details: pool.Details{"keep_tokens": secret.New("true")}}).KeepsTokens() {
		t.Error("a provider that keeps tokens without having any")
	}
}
