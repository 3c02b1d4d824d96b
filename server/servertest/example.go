package servertest

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// The names in Example.
const (
	PoolID     = "local_Example01"
	WebClient  = "exampleclient0000000000001" // has a secret
	WebSecret  = "example_secret_of_the_web_client"
	SPAClient  = "exampleclient0000000000002" // has none
	WebURI     = "https://app.example.com/callback"
	SPAURI     = "https://spa.example.com/callback"
	OtherPool  = "local_Example02"
	OtherApp   = "exampleclient0000000000009"
	LogoutURI  = "https://app.example.com/bye"
	upstreamID = "weir"
	upstreamPW = "upstream-secret+/%" // of Weir at the upstream provider
)

// StartExample runs a Weir with the pool of Example and one provider, Corp, which answers for corp.example. change
// alters the options before the start.
func StartExample(t testing.TB, change ...func(*Options)) (*Weir, *oidctest.Provider) {
	t.Helper()
	o := Options{Clock: NewClock()}
	up := OIDC(t, o.Clock)
	o.Spec = Example(Provider("Corp", up, "corp.example"))
	for _, c := range change {
		c(&o)
	}
	return Start(t, o), up
}

// Secure is a change for StartExample: the base URL is HTTPS.
func Secure(o *Options) { o.BaseURL = HTTPS }

// OIDC starts an OpenID provider with three people: ada, bob and eve, whose passwords are their names. It answers to Weir at HTTP,
// HTTPS, the pools' hosts under them, and the custom domain sso.acme.test.
func OIDC(t testing.TB, clock *Clock) *oidctest.Provider {
	t.Helper()
	var callbacks []string
	for _, base := range []string{HTTP, HTTPS, "http://acme.login.test", "https://acme.example.com", "http://sso.acme.test"} {
		callbacks = append(callbacks, base+"/oauth2/idpresponse")
	}
	person := func(name, email string, verified bool) oidctest.Person {
		return oidctest.Person{Username: name, Password: name, Subject: name + "-0001", Claims: map[string]any{
			"name": "The " + name, "email": email, "email_verified": verified,
		}}
	}
	return oidctest.Start(t, oidctest.Config{
		Algorithm: jose.ES256, Now: clock.Now,
		Clients: []oidctest.Client{{ID: upstreamID, Secret: upstreamPW, RedirectURIs: callbacks}},
		People: []oidctest.Person{
			person("ada", "ada@corp.example", true), person("bob", "bob@corp.example", false), person("eve", "eve@other.example", true),
		},
	})
}

// Provider is the pool's side of an OpenID provider of OIDC.
func Provider(name string, up *oidctest.Provider, identifiers ...string) pool.ProviderSpec {
	d := map[string]secret.Text{}
	for k, v := range map[string]string{
		"client_id": upstreamID, "client_secret": upstreamPW, "oidc_issuer": up.Issuer(), "authorize_scopes": "openid email profile",
		"attributes_request_method": "GET",
	} {
		d[k] = secret.New(v)
	}
	return pool.ProviderSpec{
		ProviderName: name, ProviderType: "OIDC", ProviderDetails: d, IdpIdentifiers: identifiers,
		AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified", "name": "name"},
	}
}

// Example is a pool with the given providers, an application with a secret (Web) and one without (SPA) that offer all of them.
// Tests change what they need before Start.
func Example(providers ...pool.ProviderSpec) pool.Spec {
	var names []string
	for _, p := range providers {
		names = append(names, p.ProviderName)
	}
	client := func(name, id, secretText, uri string) pool.ClientSpec {
		c := pool.ClientSpec{
			ClientName: name, ClientID: id, CallbackURLs: []string{uri}, LogoutURLs: []string{LogoutURI},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "phone", "profile"},
			SupportedIdentityProviders: names,
		}
		if secretText != "" {
			c.ClientSecret = secret.New(secretText)
		}
		return c
	}
	return pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "example", ID: PoolID, Domain: "acme", SigningAlgorithm: "ES256", IdentityProviders: providers,
		Clients: []pool.ClientSpec{client("web", WebClient, WebSecret, WebURI), client("spa", SPAClient, "", SPAURI)},
	}}}
}

// WithOther adds a second pool, with one provider named as the first pool's and one application without a secret.
func WithOther(s pool.Spec, p pool.ProviderSpec) pool.Spec {
	s.UserPools = append(s.UserPools, pool.PoolSpec{
		PoolName: "other", ID: OtherPool, Domain: "other", SigningAlgorithm: "ES256", IdentityProviders: []pool.ProviderSpec{p},
		Clients: []pool.ClientSpec{{
			ClientName: "other", ClientID: OtherApp, CallbackURLs: []string{SPAURI}, LogoutURLs: []string{LogoutURI},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "profile"},
			SupportedIdentityProviders: []string{p.ProviderName},
		}},
	})
	return s
}

// Web is the application of Example that has a secret.
func (w *Weir) Web() *App { return w.App(PoolID, WebClient, WebSecret, WebURI) }

// SPA is the one that has none.
func (w *Weir) SPA() *App { return w.App(PoolID, SPAClient, "", SPAURI) }

// Other is the application of the pool of WithOther.
func (w *Weir) Other() *App { return w.App(OtherPool, OtherApp, "", SPAURI) }
