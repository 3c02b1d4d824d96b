package pool_test

import (
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// askAll is policies with Corp asking people, and jane with an address that an identity of Corp says as well.
func askAll(t *testing.T) (*policies, pool.User, pool.SignIn) {
	t.Helper()
	l := newPolicies(t)
	l.AskPeople = true
	l.change(t, &l.corp, attrs{"link_users": "ask"})
	jane := create(t, l.fixture, l.p, "jane", attrs{"email": "jane@example.com"})
	said := verified("jane@example.com")
	return l, jane, pool.SignIn{Provider: l.corp, Issuer: "https://idp.example", Subject: "A1", Attributes: said, Exact: said}
}

func (l *policies) merge(t *testing.T, into, other string) {
	t.Helper()
	if _, err := l.MergeUsers(t.Context(), l.p.ID, into, other, "an administrator", false); err != nil {
		t.Fatal(err)
	}
}

// Whoever was proven and then merged into somebody else is not who would be linked.
func TestSignInAsAUserWhoWasMergedIsRefused(t *testing.T) {
	l, _, in := askAll(t)
	jane, joe := l.must(t, l.weak, "J1", verified("jane@example.com")).User, l.must(t, l.weak, "J2", verified("jane@example.com")).User
	l.merge(t, joe.Username, jane.Username)
	if r, err := l.SignInAs(t.Context(), l.p, in, jane.Sub); fault.CodeOf(err) != fault.Denied {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := l.SignInAs(t.Context(), l.p, in, joe.Sub); err != nil || r.User.Sub != joe.Sub {
		t.Errorf("as the one who stays: %+v, %v", r, err)
	}
}

// An identity that became known meanwhile, of a user who was then merged, is the other one's and nobody else's.
func TestSignInAsWithAnIdentityOfAMergedUser(t *testing.T) {
	l, jane, in := askAll(t)
	joe := create(t, l.fixture, l.p, "joe", nil)
	own := in
	own.Alone = true
	other, err := l.SignIn(t.Context(), l.p, own)
	if err != nil || !other.Created {
		t.Fatalf("%+v, %v", other, err)
	}
	l.merge(t, "jane", other.User.Username)
	for _, sub := range []string{other.User.Sub, joe.Sub} {
		if r, err := l.SignInAs(t.Context(), l.p, in, sub); fault.CodeOf(err) != fault.Denied {
			t.Errorf("as %s: %+v, %v", sub, r, err)
		}
	}
	r, err := l.SignInAs(t.Context(), l.p, in, jane.Sub)
	if err != nil || r.User.Sub != jane.Sub || r.Created {
		t.Errorf("as the one who has it: %+v, %v", r, err)
	}
	u, err := l.UserByIdentity(t.Context(), l.p.ID, "Corp", "A1")
	if err != nil || u.Sub != jane.Sub || len(u.Identities) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}
