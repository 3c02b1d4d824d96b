package oauth_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeID        = "urn:ietf:params:oauth:token-type:id_token"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	iosApp        = "ios-app"
)

// startNative is StartExample with a provider that has an app.
func startNative(t *testing.T, change ...func(*servertest.Options)) (*servertest.Weir, *oidctest.Provider) {
	t.Helper()
	apps := func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["native_client_ids"] = secret.New(iosApp)
	}
	return servertest.StartExample(t, append([]func(*servertest.Options){apps}, change...)...)
}

// brought is what the provider's SDK gave the app of ada; pairs are claims over the usual ones.
func brought(t *testing.T, w *servertest.Weir, up *oidctest.Provider, sign oidctest.Sign, pairs ...any) string {
	t.Helper()
	now := w.Clock.Now()
	claims := map[string]any{
		"iss": up.Issuer(), "sub": "ada-0001", "aud": iosApp, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"name": "The ada", "email": "ada@corp.example", "email_verified": true,
	}
	for i := 0; i < len(pairs); i += 2 {
		claims[pairs[i].(string)] = pairs[i+1]
	}
	raw, err := up.Token(claims, sign)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// exchange is the usual request; pairs are parameters over it, and an empty value takes one away.
func exchange(raw string, pairs ...string) url.Values {
	v := url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {raw}, "subject_token_type": {typeID}, "identity_provider": {"Corp"},
		"scope": {"openid email profile"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// usersOf counts the users of the pool.
func usersOf(t *testing.T, w *servertest.Weir) int {
	t.Helper()
	list, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestExchange(t *testing.T) {
	w, up := startNative(t)
	spa := w.SPA() // an app on a telephone has no secret
	for i, want := range []string{"grant 1, keyset 1, samlreplay 1, user 1", "grant 1, samlreplay 1"} {
		w.Clock.Advance(time.Second)
		w.Engine.Reset()
		w.Events.Take()
		ans := spa.Post("/oauth2/token", exchange(brought(t, w, up, nil, "nonce", "n1"), "nonce", "n1"))
		if ans.Status != http.StatusOK || ans.Text("issued_token_type") != typeAccess || ans.Text("token_type") != "Bearer" ||
			ans.JSON["expires_in"] != 3600.0 || ans.Text("scope") != "openid email profile" {
			t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, w.Log.Text())
		}
		if got := w.Engine.Written(); got != want {
			t.Errorf("written %q, want %q", got, want)
		}
		id := spa.Claims(ans.Text("id_token"))
		if id["cognito:username"] != "Corp_ada-0001" || id["email_verified"] != true || id["nonce"] != nil {
			t.Errorf("claims %v", id)
		}
		if got := spa.UserInfo(ans.Text("access_token")); got.Text("sub") != id["sub"] {
			t.Errorf("userInfo %s", got.Body)
		}
		if next := spa.Refresh(ans.Text("refresh_token")); next.Status != http.StatusOK {
			t.Errorf("refresh %s", next.Body)
		}
		checkNativeEvents(t, w.Events.Take(), i == 0)
		if len(ans.Header.Values("Set-Cookie")) != 0 {
			t.Error("an app has no session of a browser")
		}
	}
	if n := usersOf(t, w); n != 1 {
		t.Errorf("%d users", n)
	}
	// The same person by the browser is the same user.
	if claims := spa.Claims(spa.Login(w.Browser(), ada).Text("id_token")); claims["cognito:username"] != "Corp_ada-0001" || usersOf(t, w) != 1 {
		t.Errorf("claims %v", claims)
	}
}

func checkNativeEvents(t *testing.T, events []audit.Event, created bool) {
	t.Helper()
	finished, issued := 0, 0
	for _, e := range events {
		switch e := e.(type) {
		case audit.LoginFinished:
			finished++
			if !e.Native || e.SSO || e.Unsolicited || e.Created != created || e.Provider != "Corp" || e.Client != servertest.SPAClient {
				t.Errorf("event %+v", e)
			}
		case audit.TokenIssued:
			if e.GrantType == exchangeGrant {
				issued++
			}
		}
	}
	if finished != 1 || issued != 1 {
		t.Errorf("events %+v", events)
	}
}

func TestExchangeRefusals(t *testing.T) {
	w, up := startNative(t, func(o *servertest.Options) {
		other := servertest.Provider("Elsewhere", up2(t, o))
		other.ProviderDetails["native_client_ids"] = secret.New(iosApp)
		o.Spec.UserPools[0].IdentityProviders = append(o.Spec.UserPools[0].IdentityProviders, other)
		mute := servertest.Provider("Mute", up2(t, o))
		o.Spec.UserPools[0].IdentityProviders = append(o.Spec.UserPools[0].IdentityProviders, mute)
		o.Spec.UserPools[0].Clients[0].SupportedIdentityProviders = []string{"Corp", "Mute"}
		third := servertest.Provider("Third", up2(t, o))
		third.ProviderDetails["native_client_ids"] = secret.New(iosApp)
		o.Spec = servertest.WithOther(o.Spec, third)
	})
	app := w.Web()
	now := w.Clock.Now()
	for name, c := range map[string]struct {
		sign   oidctest.Sign
		claims []any
		pairs  []string
		code   string
		part   string
	}{
		"another audience":              {claims: []any{"aud", "another"}, code: "invalid_request", part: "could not be verified"},
		"the browser's audience":        {claims: []any{"aud", "weir"}, code: "invalid_request", part: "could not be verified"},
		"another issuer":                {claims: []any{"iss", "https://evil.example"}, code: "invalid_request", part: "could not be verified"},
		"expired":                       {claims: []any{"exp", now.Add(-2 * time.Minute).Unix()}, code: "invalid_request", part: "could not be verified"},
		"an old one that is valid":      {claims: []any{"iat", now.Add(-12 * time.Minute).Unix()}, code: "invalid_request", part: "could not be verified"},
		"the nonce is missing":          {claims: []any{"nonce", "n1"}, code: "invalid_request", part: "could not be verified"},
		"another nonce":                 {claims: []any{"nonce", "n1"}, pairs: []string{"nonce", "n2"}, code: "invalid_request", part: "could not be verified"},
		"alg none":                      {sign: oidctest.SignWithNone, code: "invalid_request", part: "could not be verified"},
		"HS256":                         {sign: oidctest.SignWithPublicKeyAsSecret, code: "invalid_request", part: "could not be verified"},
		"another key":                   {sign: oidctest.SignWithOtherKey, code: "invalid_request", part: "could not be verified"},
		"a provider of another client":  {pairs: []string{"identity_provider", "Elsewhere"}, code: "unauthorized_client", part: "may not sign people in"},
		"a provider of another pool":    {pairs: []string{"identity_provider", "Third"}, code: "unauthorized_client", part: "may not sign people in"},
		"a provider that is none":       {pairs: []string{"identity_provider", "Nobody"}, code: "unauthorized_client", part: "may not sign people in"},
		"native_client_ids unset":       {pairs: []string{"identity_provider", "Mute"}, code: "unauthorized_client", part: "may not sign people in"},
		"no provider":                   {pairs: []string{"identity_provider", ""}, code: "invalid_request", part: "identity_provider is required"},
		"no token":                      {pairs: []string{"subject_token", ""}, code: "invalid_request", part: "subject_token is required"},
		"a token that is none":          {pairs: []string{"subject_token", "x.y.z"}, code: "invalid_request", part: "could not be verified"},
		"no type":                       {pairs: []string{"subject_token_type", ""}, code: "invalid_request", part: "subject_token_type must be"},
		"an access token":               {pairs: []string{"subject_token_type", typeAccess}, code: "invalid_request", part: "subject_token_type must be"},
		"a refresh token is wanted":     {pairs: []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, code: "invalid_request", part: "requested_token_type"},
		"an actor":                      {pairs: []string{"actor_token", "x", "actor_token_type", typeID}, code: "invalid_request", part: "actor_token"},
		"an audience":                   {pairs: []string{"audience", "x"}, code: "invalid_target", part: "audience"},
		"a resource":                    {pairs: []string{"resource", "https://api.example.com"}, code: "invalid_target", part: "resource"},
		"a scope that the client lacks": {pairs: []string{"scope", "openid aws.cognito.signin.user.admin"}, code: "invalid_scope", part: "scope"},
		"a huge nonce":                  {pairs: []string{"nonce", strings.Repeat("n", 2000)}, code: "invalid_request", part: "nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Engine.Reset()
			w.Events.Take()
			raw := brought(t, w, up, c.sign, c.claims...)
			ans := app.Post("/oauth2/token", exchange(raw, c.pairs...))
			refused(t, ans, http.StatusBadRequest, c.code, c.part)
			events := w.Events.Take()
			checkRefusalEvent(t, events[:1], c.code, ans.Header.Get("X-Request-Id"))
			begun := strings.Contains(c.part, "could not be verified") || strings.Contains(c.part, "may not sign people in")
			checkFailedNative(t, w, events[1:], begun, c.code, ans.Header.Get("X-Request-Id"))
			if sig := raw[strings.LastIndexByte(raw, '.')+1:]; sig != "" && strings.Contains(w.Log.Text(), sig) {
				t.Error("the token is in the log")
			}
		})
	}
	if n := usersOf(t, w); n != 0 {
		t.Errorf("%d users", n)
	}
	t.Run("after all of it the token of ada is good", func(t *testing.T) {
		ans := app.Post("/oauth2/token", exchange(brought(t, w, up, nil), "requested_token_type", typeAccess, "scope", ""))
		if ans.Status != http.StatusOK || ans.Text("scope") != "openid email phone profile" {
			t.Errorf("answer %d %s", ans.Status, ans.Body)
		}
	})
}

// checkFailedNative looks for what a sign-in that had begun leaves: an event and a trace, and nothing beside them.
func checkFailedNative(t *testing.T, w *servertest.Weir, events []audit.Event, begun bool, code, reference string) {
	t.Helper()
	var other []string
	for kind := range strings.SplitSeq(w.Engine.Written(), ", ") {
		if kind != "" && !strings.HasPrefix(kind, "trace") {
			other = append(other, kind)
		}
	}
	if len(other) != 0 {
		t.Errorf("written %q", other)
	}
	got, err := w.Traces.Get(t.Context(), reference)
	if !begun {
		if err == nil || len(events) != 0 {
			t.Errorf("no sign-in had begun: trace %+v, events %+v", got, events)
		}
		return
	}
	if err != nil || got.Kind != trace.SignIn || got.Shown.Where != trace.AtClient || got.Shown.Error != code || got.Path != "/oauth2/token" ||
		got.Client != servertest.WebClient || got.Cause == "" || got.Provider == "Corp" && got.ProviderType != "OIDC" {
		t.Errorf("trace %+v, %v", got, err)
	}
	if len(events) != 1 {
		t.Fatalf("events %+v", events)
	}
	if e, ok := events[0].(audit.LoginFailed); !ok || e.Reference != reference || e.Provider != got.Provider || e.Attempt != "" {
		t.Errorf("event %+v", events[0])
	}
}

// up2 is another provider with the same people.
func up2(t *testing.T, o *servertest.Options) *oidctest.Provider {
	t.Helper()
	return servertest.OIDC(t, o.Clock)
}

func TestExchangeNeedsTheClient(t *testing.T) {
	w, up := startNative(t, func(o *servertest.Options) {
		c := &o.Spec.UserPools[0].Clients[1]
		c.AllowedOAuthFlows, c.AllowedOAuthScopes, c.CallbackURLs, c.LogoutURLs = nil, nil, nil, nil
	})
	raw := brought(t, w, up, nil)
	wrong := w.App(servertest.PoolID, servertest.WebClient, "wrong", servertest.WebURI)
	refused(t, wrong.Post("/oauth2/token", exchange(raw)), http.StatusUnauthorized, "invalid_client", "")
	silent := w.App(servertest.PoolID, servertest.WebClient, "", servertest.WebURI)
	refused(t, silent.Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "invalid_client", "")
	refused(t, w.SPA().Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "unauthorized_client", "AllowedOAuthFlows")
	if ans := w.Web().Post("/oauth2/token", exchange(raw)); ans.Status != http.StatusOK {
		t.Errorf("the refusals cost the token: %s", ans.Body)
	}
}

// Of 32 requests with one token one is served, and nobody is afterwards, whichever application brings it.
func TestExchangeOnce(t *testing.T) {
	w, up := startNative(t)
	app, spa := w.Web(), w.SPA()
	raw := brought(t, w, up, nil)
	const n = 32
	answers := make(chan *servertest.Answer, n)
	for range n {
		req := app.NewRequest(http.MethodPost, "/oauth2/token", exchange(raw))
		req.SetBasicAuth(app.ClientID, app.Secret)
		go func() { answers <- app.Send(req) }()
	}
	served := 0
	for range n {
		ans := <-answers
		if ans.Status == http.StatusOK {
			served++
			continue
		}
		refused(t, ans, http.StatusBadRequest, "invalid_request", "used before")
	}
	if served != 1 || usersOf(t, w) != 1 {
		t.Errorf("%d served, %d users", served, usersOf(t, w))
	}
	refused(t, app.Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "invalid_request", "used before")
	refused(t, spa.Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "invalid_request", "used before")
	w.Clock.Advance(10 * time.Minute)
	refused(t, app.Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "invalid_request", "used before")
	w.Clock.Advance(2 * time.Minute) // nobody has to remember it any more
	refused(t, app.Post("/oauth2/token", exchange(raw)), http.StatusBadRequest, "invalid_request", "could not be verified")
}

func TestExchangeOfADisabledUser(t *testing.T) {
	w, up := startNative(t)
	app := w.Web()
	ans := app.Post("/oauth2/token", exchange(brought(t, w, up, nil)))
	sub, _ := app.Claims(ans.Text("id_token"))["sub"].(string)
	if _, err := w.Directory.UpdateUser(t.Context(), servertest.PoolID, sub, func(u *pool.User) error { u.Enabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Second)
	w.Engine.Reset()
	refused(t, app.Post("/oauth2/token", exchange(brought(t, w, up, nil))), http.StatusBadRequest, "invalid_request", "User is disabled")
	if got := w.Engine.Written(); got != "samlreplay 1, trace 1, trace_turn 1" {
		t.Errorf("written %q", got)
	}
	refused(t, app.Refresh(ans.Text("refresh_token")), http.StatusBadRequest, "invalid_grant", "")
}

// A code cannot be made of the grant of an exchange, nor a session for a browser.
func TestExchangeLeavesNoSession(t *testing.T) {
	w, up := startNative(t)
	app := w.Web()
	ans := app.Post("/oauth2/token", exchange(brought(t, w, up, nil)))
	origin, _ := app.Claims(ans.Text("access_token"))["origin_jti"].(string)
	if origin == "" {
		t.Fatal(ans.Body)
	}
	if g, err := w.Grants.Session(t.Context(), origin); err == nil {
		t.Errorf("session %+v", g)
	}
	toClient(t, w.Browser().Get(app.Authorize("prompt", "none")), app.RedirectURI, "login_required", "")
	for _, code := range []string{ans.Text("refresh_token"), ans.Text("access_token"), origin} {
		refused(t, app.Redeem(code), http.StatusBadRequest, "invalid_grant", "")
	}
}

func TestExchangeWhileTheProviderIsDown(t *testing.T) {
	w, up := startNative(t)
	raw := brought(t, w, up, nil)
	up.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointDiscovery: oidctest.Reply(http.StatusServiceUnavailable, "text/plain", "no"),
	}})
	refused(t, w.Web().Post("/oauth2/token", exchange(raw)), http.StatusServiceUnavailable, "temporarily_unavailable", "")
	up.Set(oidctest.Faults{})
	w.Clock.Advance(6 * time.Second)
	if ans := w.Web().Post("/oauth2/token", exchange(raw)); ans.Status != http.StatusOK {
		t.Errorf("afterwards %d %s", ans.Status, ans.Body)
	}
}

func TestExchangeAtASAMLProvider(t *testing.T) {
	w, _ := servertest.StartSAML(t)
	refused(t, w.Web().Post("/oauth2/token", exchange("e30.e30.e30")), http.StatusBadRequest, "unauthorized_client", "may not sign people in")
}

// What an app's token says of the person is brought up to date, as at every sign-in.
func TestExchangeUpdatesAttributes(t *testing.T) {
	w, up := startNative(t)
	app := w.Web()
	app.Post("/oauth2/token", exchange(brought(t, w, up, nil)))
	w.Clock.Advance(time.Second)
	ans := app.Post("/oauth2/token", exchange(brought(t, w, up, nil, "name", "Ada", "email_verified", false)))
	claims := app.Claims(ans.Text("id_token"))
	got := map[string]any{"name": claims["name"], "email_verified": claims["email_verified"]}
	if !maps.Equal(got, map[string]any{"name": "Ada", "email_verified": false}) {
		t.Errorf("claims %v", claims)
	}
}
