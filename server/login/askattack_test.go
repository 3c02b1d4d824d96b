package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// Answers that no page of ours sent, for every choice there is.
func TestCrossSiteAnswersAreRefused(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	asked := a.question(b)
	action, fields := a.page(b, a.prove(b, asked, ada), "Link these two?").Form()
	choices := []url.Values{{"choice": {"link"}}, {"choice": {"new"}}, {"choice": {"cancel"}}, {"choice": {"back"}}, {"identity_provider": {"Home"}}}
	for name, forge := range map[string]func(url.Values, http.Header){
		"without the token":      func(v url.Values, _ http.Header) { v.Del("token") },
		"with another token":     func(v url.Values, _ http.Header) { v.Set("token", strings.Repeat("A", 43)) },
		"from another site":      func(_ url.Values, h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"from a neighbour":       func(_ url.Values, h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"as text":                func(_ url.Values, h http.Header) { h.Set("Content-Type", "text/plain") },
		"of a question not ours": func(v url.Values, _ http.Header) { v.Set("question", "AAAAAAAAAAAAAAAAAAAAAA") },
	} {
		for _, choice := range choices {
			v, h := url.Values{}, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
			for _, from := range []url.Values{fields, choice} {
				for k, x := range from {
					v[k] = slices.Clone(x)
				}
			}
			forge(v, h)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, action, strings.NewReader(v.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = h
			p := b.Do(req)
			if p.Status != http.StatusBadRequest || p.Location != nil {
				t.Errorf("%s, %v: %d to %v", name, choice, p.Status, p.Location)
			}
		}
	}
	if p := b.Get(action + "?" + fields.Encode() + "&choice=link"); p.Status != http.StatusOK || p.Location != nil {
		t.Errorf("a GET: %d to %v", p.Status, p.Location)
	}
	a.untouched()
	fields.Set("choice", "link")
	if got := a.sub(b.Post(action, fields)); got != a.ada {
		t.Errorf("the page's own answer: %s", got)
	}
}

// What an attacker could take along: the address of the page, its form, and a cookie of a question of their own.
func TestAnotherBrowserWithTheQuestionIsRefused(t *testing.T) {
	a := startAsking(t)
	victim, attacker := a.Browser(), a.Browser()
	p := a.confirmable(victim)
	action, fields := p.Form()
	onPage(t, attacker.Get(p.From.String()), http.StatusBadRequest, "no longer valid")
	own := a.question(attacker)
	_, mine := own.Form()
	at, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, ck := range attacker.Cookie("weir_as_") { // the sealed value under the name of the victim's
		attacker.Jar.SetCookies(at, []*http.Cookie{{Name: "weir_as_" + fields.Get("question"), Value: ck.Value, Path: "/"}})
	}
	onPage(t, attacker.Get(p.From.String()), http.StatusBadRequest, "no longer valid")
	for _, token := range []string{fields.Get("token"), mine.Get("token")} {
		for _, choice := range []string{"link", "new", "cancel"} {
			v := url.Values{"question": fields["question"], "proof": fields["proof"], "token": {token}, "choice": {choice}}
			onPage(t, attacker.Post(action, v), http.StatusBadRequest, "no longer valid")
		}
	}
	a.untouched()
}

// Fixation: the attacker signs in with an identity that says the victim's address, and has the victim prove to be the victim. The proof is of the
// attacker's attempt, which is in the attacker's browser only, and the answer of the provider comes to nothing in the victim's.
func TestAProofInTheVictimsBrowserIsNoneForTheAttackersQuestion(t *testing.T) {
	a := startAsking(t)
	attacker, victim := a.Browser(), a.Browser()
	p := a.question(attacker)
	challenge := a.answer(attacker, p, "identity_provider", "Home")
	back, err := ada(t.Context(), victim, challenge)
	if err != nil {
		t.Fatal(err)
	}
	onPage(t, victim.Do(back), http.StatusBadRequest, "no longer valid")
	a.page(attacker, a.answer(attacker, p, "choice", "link"), "Do you have an account already?")
	a.untouched()
}

// And where a victim is led to finish the attacker's sign-in in their own browser, the page says whose it is before anything can be proven, and before anything
// is linked.
func TestThePagesNameWhatIsLinked(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.question(b)
	for _, part := range []string{`<bdi class="name">Corp</bdi>`, `<bdi class="name">ada@corp.example</bdi>`} {
		if !strings.Contains(p.Body, part) {
			t.Errorf("no %s in %s", part, p.Body)
		}
	}
	p = a.page(b, a.prove(b, p, ada), "Link these two?")
	for _, part := range []string{`<bdi class="name">Corp</bdi>: <bdi>ada@corp.example</bdi>`, `<bdi class="name">Home</bdi>: <bdi>ada@corp.example</bdi>`, "whoever can sign in with"} {
		if !strings.Contains(p.Body, part) {
			t.Errorf("no %s in %s", part, p.Body)
		}
	}
}

func TestAnAnswerCountsOnce(t *testing.T) {
	for _, choice := range []string{"link", "new"} {
		t.Run(choice, func(t *testing.T) {
			a := startAsking(t)
			b := a.Browser()
			action, fields := a.confirmable(b).Form()
			cookies := b.Cookie("weir_as_")
			fields.Set("choice", choice)
			const n = 8
			pages, errs := make(chan *servertest.Page, n), make(chan error, n)
			for range n {
				go func() {
					p, err := postAgain(t, b, action, fields, cookies)
					pages <- p
					errs <- err
				}()
			}
			codes := 0
			for range n {
				p := <-pages
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
				if p.Location != nil && p.Location.Query().Has("code") {
					codes++
				} else if p.Status != http.StatusBadRequest {
					t.Errorf("answer %d to %v", p.Status, p.Location)
				}
			}
			p, err := postAgain(t, b, action, fields, cookies) // and with the cookie brought back
			if err != nil || p.Status != http.StatusBadRequest || codes != 1 {
				t.Errorf("%d codes, then %v, %v", codes, p, err)
			}
			if want := map[string]int{"link": 2, "new": 3}[choice]; len(a.users()) != want {
				t.Errorf("%d users", len(a.users()))
			}
		})
	}
}

func postAgain(t *testing.T, b *servertest.Browser, action string, fields url.Values, cookies []*http.Cookie) (*servertest.Page, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, action, strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, ck := range cookies {
		req.AddCookie(&http.Cookie{Name: ck.Name, Value: ck.Value})
	}
	bare := &servertest.Browser{Client: b.Weir.Client(), Weir: b.Weir}
	return bare.Try(req)
}

func TestAProofsAnswerCountsOnce(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	asked := a.question(b)
	challenge := a.answer(b, asked, "identity_provider", "Home")
	back, err := ada(t.Context(), b, challenge)
	if err != nil {
		t.Fatal(err)
	}
	p := a.page(b, b.Do(back.Clone(t.Context())), "Link these two?")
	onPage(t, b.Do(back.Clone(t.Context())), http.StatusBadRequest, "no longer valid")
	if got := a.sub(a.answer(b, p, "choice", "link")); got != a.ada {
		t.Errorf("as %s", got)
	}
}

func TestAQuestionExpires(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	asked := a.question(b)
	a.Clock.Advance(5 * time.Minute)
	confirm := a.page(b, a.prove(b, asked, ada), "Link these two?")
	a.Clock.Advance(5 * time.Minute)
	for _, choice := range []string{"link", "new", "cancel", "back"} {
		onPage(t, a.answer(b, confirm, "choice", choice), http.StatusBadRequest, "no longer valid")
	}
	onPage(t, a.answer(b, asked, "identity_provider", "Home"), http.StatusBadRequest, "no longer valid")
	onPage(t, b.Get(asked.From.String()), http.StatusBadRequest, "no longer valid")
	a.untouched()
}

// Whatever an administrator changes between the proof and the confirmation, nobody is linked by what was so before.
func TestChangesBeforeTheConfirmation(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(a *questioned) error
		again  bool // the person is asked once more; otherwise they begin again
	}{
		"the policy is withdrawn":  {change: func(a *questioned) error { return a.set("link_users", "none") }},
		"the policy is by e-mail":  {change: func(a *questioned) error { return a.set("link_users", "email", "trusted_domains", "corp.example") }},
		"the mapping is changed":   {change: func(a *questioned) error { return a.remap("email", "upn") }},
		"the provider is replaced": {change: (*questioned).replaceCorp},
		"the provider is removed": {change: func(a *questioned) error {
			return a.Directory.DeleteProvider(a.t.Context(), servertest.PoolID, "Corp")
		}},
		"the application offers it no longer": {change: func(a *questioned) error { return a.offer("Home") }},
		"the application is removed": {change: func(a *questioned) error {
			return a.Directory.DeleteClient(a.t.Context(), servertest.PoolID, servertest.WebClient)
		}},
		"the candidate is disabled": {again: true, change: func(a *questioned) error {
			_, err := a.Broker.SetEnabled(a.t.Context(), servertest.PoolID, a.ada, false, admin)
			return err
		}},
		"the candidate is deleted": {again: true, change: func(a *questioned) error {
			if _, err := a.Broker.SetEnabled(a.t.Context(), servertest.PoolID, a.ada, false, admin); err != nil {
				return err
			}
			_, err := a.Broker.DeleteUser(a.t.Context(), servertest.PoolID, a.ada, admin)
			return err
		}},
		"the candidate is merged into another user": {again: true, change: func(a *questioned) error {
			_, err := a.Broker.MergeUsers(a.t.Context(), servertest.PoolID, "Home_eve-0001", "Home_ada-0001", admin, false)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := startAsking(t)
			b := a.Browser()
			p := a.confirmable(b)
			if err := tt.change(a); err != nil {
				t.Fatal(err)
			}
			a.Clock.Advance(6 * time.Second)
			back := a.answer(b, p, "choice", "link")
			a.nothing(b, back)
			if tt.again {
				if asked := a.page(b, back, "Do you have an account already?"); !strings.Contains(asked.Body, "has changed") {
					t.Errorf("page %s", asked.Body)
				}
			} else if back.Status < 400 && (back.Location == nil || !back.Location.Query().Has("error")) {
				t.Errorf("answer %d to %v", back.Status, back.Location)
			}
			if u, err := a.Directory.UserByIdentity(t.Context(), servertest.PoolID, "Corp", "ada-0001"); err == nil {
				t.Errorf("linked to %s", u.Sub)
			}
		})
	}
}

func (a *questioned) set(pairs ...string) error {
	a.change(func(ip *pool.IdentityProvider) {
		d := pool.Details{}
		for k, v := range ip.Details {
			d[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			d[pairs[i]] = secret.New(pairs[i+1])
		}
		ip.Details = d
	})
	return nil
}

func (a *questioned) remap(attribute, claim string) error {
	a.change(func(ip *pool.IdentityProvider) {
		m := map[string]string{}
		for k, v := range ip.AttributeMapping {
			m[k] = v
		}
		m[attribute] = claim
		ip.AttributeMapping = m
	})
	return nil
}

// replaceCorp makes a provider of the same name and settings in the place of Corp: of its people nothing is known.
func (a *questioned) replaceCorp() error {
	ctx := a.t.Context()
	ip, err := a.Directory.ProviderOf(ctx, servertest.PoolID, "Corp")
	if err != nil {
		return err
	}
	if err := a.Directory.DeleteProvider(ctx, servertest.PoolID, "Corp"); err != nil {
		return err
	}
	a.Clock.Advance(time.Second)
	if _, err := a.Directory.CreateProvider(ctx, ip); err != nil {
		return err
	}
	return a.offer("Corp", "Home")
}

func (a *questioned) offer(providers ...string) error {
	c, err := a.Directory.ClientOf(a.t.Context(), servertest.PoolID, servertest.WebClient)
	if err != nil {
		return err
	}
	c.Providers = providers
	_, err = a.Directory.UpdateClient(a.t.Context(), c)
	return err
}

// The identity came to a user while the person was asked: nobody else gets it, and a new account is no second one.
func TestAnIdentityThatBecomesKnownWhileItIsAskedAbout(t *testing.T) {
	for _, choice := range []string{"link", "new"} {
		t.Run(choice, func(t *testing.T) {
			a := startAsking(t)
			b := a.Browser()
			p := a.confirmable(b)
			eves, err := a.Broker.LinkProvider(t.Context(), servertest.PoolID, "Home_eve-0001", pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "ada-0001"}, admin)
			if err != nil {
				t.Fatal(err)
			}
			back := a.answer(b, p, "choice", choice)
			if choice == "new" {
				if got := a.sub(back); got != eves.Sub {
					t.Errorf("signed in as %s, the identity is %s's", got, eves.Sub)
				}
			} else {
				toClient(t, back, "access_denied", "cannot be linked")
			}
			if len(a.users()) != 2 {
				t.Errorf("%d users", len(a.users()))
			}
		})
	}
}

// A user who was merged into the candidate proves to be it, before the question or after.
func TestAnIdentityOfAMergedUserIsAProof(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			a := startAsking(t)
			b := a.Browser()
			merge := func(into, other string) {
				if _, err := a.Broker.MergeUsers(t.Context(), servertest.PoolID, into, other, admin, false); err != nil {
					t.Fatal(err)
				}
			}
			if when == "before" {
				merge("Home_ada-0001", "Home_eve-0001")
			}
			p := a.question(b)
			if when == "after" {
				merge("Home_ada-0001", "Home_eve-0001")
			}
			if got := a.sub(a.answer(b, a.page(b, a.prove(b, p, eve), "Link these two?"), "choice", "link")); got != a.ada {
				t.Errorf("signed in as %s, want %s", got, a.ada)
			}
		})
	}
}

