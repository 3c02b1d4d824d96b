package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

type attrs = map[string]string

func TestParallelFirstSignInsOfOnePersonMakeOneUser(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	const people = 50
	start := make(chan struct{})
	results := make([]pool.SignInResult, people)
	errs := make([]error, people)
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			<-start
			results[i], errs[i] = f.SignIn(t.Context(), p, pool.SignIn{
				Provider: ip, Issuer: "https://idp.example.com", Subject: "A/b:c", Attributes: attrs{"email": "Jane@example.com"},
			})
		})
	}
	close(start)
	wg.Wait()

	created := 0
	for i := range people {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if results[i].Created {
			created++
		}
		if results[i].User.Sub != results[0].User.Sub {
			t.Error("two users for one person")
		}
	}
	if created != 1 {
		t.Errorf("%d calls say that they created the user", created)
	}
	all, _, err := f.Users(t.Context(), p.ID, "", "", 100)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d users in the pool, error %v", len(all), err)
	}
	u := all[0]
	if u.Username != "Corp_A/b:c" || u.Status != pool.StatusExternalProvider || !u.Enabled || len(u.Sub) != 36 {
		t.Errorf("user %+v", u)
	}
	if l := u.Identities[0]; len(u.Identities) != 1 || l.Subject != "A/b:c" || l.Provider != "Corp" || l.ProviderType != "OIDC" ||
		l.Issuer != "https://idp.example.com" || !l.Primary || !l.Created.Equal(f.clock.Now()) {
		t.Errorf("identities %+v", u.Identities)
	}
}

// signIn signs subject 1 in and fails the test on an error.
func signIn(t *testing.T, f *fixture, p pool.Pool, ip pool.IdentityProvider, a attrs, remove ...string) pool.SignInResult {
	t.Helper()
	r, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "1", Attributes: a, Clear: remove})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReturningUserCostsOneReadAndAtMostOneWrite(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	a := attrs{"email": "jane@example.com", "email_verified": "true", "name": "Jane"}
	if n := f.writes(func() { signIn(t, f, p, ip, a) }); n != 1 {
		t.Errorf("first sign-in: %d writes", n)
	}
	reads := f.engine.reads.Load()
	if n := f.writes(func() { signIn(t, f, p, ip, a) }); n != 0 {
		t.Errorf("unchanged: %d writes", n)
	}
	if n := f.engine.reads.Load() - reads; n != 1 {
		t.Errorf("unchanged: %d reads", n)
	}
	a["name"], a["family_name"] = "Jane D.", "Doe"
	if n := f.writes(func() {
		if r := signIn(t, f, p, ip, a); strings.Join(r.Changed, " ") != "family_name name" || r.Created {
			t.Errorf("changed %v, created %v", r.Changed, r.Created)
		}
	}); n != 1 {
		t.Errorf("two changes: %d writes", n)
	}
}

