package federation_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// twoOfOne is a Weir with two providers that keep tokens, and ada who signed in through each: a user of Corp and one of Second.
type twoOfOne struct {
	*servertest.Weir
	second       *oidctest.Provider
	browserA     *servertest.Browser
	answerA      *servertest.Answer
	browserB     *servertest.Browser
	answerB      *servertest.Answer
	a, b         string
	atA, atB     []string
	other, first string // user names
}

func startTwoOfOne(t *testing.T) *twoOfOne {
	t.Helper()
	out := &twoOfOne{atA: []string{"identity_provider", "Corp"}, atB: []string{"identity_provider", "Second"}}
	out.Weir, _ = servertest.StartExample(t, func(o *servertest.Options) {
		out.second = servertest.OIDC(t, o.Clock)
		o.Spec = servertest.Example(o.Spec.UserPools[0].IdentityProviders[0], servertest.Provider("Second", out.second))
		for _, ip := range o.Spec.UserPools[0].IdentityProviders {
			ip.ProviderDetails["keep_tokens"], ip.ProviderDetails["authorize_scopes"] = secret.New("true"), secret.New("openid email offline_access")
		}
	})
	out.browserA, out.browserB = out.Browser(), out.Browser()
	out.answerA = out.Web().Login(out.browserA, ada, out.atA...)
	out.answerB = out.Web().Login(out.browserB, ada, out.atB...)
	claims := out.Web().Claims(out.answerA.Text("id_token"))
	out.a, out.first = claims["sub"].(string), claims["cognito:username"].(string)
	claims = out.Web().Claims(out.answerB.Text("id_token"))
	out.b, out.other = claims["sub"].(string), claims["cognito:username"].(string)
	if out.a == out.b {
		t.Fatal("one user already")
	}
	out.second.Forget()
	out.Events.Take()
	return out
}

// TestMergedUsers goes through the life of a merge with whole sign-ins: what the other one had ends, both identities are one person under one sub, and undone
// they are two again, of whom neither has what the other's identity gave.
func TestMergedUsers(t *testing.T) {
	w := startTwoOfOne(t)
	ctx := t.Context()
	w.Engine.Reset()
	dry, err := w.Broker.MergeUsers(ctx, servertest.PoolID, w.first, w.other, by, true)
	if err != nil || dry.Grants != 1 || w.Engine.Written() != "" {
		t.Fatalf("a dry run: %+v, %v, written %s", dry, err, w.Engine.Written())
	}
	pending := w.Browser().SignIn(w.Web().Authorize(w.atB...), ada) // a code that is not spent
	m, err := w.Broker.MergeUsers(ctx, servertest.PoolID, w.first, w.other, by, false)
	if err != nil || m.Grants != 2 || m.Into.Sub != w.a || m.Other.Sub != w.b {
		t.Fatalf("%+v, %v", m, err)
	}
	want := []audit.Event{
		audit.UpstreamRevoked{Pool: servertest.PoolID, Sub: w.b, Provider: "Second"},
		audit.UsersMerged{Pool: servertest.PoolID, Sub: w.a, Other: w.b, By: by, Grants: 2},
	}
	if got := ofUsers(w.Events.Take()); !slices.Equal(got, want) {
		t.Errorf("events %+v", got)
	}
	over(t, w.Weir, w.browserB, w.answerB)
	if got := w.Web().Redeem(w.Web().Code(pending)); got.Text("error") != "invalid_grant" {
		t.Errorf("a code of before: %d %s", got.Status, got.Body)
	}
	if kept(t, w.Weir, w.b) != 0 || len(revoked(w.second)) != 1 || kept(t, w.Weir, w.a) != 1 {
		t.Errorf("kept %d and %d, %d revoked", kept(t, w.Weir, w.a), kept(t, w.Weir, w.b), len(revoked(w.second)))
	}
	if got := w.Web().Refresh(w.answerA.Text("refresh_token")); got.Status != 200 {
		t.Errorf("the destination's own: %d %s", got.Status, got.Body)
	}
	w.Clock.Advance(time.Second)
	for _, at := range [][]string{w.atA, w.atB} {
		claims := w.Web().Claims(w.Web().Login(w.Browser(), ada, at...).Text("id_token"))
		ids, _ := claims["identities"].([]any)
		if claims["sub"] != w.a || claims["cognito:username"] != w.first || len(ids) != 2 {
			t.Errorf("%v: %v", at, claims)
		}
	}
	hinted := append(slices.Clone(w.atB), "id_token_hint", w.answerB.Text("id_token")) // of the sub that leads to the destination now
	if got := who(t, w.Weir, ada, hinted...); got != w.a {
		t.Errorf("with a hint of before: %s", got)
	}
	if again, err := w.Broker.MergeUsers(ctx, servertest.PoolID, w.a, w.b, by, false); err != nil || !again.Already || again.Grants != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	w.undone(t)
}

