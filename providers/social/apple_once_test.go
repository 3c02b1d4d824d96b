package social_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// failing makes Apple's token endpoint answer 503, or work again.
func (a *atApple) failing(on bool) {
	a.up.Change(func(s *socialtest.Server) {
		s.Override = nil
		if on {
			s.Override = map[string]http.HandlerFunc{"/auth/token": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }}
		}
	})
}

// named checks the name of a user, "" for none at all.
func (a *atApple) named(subject, want string) {
	a.t.Helper()
	got := a.user(subject).Attributes
	if got["name"] != want || (want == "") != (got["given_name"] == "" && got["family_name"] == "") {
		a.t.Errorf("attributes %v, want the name %q", got, want)
	}
}

// Nobody was proven: the browser carries the name, and nothing is stored.
func TestAppleNameSurvivesAFailingTokenEndpoint(t *testing.T) {
	for name, base := range map[string]string{"http": servertest.HTTP, "https": servertest.HTTPS} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t, func(o *servertest.Options) { o.BaseURL = base })
			b := a.Browser()
			a.failing(true)
			req := a.toCallback(b)
			a.Engine.Reset()
			p := a.deliver(b, req)
			a.refused(p, "invalid_request", "status 503")
			if got := a.Engine.Written(); got != "trace 1, trace_turn 1" { // that it failed, and why
				t.Errorf("written: %s", got)
			}
			a.checkCarried(p)
			a.failing(false)
			p = a.signIn(b)
			a.Web().Code(p)
			a.named(adaAtApple, "Ada Lovelace")
			if got := b.Cookie(a.carriedName()); len(got) != 0 {
				t.Errorf("still carries %v", got)
			}
		})
	}
}

func (a *atApple) carriedName() string {
	if strings.HasPrefix(a.URL, "https:") {
		return "__Host-weir_on_"
	}
	return "weir_on_"
}

func (a *atApple) checkCarried(p *servertest.Page) {
	a.t.Helper()
	secure := strings.HasPrefix(a.URL, "https:")
	site := http.SameSiteLaxMode
	if secure {
		site = http.SameSiteNoneMode // the next answer is a cross-site POST too
	}
	for _, c := range p.Cookies {
		if !strings.HasPrefix(c.Name, a.carriedName()) {
			continue
		}
		if !c.HttpOnly || c.Secure != secure || c.SameSite != site || c.Path != "/" || c.Domain != "" || c.MaxAge != 24*60*60 || len(c.Value) > 1600 {
			a.t.Errorf("cookie %v", c)
		}
		if strings.Contains(c.Value, "Lovelace") || strings.Contains(c.Value, "ada@") {
			a.t.Errorf("cookie in the clear %v", c)
		}
		return
	}
	a.t.Errorf("no cookie among %v", p.Cookies)
}

// The person was proven: the name is in the store, sealed, and waits for them in whatever browser they come back.
func TestAppleNameSurvivesARefusingPool(t *testing.T) {
	a := startApple(t, func(o *servertest.Options) {
		if len(o.Spec.UserPools) > 0 {
			requirePhone(o, "phone")
		}
	})
	b := a.Browser()
	p := a.signIn(b)
	a.refused(p, "invalid_request", "phone_number")
	if got := b.Cookie("weir_on_"); len(got) != 0 {
		t.Errorf("the browser carries it too: %v", got)
	}
	docs, err := a.Engine.List(t.Context(), "said_once", "", "", 10)
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	if body := string(docs[0].Body); strings.Contains(body, "Lovelace") || strings.Contains(docs[0].Key, adaAtApple) {
		t.Errorf("in the clear: %s", body)
	}
	a.refused(a.signIn(b), "invalid_request", "phone_number") // and once more in vain
	a.Clock.Advance(29 * 24 * time.Hour)
	o := servertest.Options{Spec: a.spec}
	requirePhone(&o, "= +441632960961")
	a.Apply(o.Spec)
	restarted := servertest.Start(t, servertest.Options{Beside: a.Weir, Spec: o.Spec}) // our process was restarted meanwhile
	a.Weir = restarted
	a.Web().Code(a.signIn(a.Browser()))
	a.named(adaAtApple, "Ada Lovelace")
	if got := a.Engine.Written(); got != "grant 1, said_once 1, user 1" {
		t.Errorf("written: %s", got)
	}
	if docs, err := a.Engine.List(t.Context(), "said_once", "", "", 10); err != nil || len(docs) != 0 {
		t.Errorf("%d documents are left, %v", len(docs), err)
	}
}

