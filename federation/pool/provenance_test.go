package pool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
)

// Each value knows who wrote it last: an equal one is no write, and what is taken away has no source.
func TestEveryValueKnowsItsSource(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	ip.AttributeMapping = map[string]string{"email": "mail", "email_verified": "email_verified", "name": "[cel] claims.n", "nickname": "= " + strings.Repeat("long ", 100)}
	in := pool.SignIn{Provider: ip, Issuer: "https://idp.example.com", Subject: "A1",
		Attributes: attrs{"email": "jane@example.com", "email_verified": "true", "name": "Jane", "nickname": "J"}}
	r, err := f.SignIn(t.Context(), p, in)
	if err != nil {
		t.Fatal(err)
	}
	first := r.User.Created
	want := func(when string, name string, kind pool.SourceKind, rule string, at time.Time) {
		t.Helper()
		u, err := f.User(t.Context(), p.ID, r.User.Sub)
		if err != nil {
			t.Fatal(err)
		}
		provider := ""
		if kind == pool.FromProvider || kind == pool.FromNotice {
			provider = "Corp"
		}
		if got := u.Sources[name]; got != (pool.ValueSource{Kind: kind, Provider: provider, Rule: rule, At: at}) {
			t.Errorf("%s: %s is from %+v", when, name, got)
		}
	}
	want("created", "email", pool.FromProvider, "mail", first)
	want("created", "name", pool.FromProvider, "[cel] claims.n", first)
	if rule := r.User.Sources["nickname"].Rule; len(rule) > 256 || !strings.HasPrefix(rule, "= long") || !strings.HasSuffix(rule, "…") {
		t.Errorf("the rule of nickname is kept as %q", rule)
	}

	f.clock.Add(time.Hour)
	edited, err := f.UpdateAttributes(t.Context(), p.ID, r.User.Sub, map[string]string{"name": "Jane D.", "nickname": ""})
	if err != nil {
		t.Fatal(err)
	}
	if _, has := edited.Sources["nickname"]; has {
		t.Error("an attribute that was taken away has a source")
	}
	want("edited", "name", pool.FromAdmin, "", edited.Modified)
	want("edited", "email", pool.FromProvider, "mail", first)

	f.clock.Add(time.Hour)
	in.Attributes = attrs{"email": "jane@example.com", "email_verified": "true", "name": "Jane D."}
	if r, err = f.SignIn(t.Context(), p, in); err != nil || len(r.Changed) != 0 {
		t.Fatalf("changed %v, %v", r.Changed, err)
	}
	want("the same again", "name", pool.FromAdmin, "", edited.Modified)

	in.Attributes["email"], in.Attributes["email_verified"] = "jane@example.org", ""
	if r, err = f.SignIn(t.Context(), p, in); err != nil {
		t.Fatal(err)
	}
	want("another address", "email", pool.FromProvider, "mail", r.User.Modified)
	if changed, err := f.SetEmailVerified(t.Context(), p.ID, r.User.Sub, "Corp", "jane@example.org", true); err != nil || !changed {
		t.Fatal(changed, err)
	}
	want("after a notice", "email_verified", pool.FromNotice, "", r.User.Modified)

	own, err := f.UpdateOwnAttributes(t.Context(), pool.Client{PoolID: p.ID}, r.User.Sub, map[string]string{"nickname": "JJ"})
	if err != nil {
		t.Fatal(err)
	}
	want("by oneself", "nickname", pool.FromPerson, "", own.Modified)
}