// The answer is spent before anything comes of it: after a failure the person begins again, and there is no second user and no half a link.
func TestAFailureAfterTheAnswerIsSpent(t *testing.T) {
	for _, kind := range []string{"user", "grant"} {
		t.Run(kind, func(t *testing.T) {
			a := startAsking(t)
			b := a.Browser()
			p := a.confirmable(b)
			a.Engine.SetFull(kind)
			toClient(t, a.answer(b, p, "choice", "link"), "temporarily_unavailable", "")
			a.Engine.SetFull()
			onPage(t, a.answer(b, p, "choice", "link"), http.StatusBadRequest, "no longer valid")
			if kind == "user" {
				a.untouched()
				a.question(b)
				return
			}
			if got := a.sub(b.SignIn(a.atCorp, ada)); got != a.ada || len(a.users()) != 2 {
				t.Errorf("then as %s of %d", got, len(a.users()))
			}
		})
	}
}

func TestAStoreThatIsAwayAsksNobody(t *testing.T) {
	a := startAsking(t)
	a.Engine.SetFull("pending_sign_in")
	toClient(t, a.Browser().SignIn(a.atCorp, ada), "temporarily_unavailable", "")
	a.untouched()
}

func TestTooManyClaimsAreNotKept(t *testing.T) {
	a := startAsking(t)
	a.corp.Set(oidctest.Faults{UserInfo: func(claims map[string]any) { claims["filler"] = strings.Repeat("x", 300<<10) }})
	toClient(t, a.Browser().SignIn(a.atCorp, ada), "invalid_request", "more of this account than can be kept")
	a.untouched()
}

// Nothing of what waits can be read in the store or in the log.
func TestWhatWaitsIsSealed(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	p := a.question(b)
	docs, err := a.Engine.List(t.Context(), "pending_sign_in", "", "", 10)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	if _, fields := p.Form(); docs[0].Key != fields.Get("question") || !docs[0].Expires.Equal(a.Clock.Now().Add(10*time.Minute)) {
		t.Errorf("key %s, expires %v", docs[0].Key, docs[0].Expires)
	}
	for _, part := range []string{"ada", "Corp", "access", a.ada} {
		if strings.Contains(string(docs[0].Body), part) {
			t.Errorf("the document says %q", part)
		}
	}
	if strings.Contains(a.Log.Text(), "ada@corp") {
		t.Error("the log holds an address")
	}
	for _, ck := range p.Cookies {
		t.Errorf("the page sets %s", ck.Name)
	}
}

// A browser holds two questions; the attempt of a proof signs nobody in by itself.
func TestABrowserHoldsFewQuestions(t *testing.T) {
	a := startAsking(t)
	b := a.Browser()
	for range 4 {
		a.question(b)
	}
	if held := b.Cookie("weir_as_"); len(held) > 2 {
		t.Errorf("%d cookies", len(held))
	}
}