func requirePhone(o *servertest.Options, claim string) {
	p := &o.Spec.UserPools[0]
	if len(p.Schema) == 0 || p.Schema[len(p.Schema)-1].Name != "phone_number" {
		p.Schema = append(p.Schema, required("phone_number"))
	}
	p.IdentityProviders[0].AttributeMapping["phone_number"] = claim
}

func TestAppleNameIsForgottenInTime(t *testing.T) {
	t.Run("in the store", func(t *testing.T) {
		a := startApple(t)
		who := once.Person{PoolID: servertest.PoolID, Provider: "SignInWithApple", Subject: adaAtApple}
		if err := a.Once.Keep(t.Context(), who, map[string]any{"name": "Ada Lovelace"}); err != nil {
			t.Fatal(err)
		}
		a.Clock.Advance(once.Life + time.Second)
		if got, err := a.Once.Recall(t.Context(), who); got != nil || err != nil {
			t.Errorf("recalled %v, %v", got, err)
		}
	})
	t.Run("in the browser", func(t *testing.T) {
		a := startApple(t)
		b := a.Browser()
		a.failing(true)
		a.signIn(b)
		held := b.Cookie("weir_on_")
		if len(held) != 1 {
			t.Fatalf("carries %v", held)
		}
		a.failing(false)
		a.Clock.Advance(federation.CarryLife + time.Minute)
		a.Web().Code(a.signIn(b)) // the jar goes by the real clock and still has it
		a.named(adaAtApple, "")
	})
}

// The store cannot be reached when the answer comes, with and without what is cached of the directory.
func TestAppleNameSurvivesAnOutageOfTheStore(t *testing.T) {
	for name, wait := range map[string]time.Duration{"cached": 0, "nothing cached": time.Minute} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t)
			b := a.Browser()
			req := a.toCallback(b)
			a.Clock.Advance(wait)
			a.Engine.SetDown(true)
			if p := a.deliver(b, req); p.Params().Has("code") || len(b.Cookie("weir_on_")) != 1 {
				t.Errorf("answer %d to %v, carries %v", p.Status, p.Location, b.Cookie("weir_on_"))
			}
			a.Engine.SetDown(false)
			a.Web().Code(a.signIn(b))
			a.named(adaAtApple, "Ada Lovelace")
		})
	}
}

