package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// Login CSRF: the answer to one browser's sign-in, brought by another browser, signs nobody in.
func TestStateOfAnotherBrowser(t *testing.T) {
	w, up := servertest.StartExample(t)
	app, victim := w.Web(), w.Browser()
	attackers := w.Browser()
	req := attackers.ToCallback(app.Authorize(), eve)
	for name, b := range map[string]*servertest.Browser{"without a sign-in under way": w.Browser(), "with one of its own": victim} {
		t.Run(name, func(t *testing.T) {
			if b == victim {
				b.Get(app.Authorize())
			}
			w.Events.Take()
			p := b.Do(altered(t, req, func(url.Values) {}))
			onPage(t, p, http.StatusBadRequest, "no longer valid")
			failed(t, w, p, "no sign-in under way in this browser")
			if len(b.Cookie("weir_s_")) != 0 || len(up.Requests(oidctest.EndpointToken)) != 0 {
				t.Error("a session, or the code went upstream")
			}
		})
	}
	t.Run("nor with the cookie of its own attempt under the other's name", func(t *testing.T) {
		own := victim.Cookie("weir_at_")[0]
		theirs := attackers.Cookie("weir_at_")[0]
		forged := altered(t, req, func(url.Values) {})
		forged.AddCookie(&http.Cookie{Name: theirs.Name, Value: own.Value})
		p := w.Browser().Do(forged)
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "belongs to another state")
	})
	t.Run("the browser that began it can still finish", func(t *testing.T) {
		app.Code(attackers.Do(req))
	})
}

func TestStaleAttempt(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app := w.Web()
	b := w.Browser()
	inTime := b.ToCallback(app.Authorize(), ada)
	w.Clock.Advance(10 * time.Minute)
	if p := b.Do(inTime); p.Location == nil || p.Params().Get("error_description") == "" {
		// The upstream code has expired by then, which the provider says; the attempt itself was good.
		t.Errorf("after ten minutes: %d %s", p.Status, p.Body)
	}
	late := b.ToCallback(app.Authorize("prompt", "login"), ada)
	w.Clock.Advance(10*time.Minute + time.Second)
	w.Events.Take()
	p := b.Do(late)
	onPage(t, p, http.StatusBadRequest, "no longer valid")
	failed(t, w, p, "took too long")
	early := b.ToCallback(app.Authorize("prompt", "login"), ada)
	w.Clock.Advance(-2 * time.Minute)
	w.Events.Take()
	p = b.Do(early) // begun in the future: a clock went wrong, or somebody has the key
	onPage(t, p, http.StatusBadRequest, "no longer valid")
	failed(t, w, p, "took too long")
}

// One answer per attempt: the second one finds no cookie, whether the first one was good or bad.
func TestCallbackReplay(t *testing.T) {
	w, up := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	req := b.ToCallback(app.Authorize(), ada)
	again := altered(t, req, func(url.Values) {})
	app.Code(b.Do(req))
	up.Forget()
	w.Events.Take()
	p := b.Do(again)
	onPage(t, p, http.StatusBadRequest, "no longer valid")
	failed(t, w, p, "no sign-in under way")
	if len(up.Requests(oidctest.EndpointToken)) != 0 {
		t.Error("the code went upstream again")
	}
	t.Run("with the cookie kept, the upstream code is spent", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		kept := b.Cookie("weir_at_")[0]
		again := altered(t, req, func(url.Values) {})
		again.AddCookie(kept)
		app.Code(b.Do(req))
		toClient(t, w.Browser().Do(again), "invalid_request", "")
	})
	t.Run("after a bad answer", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize(), ada)
		toClient(t, b.Do(altered(t, req, func(v url.Values) { v.Set("code", "another") })), "invalid_request", "")
		onPage(t, b.Do(req), http.StatusBadRequest, "no longer valid")
	})
}