func TestMappedAttributesOverTwoSignIns(t *testing.T) {
	for name, c := range map[string]struct {
		first, then attrs
		remove      []string
		want        attrs
		changed     string
	}{
		"an absent claim keeps its value": {
			attrs{"name": "Jane", "nickname": "J"}, attrs{"name": "Jane"}, nil, attrs{"name": "Jane", "nickname": "J"}, "",
		},
		"an empty value counts as absent": {
			attrs{"name": "Jane"}, attrs{"name": ""}, nil, attrs{"name": "Jane"}, "",
		},
		"what is cleared goes": {
			attrs{"name": "Jane", "nickname": "J"}, attrs{"name": "Jane"}, []string{"nickname", "locale"}, attrs{"name": "Jane"}, "nickname",
		},
		"a value wins over clearing": {
			attrs{"name": "Jane"}, attrs{"name": "Joan"}, []string{"name"}, attrs{"name": "Joan"}, "name",
		},
		"an e-mail is not verified unless said": {
			attrs{"email": "a@x.example"}, nil, nil, attrs{"email": "a@x.example", "email_verified": "false"}, "",
		},
		"verified is only true": {
			attrs{"email": "a@x.example", "email_verified": "True"}, nil, nil, attrs{"email": "a@x.example", "email_verified": "false"}, "",
		},
		"a new e-mail is not verified": {
			attrs{"email": "a@x.example", "email_verified": "true"}, attrs{"email": "b@x.example"}, nil,
			attrs{"email": "b@x.example", "email_verified": "false"}, "email email_verified",
		},
		"a new e-mail with its proof is verified": {
			attrs{"email": "a@x.example", "email_verified": "true"}, attrs{"email": "b@x.example", "email_verified": "true"}, nil,
			attrs{"email": "b@x.example", "email_verified": "true"}, "email",
		},
		"another case is the same mailbox": {
			attrs{"email": "a@x.example", "email_verified": "true"}, attrs{"email": "A@X.example"}, nil,
			attrs{"email": "A@X.example", "email_verified": "true"}, "email",
		},
		"the same e-mail keeps its proof": {
			attrs{"email": "a@x.example", "email_verified": "true"}, attrs{"email": "a@x.example"}, nil,
			attrs{"email": "a@x.example", "email_verified": "true"}, "",
		},
		"proof without an address proves nothing": {
			attrs{"email": "a@x.example"}, attrs{"email_verified": "true"}, nil, attrs{"email": "a@x.example", "email_verified": "false"}, "",
		},
		"proof without any address is dropped": {
			attrs{"email_verified": "true", "name": "Jane"}, nil, nil, attrs{"name": "Jane"}, "",
		},
		"proof withdrawn": {
			attrs{"email": "a@x.example", "email_verified": "true"}, attrs{"email": "a@x.example"}, []string{"email_verified"},
			attrs{"email": "a@x.example", "email_verified": "false"}, "email_verified",
		},
		"a cleared e-mail takes its proof along": {
			attrs{"email": "a@x.example", "email_verified": "true"}, nil, []string{"email"}, attrs{}, "email email_verified",
		},
		"a phone number in print form": {
			attrs{"phone_number": "+1 (425) 555-1212", "phone_number_verified": "true"}, attrs{"phone_number": "+1.425.555.1212", "phone_number_verified": "true"}, nil,
			attrs{"phone_number": "+14255551212", "phone_number_verified": "true"}, "",
		},
		"the user name cannot be mapped": {
			attrs{"username": "root", "name": "Jane"}, attrs{"username": "admin"}, nil, attrs{"name": "Jane"}, "",
		},
		"an immutable attribute may be set once": {
			attrs{"name": "Jane"}, attrs{"custom:fixed": "7"}, nil, attrs{"name": "Jane", "custom:fixed": "7"}, "custom:fixed",
		},
		"an equal immutable attribute is no change": {
			attrs{"custom:fixed": "7"}, attrs{"custom:fixed": "7"}, nil, attrs{"custom:fixed": "7"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p, ip := f.withPool(t, pool.SchemaSpec{Name: "fixed", Mutable: ptr(false)})
			signIn(t, f, p, ip, c.first)
			var r pool.SignInResult
			writes := f.writes(func() { r = signIn(t, f, p, ip, c.then, c.remove...) })
			if got := strings.Join(r.Changed, " "); got != c.changed {
				t.Errorf("changed %q, want %q", got, c.changed)
			}
			if (writes == 1) != (c.changed != "") {
				t.Errorf("%d writes", writes)
			}
			if n := f.writes(func() { signIn(t, f, p, ip, c.then, c.remove...) }); n != 0 {
				t.Errorf("the same sign-in again: %d writes", n)
			}
			stored, err := f.User(t.Context(), p.ID, r.User.Sub)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(stored.Attributes) != fmt.Sprint(c.want) || fmt.Sprint(r.User.Attributes) != fmt.Sprint(c.want) {
				t.Errorf("attributes %v, returned %v, want %v", stored.Attributes, r.User.Attributes, c.want)
			}
			if stored.Username != "Corp_1" {
				t.Errorf("user name %s", stored.Username)
			}
		})
	}
}

func TestSignInIsRefused(t *testing.T) {
	const taken = "Another user of the user pool has this user name already."
	for name, c := range map[string]struct {
		first  attrs // nil: no earlier sign-in
		in     pool.SignIn
		code   fault.Code
		public string
	}{
		"missing required attributes": {
			nil, pool.SignIn{Subject: "1"}, fault.Invalid, "Invalid user attributes: email. The attribute is required.",
		},
		"missing and invalid together": {
			nil, pool.SignIn{Subject: "1", Attributes: attrs{"birthdate": "soon", "name": "Jane"}}, fault.Invalid,
			"Invalid user attributes: birthdate. The value must have at least 10 characters. email. The attribute is required.",
		},
		"a required attribute cleared": {
			attrs{"email": "a@x.example"}, pool.SignIn{Subject: "1", Clear: []string{"email"}}, fault.Invalid,
			"Invalid user attributes: email. The attribute is required.",
		},
		"an immutable attribute changed": {
			attrs{"email": "a@x.example", "custom:fixed": "7"}, pool.SignIn{Subject: "1", Attributes: attrs{"custom:fixed": "8"}}, fault.Invalid,
			"user.custom:fixed: Attribute cannot be updated.",
		},
		"an immutable attribute cleared": {
			attrs{"email": "a@x.example", "custom:fixed": "7"}, pool.SignIn{Subject: "1", Clear: []string{"custom:fixed"}}, fault.Invalid,
			"user.custom:fixed: Attribute cannot be updated.",
		},
		"sub mapped": {
			nil, pool.SignIn{Subject: "1", Attributes: attrs{"email": "a@x.example", "sub": "me"}}, fault.Invalid,
			"Invalid user attributes: sub. The attribute is set by the user pool itself.",
		},
		"identities mapped": {
			nil, pool.SignIn{Subject: "1", Attributes: attrs{"email": "a@x.example", "identities": "[]"}}, fault.Invalid,
			"Invalid user attributes: identities. The attribute is set by the user pool itself.",
		},
		"attribute outside the schema": {
			nil, pool.SignIn{Subject: "1", Attributes: attrs{"email": "a@x.example", "custom:x": "y"}}, fault.Invalid,
			"Invalid user attributes: custom:x. The attribute is not in the schema of the user pool.",
		},
		"the same user name, another subject": {
			attrs{"email": "a@x.example"}, pool.SignIn{Subject: "ABC", Attributes: attrs{"email": "a@x.example"}}, fault.Conflict, taken,
		},
		"no subject": {nil, pool.SignIn{}, fault.Upstream, "The identity provider sent a user identifier that cannot be used."},
		"a subject with a NUL": {
			nil, pool.SignIn{Subject: "a\x00b"}, fault.Upstream, "The identity provider sent a user identifier that cannot be used.",
		},
		"a subject that is not UTF-8": {
			nil, pool.SignIn{Subject: "a\xff"}, fault.Upstream, "The identity provider sent a user identifier that cannot be used.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p, ip := f.withPool(t, pool.SchemaSpec{Name: "email", Required: true}, pool.SchemaSpec{Name: "fixed", Mutable: ptr(false)})
			c.in.Provider = ip
			if c.first != nil {
				first := c.in
				first.Subject, first.Attributes, first.Clear = strings.ToLower(c.in.Subject), c.first, nil
				if _, err := f.SignIn(t.Context(), p, first); err != nil {
					t.Fatal(err)
				}
			}
			writes := f.writes(func() {
				_, err := f.SignIn(t.Context(), p, c.in)
				wantCode(t, err, c.code)
				if got := fault.PublicOf(err); got != c.public {
					t.Errorf("public text %q, want %q", got, c.public)
				}
				if c.code == fault.Conflict && !strings.Contains(err.Error(), `user name "Corp_ABC" belongs to user`) {
					t.Errorf("cause %v", err)
				}
			})
			if writes != 0 {
				t.Errorf("%d writes", writes)
			}
		})
	}
}