func TestAppleNameIsNotPlantedOnAnotherPerson(t *testing.T) {
	lost := func(t *testing.T) (*atApple, *servertest.Browser) {
		a := startApple(t)
		for _, person := range []string{"bob", "eve"} { // whose names Apple has said already, to a browser that is gone
			a.as(person).toCallback(a.Browser())
		}
		b := a.Browser()
		a.failing(true)
		a.as("ada").signIn(b)
		a.failing(false)
		return a, b
	}
	t.Run("of another address, in the same browser", func(t *testing.T) {
		a, b := lost(t)
		a.Web().Code(a.as("bob").signIn(b))
		a.named(bobAtApple, "")
		a.Web().Code(a.as("ada").signIn(b, "prompt", "login")) // and it is still there for whom it is about
		a.named(adaAtApple, "Ada Lovelace")
	})
	for name, change := range map[string]func(c map[string]any){
		"whose address is not verified": func(c map[string]any) { c["email_verified"] = "false" },
		"whose address is not said":     func(c map[string]any) { delete(c, "email") },
		"whose address is empty":        func(c map[string]any) { c["email"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := lost(t)
			a.up.Change(func(*socialtest.Server) { a.up.Claims = change })
			a.Web().Code(a.signIn(b))
			a.named(adaAtApple, "")
		})
	}
	t.Run("in another browser", func(t *testing.T) {
		a, _ := lost(t)
		a.Web().Code(a.signIn(a.Browser()))
		a.named(adaAtApple, "")
	})
	t.Run("in a cookie of another pool or provider", func(t *testing.T) {
		a, b := lost(t)
		at, err := url.Parse(a.URL)
		if err != nil {
			t.Fatal(err)
		}
		c := b.Cookie("weir_on_")[0]
		for _, attempt := range []federation.Attempt{
			{PoolID: servertest.OtherPool, Provider: "SignInWithApple", Once: []string{"user"}},
			{PoolID: servertest.PoolID, Provider: "Other", Once: []string{"user"}},
			{PoolID: servertest.PoolID, Provider: "SignInWithApple"}, // a provider that says nothing once
		} {
			if got := a.Broker.Carried(attempt, c.Value); got != nil {
				t.Errorf("opened for %+v: %v", attempt, got)
			}
		}
		b.Jar.SetCookies(at, []*http.Cookie{{Name: c.Name, Value: c.Value[:len(c.Value)-4] + "AAAA", Path: "/"}})
		a.Web().Code(a.signIn(b))
		a.named(adaAtApple, "")
	})
	t.Run("of another subject, from the store", func(t *testing.T) {
		a := startApple(t)
		a.as("bob").toCallback(a.Browser())
		if err := a.Once.Keep(t.Context(), once.Person{PoolID: servertest.PoolID, Provider: "SignInWithApple", Subject: adaAtApple}, map[string]any{"name": "Ada Lovelace"}); err != nil {
			t.Fatal(err)
		}
		a.Web().Code(a.signIn(a.Browser()))
		a.named(bobAtApple, "")
	})
	t.Run("by a request that is not the browser's own", func(t *testing.T) {
		a := startApple(t)
		req := a.toCallback(a.Browser())
		victim := a.Browser()
		if a.deliver(victim, req); len(victim.Cookie("weir_on_")) != 0 {
			t.Errorf("carries %v", victim.Cookie("weir_on_"))
		}
	})
}

// What the provider says later counts before what was kept.
func TestAppleNewerNameReplacesTheKeptOne(t *testing.T) {
	a := startApple(t)
	who := once.Person{PoolID: servertest.PoolID, Provider: "SignInWithApple", Subject: adaAtApple}
	if err := a.Once.Keep(t.Context(), who, map[string]any{"name": "Ada Byron", "given_name": "Ada", "firstName": "Ada", "lastName": "Byron"}); err != nil {
		t.Fatal(err)
	}
	b := a.Browser()
	a.Web().Code(a.signIn(b)) // the first at Apple, which brings the name
	a.named(adaAtApple, "Ada Lovelace")
	a.Web().Code(a.signIn(b, "prompt", "login"))
	a.named(adaAtApple, "Ada Lovelace")
}