// undone undoes the merge, while a sign-in with the other one's identity is under way.
func (w *twoOfOne) undone(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	b := w.Browser()
	ans := w.Web().Login(b, ada, w.atB...)
	pending := w.Browser().SignIn(w.Web().Authorize(w.atB...), ada)
	w.Events.Take()
	w.second.Forget()
	dry, err := w.Broker.UnmergeUser(ctx, servertest.PoolID, w.b, by, true)
	if err != nil || dry.Grants != 4 {
		t.Errorf("a dry run: %d grants, %v", dry.Grants, err)
	}
	if _, err := w.Broker.UnmergeUser(ctx, servertest.PoolID, w.b, by, false); err != nil {
		t.Fatal(err)
	}
	want := []audit.Event{
		audit.UpstreamRevoked{Pool: servertest.PoolID, Sub: w.a, Provider: "Second"},
		audit.UserUnmerged{Pool: servertest.PoolID, Sub: w.a, Other: w.b, By: by, Grants: 4},
	}
	if got := ofUsers(w.Events.Take()); !slices.Equal(got, want) {
		t.Errorf("events %+v", got)
	}
	over(t, w.Weir, b, ans)
	if got := w.Web().Redeem(w.Web().Code(pending)); got.Text("error") != "invalid_grant" {
		t.Errorf("a code of before: %d %s", got.Status, got.Body)
	}
	if got := w.Web().Refresh(w.answerA.Text("refresh_token")); got.Status != 200 {
		t.Errorf("the destination's own: %d %s", got.Status, got.Body)
	}
	w.Clock.Advance(time.Second)
	if got := who(t, w.Weir, ada, w.atA...); got != w.a {
		t.Errorf("the destination is %s, want %s", got, w.a)
	}
	if got := who(t, w.Weir, ada, w.atB...); got != w.b {
		t.Errorf("the other one is %s, want %s", got, w.b)
	}
}

// ofUsers are the events that are about users and what is kept for them.
func ofUsers(all []audit.Event) []audit.Event {
	return slices.DeleteFunc(all, func(e audit.Event) bool {
		switch e.(type) {
		case audit.UsersMerged, audit.UserUnmerged, audit.UpstreamRevoked, audit.UserDeleted, audit.UserDisabled, audit.IdentityUnlinked:
			return false
		}
		return true
	})
}