func TestDisabledUserIsDenied(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	r := signIn(t, f, p, ip, attrs{"name": "Jane"})
	if _, err := f.UpdateUser(t.Context(), p.ID, r.User.Sub, func(u *pool.User) error {
		u.Enabled = false
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "1", Attributes: attrs{"name": "Joan"}})
	wantCode(t, err, fault.Denied)
}

func TestSubjectsThatAreNoUserNames(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	subjects := []string{"CN=Jane Doe,O=Corp", "CN=Jane  Doe,O=Corp", strings.Repeat("s", 2000), strings.Repeat("s", 2001), "Ünï/cöde"}
	for _, s := range subjects {
		r, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: s})
		if err != nil || !r.Created {
			t.Fatalf("subject of %d bytes: created %v, error %v", len(s), r.Created, err)
		}
		if !strings.HasPrefix(r.User.Username, "Corp_") || len(r.User.Username) > 128 || strings.Contains(r.User.Username, " ") {
			t.Errorf("user name %q", r.User.Username)
		}
		u, err := f.UserByIdentity(t.Context(), p.ID, "Corp", s)
		if err != nil || u.Sub != r.User.Sub {
			t.Errorf("by identity: %v, error %v", u.Sub, err)
		}
	}
}

func TestUsersAreNotLinkedByEmail(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	other, err := f.CreateProvider(t.Context(), pool.IdentityProvider{PoolID: p.ID, Name: "Other", Type: "OIDC"})
	if err != nil {
		t.Fatal(err)
	}
	a := attrs{"email": "jane@example.com", "email_verified": "true"}
	if one, two := signIn(t, f, p, ip, a), signIn(t, f, p, other, a); one.User.Sub == two.User.Sub {
		t.Error("the same user through two providers")
	}
}

func TestSignInThroughAnotherPoolsProviderIsRefused(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	ip.PoolID = "local_Other0001"
	_, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "1"})
	wantCode(t, err, fault.Internal)
}

// claiming is an engine that claims unique values before the document can be read, as the contract allows.
type claiming struct {
	store.Engine
	claims int // puts that fail with ErrTaken although nobody holds the value yet
}

func (c *claiming) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if kind == "user" && c.claims > 0 {
		c.claims--
		return 0, fmt.Errorf("claim: %w", store.ErrTaken)
	}
	return c.Engine.Put(ctx, kind, d)
}

func TestSignInOutlastsAClaimWithoutADocument(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	f.Engine = &claiming{Engine: f.engine, claims: 3}
	if r := signIn(t, f, p, ip, nil); !r.Created {
		t.Error("not created")
	}
	f.Engine = &claiming{Engine: f.engine, claims: 1000}
	_, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "2"})
	wantCode(t, err, fault.Conflict)
}

func TestStoreFailureDuringSignInIsNotAUser(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	f.engine.failAfter.Store(0)
	r, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: "1"})
	wantCode(t, err, fault.Internal)
	if !errors.Is(err, errPulled) || r.User.Sub != "" {
		t.Errorf("user %q, error %v", r.User.Sub, err)
	}
}
