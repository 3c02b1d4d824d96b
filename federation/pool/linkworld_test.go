package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// world is one pool while a program runs.
type world struct {
	d         *pool.Directory
	p         pool.Pool
	providers map[string]pool.IdentityProvider
	subs      map[string]string // of the users that were there before, by whose they are
	led       func(identity, sub string)
	parted    func(identity, sub string)
}

// step is something that somebody does, and returns what they are told.
type step struct {
	name    string
	do      func(w *world) string
	unlinks bool
	then    []step // by the same
}

func outcome(err error, ok string) string {
	if err == nil {
		return ok
	}
	return fault.CodeOf(err).String()
}

// comesIn is a sign-in of a person with one of their values.
func comesIn(provider, person string, n int) step {
	return step{name: fmt.Sprintf("%s signs in at %s with value %d", person, provider, n), do: func(w *world) string {
		v := valueOf(person, n)
		said := attrs{"email": v + "@example.com", "email_verified": "true", "custom:employee": v}
		r, err := w.d.SignIn(context.Background(), w.p, pool.SignIn{Provider: w.providers[provider], Issuer: "i", Subject: person, Attributes: said, Exact: said})
		if err == nil {
			w.led(person+" at "+provider, r.User.Sub)
		}
		switch {
		case err == nil && r.Created:
			return "created"
		case err == nil && r.Linked.Kind != "":
			return "linked"
		}
		return outcome(err, "in")
	}}
}

// change is what an administrator, or the person, does to a user who was there before.
func change(what, whose string, do func(w *world, sub string) error) step {
	return step{name: what + " the user of " + whose, do: func(w *world) string {
		if w.subs[whose] == "" {
			return "nobody"
		}
		return outcome(do(w, w.subs[whose]), "done")
	}}
}

func draw[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var linkers = []string{"HR", "Badge", "Corp"}

// randomStep draws what somebody does. calm leaves only sign-ins of those whom policies link.
func randomStep(r *rand.Rand, calm bool) step {
	ctx := context.Background()
	who, n := draw(r, "ann", "ann", "bob"), draw(r, 0, 0, 0, 1)
	if calm {
		return comesIn(draw(r, "HR", "Badge"), draw(r, "ann", "ann", "bob"), 0)
	}
	switch r.IntN(12) {
	case 0:
		return change("delete", who, func(w *world, sub string) error { return w.d.DeleteUser(ctx, w.p.ID, sub) })
	case 1:
		return change("disable", who, func(w *world, sub string) error {
			_, err := w.d.EnableUser(ctx, w.p.ID, sub, false)
			return err
		})
	case 2:
		return change("give another value to", who, func(w *world, sub string) error {
			v := valueOf(who, n)
			_, err := w.d.UpdateAttributes(ctx, w.p.ID, sub, attrs{"custom:employee": v, "email": v + "@example.com", "email_verified": "true"})
			return err
		})
	case 3:
		return change("as a person, write ann's value into", "mallory", func(w *world, sub string) error {
			_, err := w.d.UpdateOwnAttributes(ctx, pool.Client{PoolID: w.p.ID}, sub, attrs{"custom:employee": valueOf("ann", n)})
			return err
		})
	case 4:
		at := draw(r, linkers...)
		return step{unlinks: true, then: []step{comesIn(at, who, 0)}, name: fmt.Sprintf("unlink %s at %s", who, at), do: func(w *world) string {
			done, err := w.d.UnlinkProvider(ctx, w.p.ID, pool.Source{Provider: at, Attribute: pool.SubjectAttribute, Value: who})
			if err == nil && !done.Own {
				w.parted(who+" at "+at, done.User.Sub)
			}
			return outcome(err, fmt.Sprint("unlinked ", done.Own))
		}}
	case 5:
		at := draw(r, linkers...)
		return change("link "+who+" at "+at+" to", who, func(w *world, sub string) error {
			w.parted(who+" at "+at, "") // the administrator has thought better of it
			_, _, err := w.d.LinkProvider(ctx, w.p.ID, sub, pool.Source{Provider: at, Attribute: pool.SubjectAttribute, Value: who})
			return err
		})
	case 6:
		at, policy := draw(r, "HR", "Badge"), draw(r, "none", "attribute:custom:employee")
		return step{name: fmt.Sprintf("set %s to %s", at, policy), do: func(w *world) string {
			for {
				_, err := w.d.ChangeProvider(ctx, w.p.ID, at, pool.ProviderChange{Details: details(attrs{"link_users": policy})})
				if !errors.Is(err, pool.ErrConcurrent) { // then the administrator tries again
					return outcome(err, "set")
				}
			}
		}}
	case 7:
		return comesIn("Weak", "mallory", n)
	}
	return comesIn(draw(r, linkers...), who, n)
}

// program is what was there before, and what several do at the same time, each one step after the other.
type program struct {
	before  []step
	threads [][]step
	calm    bool
}

func randomProgram(seed uint64) program {
	r := rand.New(rand.NewPCG(seed, 1))
	pr := program{calm: seed%4 == 0}
	for _, who := range []string{"ann", "bob"} {
		switch k := r.IntN(4); {
		case k == 0 && !pr.calm:
			pr.before = append(pr.before, local(who))
		case k == 2 && !pr.calm:
			pr.before = append(pr.before, local(who), comesIn(draw(r, linkers...), who, 0))
		case k == 1:
			pr.before = append(pr.before, comesIn(draw(r, "HR", "Badge"), who, 0))
		}
	}
	if r.IntN(2) == 0 && !pr.calm {
		pr.before = append(pr.before, comesIn("Weak", "mallory", 0))
	}
	for range 3 {
		var thread []step
		for range 1 + r.IntN(2) {
			st := randomStep(r, pr.calm)
			thread = append(append(thread, st), st.then...)
		}
		pr.threads = append(pr.threads, thread)
	}
	return pr
}

// local makes a user of the pool's own, whose values an administrator vouches for.
func local(who string) step {
	return step{name: "create " + who, do: func(w *world) string {
		v := valueOf(who, 0)
		_, err := w.d.CreateUser(context.Background(), w.p.ID, pool.NewUser{Username: who, Attributes: attrs{"custom:employee": v, "email": v + "@example.com", "email_verified": "true"}})
		return outcome(err, "created")
	}}
}