// Mix-up (RFC 9207): an answer of one provider never finishes a sign-in at another.
func TestMixUp(t *testing.T) {
	clock := servertest.NewClock()
	honest, evil := servertest.OIDC(t, clock), servertest.OIDC(t, clock)
	w := servertest.Start(t, servertest.Options{Clock: clock,
		Spec: servertest.Example(servertest.Provider("Honest", honest), servertest.Provider("Evil", evil))})
	app := w.Web()
	t.Run("iss of another provider", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize("identity_provider", "Honest"), ada)
		toClient(t, b.Do(altered(t, req, func(v url.Values) { v.Set("iss", evil.Issuer()) })), "invalid_request", "does not belong")
	})
	t.Run("iss is missing though it was promised", func(t *testing.T) {
		b := w.Browser()
		req := b.ToCallback(app.Authorize("identity_provider", "Honest"), ada)
		toClient(t, b.Do(altered(t, req, func(v url.Values) { v.Del("iss") })), "invalid_request", "does not belong")
	})
	t.Run("callback of one provider with the attempt of another", func(t *testing.T) {
		b := w.Browser()
		one := b.ToCallback(app.Authorize("identity_provider", "Honest"), ada)
		two := b.ToCallback(app.Authorize("identity_provider", "Evil"), eve)
		evil.Forget()
		p := b.Do(altered(t, one, func(v url.Values) { v.Set("state", two.URL.Query().Get("state")) }))
		toClient(t, p, "invalid_request", "does not belong")
		if len(evil.Requests(oidctest.EndpointToken)) != 0 {
			t.Error("the code of one provider went to the other")
		}
	})
	t.Run("the same without iss: the code goes nowhere useful", func(t *testing.T) {
		quiet := oidctest.Faults{
			Discovery:     func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") },
			Authorization: func(v url.Values) { v.Del("iss") },
		}
		honest, evil := servertest.OIDC(t, clock), servertest.OIDC(t, clock)
		honest.Set(quiet)
		evil.Set(quiet)
		w := servertest.Start(t, servertest.Options{Clock: clock,
			Spec: servertest.Example(servertest.Provider("Honest", honest), servertest.Provider("Evil", evil))})
		b := w.Browser()
		one := b.ToCallback(w.Web().Authorize("identity_provider", "Honest"), ada)
		two := b.ToCallback(w.Web().Authorize("identity_provider", "Evil"), eve)
		toClient(t, b.Do(altered(t, one, func(v url.Values) { v.Set("state", two.URL.Query().Get("state")) })), "invalid_request", "")
	})
	if users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10); err != nil || len(users) != 0 {
		t.Errorf("users %v, %v", users, err)
	}
}

// What a lying provider, or somebody between, says with an ID token.
func TestUpstreamTokens(t *testing.T) {
	for name, f := range map[string]oidctest.Faults{
		"nonce mismatch":            {IDToken: func(c map[string]any) { c["nonce"] = "another" }},
		"nonce missing":             {IDToken: func(c map[string]any) { delete(c, "nonce") }},
		"alg none":                  {SignIDToken: oidctest.SignWithNone},
		"HS256 with the public key": {SignIDToken: oidctest.SignWithPublicKeyAsSecret},
		"another key":               {SignIDToken: oidctest.SignWithOtherKey},
		"an unknown key":            {SignIDToken: oidctest.SignWithUnknownKey},
		"another audience":          {IDToken: func(c map[string]any) { c["aud"] = "somebody" }},
		"another issuer":            {IDToken: func(c map[string]any) { c["iss"] = "https://evil.example" }},
		"expired":                   {IDToken: func(c map[string]any) { c["exp"] = 1 }},
		"no subject":                {IDToken: func(c map[string]any) { delete(c, "sub") }},
		"no ID token":               {TokenResponse: func(b map[string]any) { delete(b, "id_token") }},
		"userinfo of somebody else": {UserInfo: func(c map[string]any) { c["sub"] = "eve-0001" }},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t)
			up.Set(f)
			b := w.Browser()
			p := b.SignIn(w.Web().Authorize(), ada)
			toClient(t, p, "invalid_request", "")
			failed(t, w, p, "oidc:")
			users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10)
			if err != nil || len(users) != 0 || w.Engine.Written() != firstTrace || len(b.Cookie("")) != 0 {
				t.Errorf("users %v, written %q, cookies %v, %v", users, w.Engine.Written(), b.Cookie(""), err)
			}
		})
	}
}

