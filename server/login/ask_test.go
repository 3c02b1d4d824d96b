package login_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

func TestAPersonWhoProvesToHaveTheAccountIsLinked(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			a := startAsking(t, func(o *servertest.Options) {
				if secure {
					servertest.Secure(o)
				}
			})
			b := a.Browser()
			p := a.question(b)
			a.nothing(b, p)
			a.untouched()
			for _, part := range []string{"Corp", "ada@corp.example", "Continue with <bdi>Home</bdi>", "Continue with <bdi>Corp</bdi>"} {
				if !strings.Contains(p.Body, part) {
					t.Errorf("no %q in %s", part, p.Body)
				}
			}
			confirm := a.page(b, a.prove(b, p, ada), "Link these two?")
			a.nothing(b, confirm)
			a.untouched()
			done := a.answer(b, confirm, "choice", "link")
			if got := a.sub(done); got != a.ada {
				t.Errorf("signed in as %s, want %s", got, a.ada)
			}
			u, err := a.Directory.UserByIdentity(t.Context(), servertest.PoolID, "Corp", "ada-0001")
			if err != nil || u.Sub != a.ada || len(a.users()) != 2 {
				t.Errorf("%+v, %v", u, err)
			}
			a.has(audit.IdentityLinkedByPolicy{Pool: servertest.PoolID, Sub: a.ada, Provider: "Corp", Policy: "ask", Attribute: "email"})
			// From then on nobody is asked.
			if got := a.sub(a.Browser().SignIn(a.atCorp, ada)); got != a.ada {
				t.Errorf("then as %s", got)
			}
		})
	}
}

func TestAPersonMayHaveAUserOfTheirOwn(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.question(b)
	got := a.sub(a.answer(b, p, "choice", "new"))
	if got == a.ada || len(a.users()) != 3 {
		t.Errorf("signed in as %s of %d", got, len(a.users()))
	}
	if again := a.sub(a.Browser().SignIn(a.atCorp, ada)); again != got {
		t.Errorf("then as %s, want %s", again, got)
	}
}

func TestAQuestionIsCancelled(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.question(b)
	toClient(t, a.answer(b, p, "choice", "cancel"), "access_denied", "cancelled")
	a.untouched()
	docs, err := a.Engine.List(t.Context(), "pending_sign_in", "", "", 10)
	if err != nil || len(docs) != 0 || len(b.Cookie("weir_as_")) != 0 {
		t.Errorf("left: %d documents, %v, %v", len(docs), err, b.Cookie("weir_as_"))
	}
	onPage(t, a.answer(b, p, "choice", "new"), http.StatusBadRequest, "no longer valid")
}

func TestWhoSignsInAsSomebodyElseIsNotSignedIn(t *testing.T) {
	a := startAsking(t)
	for name, who := range map[string]servertest.Upstream{"another user": eve, "somebody without a user": servertest.As("bob")} {
		t.Run(name, func(t *testing.T) {
			b := a.Browser()
			back := a.prove(b, a.question(b), who)
			a.nothing(b, back)
			p := a.page(b, back, "Do you have an account already?")
			if !strings.Contains(p.Body, "not an account that can be linked") {
				t.Errorf("page %s", p.Body)
			}
			a.nothing(b, p)
			a.untouched()
			onceMore := a.page(b, a.prove(b, p, ada), "Link these two?")
			if !strings.Contains(onceMore.Body, "Ada") && !strings.Contains(onceMore.Body, "ada@corp.example") {
				t.Errorf("page %s", onceMore.Body)
			}
		})
	}
}

func TestALaterProofAsSomebodyElseTakesTheFirstBack(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	asked := a.question(b)
	confirm := a.page(b, a.prove(b, asked, ada), "Link these two?")
	a.page(b, a.prove(b, asked, eve), "Do you have an account already?")
	a.page(b, a.answer(b, confirm, "choice", "link"), "Do you have an account already?")
	a.untouched()
}

func TestWhatIsConfirmedIsThatVeryProof(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	asked := a.question(b)
	first := a.page(b, a.prove(b, asked, ada), "Link these two?")
	second := a.page(b, a.prove(b, asked, ada), "Link these two?")
	a.page(b, a.answer(b, first, "choice", "link"), "Do you have an account already?")
	a.page(b, a.answer(b, second, "choice", "link"), "Do you have an account already?") // taken back with it
	a.untouched()
}

func TestNothingIsLinkedWithoutAProof(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.question(b)
	a.page(b, a.answer(b, p, "choice", "link"), "Do you have an account already?")
	a.untouched()
	if p = a.answer(b, p, "choice", "both"); p.Status != http.StatusBadRequest {
		t.Errorf("answer %d", p.Status)
	}
}

func TestNotToLinkLeadsBackToTheQuestion(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.page(b, a.answer(b, a.confirmable(b), "choice", "back"), "Do you have an account already?")
	a.untouched()
	if got := a.sub(a.answer(b, p, "choice", "new")); got == a.ada {
		t.Error("linked all the same")
	}
}

