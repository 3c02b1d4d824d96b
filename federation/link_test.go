package federation_test

import (
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

func bySubject(subject string) pool.Source {
	return pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: subject}
}

func local(t *testing.T, w *servertest.Weir, name string) pool.User {
	t.Helper()
	made, err := w.Broker.CreateUser(t.Context(), servertest.PoolID, pool.NewUser{Username: name}, nil, by)
	if err != nil {
		t.Fatal(err)
	}
	w.Events.Take()
	return made.User
}

// who signs in and returns the sub in the tokens.
func who(t *testing.T, w *servertest.Weir, up servertest.Upstream, pairs ...string) string {
	t.Helper()
	sub, _ := w.Web().Claims(w.Web().Login(w.Browser(), up, pairs...).Text("id_token"))["sub"].(string)
	return sub
}

// TestALinkedUser goes through the life of a link: a local user signs in through a provider, the link ends and with it all that came of it, and
// the next sign-in is a new user's.
func TestALinkedUser(t *testing.T) {
	w, up, _, _, first := startKeeping(t)
	if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, first, by); err != nil { // who was there for the test's start
		t.Fatal(err)
	}
	u := local(t, w, "jane")
	if _, err := w.Broker.LinkProvider(t.Context(), servertest.PoolID, "Jane", bySubject("ada-0001"), by); err != nil {
		t.Fatal(err)
	}
	if got := w.Events.Take(); !slices.Equal(got, []audit.Event{audit.IdentityLinked{Pool: servertest.PoolID, Sub: u.Sub, Provider: "Corp", By: by}}) {
		t.Errorf("events %+v", got)
	}
	b := w.Browser()
	ans := w.Web().Login(b, ada)
	claims := w.Web().Claims(ans.Text("id_token"))
	if claims["sub"] != u.Sub || claims["cognito:username"] != "jane" || claims["email"] != "ada@corp.example" {
		t.Errorf("claims %v", claims)
	}
	if kept(t, w, u.Sub) != 1 {
		t.Error("the provider's tokens are not kept")
	}
	// A sign-in that has its code and has not spent it.
	pending := w.Browser().SignIn(w.Web().Authorize(), ada)
	up.Forget()
	w.Events.Take()
	n, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, bySubject("ada-0001"), by)
	if err != nil || n != 2 {
		t.Fatalf("%d grants, %v", n, err)
	}
	want := []audit.Event{
		audit.UpstreamRevoked{Pool: servertest.PoolID, Sub: u.Sub, Provider: "Corp"},
		audit.IdentityUnlinked{Pool: servertest.PoolID, Sub: u.Sub, Provider: "Corp", By: by, Grants: 2},
	}
	if got := w.Events.Take(); !slices.Equal(got, want) {
		t.Errorf("events %+v", got)
	}
	over(t, w, b, ans)
	if got := w.Web().Redeem(w.Web().Code(pending)); got.Text("error") != "invalid_grant" {
		t.Errorf("a code of before: %d %s", got.Status, got.Body)
	}
	if kept(t, w, u.Sub) != 0 || len(revoked(up)) != 1 {
		t.Errorf("%d kept, %d revoked", kept(t, w, u.Sub), len(revoked(up)))
	}
	if sub := who(t, w, ada); sub == u.Sub {
		t.Error("the next sign-in is still the user's")
	}
	if now, err := w.Directory.User(t.Context(), servertest.PoolID, u.Sub); err != nil || !now.Enabled || len(now.Identities) > 0 {
		t.Errorf("the user: %+v, %v", now, err)
	}
}

// A grant that is written behind an unlinking's back is void by itself, wherever it is asked for.
func TestAGrantOfAnIdentityThatIsGone(t *testing.T) {
	w, _ := servertest.StartExample(t)
	u := local(t, w, "jane")
	if _, err := w.Broker.LinkProvider(t.Context(), servertest.PoolID, "jane", bySubject("ada-0001"), by); err != nil {
		t.Fatal(err)
	}
	b := w.Browser()
	ans := w.Web().Login(b, ada)
	if _, err := w.Directory.UnlinkProvider(t.Context(), servertest.PoolID, bySubject("ada-0001")); err != nil { // the document alone
		t.Fatal(err)
	}
	over(t, w, b, ans)
	now, err := w.Directory.User(t.Context(), servertest.PoolID, u.Sub)
	if err != nil {
		t.Fatal(err)
	}
	g := token.Grant{PoolID: u.PoolID, Sub: u.Sub, Provider: "Corp", Subject: "ada-0001", Created: w.Clock.Now()}
	if err := g.Check(now); !errors.Is(err, token.ErrUnlinked) || !errors.Is(err, token.ErrInvalidGrant) {
		t.Errorf("%v", err)
	}
}

// The identity that a user was made from cannot be taken away; the user is kept out, and everybody else stays.
func TestUnlinkingAUsersOwnIdentity(t *testing.T) {
	w, _, b, ans, sub := startKeeping(t)
	if n, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, bySubject("ada-0001"), by); err != nil || n != 1 {
		t.Fatalf("%d grants, %v", n, err)
	}
	if got := w.Events.Take(); !slices.Equal(got, []audit.Event{audit.UserDisabled{Pool: servertest.PoolID, Sub: sub, Grants: 1, By: by}}) {
		t.Errorf("events %+v", got)
	}
	over(t, w, b, ans)
	if p := w.Browser().SignIn(w.Web().Authorize(), ada); p.Params().Get("code") != "" {
		t.Error("the person signs in all the same")
	}
	if _, err := w.Broker.SetEnabled(t.Context(), servertest.PoolID, sub, true, by); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Second)
	if who(t, w, ada) != sub {
		t.Error("enabled again, it is another user")
	}
	jane := local(t, w, "jane")
	if _, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, pool.Source{Provider: "Cognito", Attribute: pool.SubjectAttribute, Value: "jane"}, by); err != nil {
		t.Fatal(err)
	}
	if u, err := w.Directory.User(t.Context(), servertest.PoolID, jane.Sub); err != nil || u.Enabled {
		t.Errorf("the local account: %+v, %v", u, err)
	}
}