// user is text of the browser. Whatever it is, the sign-in works and nothing else changes.
func TestAppleHostileUser(t *testing.T) {
	without := map[string]string{"email": "ada@example.com", "email_verified": "true"}
	with := func(pairs ...string) map[string]string {
		m := maps.Clone(without)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	long := strings.Repeat("n", 129)
	for name, tt := range map[string]struct {
		user string
		want map[string]string
	}{
		"empty object":       {`{}`, without},
		"null":               {`null`, without},
		"not JSON":           {`{"name":`, without},
		"more than one":      {`{"name":{"firstName":"A"}}{}`, without},
		"an array":           {`[{"name":{"firstName":"A"}}]`, without},
		"a name in an array": {`{"name":{"firstName":["A"],"lastName":"B"}}`, without},
		"text for a name":    {`{"name":"Ada"}`, without},
		"deep":               {`{"name":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}`, without},
		"huge":               {`{"name":{"firstName":"` + strings.Repeat("n", 5000) + `"}}`, without},
		"huge by padding":    {`{"name":{"firstName":"A"}` + strings.Repeat(" ", 5000) + `}`, without},
		"a long part":        {`{"name":{"firstName":"` + long + `","lastName":"B"}}`, with("family_name", "B", "name", "B")},
		"control characters": {`{"name":{"firstName":"A\u0000","lastName":"B\nC"}}`, without},
		"direction marks":    {`{"name":{"firstName":"\u202eA","lastName":"\u2066B"}}`, without},
		"markup":             {`{"name":{"firstName":"<img src=x>","lastName":"B"}}`, with("family_name", "B", "name", "B")},
		"not UTF-8":          {`{"name":{"firstName":"A\ud800"}}`, without},
		"only spaces":        {`{"name":{"firstName":"  ","lastName":" "}}`, without},
		"spaces around":      {`{"name":{"firstName":" Ada ","lastName":""}}`, with("given_name", "Ada", "name", "Ada")},
		"another script":     {`{"name":{"firstName":"نیلوفر","lastName":"می\u200cرود"}}`, with("given_name", "نیلوفر", "family_name", "می\u200cرود", "name", "نیلوفر می\u200cرود")},
		"another's address":  {`{"name":{"firstName":"A"},"email":"ceo@example.com","email_verified":true}`, with("given_name", "A", "name", "A")},
		"claims of the token": {`{"sub":"x","email":"ceo@example.com","name":{"firstName":"A","sub":"x","email":"ceo@example.com"},"is_private_email":true,"iss":"x"}`,
			with("given_name", "A", "name", "A")},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApple(t)
			b := a.Browser()
			req := form(t, a.toCallback(b), func(v url.Values) { v.Set("user", tt.user) })
			a.Web().Code(a.deliver(b, req))
			if got := a.user(adaAtApple).Attributes; !maps.Equal(got, tt.want) {
				t.Errorf("attributes %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("a claim of the ID token counts", func(t *testing.T) {
		a := startApple(t)
		a.up.Claims = func(c map[string]any) { c["name"] = "Countess of Lovelace" }
		signIn(t, a.Weir, "SignInWithApple")
		if got := a.user(adaAtApple).Attributes; got["name"] != "Countess of Lovelace" || got["given_name"] != "Ada" {
			t.Errorf("attributes %v", got)
		}
	})
	t.Run("twice", func(t *testing.T) {
		a := startApple(t)
		b := a.Browser()
		req := form(t, a.toCallback(b), func(v url.Values) { v.Add("user", "{}") })
		if p := b.Do(req); p.Status != http.StatusBadRequest || p.Location != nil {
			t.Errorf("answer %d to %v", p.Status, p.Location)
		}
	})
	t.Run("too large to be carried", func(t *testing.T) {
		a := startApple(t)
		b := a.Browser()
		a.failing(true)
		a.deliver(b, form(t, a.toCallback(b), func(v url.Values) { v.Set("user", `{"x":"`+strings.Repeat("y", 1024)+`"}`) }))
		if got := b.Cookie("weir_on_"); len(got) != 0 {
			t.Errorf("carries %v", got)
		}
	})
}

// A provider that says nothing once costs no look into that memory: there is none here to look into.
func TestOtherProvidersAreNotLookedUp(t *testing.T) {
	w, _ := servertest.StartExample(t)
	w.Broker.Once = nil
	w.Web().Login(w.Browser(), servertest.As("ada"))
	if got := w.Browser().Cookie("weir_on_"); len(got) != 0 {
		t.Errorf("carries %v", got)
	}
}

// A browser holds a bounded number of these cookies.
func TestCarriedNamesAreBounded(t *testing.T) {
	a := startApple(t)
	b := a.Browser()
	at, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"weir_on_a", "weir_on_b", "weir_on_c"} {
		b.Jar.SetCookies(at, []*http.Cookie{{Name: name, Value: "x", Path: "/"}})
	}
	a.failing(true)
	a.signIn(b)
	if got := b.Cookie("weir_on_"); len(got) != 2 {
		t.Errorf("carries %v", got)
	}
	a.failing(false)
	a.Web().Code(a.signIn(b))
	a.named(adaAtApple, "Ada Lovelace")
}