// A provider is asked to authenticate anew, and a session of Weir's does not count.
func TestAProofIsANewAuthentication(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	a.app.Login(b, ada, "identity_provider", "Home")
	a.home.Forget()
	p := a.page(b, b.SignIn(a.app.Authorize("identity_provider", "Corp", "login_hint", "x@corp.example", "acr_values", "loa3"), ada), "Do you have an account already?")
	challenge := a.answer(b, p, "identity_provider", "Home")
	v := challenge.Location.Query()
	if v.Get("prompt") != "login" || v.Get("login_hint") != "" || v.Get("acr_values") != "" {
		t.Errorf("challenge %v", v)
	}
	// auth_time shows that the provider had somebody from before.
	a.home.Set(oidctest.Faults{IDToken: func(claims map[string]any) { claims["auth_time"] = a.Clock.Now().Add(-time.Hour).Unix() }})
	back, err := ada(t.Context(), b, challenge)
	if err != nil {
		t.Fatal(err)
	}
	a.page(b, b.Do(back), "Do you have an account already?")
	a.untouched()
}

func TestACancelledProofIsNoAnswer(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.page(b, a.prove(b, a.question(b), servertest.Cancel), "Do you have an account already?")
	if !strings.Contains(p.Body, "did not work") {
		t.Errorf("page %s", p.Body)
	}
	a.untouched()
	if got := a.sub(a.answer(b, a.page(b, a.prove(b, p, ada), "Link these two?"), "choice", "link")); got != a.ada {
		t.Errorf("then as %s", got)
	}
}

// What the page says does not depend on the account: not on its providers, its name, or whether it is disabled.
func TestThePageTellsNothingOfTheAccount(t *testing.T) {
	bodies := map[string]string{}
	for _, how := range []string{"enabled", "disabled"} {
		a := startAsking(t)
		if how == "disabled" {
			if _, err := a.Broker.SetEnabled(t.Context(), servertest.PoolID, a.ada, false, admin); err != nil {
				t.Fatal(err)
			}
		}
		b := a.Browser()
		p := a.question(b)
		_, fields := p.Form()
		body := strings.ReplaceAll(p.Body, fields.Get("token"), "TOKEN")
		bodies[how] = strings.ReplaceAll(body, fields.Get("question"), "ID")
		if strings.Contains(p.Body, a.ada) || strings.Contains(p.Body, "The ada") {
			t.Errorf("page %s", p.Body)
		}
		if how == "disabled" { // and whoever proves to be it is told no more than others
			other := a.page(b, a.prove(b, p, ada), "Do you have an account already?")
			if !strings.Contains(other.Body, "not an account that can be linked") {
				t.Errorf("page %s", other.Body)
			}
			a.untouched()
		}
	}
	if bodies["enabled"] != bodies["disabled"] {
		t.Errorf("differ:\n%s\n%s", bodies["enabled"], bodies["disabled"])
	}
}

// An address that nobody has, or that is not verified, asks nobody.
func TestWhoCannotHaveAUserIsNotAsked(t *testing.T) {
	a := startAsking(t)
	a.sub(a.Browser().SignIn(a.atHome, servertest.As("bob")))
	if got := a.sub(a.Browser().SignIn(a.atCorp, servertest.As("bob"))); got == "" || len(a.users()) != 4 {
		t.Errorf("%s, %d users", got, len(a.users()))
	}
	if events := a.Events.Take(); slices.ContainsFunc(events, func(e audit.Event) bool { return e.Name() == "link.asked" }) {
		t.Errorf("events %+v", events)
	}
}

func TestPromptNoneAsksNobody(t *testing.T) {
	a := startAsking(t)
	toClient(t, a.Browser().Get(a.app.Authorize("identity_provider", "Corp", "prompt", "none")), "login_required", "forbids")
	a.untouched()
}

func TestIDTokenHintOfSomebodyElseIsNoCandidate(t *testing.T) {
	a := startAsking(t)
	hint := a.app.Login(a.Browser(), eve, "identity_provider", "Home").Text("id_token")
	b := a.Browser()
	p := a.page(b, b.SignIn(a.app.Authorize("identity_provider", "Corp", "id_token_hint", hint), ada), "Do you have an account already?")
	a.page(b, a.prove(b, p, ada), "Do you have an account already?")
	a.untouched()
}

func TestWhatAnAskedSignInWrites(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	a.Engine.Reset()
	p := a.question(b)
	if got := a.Engine.Written(); got != "pending_sign_in 1" {
		t.Errorf("asked: %q", got)
	}
	a.Engine.Reset()
	confirm := a.page(b, a.prove(b, p, ada), "Link these two?")
	if got := a.Engine.Written(); got != "pending_sign_in 1" {
		t.Errorf("proven: %q", got)
	}
	a.Engine.Reset()
	a.app.Code(a.answer(b, confirm, "choice", "link"))
	if got := a.Engine.Written(); got != "grant 1, pending_sign_in 1, user 1" {
		t.Errorf("linked: %q", got)
	}
}
