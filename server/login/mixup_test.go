package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// The whole mix-up attack (RFC 9700 section 4.4) between providers that send no iss: a hostile provider sends the
// victim on to the honest one, in the name of an attempt of the attacker's, and gets the code. With a callback of its own the
// honest provider's answer does not fit the attempt, and the code goes nowhere.
func TestMixUpWithoutIssuer(t *testing.T) {
	quiet := oidctest.Faults{
		Discovery:     func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") },
		Authorization: func(v url.Values) { v.Del("iss") },
	}
	clock := servertest.NewClock()
	honest, evil := servertest.OIDC(t, clock), servertest.OIDC(t, clock)
	honest.Set(quiet)
	evil.Set(quiet)
	own := servertest.Provider("Honest", honest)
	own.ProviderDetails["callback"] = secret.New("own")
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.Example(own, servertest.Provider("Evil", evil))})
	if err := honest.PutClient(oidctest.Client{
		ID: "weir", Secret: own.ProviderDetails["client_secret"].Reveal(),
		RedirectURIs: []string{w.URL + "/oauth2/idpresponse/" + servertest.PoolID + "/Honest"},
	}); err != nil {
		t.Fatal(err)
	}
	app, attacker, victim := w.Web(), w.Browser(), w.Browser()

	if code := app.Code(w.Browser().SignIn(app.Authorize("identity_provider", "Honest"), ada)); code == "" {
		t.Fatal("no sign-in with a callback of its own")
	}
	theirs := attacker.Get(app.Authorize("identity_provider", "Honest")).Location
	// What the hostile provider makes of the victim's challenge: that of the attacker, with the victim's state.
	challenge := victim.Get(app.Authorize("identity_provider", "Evil"))
	v := theirs.Query()
	v.Set("state", challenge.Location.Query().Get("state"))
	forged := *theirs
	forged.RawQuery = v.Encode()
	challenge.Location = &forged
	back, err := ada(t.Context(), victim, challenge)
	if err != nil {
		t.Fatal(err)
	}
	onPage(t, victim.Do(back), http.StatusBadRequest, "no longer valid")
	if sent := evil.Requests(oidctest.EndpointToken); len(sent) != 0 {
		code := sent[0].Params.Get("code")
		p := attacker.Get(w.URL + "/oauth2/idpresponse/" + servertest.PoolID + "/Honest?" + url.Values{"code": {code}, "state": {theirs.Query().Get("state")}}.Encode())
		t.Errorf("the honest provider's code went to the other, and with it the attacker got %v", p.Location)
	}
	if users, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 10); err != nil || len(users) != 1 {
		t.Errorf("users %v, %v", users, err)
	}
}

// A provider with a callback of its own is answered for there and nowhere else.
func TestOwnCallback(t *testing.T) {
	clock := servertest.NewClock()
	up := servertest.OIDC(t, clock)
	const odd = "a/b?c.ü"
	p := servertest.Provider(odd, up)
	p.ProviderDetails["callback"] = secret.New("own")
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.Example(p)})
	registered := w.URL + "/oauth2/idpresponse/" + servertest.PoolID + "/" + url.PathEscape(odd)
	if err := up.PutClient(oidctest.Client{ID: "weir", Secret: p.ProviderDetails["client_secret"].Reveal(), RedirectURIs: []string{registered}}); err != nil {
		t.Fatal(err)
	}
	app := w.Web()
	app.Code(w.Browser().SignIn(app.Authorize(), ada))
	for name, path := range map[string]string{
		"the shared one":   "/oauth2/idpresponse",
		"another provider": "/oauth2/idpresponse/" + servertest.PoolID + "/Other",
		"another pool":     "/oauth2/idpresponse/" + servertest.OtherPool + "/" + url.PathEscape(odd),
		"below it":         strings.TrimPrefix(registered, w.URL) + "/x",
	} {
		t.Run(name, func(t *testing.T) {
			b := w.Browser()
			req := b.ToCallback(app.Authorize(), ada)
			onPage(t, b.Get(path+"?"+req.URL.RawQuery), http.StatusBadRequest, "no longer valid")
		})
	}
	if got := slices.DeleteFunc(up.Requests(oidctest.EndpointAuthorize), func(r oidctest.Request) bool { return r.Params.Get("redirect_uri") == registered }); len(got) != 0 {
		t.Errorf("other redirect URIs were sent: %v", got)
	}
}
