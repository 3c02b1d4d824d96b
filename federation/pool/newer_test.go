package pool_test

import (
	"context"
	"slices"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/storetest"
)

// A node of a newer release has written all that is stored, and this one changes it in every way there is: nothing is lost that it does not know
// (docs/decisions/0034-unknown-members.md).
func TestWhatANewerReleaseWroteStays(t *testing.T) {
	f := newFixture(t)
	newer := &storetest.Newer{Engine: f.engine.Engine, Ring: f.Ring}
	f.engine.Engine = newer
	p, ip := f.withPool(t, pool.SchemaSpec{Name: "team", AttributeDataType: "String", Mutable: ptr(true)})
	ctx := t.Context()
	c, err := f.CreateClient(ctx, pool.Client{PoolID: p.ID, Name: "web", Secrets: []pool.ClientSecret{{Value: secret.New("onlyForTests0123456789abcdefghij")}}})
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.SignIn(ctx, p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Attributes: attrs{"email": "ada@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	sub := first.User.Sub
	local, err := f.CreateUser(ctx, p.ID, pool.NewUser{Username: "bob", Attributes: attrs{"email": "bob@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	server := pool.ResourceServer{PoolID: p.ID, Identifier: "orders", Name: "orders", Scopes: []pool.Scope{{Name: "read", Description: "read"}}}
	mustDo := func(name string, f func() error) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := newer.Dropped(); len(got) > 0 {
			t.Errorf("%s drops what a newer release wrote into %v", name, got)
		}
	}
	writes := f.writes(func() {
		mustDo("a sign-in that brings news", func() error {
			_, err := f.SignIn(ctx, p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Attributes: attrs{"email": "new@example.com"}})
			return err
		})
		mustDo("a link", func() error {
			_, _, err := f.LinkProvider(ctx, p.ID, "bob", pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "2"})
			return err
		})
		mustDo("a sign-in of the linked one", func() error {
			_, err := f.SignIn(ctx, p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "2", Attributes: attrs{"name": "Bob"}})
			return err
		})
		mustDo("UpdateAttributes", func() error {
			_, err := f.UpdateAttributes(ctx, p.ID, sub, attrs{"custom:team": "a"})
			return err
		})
		mustDo("DeleteAttributes", func() error { _, err := f.DeleteAttributes(ctx, p.ID, sub, []string{"custom:team"}); return err })
		mustDo("SetEmailVerified", func() error {
			_, err := f.SetEmailVerified(ctx, p.ID, local.User.Sub, "Corp", "bob@example.com", true)
			return err
		})
		mustDo("SignOutUser", func() error { _, err := f.SignOutUser(ctx, p.ID, sub); return err })
		mustDo("EnableUser", func() error { _, err := f.EnableUser(ctx, p.ID, sub, false); return err })
		mustDo("CreateGroup", func() error { _, err := f.CreateGroup(ctx, pool.Group{PoolID: p.ID, Name: "g"}); return err })
		mustDo("AddToGroup", func() error { return f.AddToGroup(ctx, p.ID, sub, "g") })
		mustDo("UpdateGroup", func() error {
			_, err := f.UpdateGroup(ctx, p.ID, "g", pool.GroupChange{Description: ptr("d")})
			return err
		})
		mustDo("MergeUsers, after EnableUser", func() error {
			if _, err := f.EnableUser(ctx, p.ID, sub, true); err != nil {
				return err
			}
			_, err := f.MergeUsers(ctx, p.ID, "bob", sub, "test", false)
			return err
		})
		mustDo("a sign-in of a merged one", func() error {
			_, err := f.SignIn(ctx, p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Attributes: attrs{"email": "newer@example.com"}})
			return err
		})
		mustDo("UnmergeUser", func() error { _, err := f.UnmergeUser(ctx, p.ID, sub, false); return err })
		mustDo("RemoveFromGroup", func() error { return f.RemoveFromGroup(ctx, p.ID, sub, "g") })
		mustDo("CreateResourceServer", func() error { _, err := f.CreateResourceServer(ctx, server); return err })
		server.Name = "Orders"
		mustDo("UpdateResourceServer", func() error { _, err := f.UpdateResourceServer(ctx, server); return err })
		mustDo("UpdateClient", func() error { c.Name = "web app"; _, err := f.UpdateClient(ctx, c); return err })
		mustDo("AddClientSecret", func() error { _, err := f.AddClientSecret(ctx, p.ID, c.ID, secret.Text{}); return err })
		mustDo("UpdateProvider", func() error {
			ip.AttributeMapping = attrs{"email": "email", "name": "name"}
			_, err := f.UpdateProvider(ctx, ip)
			return err
		})
		mustDo("ChangeProvider", func() error {
			_, err := f.ChangeProvider(ctx, p.ID, "Corp", pool.ProviderChange{AttributeMapping: attrs{"email": "email"}, Identifiers: []string{"example.org"}})
			return err
		})
		mustDo("UpdatePool", func() error { p.Name = "Example"; _, err := f.UpdatePool(ctx, p); return err })
		mustDo("Tag", func() error { return f.Tag(ctx, p.ID, attrs{"a": "b"}) })
		mustDo("SetLook", func() error {
			_, err := f.SetLook(ctx, p.ID, c.ID, ptr(".label-customizable {color: red;}"), nil)
			return err
		})
		mustDo("SetLook again", func() error {
			_, err := f.SetLook(ctx, p.ID, c.ID, ptr(".label-customizable {color: blue;}"), nil)
			return err
		})
		mustDo("Apply", func() error { return reapply(ctx, f, p.ID) })
	})
	if writes < 23 {
		t.Errorf("%d writes: the test shows less than it says", writes)
	}
	// What is put in the place of another owes it nothing.
	if _, err := f.RenewTemporaryPassword(ctx, p.ID, local.User.Sub, secret.Text{}, pool.PasswordPolicy{}); err != nil {
		t.Fatal(err)
	}
	if got := newer.Dropped(); !slices.Equal(got, []string{"temporary_password"}) {
		t.Errorf("a new temporary password drops from %v", got)
	}
}

// reapply applies the pool as it is exported, with other names for everything that may have one.
func reapply(ctx context.Context, f *fixture, id string) error {
	spec, _, err := f.Export(ctx, []string{id}, true)
	if err != nil {
		return err
	}
	spec.UserPools[0].Clients[0].ClientName += " again"
	spec.UserPools[0].IdentityProviders[0].AttributeMapping["name"] = "name"
	spec.UserPools[0].ResourceServers[0].Name += " again"
	spec.UserPools[0].UserPoolTags = map[string]string{"c": "d"}
	plan, err := f.Plan(ctx, spec)
	if err != nil {
		return err
	}
	return f.Apply(ctx, plan)
}
