package social_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// The client of every stand-in.
const (
	clientID     = "weir-at-the-provider"
	clientSecret = "secret-at-the-provider+/%"
	callback     = servertest.HTTP + "/oauth2/idpresponse"
)

// upstream goes through a stand-in, which asks nobody.
func upstream(ctx context.Context, b *servertest.Browser, challenge *servertest.Page) (*http.Request, error) {
	if challenge.Location == nil {
		return nil, errors.New("not sent to a provider: " + challenge.Body)
	}
	return socialtest.SignIn(ctx, b.Client, challenge.Location.String())
}

// spec is a provider of the pool, with attributes of the mapping by claim. pairs are its details.
func spec(name, kind string, mapping map[string]string, pairs ...string) pool.ProviderSpec {
	d := map[string]secret.Text{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			d[pair[0]] = secret.New(pair[1])
		}
	}
	return pool.ProviderSpec{ProviderName: name, ProviderType: kind, ProviderDetails: d, AttributeMapping: mapping}
}

// start runs a Weir whose application offers these providers.
func start(t *testing.T, clock *servertest.Clock, providers ...pool.ProviderSpec) *servertest.Weir {
	t.Helper()
	return servertest.Start(t, servertest.Options{Clock: clock, Spec: servertest.Example(providers...)})
}

// signIn is a whole sign-in through a provider in a new browser, to the claims of the pool's ID token.
func signIn(t *testing.T, w *servertest.Weir, provider string) map[string]any {
	t.Helper()
	app := w.Web()
	back := w.Browser().SignIn(app.Authorize("identity_provider", provider), upstream)
	if back.Params().Get("code") == "" {
		t.Fatalf("answer %d to %v: %s\n%s", back.Status, back.Location, back.Body, w.Log.Text())
	}
	return app.Claims(app.Tokens(back).Text("id_token"))
}

// users are all users of the pool.
func users(t *testing.T, w *servertest.Weir) []pool.User {
	t.Helper()
	list, _, err := w.Directory.Users(t.Context(), servertest.PoolID, "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// oneUser is the only user there is, with these attributes beside those that every user has.
func oneUser(t *testing.T, w *servertest.Weir, want map[string]string) pool.User {
	t.Helper()
	list := users(t, w)
	if len(list) != 1 {
		t.Fatalf("%d users, want one: %+v", len(list), list)
	}
	if !maps.Equal(list[0].Attributes, want) {
		t.Errorf("attributes %v, want %v", list[0].Attributes, want)
	}
	return list[0]
}

// required is a standard attribute that nobody may be without.
func required(name string) pool.SchemaSpec {
	mutable := true
	return pool.SchemaSpec{Name: name, Required: true, Mutable: &mutable}
}
