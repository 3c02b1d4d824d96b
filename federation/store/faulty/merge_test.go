package faulty_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/faulty"
)

// TestMergesKeepTheirPromisesWhateverFails lets each call of merging two users, undoing that, merging again and deleting fail in each way. At every point both
// identities are users who are there, two or one; and doing it again does it.
func TestMergesKeepTheirPromisesWhateverFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(*testing.T) store.Engine
		step int
	}{
		{"bolt", newBolt, 1},
		{"MongoDB", newMongo, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
			if err != nil {
				t.Fatal(err)
			}
			db := tt.open(t)
			for _, f := range []faulty.Fault{faulty.Refuse, faulty.Lose, faulty.Repeat} {
				for n := 1; ; n += tt.step {
					m := &mergeDay{day: newDay(t, db, ring, fmt.Sprintf("%s call %d", f, n))}
					a, b := m.arrive(t, "ada"), m.arrive(t, "ada-2")
					e := &faulty.Engine{Engine: db, Choose: faulty.Nth(n, f)}
					calls := newNode(e, ring)
					id := m.pool.ID
					m.now(t, "before", a, b, false)
					m.try(t, a, b, true, func(ctx context.Context, n node) error {
						_, err := n.MergeUsers(ctx, id, a.Sub, b.Sub, "test", false)
						return err
					}, calls)
					m.try(t, a, b, false, func(ctx context.Context, n node) error {
						_, err := n.UnmergeUser(ctx, id, b.Sub, false)
						return err
					}, calls)
					m.try(t, a, b, true, func(ctx context.Context, n node) error {
						_, err := n.MergeUsers(ctx, id, a.Sub, b.Sub, "test", false)
						return err
					}, calls)
					m.deleted(t, a, b, calls)
					if e.Calls() < n {
						break
					}
				}
			}
		})
	}
}

type mergeDay struct{ *day }

func (m *mergeDay) arrive(t *testing.T, subject string) pool.User {
	t.Helper()
	in := m.signIn(subject + "@example.com")
	in.Subject = subject
	r, err := m.honest.SignIn(t.Context(), m.pool, in)
	if err != nil {
		t.Fatalf("%s: %s signs in: %v", m.name, subject, err)
	}
	return r.User
}

// try does something with calls that fail. What it says it did, it did; otherwise nobody is lost, and once more, with calls that do not fail, does it.
func (m *mergeDay) try(t *testing.T, a, b pool.User, one bool, do func(context.Context, node) error, calls node) {
	t.Helper()
	if err := do(t.Context(), calls); err != nil {
		if got := m.arrive(t, "ada"); got.Sub != a.Sub {
			t.Errorf("%s: halfway, the destination signs in as %s", m.name, got.Sub)
		}
		if got := m.arrive(t, "ada-2"); got.Sub != a.Sub && got.Sub != b.Sub {
			t.Errorf("%s: halfway, the other one signs in as %s", m.name, got.Sub)
		}
		if err := do(t.Context(), m.honest); err != nil && fault.CodeOf(err) != fault.Invalid { // nothing left to undo
			t.Errorf("%s: again: %v", m.name, err)
		}
	}
	m.now(t, "afterwards", a, b, one)
}

// now checks who signs in as whom, and who is listed.
func (m *mergeDay) now(t *testing.T, when string, a, b pool.User, one bool) {
	t.Helper()
	want, listed := b.Sub, 2
	if one {
		want, listed = a.Sub, 1
	}
	for subject, sub := range map[string]string{"ada": a.Sub, "ada-2": want} {
		if got := m.arrive(t, subject); got.Sub != sub {
			t.Errorf("%s: %s, %s signs in as %s, want %s", m.name, when, subject, got.Sub, sub)
		}
	}
	if n := len(m.users(t)); n != listed {
		t.Errorf("%s: %s, %d users are listed", m.name, when, n)
	}
}

func (m *mergeDay) deleted(t *testing.T, a, b pool.User, calls node) {
	t.Helper()
	if err := calls.DeleteUser(t.Context(), m.pool.ID, a.Sub); err != nil {
		if err := m.honest.DeleteUser(t.Context(), m.pool.ID, a.Sub); err != nil && fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s: delete again: %v", m.name, err)
		}
	}
	for _, sub := range []string{a.Sub, b.Sub} {
		if _, err := m.honest.User(t.Context(), m.pool.ID, sub); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s: %s is still there: %v", m.name, sub, err)
		}
	}
}