// TestGrantsBehindAMergesBack: a grant that is written when the documents are, and before anything is ended, is void by itself; and one of before a merge does not come
// to life by a later one.
func TestGrantsBehindAMergesBack(t *testing.T) {
	w := startTwoOfOne(t)
	ctx := t.Context()
	if _, err := w.Directory.MergeUsers(ctx, servertest.PoolID, w.a, w.b, by, false); err != nil { // the documents alone
		t.Fatal(err)
	}
	over(t, w.Weir, w.browserB, w.answerB)
	a, err := w.Directory.User(ctx, servertest.PoolID, w.b)
	if err != nil || a.Sub != w.a {
		t.Fatalf("%+v, %v", a, err)
	}
	late := token.Grant{PoolID: servertest.PoolID, Sub: w.b, Provider: "Second", Subject: "ada-0001", Created: w.Clock.Now().Add(time.Second)}
	if err := late.Check(a); !errors.Is(err, token.ErrMerged) || !errors.Is(err, token.ErrInvalidGrant) {
		t.Errorf("of the other one, later: %v", err)
	}
	w.Clock.Advance(time.Second)
	b := w.Browser()
	ans := w.Web().Login(b, ada, w.atB...)
	if _, err := w.Directory.UnmergeUser(ctx, servertest.PoolID, w.b, false); err != nil {
		t.Fatal(err)
	}
	over(t, w.Weir, b, ans)
	if err := late.Check(w.find(t, w.b)); !errors.Is(err, token.ErrSignedOut) {
		t.Errorf("of the other one, after the undoing: %v", err)
	}
	w.Clock.Advance(time.Second)
	if _, err := w.Directory.MergeUsers(ctx, servertest.PoolID, w.a, w.b, by, false); err != nil {
		t.Fatal(err)
	}
	over(t, w.Weir, b, ans)
	early := token.Grant{PoolID: servertest.PoolID, Sub: w.a, Provider: "Second", Subject: "ada-0001", Created: w.Clock.Now().Add(-time.Second)}
	if err := early.Check(w.find(t, w.a)); !errors.Is(err, token.ErrUnlinked) {
		t.Errorf("of the first merge, in the second: %v", err)
	}
}

func (w *twoOfOne) find(t *testing.T, sub string) pool.User {
	t.Helper()
	u, err := w.Directory.User(t.Context(), servertest.PoolID, sub)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestMergedUsersLeave: unlinking the identity that the other one was made from undoes the merge; deleting by either name deletes both; a provider's
// notice that the account is gone deletes nobody who has another way in.
func TestMergedUsersLeave(t *testing.T) {
	source := pool.Source{Provider: "Second", Attribute: pool.SubjectAttribute, Value: "ada-0001"}
	t.Run("unlinked", func(t *testing.T) {
		w := startTwoOfOne(t)
		if _, err := w.Broker.MergeUsers(t.Context(), servertest.PoolID, w.a, w.b, by, false); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
		b := w.Browser()
		ans := w.Web().Login(b, ada, w.atB...)
		w.Events.Take()
		if n, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, source, by); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if got := ofUsers(w.Events.Take()); len(got) != 2 || got[1] != audit.Event(audit.UserUnmerged{Pool: servertest.PoolID, Sub: w.a, Other: w.b, By: by, Grants: 1}) {
			t.Errorf("events %+v", got)
		}
		over(t, w.Weir, b, ans)
		w.Clock.Advance(time.Second)
		if got := who(t, w.Weir, ada, w.atB...); got != w.b {
			t.Errorf("signs in as %s", got)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		w := startTwoOfOne(t)
		if _, err := w.Broker.MergeUsers(t.Context(), servertest.PoolID, w.a, w.b, by, false); err != nil {
			t.Fatal(err)
		}
		w.Events.Take()
		if n, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, w.b, by); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if got := ofUsers(w.Events.Take()); !slices.Contains(got, audit.Event(audit.UserDeleted{Pool: servertest.PoolID, Sub: w.a, Grants: 1, By: by})) {
			t.Errorf("events %+v", got)
		}
		over(t, w.Weir, w.browserA, w.answerA)
		for _, sub := range []string{w.a, w.b} {
			if _, err := w.Directory.User(t.Context(), servertest.PoolID, sub); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%s: %v", sub, err)
			}
		}
		w.Clock.Advance(time.Second)
		if got := who(t, w.Weir, ada, w.atB...); got == w.a || got == w.b {
			t.Errorf("signs in as %s", got)
		}
	})
}
