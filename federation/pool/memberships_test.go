package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

// gives is what group rules made of a claim.
func gives(groups ...string) *mapping.GroupResult {
	r := &mapping.GroupResult{}
	for _, g := range groups {
		r.Given = append(r.Given, mapping.GroupGiven{Group: g, Line: 1, Rule: "$0 <- value", Value: g})
	}
	return r
}

// membered is a pool with groups and a sign-in to it.
func membered(t *testing.T, groups ...string) (f *fixture, p pool.Pool, signIn func(*mapping.GroupResult) pool.SignInResult) {
	t.Helper()
	f = newFixture(t)
	p, ip := f.withPool(t)
	for _, g := range groups {
		if _, err := f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: g}); err != nil {
			t.Fatal(err)
		}
	}
	return f, p, func(r *mapping.GroupResult) pool.SignInResult {
		t.Helper()
		res, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Attributes: attrs{"email": "a@example.com"}, Groups: r})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
}

// in are the groups that tokens have.
func (f *fixture) in(t *testing.T, u pool.User) string {
	t.Helper()
	u, err := f.User(t.Context(), u.PoolID, u.Sub)
	if err != nil {
		t.Fatal(err)
	}
	of, err := f.GroupsOf(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range of {
		names = append(names, g.Name)
	}
	return strings.Join(names, " ")
}

func TestGroupsComeAndGoWithTheClaim(t *testing.T) {
	f, _, signIn := membered(t, "a", "b", "c")
	step := func(what string, r *mapping.GroupResult, want, joined, left string, writes int64) pool.User {
		t.Helper()
		f.clock.Add(time.Minute)
		var res pool.SignInResult
		if n := f.writes(func() { res = signIn(r) }); n != writes {
			t.Errorf("%s: %d writes, want %d", what, n, writes)
		}
		if got := f.in(t, res.User); got != want || strings.Join(res.Groups.Joined(), " ") != joined || strings.Join(res.Groups.Left(), " ") != left {
			t.Errorf("%s: in %q, want %q; joined %q, left %q", what, got, want, res.Groups.Joined(), res.Groups.Left())
		}
		return res.User
	}
	u := step("first", gives("a", "b", "none"), "a b", "a b", "", 1)
	modified := u.Modified
	step("the same", gives("a", "b", "none"), "a b", "", "", 0)
	u = step("others", gives("b", "c"), "b c", "c", "a", 1)
	if !u.Modified.Equal(modified) {
		t.Error("a membership modified the user")
	}
	step("kept", &mapping.GroupResult{Absent: true, Keep: true}, "b c", "", "", 0)
	step("absent", &mapping.GroupResult{Absent: true}, "", "", "b c", 1)
	step("absent again", &mapping.GroupResult{Absent: true}, "", "", "", 0)
	step("back", gives("a"), "a", "a", "", 1)
	step("no rules any more", nil, "", "", "a", 1)
	step("no rules", nil, "", "", "", 0)
}

func TestAnAdministratorsMembershipsStay(t *testing.T) {
	f, p, signIn := membered(t, "a", "b")
	u := signIn(gives("a")).User
	add, remove := func(g string) {
		t.Helper()
		if err := f.AddToGroup(t.Context(), p.ID, u.Sub, g); err != nil {
			t.Fatal(err)
		}
	}, func(g string) {
		t.Helper()
		if err := f.RemoveFromGroup(t.Context(), p.ID, u.Sub, g); err != nil {
			t.Fatal(err)
		}
	}
	add("a") // is the administrator's too from now on
	add("b")
	if n := f.writes(func() { add("a"); add("b") }); n != 0 {
		t.Errorf("%d writes for members", n)
	}
	res := signIn(gives("b"))
	if got := f.in(t, u); got != "a b" {
		t.Errorf("in %q", got)
	}
	want := []pool.GroupStep{{Group: "b", Outcome: pool.GroupHeld, Line: 1, Rule: "$0 <- value", Value: "b"}, {Group: "a", Outcome: pool.GroupStays, Rule: "$0 <- value"}}
	if !slices.Equal(res.Groups.Steps, want) {
		t.Errorf("steps %+v", res.Groups.Steps)
	}
	sources := func() string {
		u, err := f.User(t.Context(), p.ID, u.Sub)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, m := range u.Memberships() {
			for _, s := range m.Sources {
				out = append(out, fmt.Sprint(s.Kind, s.Provider, s.Rule))
			}
		}
		return strings.Join(out, ", ")
	}
	if got := sources(); got != "admin, admin, providerCorp$0 <- value" {
		t.Errorf("sources %s", got)
	}
	signIn(gives())
	if got := f.in(t, u); got != "a b" || sources() != "admin, admin" {
		t.Errorf("in %q, sources %s", got, sources())
	}
	// Taken away by an administrator, a group of the provider's is back at the next sign-in.
	signIn(gives("a", "b"))
	remove("a")
	remove("b")
	if got := f.in(t, u); got != "" {
		t.Errorf("in %q after the administrator took them away", got)
	}
	if signIn(gives("a")); f.in(t, u) != "a" {
		t.Errorf("in %q at the next sign-in", f.in(t, u))
	}
	if signIn(gives()); f.in(t, u) != "" {
		t.Errorf("in %q though it was the provider's alone", f.in(t, u))
	}
}

// What a release without sources wrote is an administrator's, also once a provider gives the same.
func TestMembershipsOfAnOlderRelease(t *testing.T) {
	f, p, signIn := membered(t, "a")
	u := signIn(nil).User
	g, err := f.Group(t.Context(), p.ID, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.SetGroups(t.Context(), f.Directory, u, []string{g.GID}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*mapping.GroupResult{gives("a"), gives("a"), gives()} {
		if signIn(r); f.in(t, u) != "a" {
			t.Errorf("in %q", f.in(t, u))
		}
	}
	if u, err = f.User(t.Context(), p.ID, u.Sub); err != nil || len(u.Memberships()) != 1 || u.Memberships()[0].Sources[0] != (pool.ValueSource{Kind: pool.FromAdmin}) {
		t.Errorf("%+v, error %v", u.Memberships(), err)
	}
}

// A source of a group that the user is not in means nothing, and is not to mean anything again: a node of a release without sources has taken the user out.
func TestSourcesThatWereLeftBehind(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	u := pool.User{Granted: []pool.GrantedGroup{{GID: "A", At: at}}, Identities: []pool.LinkedIdentity{
		{Provider: "Corp", Subject: "1", Groups: []pool.GivenGroup{{GID: "A", At: at}}}, {Provider: "Uni", Subject: "1", Groups: []pool.GivenGroup{{GID: "A", At: at}}}}}
	settle := func(u pool.User, r *mapping.GroupResult) pool.User {
		t.Helper()
		s, err := pool.SettleGroups(pool.GroupSettling{User: u, Result: *r, Groups: pool.NewGroupTable(map[string]pool.Group{"A": {GID: "A", Name: "a"}}),
			Providers: map[string]time.Time{"Corp": at, "Uni": at}, Now: at})
		if err != nil || !s.Changed {
			t.Fatalf("%+v, error %v", s, err)
		}
		return s.User
	}
	in := settle(u, gives("a"))
	if !slices.Equal(in.Groups, []string{"A"}) || len(in.Granted) != 0 || len(in.Identities[1].Groups) != 0 {
		t.Errorf("%+v", in)
	}
	if out := settle(in, gives()); len(out.Groups) != 0 {
		t.Errorf("%+v", out)
	}
	if len(u.Granted) != 1 || len(u.Identities[0].Groups) != 1 || len(u.Identities[1].Groups) != 1 {
		t.Errorf("the input was changed: %+v", u)
	}
}

func TestAGroupThatIsMadeAgainHasNobody(t *testing.T) {
	f, p, signIn := membered(t, "a")
	u := signIn(gives("a")).User
	again := func() {
		t.Helper()
		if err := f.DeleteGroup(t.Context(), p.ID, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	again()
	if got := f.in(t, u); got != "" {
		t.Errorf("in %q", got)
	}
	if r := signIn(gives("a")); f.in(t, u) != "a" || strings.Join(r.Groups.Joined(), " ") != "a" {
		t.Errorf("in %q though the provider gives it", f.in(t, u))
	}
	if again(); len(signIn(gives()).Groups.Left()) != 0 || f.in(t, u) != "" {
		t.Errorf("in %q", f.in(t, u))
	}
}

// Another node's memory of the groups may be five seconds old; what it does not know is no reason to take anybody out.
func TestASettlementWithOldMemory(t *testing.T) {
	f, p, signIn := membered(t, "a")
	u := signIn(gives("a")).User // f remembers the groups
	other := f.node()
	if _, err := other.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: "new"}); err != nil {
		t.Fatal(err)
	}
	ip, err := other.Provider(t.Context(), p.ID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Groups: gives("a", "new")}); err != nil {
		t.Fatal(err)
	}
	if r := signIn(gives("a", "new")); r.Groups.Changed || len(r.Groups.Left()) != 0 {
		t.Errorf("%+v", r.Groups)
	}
	f.clock.Add(6 * time.Second)
	if got := f.in(t, u); got != "a new" {
		t.Errorf("in %q", got)
	}
}

func TestTooManyGroups(t *testing.T) {
	var names []string
	for i := range pool.MaxUserGroups + 1 {
		names = append(names, fmt.Sprintf("g%03d", i))
	}
	f, p, signIn := membered(t, names...)
	u := signIn(gives(names[:100]...)).User
	if u, err := f.User(t.Context(), p.ID, u.Sub); err != nil || len(u.Groups) != 100 {
		t.Fatalf("%d groups, error %v", len(u.Groups), err)
	}
	ip, err := f.Provider(t.Context(), p.ID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Issuer: "https://idp.example", Subject: "1", Groups: gives(names...)})
	if fault.CodeOf(err) != fault.TooLarge || !errors.Is(err, pool.ErrLimit) {
		t.Errorf("101 groups: %v", err)
	}
	if n := strings.Count(f.in(t, u), "g"); n != 100 {
		t.Errorf("in %d groups after a sign-in that was refused", n)
	}
	// What goes makes room for what comes, and what was deleted takes none.
	if err := f.DeleteGroup(t.Context(), p.ID, names[0]); err != nil {
		t.Fatal(err)
	}
	if signIn(gives(names[1:]...)); strings.Count(f.in(t, u), "g") != 100 {
		t.Errorf("in %s", f.in(t, u))
	}
}

func TestUnlinkingTakesItsGroups(t *testing.T) {
	f, p, corp, jane, _ := linking(t)
	for _, g := range []string{"a", "b", "c"} {
		if _, err := f.CreateGroup(t.Context(), pool.Group{PoolID: p.ID, Name: g}); err != nil {
			t.Fatal(err)
		}
	}
	src := pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "A1"}
	other := pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "A2"}
	for subject, groups := range map[pool.Source][]string{src: {"a", "b", "c"}, other: {"b"}} {
		if _, _, err := f.LinkProvider(t.Context(), p.ID, jane.Username, subject); err != nil {
			t.Fatal(err)
		}
		if _, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: corp, Issuer: "x", Subject: subject.Value, Attributes: attrs{"email": "jane@corp.example"}, Groups: gives(groups...)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.AddToGroup(t.Context(), p.ID, jane.Sub, "c"); err != nil {
		t.Fatal(err)
	}
	if got := f.in(t, jane); got != "a b c" {
		t.Fatalf("in %q", got)
	}
	if _, err := f.UnlinkProvider(t.Context(), p.ID, src); err != nil {
		t.Fatal(err)
	}
	if got := f.in(t, jane); got != "b c" {
		t.Errorf("in %q, want what the other account gives and what the administrator gave", got)
	}
	if err := f.DeleteProvider(t.Context(), p.ID, "Corp"); err != nil {
		t.Fatal(err)
	}
	if got := f.in(t, jane); got != "c" {
		t.Errorf("in %q without the provider", got)
	}
}

