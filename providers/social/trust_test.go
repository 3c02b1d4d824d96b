package social_test

import (
	"maps"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

func TestEMailWithoutAVerifiedFlagIsNeverTrusted(t *testing.T) {
	words := map[string]any{"absent": nil, "false": false, "text": "yes", "number": 1, "null text": "", "object": map[string]any{"verified": true}}
	for _, s := range stands() {
		for name, word := range words {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				clock := servertest.NewClock()
				up := s.start(t, clock)
				faults := s.faults(up)
				given, say := faults.IDToken, func(claims map[string]any) {
					delete(claims, "email_verified")
					if word != nil {
						claims["email_verified"] = word
					}
				}
				faults.IDToken = func(claims map[string]any) {
					if given != nil {
						given(claims)
					}
					say(claims)
				}
				faults.UserInfo = say
				up.Set(faults)
				w := start(t, clock, s.spec(up))
				if claims := signInAs(t, w, s.name, "ada"); claims["email_verified"] != false {
					t.Errorf("claims %v", claims)
				}
			})
		}
	}
}

// signInAs is a whole sign-in at a provider in a new browser, to the claims of the pool's ID token.
func signInAs(t *testing.T, w *servertest.Weir, provider, username string) map[string]any {
	t.Helper()
	app := w.Web()
	return app.Claims(app.Login(w.Browser(), servertest.As(username), "identity_provider", provider).Text("id_token"))
}

func TestAChangedEMailDoesNotMoveTheAccount(t *testing.T) {
	for _, s := range stands() {
		t.Run(s.name, func(t *testing.T) {
			clock := servertest.NewClock()
			up := s.start(t, clock, oidctest.Person{Username: "eve", Password: "eve", Subject: "eve-0001", Claims: map[string]any{
				"name": "Eve", "email": "eve@example.com", "email_verified": true,
			}})
			w := start(t, clock, s.spec(up))
			ada := signInAs(t, w, s.name, "ada")
			eve := signInAs(t, w, s.name, "eve")
			faults := s.faults(up)
			given := faults.IDToken
			faults.IDToken = func(claims map[string]any) { // eve now has ada's address
				if given != nil {
					given(claims)
				}
				claims["email"] = "ada@example.com"
			}
			faults.UserInfo = func(claims map[string]any) { claims["email"] = "ada@example.com" }
			up.Set(faults)
			again := signInAs(t, w, s.name, "eve")
			if again["sub"] != eve["sub"] || again["sub"] == ada["sub"] || again["email"] != "ada@example.com" {
				t.Errorf("eve %v became %v, ada is %v", eve, again, ada)
			}
			if list := users(t, w); len(list) != 2 {
				t.Errorf("%d users: %+v", len(list), list)
			}
		})
	}
}

func TestTheSameSubjectAtTwoProvidersIsTwoIdentities(t *testing.T) {
	clock := servertest.NewClock()
	var specs []pool.ProviderSpec
	for _, s := range stands() {
		specs = append(specs, s.spec(s.start(t, clock)))
	}
	w := start(t, clock, specs...)
	subs := map[any]string{}
	for _, s := range stands() {
		claims := signInAs(t, w, s.name, "ada") // the same subject and the same address everywhere
		if other, taken := subs[claims["sub"]]; taken {
			t.Errorf("%s and %s lead to one user", other, s.name)
		}
		subs[claims["sub"]] = s.name
	}
	identities := map[string]string{}
	for _, u := range users(t, w) {
		if len(u.Identities) != 1 {
			t.Errorf("user %+v", u)
		}
		for _, id := range u.Identities {
			identities[id.Provider] = id.Subject
		}
	}
	want := map[string]string{}
	for _, s := range stands() {
		want[s.name] = "ada-0001"
	}
	if !maps.Equal(identities, want) {
		t.Errorf("identities %v, want %v", identities, want)
	}
}
