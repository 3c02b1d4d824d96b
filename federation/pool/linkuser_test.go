package pool_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

func TestLinksByVerifiedEmail(t *testing.T) {
	l := newPolicies(t)
	jane := create(t, l.fixture, l.p, "jane", verified("Jane@example.com"))
	r := l.must(t, l.corp, "A1", attrs{"email": "jane@EXAMPLE.com", "email_verified": "true", "name": "Jane"})
	if r.Created || r.User.Sub != jane.Sub || r.Linked != (pool.LinkPolicy{Kind: pool.LinkEmail, Attribute: "email"}) {
		t.Fatalf("%+v", r)
	}
	id := r.User.Identities[0]
	if id.Provider != "Corp" || id.Subject != "A1" || id.Primary || id.Issuer != "https://idp.example" || r.User.Attributes["name"] != "Jane" || r.User.Attributes["email"] != "jane@EXAMPLE.com" {
		t.Errorf("%+v", r.User)
	}
	again := l.must(t, l.corp, "A1", attrs{"email": "other@elsewhere.example", "email_verified": "true", "name": "Jane"})
	if again.User.Sub != jane.Sub || again.Linked.Kind != "" || again.Created {
		t.Errorf("the identity is known by its subject from then on: %+v", again)
	}
	if l.count(t) != 1 {
		t.Errorf("%d users", l.count(t))
	}
}

func TestLinksByAttributeAcrossProviders(t *testing.T) {
	l := newPolicies(t)
	first := l.must(t, l.hr, "h1", attrs{"custom:employee": "4711"})
	second := l.must(t, l.badge, "b1", attrs{"custom:employee": "4711", "name": "Jane"})
	if !first.Created || second.Created || second.User.Sub != first.User.Sub || second.Linked.String() != "attribute:custom:employee" {
		t.Errorf("%+v then %+v", first, second)
	}
	if r := l.must(t, l.badge, "b2", attrs{"custom:employee": "4711x"}); !r.Created {
		t.Errorf("another value: %+v", r)
	}
	// Nobody is linked through a provider without a policy, and that provider's users are linked to nobody.
	if r := l.must(t, l.weak, "w1", attrs{"custom:employee": "4711"}); !r.Created {
		t.Errorf("through a provider without a policy: %+v", r)
	}
	if r := l.must(t, l.hr, "h2", attrs{"custom:employee": "47x"}); !r.Created {
		t.Errorf("%+v", r)
	}
}