// What the provider refuses, or fails to do, ends in a redirect with the right code, within a bounded time.
func TestUpstreamFailures(t *testing.T) {
	reply := func(at oidctest.Endpoint, f func(http.Handler) http.Handler) oidctest.Faults {
		return oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{at: f}}
	}
	for name, tt := range map[string]struct {
		faults oidctest.Faults
		code   string
	}{
		"refuses":                {oidctest.Faults{AuthorizeError: url.Values{"error": {"access_denied"}}}, "access_denied"},
		"wants a sign-in":        {oidctest.Faults{AuthorizeError: url.Values{"error": {"interaction_required"}}}, "login_required"},
		"is not available":       {oidctest.Faults{AuthorizeError: url.Values{"error": {"temporarily_unavailable"}}}, "invalid_request"},
		"has a novel error":      {oidctest.Faults{AuthorizeError: url.Values{"error": {"\"><script>"}, "error_description": {"\r\nx: y"}}}, "invalid_request"},
		"token: error":           {reply(oidctest.EndpointToken, oidctest.Reply(400, "application/json", `{"error":"invalid_grant"}`)), "invalid_request"},
		"token: down":            {reply(oidctest.EndpointToken, oidctest.Drop), "invalid_request"},
		"token: slow":            {reply(oidctest.EndpointToken, oidctest.Hang(nil)), "invalid_request"},
		"token: huge":            {reply(oidctest.EndpointToken, oidctest.Endless), "invalid_request"},
		"token: a page":          {reply(oidctest.EndpointToken, oidctest.Reply(200, "text/html", "<p>hello")), "invalid_request"},
		"token: a redirect":      {reply(oidctest.EndpointToken, oidctest.RedirectTo(307, "http://127.0.0.1:1/")), "invalid_request"},
		"userinfo: huge":         {reply(oidctest.EndpointUserInfo, oidctest.Endless), "invalid_request"},
		"userinfo: slow":         {reply(oidctest.EndpointUserInfo, oidctest.Hang(nil)), "invalid_request"},
		"keys: down":             {reply(oidctest.EndpointJWKS, oidctest.Drop), "invalid_request"},
		"an attribute too long":  {oidctest.Faults{UserInfo: func(c map[string]any) { c["name"] = strings.Repeat("x", 3000) }}, "invalid_request"},
		"an e-mail that is none": {oidctest.Faults{UserInfo: func(c map[string]any) { c["email"] = "x\x00y" }}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			w, up := servertest.StartExample(t, func(o *servertest.Options) { o.UpstreamTimeout = 1500 * time.Millisecond })
			up.Set(tt.faults)
			began := time.Now()
			b := w.Browser()
			p := b.SignIn(w.Web().Authorize(), ada)
			toClient(t, p, tt.code, "")
			failed(t, w, p, "")
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
			if len(b.Cookie("")) != 0 || w.Engine.Written() != firstTrace {
				t.Errorf("cookies %v, written %q", b.Cookie(""), w.Engine.Written())
			}
		})
	}
	for name, f := range map[string]func(http.Handler) http.Handler{"down": oidctest.Drop, "slow": oidctest.Hang(nil), "huge": oidctest.Endless} {
		t.Run("discovery: "+name, func(t *testing.T) {
			w, up := servertest.StartExample(t, func(o *servertest.Options) { o.UpstreamTimeout = 1500 * time.Millisecond })
			up.Set(reply(oidctest.EndpointDiscovery, f))
			b := w.Browser()
			p := b.Get(w.Web().Authorize())
			toClient(t, p, "invalid_request", "")
			failed(t, w, p, "")
			if len(b.Cookie("")) != 0 {
				t.Errorf("cookies %v", b.Cookie(""))
			}
			up.Set(oidctest.Faults{})
			w.Clock.Advance(time.Minute)
			w.Web().Login(b, ada) // it works again without a restart
		})
	}
	t.Run("the person cancels", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		p := w.Browser().SignIn(w.Web().Authorize(), servertest.Cancel)
		toClient(t, p, "access_denied", "cancelled")
		failed(t, w, p, "access_denied")
	})
}

// An answer that comes to another callback address than the attempt named.
func TestCallbackPathConfusion(t *testing.T) {
	w, up := servertest.StartExample(t)
	b := w.Browser()
	req := b.ToCallback(w.Web().Authorize(), ada)
	v := req.URL.Query()
	v.Set("RelayState", v.Get("state"))
	up.Forget()
	w.Events.Take()
	p := b.Post("/saml2/idpresponse", v)
	onPage(t, p, http.StatusBadRequest, "no longer valid")
	failed(t, w, p, "another callback address")
	if len(b.Cookie("")) != 0 || len(up.Requests(oidctest.EndpointToken)) != 0 {
		t.Error("the attempt was not ended, or the code went upstream")
	}
	if p := b.Get("/saml2/idpresponse?" + v.Encode()); p.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", p.Status)
	}
}