func withGroupDetails(pairs ...string) pool.IdentityProvider {
	ip := pool.IdentityProvider{Name: "Corp", Type: "OIDC", Details: pool.Details{}}
	for pair := range slices.Chunk(pairs, 2) {
		ip.Details[pair[0]] = secret.New(pair[1])
	}
	return ip
}

func TestGroupDetailsAreChecked(t *testing.T) {
	for want, pairs := range map[string][]string{
		"": {"group_claim", "groups", "group_rules", "a <- exact \"x\"\n$0 <- value", "group_absent", "keep"},
		"ProviderDetails[group_absent]: must be clear or keep":                                                                                                                             {"group_claim", "groups", "group_rules", `a <- exact "x"`, "group_absent", "no"},
		"ProviderDetails[group_rules]: is required with group_claim and group_absent: lines such as staff <- exact \"Staff\"":                                                              {"group_claim", "groups"},
		"ProviderDetails[group_claim]: is required with group_rules: the claim that has the groups, such as groups\nProviderDetails[group_rules]: line 3, column 11: no text behind exact": {"group_rules", "\n\na <- exact"},
		"ProviderDetails[group_rules]: line 2, column 1: no group can have this name: 1 to 128 letters, digits, symbols or punctuation marks, and no space":                                {"group_claim", "groups", "group_rules", "\na\u200bb <- exact \"x\""},
	} {
		ps, _ := pool.ValidateProvider(withGroupDetails(pairs...), pool.Pool{})
		if got := lines(ps); got != want {
			t.Errorf("%q:\n%s, want\n%s", pairs, got, want)
		}
	}
}

