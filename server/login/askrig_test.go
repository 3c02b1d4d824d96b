package login_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

const admin = "an administrator"

// questioned is a Weir whose provider Corp asks people, and where ada and eve have users by way of Home.
type questioned struct {
	*servertest.Weir
	t      *testing.T
	app    *servertest.App
	corp   *oidctest.Provider
	home   *oidctest.Provider
	ada    string // sub
	atHome string // an authorization request
	atCorp string
}

func startAsking(t *testing.T, change ...func(*servertest.Options)) *questioned {
	t.Helper()
	a := &questioned{t: t}
	a.Weir, a.corp = servertest.StartExample(t, append([]func(*servertest.Options){func(o *servertest.Options) {
		a.home = servertest.OIDC(t, o.Clock)
		corp := o.Spec.UserPools[0].IdentityProviders[0]
		corp.ProviderDetails["link_users"] = secret.New("ask")
		o.Spec = servertest.Example(corp, servertest.Provider("Home", a.home))
	}}, change...)...)
	a.app = a.Web()
	a.atCorp, a.atHome = a.app.Authorize("identity_provider", "Corp"), a.app.Authorize("identity_provider", "Home")
	a.ada = a.sub(a.Browser().SignIn(a.atHome, ada))
	a.sub(a.Browser().SignIn(a.atHome, eve))
	a.Events.Take()
	a.home.Forget()
	a.corp.Forget()
	return a
}

// sub is who was signed in.
func (a *questioned) sub(p *servertest.Page) string {
	a.t.Helper()
	sub, _ := a.app.Claims(a.app.Tokens(p).Text("id_token"))["sub"].(string)
	return sub
}

func (a *questioned) users() []pool.User {
	a.t.Helper()
	users, _, err := a.Directory.Users(a.t.Context(), servertest.PoolID, "", "", 100)
	if err != nil {
		a.t.Fatal(err)
	}
	return users
}

// untouched checks that nobody was made or linked.
func (a *questioned) untouched() {
	a.t.Helper()
	if u, err := a.Directory.UserByIdentity(a.t.Context(), servertest.PoolID, "Corp", "ada-0001"); fault.CodeOf(err) != fault.NotFound || err == nil {
		a.t.Errorf("the identity is %s's, %v", u.Sub, err)
	}
	if users := a.users(); len(users) != 2 {
		a.t.Errorf("%d users", len(users))
	}
}

// question signs ada in at Corp, up to the page that asks.
func (a *questioned) question(b *servertest.Browser) *servertest.Page {
	a.t.Helper()
	return a.page(b, b.SignIn(a.atCorp, ada), "Do you have an account already?")
}

// page follows to the page of Weir that an answer leads to.
func (a *questioned) page(b *servertest.Browser, from *servertest.Page, heading string) *servertest.Page {
	a.t.Helper()
	if from.Location == nil || from.Status != http.StatusSeeOther || from.Location.Path != "/login/link" {
		a.t.Fatalf("answer %d to %v\n%s", from.Status, from.Location, from.Body)
	}
	p := b.Get(from.Location.String())
	if p.Status != http.StatusOK || !strings.Contains(p.Body, "<h1>"+heading+"</h1>") {
		a.t.Fatalf("answer %d to %v\n%s", p.Status, p.Location, p.Body)
	}
	return p
}

// answer presses a button of the page.
func (a *questioned) answer(b *servertest.Browser, p *servertest.Page, name, value string) *servertest.Page {
	a.t.Helper()
	action, fields := p.Form()
	fields.Set(name, value)
	return b.Post(action, fields)
}

// prove signs somebody in at Home, to show which user they have, and returns the answer.
func (a *questioned) prove(b *servertest.Browser, p *servertest.Page, who servertest.Upstream) *servertest.Page {
	a.t.Helper()
	challenge := a.answer(b, p, "identity_provider", "Home")
	if challenge.Location == nil || !strings.HasPrefix(challenge.Location.String(), a.home.Issuer()) {
		a.t.Fatalf("no challenge: %d %v\n%s", challenge.Status, challenge.Location, challenge.Body)
	}
	back, err := who(a.t.Context(), b, challenge)
	if err != nil {
		a.t.Fatal(err)
	}
	return b.Do(back)
}

// confirmable is the page on which ada confirms.
func (a *questioned) confirmable(b *servertest.Browser) *servertest.Page {
	a.t.Helper()
	return a.page(b, a.prove(b, a.question(b), ada), "Link these two?")
}

// nothing checks that an answer is neither a code nor a session.
func (a *questioned) nothing(b *servertest.Browser, p *servertest.Page) {
	a.t.Helper()
	if p.Location != nil && p.Location.Query().Has("code") || len(b.Cookie("weir_s_")) != 0 {
		a.t.Errorf("signed in: %d %v %v", p.Status, p.Location, b.Cookie(""))
	}
}

// change changes the provider Corp as it is stored.
func (a *questioned) change(how func(*pool.IdentityProvider)) {
	a.t.Helper()
	a.Clock.Advance(6 * time.Second) // what nodes remember is 5 seconds old at most
	ip, err := a.Directory.ProviderOf(a.t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		a.t.Fatal(err)
	}
	how(&ip)
	if _, err := a.Directory.UpdateProvider(a.t.Context(), ip); err != nil {
		a.t.Fatal(err)
	}
}

func (a *questioned) has(e audit.Event) {
	a.t.Helper()
	if all := a.Events.Take(); !slices.ContainsFunc(all, func(x audit.Event) bool { return x == e }) {
		a.t.Errorf("no event %+v in %+v", e, all)
	}
}