// Each attack brings, or has prepared, what looks like the victim's value. The victim, or the attacker, gets a user of their own.
func TestAttacksOnLinkingEndInAUserOfTheirOwn(t *testing.T) {
	const victim = "jane@example.com"
	for name, attack := range map[string]struct {
		prepare func(t *testing.T, l *policies)
		ip      func(l *policies) pool.IdentityProvider
		said    attrs
	}{
		"nOAuth: an address that the provider has not verified": {ip: corp, said: attrs{"email": victim}},
		"the provider says it is not verified":                  {ip: corp, said: attrs{"email": victim, "email_verified": "false"}},
		"a verified address in a domain that is not the provider's": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "joe", verified("joe@other.example")) },
			ip:      corp, said: verified("joe@other.example")},
		"a subdomain of a trusted domain": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "joe", verified("joe@mail.example.com")) },
			ip:      corp, said: verified("joe@mail.example.com")},
		"a domain that ends like a trusted one": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "joe", verified("joe@notexample.com")) },
			ip:      corp, said: verified("joe@notexample.com")},
		"a look-alike domain in Cyrillic letters": {ip: corp, said: verified("jane@ex\u0430mple.com")},
		"a domain in full-width letters":          {ip: corp, said: verified("jane@\uff45xample.com")},
		"a local part that folds to the victim's: KELVIN SIGN": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "kim", verified("kim@example.com")) },
			ip:      corp, said: verified("\u212aim@example.com")},
		"a local part that folds to the victim's: sharp s": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "strasse", verified("strasse@example.com")) },
			ip:      corp, said: verified("stra\u00dfe@example.com")},
		"an internationalised domain without its accents": {
			prepare: func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "bob", verified("bob@bucher.example")) },
			ip:      corp, said: verified("bob@b\u00fccher.example")},
		"a provider without a policy": {ip: func(l *policies) pool.IdentityProvider { return l.weak }, said: verified(victim)},
		"the policy was withdrawn, and a node still remembers it": {
			prepare: func(t *testing.T, l *policies) {
				stale := l.corp
				l.change(t, &l.corp, nil)
				l.corp = stale
			}, ip: corp, said: verified(victim)},
		"the domain was withdrawn, and a node still remembers it": {
			prepare: func(t *testing.T, l *policies) {
				stale := l.corp
				l.change(t, &l.corp, attrs{"link_users": "email", "trusted_domains": "other.example"})
				l.corp = stale
			}, ip: corp, said: verified(victim)},
		"pre-hijacking: the stored address is not verified": {
			prepare: func(t *testing.T, l *policies) { edit(t, l, "jane", attrs{"email_verified": "false"}) },
			ip:      corp, said: verified(victim)},
		"pre-hijacking: another provider vouched for the stored address": {
			prepare: func(t *testing.T, l *policies) {
				edit(t, l, "jane", attrs{"email": "x@example.com"})
				l.must(t, l.weak, "w1", verified(victim))
			}, ip: corp, said: verified(victim)},
		"pre-hijacking: the person wrote the value": {
			prepare: func(t *testing.T, l *policies) {
				u := l.must(t, l.weak, "w1", nil).User
				if _, err := l.UpdateOwnAttributes(t.Context(), pool.Client{PoolID: l.p.ID}, u.Sub, attrs{"custom:employee": "4711"}); err != nil {
					t.Fatal(err)
				}
			}, ip: func(l *policies) pool.IdentityProvider { return l.hr }, said: attrs{"custom:employee": "4711"}},
		"pre-hijacking: a provider without the policy wrote the value": {
			prepare: func(t *testing.T, l *policies) { l.must(t, l.weak, "w1", attrs{"custom:employee": "4711"}) },
			ip:      func(l *policies) pool.IdentityProvider { return l.hr }, said: attrs{"custom:employee": "4711"}},
		"pre-hijacking: an earlier mapping took the value from a claim that people choose": {
			prepare: func(t *testing.T, l *policies) {
				for _, claim := range []string{"nickname", "employee_id"} {
					m := claims()
					m["custom:employee"] = claim
					ip, err := l.ChangeProvider(t.Context(), l.p.ID, "Badge", pool.ProviderChange{AttributeMapping: m})
					if err != nil {
						t.Fatal(err)
					}
					if claim == "nickname" {
						l.must(t, ip, "b1", attrs{"custom:employee": "4711"})
					}
				}
			}, ip: func(l *policies) pool.IdentityProvider { return l.hr }, said: attrs{"custom:employee": "4711"}},
		"an employee's number in another case": {
			prepare: func(t *testing.T, l *policies) {
				create(t, l.fixture, l.p, "joe", attrs{"custom:employee": "A1"})
			}, ip: func(l *policies) pool.IdentityProvider { return l.hr }, said: attrs{"custom:employee": "a1"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newPolicies(t)
			create(t, l.fixture, l.p, "jane", verified(victim))
			if attack.prepare != nil {
				attack.prepare(t, l)
			}
			before := l.count(t)
			r, err := l.arrive(attack.ip(l), "A1", attack.said)
			if err != nil || !r.Created || r.Linked.Kind != "" || len(r.User.Identities) != 1 || l.count(t) != before+1 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func corp(l *policies) pool.IdentityProvider { return l.corp }

func edit(t *testing.T, l *policies, name string, set attrs) {
	t.Helper()
	u, err := l.FindUser(t.Context(), l.p.ID, name)
	if err == nil {
		_, err = l.UpdateAttributes(t.Context(), l.p.ID, u.Sub, set)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A claim that is not one text says nothing about who somebody is, whatever the mapping makes of it.
func TestAValueThatIsNotOneTextLinksNobody(t *testing.T) {
	l := newPolicies(t)
	create(t, l.fixture, l.p, "jane", verified("jane@example.com"))
	for name, exact := range map[string]attrs{"a list": nil, "another text": {"email": "joe@example.com"}} {
		r, err := l.SignIn(t.Context(), l.p, pool.SignIn{Provider: l.corp, Subject: name, Attributes: verified("jane@example.com"), Exact: exact})
		if err != nil || !r.Created {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestLinkingRefusesWhatAnAdministratorHasToDecide(t *testing.T) {
	said := verified("jane@example.com")
	for name, c := range map[string]struct {
		prepare func(t *testing.T, l *policies)
		want    fault.Code
		is      error
	}{
		"two users with the address": {func(t *testing.T, l *policies) { create(t, l.fixture, l.p, "jane2", said) }, fault.Conflict, pool.ErrAmbiguous},
		"a disabled user": {func(t *testing.T, l *policies) {
			u, _ := l.FindUser(t.Context(), l.p.ID, "jane")
			if _, err := l.EnableUser(t.Context(), l.p.ID, u.Sub, false); err != nil {
				t.Fatal(err)
			}
		}, fault.Denied, nil},
		"an address that was given to somebody else: another subject of the same provider": {func(t *testing.T, l *policies) { l.must(t, l.corp, "A0", said) }, fault.Conflict, pool.ErrReassigned},
		"an address that was given to somebody else, after the old identity was unlinked": {func(t *testing.T, l *policies) {
			l.must(t, l.corp, "A0", said)
			if _, err := l.UnlinkProvider(t.Context(), l.p.ID, pool.Source{Provider: "Corp", Attribute: pool.SubjectAttribute, Value: "A0"}); err != nil {
				t.Fatal(err)
			}
		}, fault.Conflict, pool.ErrReassigned},
		"a mapping that has changed since the sign-in began": {func(t *testing.T, l *policies) {
			changed := claims()
			changed["email"] = "mail"
			if _, err := l.ChangeProvider(t.Context(), l.p.ID, "Corp", pool.ProviderChange{AttributeMapping: changed}); err != nil {
				t.Fatal(err)
			}
		}, fault.Unavailable, nil},
		"a user with all identities that one may have": {func(t *testing.T, l *policies) {
			for i := range 5 {
				if err := link(t, l.fixture, l.p, "jane", "Weak", pool.SubjectAttribute, fmt.Sprint("w", i)); err != nil {
					t.Fatal(err)
				}
			}
		}, fault.TooLarge, pool.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			l := newPolicies(t)
			create(t, l.fixture, l.p, "jane", said)
			c.prepare(t, l)
			before := l.count(t)
			_, err := l.arrive(l.corp, "A1", said)
			wantCode(t, err, c.want)
			if c.is != nil && !errors.Is(err, c.is) || l.count(t) != before {
				t.Errorf("%v, %d users", err, l.count(t)-before)
			}
			if strings.Contains(fmt.Sprint(err), "jane@") {
				t.Errorf("the error holds the address: %v", err)
			}
		})
	}
}

// What an administrator has said goes before what a policy makes of it.
func TestAWaitingLinkGoesBeforeThePolicy(t *testing.T) {
	l := newPolicies(t)
	jane, joe := create(t, l.fixture, l.p, "jane", verified("jane@example.com")), create(t, l.fixture, l.p, "joe", nil)
	if err := link(t, l.fixture, l.p, "joe", "Corp", "email", "jane@example.com"); err != nil {
		t.Fatal(err)
	}
	if r := l.must(t, l.corp, "A1", verified("jane@example.com")); r.User.Sub != joe.Sub || r.User.Sub == jane.Sub || r.Matched != "email" || r.Linked.Kind != "" {
		t.Errorf("%+v", r)
	}
}

func TestAnUnlinkedIdentityIsNotLinkedAgainByPolicy(t *testing.T) {
	l := newPolicies(t)
	jane := create(t, l.fixture, l.p, "jane", attrs{"custom:employee": "4711"})
	said := attrs{"custom:employee": "4711"}
	if r := l.must(t, l.hr, "h1", said); r.User.Sub != jane.Sub {
		t.Fatalf("%+v", r)
	}
	src := pool.Source{Provider: "HR", Attribute: pool.SubjectAttribute, Value: "h1"}
	if _, err := l.UnlinkProvider(t.Context(), l.p.ID, src); err != nil {
		t.Fatal(err)
	}
	own := l.must(t, l.hr, "h1", said)
	if !own.Created || own.User.Sub == jane.Sub {
		t.Fatalf("linked again: %+v", own)
	}
	if r := l.must(t, l.hr, "h1", said); r.User.Sub != own.User.Sub || r.Created {
		t.Errorf("%+v", r)
	}
	// Of the two users nobody can say any more whom the value means.
	if _, err := l.arrive(l.badge, "b1", said); !errors.Is(err, pool.ErrAmbiguous) {
		t.Errorf("%v", err)
	}
	// The administrator may link it again, and take the other user away.
	if err := l.DeleteUser(t.Context(), l.p.ID, own.User.Sub); err != nil {
		t.Fatal(err)
	}
	if err := link(t, l.fixture, l.p, "jane", "HR", pool.SubjectAttribute, "h1"); err != nil {
		t.Fatal(err)
	}
	if r := l.must(t, l.hr, "h1", said); r.User.Sub != jane.Sub || len(r.User.Past) != 0 {
		t.Errorf("%+v", r)
	}
	if r := l.must(t, l.badge, "b1", said); r.User.Sub != jane.Sub {
		t.Errorf("%+v", r)
	}
}

// The memory of identities that were taken away is bounded, and does not forget in the attacker's favour.
func TestAUserFromWhomManyIdentitiesWereTakenIsLinkedByNoPolicy(t *testing.T) {
	l := newPolicies(t)
	create(t, l.fixture, l.p, "jane", attrs{"custom:employee": "4711"})
	for i := range 21 {
		src := pool.Source{Provider: "Weak", Attribute: pool.SubjectAttribute, Value: fmt.Sprint("w", i)}
		if err := link(t, l.fixture, l.p, "jane", src.Provider, src.Attribute, src.Value); err != nil {
			t.Fatal(err)
		}
		if _, err := l.UnlinkProvider(t.Context(), l.p.ID, src); err != nil {
			t.Fatal(err)
		}
	}
	r := l.must(t, l.hr, "h1", attrs{"custom:employee": "4711"})
	jane, err := l.FindUser(t.Context(), l.p.ID, "jane")
	if err != nil || !r.Created || len(jane.Past) != 20 {
		t.Errorf("%+v, %d remembered, %v", r, len(jane.Past), err)
	}
}

func TestAProviderNamedInLinkSourcesVouchesForStoredAddresses(t *testing.T) {
	l := newPolicies(t)
	old := l.must(t, l.weak, "w1", verified("jane@example.com"))
	l.change(t, &l.corp, attrs{"link_users": "email", "trusted_domains": "example.com", "link_sources": "Weak"})
	if r := l.must(t, l.corp, "A1", verified("jane@example.com")); r.User.Sub != old.User.Sub || r.Created {
		t.Errorf("%+v", r)
	}
	// Its word counts for as long as its rules are those by which it was said.
	l.must(t, l.weak, "w2", verified("joe@example.com"))
	changed := claims()
	changed["email"] = "mail"
	if _, err := l.ChangeProvider(t.Context(), l.p.ID, "Weak", pool.ProviderChange{AttributeMapping: changed}); err != nil {
		t.Fatal(err)
	}
	if r := l.must(t, l.corp, "A2", verified("joe@example.com")); !r.Created {
		t.Errorf("%+v", r)
	}
}

// A document of an earlier release says of nobody that they wrote it, but for what an administrator wrote last.
func TestUsersFromBeforeProvenance(t *testing.T) {
	for name, edited := range map[string][]string{"an administrator wrote it": {"email", "email_verified"}, "nobody knows who": nil, "one of the two": {"email"}} {
		t.Run(name, func(t *testing.T) {
			l := newPolicies(t)
			jane := create(t, l.fixture, l.p, "jane", verified("jane@example.com"))
			if _, err := l.UpdateUser(t.Context(), l.p.ID, jane.Sub, func(u *pool.User) error {
				u.Sources, u.Edited = nil, edited
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			r := l.must(t, l.corp, "A1", verified("jane@example.com"))
			if linked := r.User.Sub == jane.Sub; linked != (len(edited) == 2) || linked == r.Created {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A returning sign-in takes the claim along, and does not fail where somebody else has the value.
func TestAValueThatChangesAtAReturningSignIn(t *testing.T) {
	l := newPolicies(t)
	l.must(t, l.hr, "h1", attrs{"custom:employee": "1"})
	b := l.must(t, l.hr, "h2", attrs{"custom:employee": "2"}).User
	a := l.must(t, l.hr, "h1", attrs{"custom:employee": "3"}).User
	if len(a.LinkKeys) != 1 {
		t.Errorf("the claim did not follow: %v", a.LinkKeys)
	}
	if r := l.must(t, l.hr, "h3", attrs{"custom:employee": "1"}); !r.Created || len(r.User.LinkKeys) != 1 {
		t.Errorf("the value that was given up: %+v", r)
	}
	r := l.must(t, l.hr, "h1", attrs{"custom:employee": "2"})
	if r.User.Sub != a.Sub || r.User.Attributes["custom:employee"] != "2" || len(r.User.LinkKeys) != 0 {
		t.Errorf("a value that is another user's: %+v", r)
	}
	if _, err := l.arrive(l.badge, "b1", attrs{"custom:employee": "2"}); !errors.Is(err, pool.ErrAmbiguous) {
		t.Errorf("two users have the value: %v", err)
	}
	if err := l.DeleteUser(t.Context(), l.p.ID, b.Sub); err != nil {
		t.Fatal(err)
	}
	if r := l.must(t, l.badge, "b1", attrs{"custom:employee": "2"}); r.User.Sub != a.Sub {
		t.Errorf("%+v", r)
	}
}

// Somebody who cannot be linked to does not keep the value from those who can.
func TestAClaimOfAUserWhoIsNotEligibleIsGivenUp(t *testing.T) {
	l := newPolicies(t)
	squatter := l.must(t, l.badge, "b0", attrs{"custom:employee": "4711"}).User
	l.change(t, &l.badge, nil)
	first := l.must(t, l.hr, "h1", attrs{"custom:employee": "4711"})
	if !first.Created || first.User.Sub == squatter.Sub || len(first.User.LinkKeys) != 1 {
		t.Fatalf("%+v", first)
	}
	if u, err := l.User(t.Context(), l.p.ID, squatter.Sub); err != nil || len(u.LinkKeys) != 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestParallelFirstSignInsThroughTwoProvidersMakeOneUser(t *testing.T) {
	l := newPolicies(t)
	for round := range 20 {
		said := attrs{"custom:employee": fmt.Sprint(round)}
		subs := make([]string, 8)
		var all sync.WaitGroup
		for i := range subs {
			ip := []pool.IdentityProvider{l.hr, l.badge}[i%2]
			all.Go(func() {
				if r, err := l.arrive(ip, fmt.Sprint("s", round), maps.Clone(said)); err != nil {
					t.Error(err)
				} else {
					subs[i] = r.User.Sub
				}
			})
		}
		all.Wait()
		for _, sub := range subs {
			if sub != subs[0] {
				t.Fatalf("round %d: users %v", round, subs)
			}
		}
	}
	if n := l.count(t); n != 20 {
		t.Errorf("%d users", n)
	}
}

func TestAskReturnsWhoHasToBeProven(t *testing.T) {
	l := newPolicies(t)
	l.AskPeople = true
	l.change(t, &l.corp, attrs{"link_users": "ask"})
	said := verified("jane@example.com")
	jane := create(t, l.fixture, l.p, "jane", attrs{"email": "jane@example.com"})
	joe := create(t, l.fixture, l.p, "joe", nil)
	before := l.count(t)
	in := pool.SignIn{Provider: l.corp, Issuer: "https://idp.example", Subject: "A1", Attributes: said, Exact: said}
	_, err := l.SignIn(t.Context(), l.p, in)
	var ask *pool.NeedsProof
	if !errors.As(err, &ask) || !ask.Holds(jane.Sub) || ask.Holds(joe.Sub) || l.count(t) != before {
		t.Fatalf("%v", err)
	}
	wantCode(t, err, fault.LoginRequired)
	// An address that the provider has not verified asks nobody: it would tell anybody who has an account.
	if r := l.must(t, l.corp, "A9", attrs{"email": "jane@example.com"}); !r.Created {
		t.Errorf("%+v", r)
	}
	if _, err := l.SignInAs(t.Context(), l.p, in, joe.Sub); fault.CodeOf(err) != fault.Denied {
		t.Errorf("somebody who is no candidate: %v", err)
	}
	r, err := l.SignInAs(t.Context(), l.p, in, jane.Sub)
	if err != nil || r.User.Sub != jane.Sub || r.Linked.Kind != pool.LinkAsk || !r.User.HasIdentity("Corp", "A1") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = l.SignIn(t.Context(), l.p, in); err != nil || r.User.Sub != jane.Sub {
		t.Errorf("%+v, %v", r, err)
	}
	in.Subject, in.Alone = "A2", true
	if r, err = l.SignIn(t.Context(), l.p, in); err != nil || !r.Created {
		t.Errorf("who wants a user of their own: %+v, %v", r, err)
	}
	if _, err := l.SignInAs(t.Context(), l.p, in, jane.Sub); fault.CodeOf(err) != fault.Denied {
		t.Errorf("an identity that is another user's: %v", err)
	}
	// Without a page that asks, it counts as none.
	l.AskPeople = false
	in.Subject, in.Alone = "A3", false
	if r, err = l.SignIn(t.Context(), l.p, in); err != nil || !r.Created {
		t.Errorf("%+v, %v", r, err)
	}
}