// TestALinkByAClaim: whole sign-ins of people who bring the value that a link waits for, and of those who only seem to.
func TestALinkByAClaim(t *testing.T) {
	var second *oidctest.Provider
	w, up := servertest.StartExample(t, func(o *servertest.Options) {
		second = servertest.OIDC(t, o.Clock)
		o.Spec = servertest.Example(o.Spec.UserPools[0].IdentityProviders[0], servertest.Provider("Second", second))
		o.Spec.UserPools[0].Schema = []pool.SchemaSpec{{Name: "employee"}}
		for _, ip := range o.Spec.UserPools[0].IdentityProviders {
			ip.AttributeMapping["custom:employee"] = "employee_id"
		}
	})
	u := local(t, w, "jane")
	// says makes the providers say of everybody that they are that employee.
	says := func(claims map[string]any) {
		alter := func(c map[string]any) {
			for k, v := range claims {
				c[k] = v
			}
		}
		up.Set(oidctest.Faults{IDToken: alter, UserInfo: alter})
		second.Set(oidctest.Faults{IDToken: alter, UserInfo: alter})
	}
	src := pool.Source{Provider: "Corp", Attribute: "custom:employee", Value: "E-8"}
	if _, err := w.Broker.LinkProvider(t.Context(), servertest.PoolID, "jane", src, by); err != nil {
		t.Fatal(err)
	}
	if got := w.Events.Take(); !slices.Equal(got, []audit.Event{audit.IdentityLinked{Pool: servertest.PoolID, Sub: u.Sub, Provider: "Corp", Claim: "employee_id", By: by}}) {
		t.Errorf("events %+v", got)
	}
	if _, err := w.Broker.LinkProvider(t.Context(), servertest.PoolID, local(t, w, "joe").Username, src, by); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("two users want one value: %v", err)
	}
	corp, other := []string{"identity_provider", "Corp"}, []string{"identity_provider", "Second"}
	for name, tt := range map[string]struct {
		claims map[string]any
		at     []string
	}{
		"the same value at another provider": {map[string]any{"employee_id": "E-8"}, other},
		"another case":                       {map[string]any{"employee_id": "e-8"}, corp},
		"a list with the value":              {map[string]any{"employee_id": []string{"E-8"}}, corp},
		"a list that looks like it":          {map[string]any{"employee_id": []string{"E-7", "E-8"}}, corp},
		"an object":                          {map[string]any{"employee_id": map[string]string{"E-8": "E-8"}}, corp},
		"another claim":                      {map[string]any{"name": "E-8", "email": "E-8@corp.example", "custom:employee": "E-8"}, corp},
		"with a space":                       {map[string]any{"employee_id": "E-8 "}, corp},
	} {
		t.Run(name, func(t *testing.T) {
			says(tt.claims)
			sub := who(t, w, servertest.As("eve"), tt.at...)
			if sub == u.Sub {
				t.Fatal("somebody else is signed in as the user")
			}
			if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Second)
		})
	}
	says(map[string]any{"employee_id": "E-8"})
	w.Events.Take()
	if who(t, w, ada, corp...) != u.Sub {
		t.Fatal("the person is not the user")
	}
	if got := w.Events.Take(); !slices.Contains(got, audit.Event(audit.IdentityMatched{Pool: servertest.PoolID, Sub: u.Sub, Provider: "Corp", Claim: "employee_id"})) {
		t.Errorf("events %+v", got)
	}
	says(nil)
	if who(t, w, ada, corp...) != u.Sub {
		t.Error("the second sign-in, without the claim, is another user's")
	}
	says(map[string]any{"employee_id": "E-8"})
	if who(t, w, servertest.As("bob"), corp...) == u.Sub {
		t.Error("a second person with the claim is the user as well")
	}
	if _, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, src, by); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a link that was used up: %v", err)
	}
	if _, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, bySubject("ada-0001"), by); err != nil {
		t.Error(err)
	}
	if who(t, w, ada, corp...) == u.Sub {
		t.Error("the link is used up and ended, and the claim leads to the user once more")
	}
}

// An identity that two users wait for is refused at the sign-in, and nothing is made of it.
func TestAnAmbiguousLink(t *testing.T) {
	w, _ := servertest.StartExample(t)
	for name, s := range map[string][2]string{"jane": {"email", "ada@corp.example"}, "joe": {"name", "The ada"}} {
		local(t, w, name)
		if _, err := w.Broker.LinkProvider(t.Context(), servertest.PoolID, name, pool.Source{Provider: "Corp", Attribute: s[0], Value: s[1]}, by); err != nil {
			t.Fatal(err)
		}
	}
	w.Engine.Reset()
	p := w.Browser().SignIn(w.Web().Authorize(), ada)
	if v := p.Params(); v.Get("code") != "" || v.Get("error") == "" || v.Get("error_description") == "" {
		t.Errorf("answer %v", url.Values(v))
	}
	if n := w.Engine.Written(); n != "trace 1, trace_turn 1" && n != "trace 1" {
		t.Errorf("written: %s", n)
	}
}
