package federation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// Whole sign-ins of three people whose verified addresses local users have: of ada the provider verified it, of bob it did not, and for eve's domain
// it may not speak.
func TestAPolicyLinksWholeSignIns(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		d := o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails
		d["link_users"], d["trusted_domains"] = secret.New("email"), secret.New("corp.example")
	})
	users := map[string]pool.User{}
	for name, email := range map[string]string{"ada": "Ada@corp.example", "bob": "bob@corp.example", "eve": "eve@other.example"} {
		made, err := w.Broker.CreateUser(t.Context(), servertest.PoolID, pool.NewUser{Username: name, Attributes: map[string]string{"email": email, "email_verified": "true"}}, nil, by)
		if err != nil {
			t.Fatal(err)
		}
		users[name] = made.User
	}
	w.Events.Take()
	linked := audit.IdentityLinkedByPolicy{Pool: servertest.PoolID, Sub: users["ada"].Sub, Provider: "Corp", Policy: "email", Attribute: "email"}
	for name, want := range map[string]bool{"ada": true, "bob": false, "eve": false} {
		sub := who(t, w, servertest.As(name))
		if (sub == users[name].Sub) != want {
			t.Errorf("%s signed in as %s, the local user is %s", name, sub, users[name].Sub)
		}
		events := w.Events.Take()
		if slices.Contains(events, audit.Event(linked)) != want || slices.ContainsFunc(events, func(e audit.Event) bool { return e.Name() == linked.Name() }) != want {
			t.Errorf("%s: events %+v", name, events)
		}
	}
	if log := w.Log.Text(); strings.Contains(log, "ada@corp") || strings.Contains(log, "Ada@corp") {
		t.Error("the log holds an address")
	}
	// Taken away by an administrator, the identity is not linked again.
	if _, err := w.Broker.UnlinkProvider(t.Context(), servertest.PoolID, bySubject("ada-0001"), by); err != nil {
		t.Fatal(err)
	}
	if who(t, w, ada) == users["ada"].Sub {
		t.Error("the policy links what an administrator unlinked")
	}
}