func TestCallbackInput(t *testing.T) {
	w, _ := servertest.StartExample(t)
	b := w.Browser()
	req := b.ToCallback(w.Web().Authorize(), ada)
	id := req.URL.Query().Get("state")
	for name, query := range map[string]string{
		"nothing": "", "no state": "code=x", "an unknown state": "state=x&code=y", "a state twice": "state=" + id + "&state=x",
		"a bad escape": "state=%zz", "a huge state": "state=" + strings.Repeat("x", 50000), "not UTF-8": "state=" + id + "&code=%ff",
	} {
		t.Run(name, func(t *testing.T) { onPage(t, b.Get("/oauth2/idpresponse?"+query), http.StatusBadRequest, "") })
	}
	for _, e := range w.Events.Take() {
		if f, ok := e.(audit.LoginFailed); ok && len(f.Attempt) > 140 {
			t.Errorf("an event with an attempt of %d bytes", len(f.Attempt))
		}
	}
	t.Run("a huge form", func(t *testing.T) {
		for path, size := range map[string]int{"/oauth2/idpresponse": 66_000, "/oauth2/idpresponse/local_Example01/Corp": 66_000, "/saml2/idpresponse": 1_100_000} {
			onPage(t, b.Post(path, url.Values{"state": {id}, "x": {strings.Repeat("x", size)}}), http.StatusRequestEntityTooLarge, "too large")
		}
	})
	w.Web().Code(b.Do(req)) // none of it cost the person the sign-in
}

// While the person is away an admin removes what the attempt relies on: nothing goes to a URI that nobody vouches for.
func TestWithdrawnWhileThePersonIsAway(t *testing.T) {
	t.Run("the redirect URI", func(t *testing.T) {
		for name, up := range map[string]servertest.Upstream{"signs in": ada, "cancels": servertest.Cancel} {
			t.Run("the person "+name, func(t *testing.T) {
				w, _ := servertest.StartExample(t)
				b := w.Browser()
				req := b.ToCallback(w.Web().Authorize(), up)
				c, err := w.Directory.Client(t.Context(), servertest.WebClient)
				if err != nil {
					t.Fatal(err)
				}
				c.CallbackURLs = []string{"https://app.example.com/new"}
				if _, err := w.Directory.UpdateClient(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				w.Events.Take()
				p := b.Do(req)
				onPage(t, p, http.StatusBadRequest, "no longer valid")
				failed(t, w, p, "no longer has that redirect URI")
			})
		}
	})
	t.Run("the client", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		if err := w.Directory.DeleteClient(t.Context(), servertest.PoolID, servertest.WebClient); err != nil {
			t.Fatal(err)
		}
		w.Events.Take()
		p := b.Do(req)
		onPage(t, p, http.StatusBadRequest, "no longer valid")
		failed(t, w, p, "no longer exists")
	})
	t.Run("the provider from the client's list", func(t *testing.T) {
		w, up := servertest.StartExample(t)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		c, err := w.Directory.Client(t.Context(), servertest.WebClient)
		if err != nil {
			t.Fatal(err)
		}
		c.Providers = nil
		if _, err := w.Directory.UpdateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		toClient(t, b.Do(req), "invalid_request", "no longer valid")
		if len(up.Requests(oidctest.EndpointToken)) != 0 {
			t.Error("the code went upstream")
		}
	})
	t.Run("the provider", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp"); err != nil {
			t.Fatal(err)
		}
		toClient(t, b.Do(req), "invalid_request", "no longer valid") // with the provider its name is gone from the client
	})
	t.Run("the store cannot say", func(t *testing.T) {
		w, _ := servertest.StartExample(t)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		w.Clock.Advance(time.Minute) // past the directory's cache
		w.Engine.SetDown(true)
		p := b.Do(req)
		onPage(t, p, http.StatusServiceUnavailable, "")
		if p.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		w.Engine.SetDown(false)
	})
}