func TestRulesForGroupsThatAreNotThere(t *testing.T) {
	f := newFixture(t)
	spec := pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "example", ID: "local_Example01", Groups: []pool.GroupSpec{{GroupName: "a"}},
		IdentityProviders: []pool.ProviderSpec{{ProviderName: "Corp", ProviderType: "OIDC", ProviderDetails: withGroupDetails(
			"group_claim", "groups", "group_rules", "a <- exact \"x\"\nb <- exact \"y\"\n$0 <- value\n  c <- id z").Details}}}}}
	warned := func() string {
		t.Helper()
		plan, err := f.Plan(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		return lines(plan.Warnings)
	}
	const path = "UserPools[0].IdentityProviders[0].ProviderDetails[group_rules]: "
	const none = ": the user pool has no such group, and rules make none"
	if got := warned(); got != path+"line 2, column 1"+none+"\n"+path+"line 4, column 3"+none {
		t.Errorf("warnings\n%s", got)
	}
	if _, err := f.CreateGroup(t.Context(), pool.Group{PoolID: "local_Example01", Name: "b"}); err != nil {
		t.Fatal(err)
	}
	if got := warned(); got != path+"line 4, column 3"+none {
		t.Errorf("warnings\n%s", got)
	}
	out, omitted, err := f.Export(t.Context(), nil, false)
	if err != nil || len(omitted) > 0 {
		t.Fatal(omitted, err)
	}
	if got := out.UserPools[0].IdentityProviders[0].ProviderDetails["group_rules"].Reveal(); got != "a <- exact \"x\"\nb <- exact \"y\"\n$0 <- value\n  c <- id z" {
		t.Errorf("exported %q", got)
	}
	if plan, err := f.Plan(t.Context(), out); err != nil || plan.Pending() != 0 {
		t.Errorf("the exported file changes something: %v", err)
	}
}
