package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// documents are all users' documents as they are stored.
func (f *fixture) documents(t *testing.T) map[string]pool.User {
	t.Helper()
	docs, err := f.engine.Engine.List(t.Context(), "user", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]pool.User{}
	for _, d := range docs {
		var body struct {
			D pool.User `json:"d"`
		}
		if err := json.Unmarshal(d.Body, &body); err != nil {
			t.Fatal(err)
		}
		out[body.D.Sub] = body.D
	}
	return out
}

// callTurns is an engine on which one caller at a time makes one call; whose turn it is, the seed says. So an order of all calls that was wrong can be had again.
type callTurns struct {
	store.Engine
	order *rand.Rand
}

// mergeOrders is how many orders of each meeting are tried.
const mergeOrders = 24

type turnKey struct{}

// caller is one of those who take turns.
type caller struct{ ask, go_ chan struct{} }

func (e *callTurns) wait(ctx context.Context) {
	if c, ok := ctx.Value(turnKey{}).(*caller); ok {
		c.ask <- struct{}{}
		<-c.go_
	}
}

func (e *callTurns) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	e.wait(ctx)
	return e.Engine.Get(ctx, kind, key)
}

func (e *callTurns) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	e.wait(ctx)
	return e.Engine.GetBy(ctx, kind, unique)
}

func (e *callTurns) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	e.wait(ctx)
	return e.Engine.Put(ctx, kind, d)
}

func (e *callTurns) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	e.wait(ctx)
	return e.Engine.Take(ctx, kind, key)
}

func (e *callTurns) Delete(ctx context.Context, kind, key string) error {
	e.wait(ctx)
	return e.Engine.Delete(ctx, kind, key)
}

func (e *callTurns) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	e.wait(ctx)
	return e.Engine.List(ctx, kind, index, after, limit)
}

// run lets all do what they do, call by call, in the order that the seed gives, and returns what each returned.
func (e *callTurns) run(ctx context.Context, all ...func(context.Context) error) []error {
	callers := make([]*caller, len(all))
	done := make([]chan struct{}, len(all))
	errs := make([]error, len(all))
	for i, do := range all {
		callers[i], done[i] = &caller{make(chan struct{}), make(chan struct{})}, make(chan struct{})
		go func() {
			defer close(done[i])
			errs[i] = do(context.WithValue(ctx, turnKey{}, callers[i]))
		}()
	}
	var waiting, running []int
	for i := range all {
		running = append(running, i)
	}
	for {
		for _, i := range running { // until each of them wants to call, or has ended
			select {
			case <-callers[i].ask:
				waiting = append(waiting, i)
			case <-done[i]:
			}
		}
		if len(waiting) == 0 {
			return errs
		}
		slices.Sort(waiting)
		n := e.order.IntN(len(waiting))
		next := waiting[n]
		waiting = slices.Delete(waiting, n, n+1)
		callers[next].go_ <- struct{}{}
		running = []int{next}
	}
}

// sound checks what holds after whatever was done in whatever order: everybody who signs in is one user, whom every look-up agrees about and lists have once, and a merge
// is there whole or not at all.
func (m *merging) sound(t *testing.T, name string) {
	t.Helper()
	ctx := t.Context()
	docs := m.documents(t)
	holds := func(u pool.User) bool {
		in := u.MergedInto
		return in != nil && slices.ContainsFunc(docs[in.Sub].Merged, func(o pool.MergedUser) bool { return o.ID == in.ID && o.Sub == u.Sub })
	}
	for _, u := range docs {
		if holds(u) && len(u.Merged) > 0 || holds(u) && holds(docs[u.MergedInto.Sub]) {
			t.Errorf("%s: a chain: %+v", name, u)
		}
		for _, o := range u.Merged {
			if !holds(docs[o.Sub]) {
				t.Errorf("%s: %s lists %s, who is a user of their own", name, u.Username, o.Username)
			}
		}
		if u.MergedInto != nil && !holds(u) {
			t.Errorf("%s: %s points to %s, which does not list it", name, u.Username, u.MergedInto.Sub)
		}
		if got, err := m.FindUser(ctx, m.p.ID, u.Username); err != nil || !holds(u) && got.Sub != u.Sub || holds(u) && got.Sub != u.MergedInto.Sub {
			t.Errorf("%s: %s leads to %s, %v", name, u.Username, got.Sub, err)
		}
	}
	m.signsIn(t, name)
}

// signsIn has everybody sign in, twice: each is one user, who is in every list.
func (m *merging) signsIn(t *testing.T, name string) {
	t.Helper()
	ctx := t.Context()
	for _, who := range []struct {
		ip      pool.IdentityProvider
		subject string
	}{{m.corp, "ada"}, {m.other, "ada-2"}, {m.other, "linked"}, {m.other, "third"}} {
		var first pool.SignInResult
		for i := range 2 {
			r, err := m.SignIn(ctx, m.p, m.signIn(who.ip, who.subject, nil))
			if fault.CodeOf(err) == fault.Denied {
				continue // disabled, by one of them
			}
			if err != nil || i > 0 && (r.Created || r.User.Sub != first.User.Sub) {
				t.Errorf("%s: %s signs in as %+v, %v; before as %s", name, who.subject, r, err, first.User.Sub)
				continue
			}
			first = r
			u, err := m.UserByIdentity(ctx, m.p.ID, who.ip.Name, who.subject)
			if err != nil || u.Sub != r.User.Sub || !u.HasIdentity(who.ip.Name, who.subject) {
				t.Errorf("%s: the identity %s is that of %s, %v; signed in as %s", name, who.subject, u.Sub, err, r.User.Sub)
			}
			listed, _, err := m.SearchUsers(ctx, m.p.ID, pool.Filter{Name: "sub", Value: r.User.Sub, Exact: true}, "", 10)
			if err != nil || len(listed) != 1 {
				t.Errorf("%s: %s signs in as %s, of whom the list has %d, %v", name, who.subject, r.User.Sub, len(listed), err)
			}
		}
	}
}

// TestMergesInEveryOrder lets merges meet whatever else can be done, call by call, in orders that seeds give.
func TestMergesInEveryOrder(t *testing.T) {
	type do = func(ctx context.Context, d *pool.Directory, m *merging) error
	merge := func(into, other string) do {
		return func(ctx context.Context, d *pool.Directory, m *merging) error {
			return second(d.MergeUsers(ctx, m.p.ID, into, other, operator, false))
		}
	}
	undo := func(other string) do {
		return func(ctx context.Context, d *pool.Directory, m *merging) error {
			return second(d.UnmergeUser(ctx, m.p.ID, other, false))
		}
	}
	deletes := func(name string) do {
		return func(ctx context.Context, d *pool.Directory, m *merging) error {
			u, err := d.FindUser(ctx, m.p.ID, name)
			if err != nil {
				return err
			}
			if u, err = d.EnableUser(ctx, m.p.ID, u.Sub, false); err != nil { // as Broker.DeleteUser does
				return err
			}
			return d.DeleteUser(ctx, m.p.ID, u.Sub)
		}
	}
	arrives := func(provider, subject string, attributes attrs) do {
		return func(ctx context.Context, d *pool.Directory, m *merging) error {
			ip := m.corp
			if provider == "Other" {
				ip = m.other
			}
			return second(d.SignIn(ctx, m.p, m.signIn(ip, subject, attributes)))
		}
	}
	unlinks := func(subject string) do {
		return func(ctx context.Context, d *pool.Directory, m *merging) error {
			out, err := d.UnlinkProvider(ctx, m.p.ID, pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: subject})
			if err == nil && out.Merged != "" { // as Broker.UnlinkProvider does
				return second(d.UnmergeUser(ctx, m.p.ID, out.Merged, false))
			}
			return err
		}
	}
	const a, b, c = "Corp_ada", "Other_ada-2", "Other_third"
	disable := func(ctx context.Context, d *pool.Directory, m *merging) error {
		return second(d.EnableUser(ctx, m.p.ID, m.b.Sub, false))
	}
	edit := func(ctx context.Context, d *pool.Directory, m *merging) error {
		return second(d.UpdateAttributes(ctx, m.p.ID, m.b.Sub, attrs{"nickname": "A"}))
	}
	for name, all := range map[string][]do{
		"a sign-in that changes nothing":         {merge(a, b), arrives("Other", "ada-2", nil), arrives("Corp", "ada", nil)},
		"a sign-in that changes":                 {merge(a, b), arrives("Other", "ada-2", attrs{"email": "new@other.example"}), arrives("Corp", "ada", attrs{"name": "A."})},
		"a first sign-in of a linked identity":   {merge(a, b), arrives("Other", "linked", attrs{"email": "new@other.example"})},
		"an unlinking":                           {merge(a, b), unlinks("linked"), arrives("Other", "linked", nil)},
		"an unlinking of its first identity":     {merge(a, b), unlinks("ada-2"), arrives("Other", "ada-2", nil)},
		"the same":                               {merge(a, b), merge(a, b), merge(a, b)},
		"the other way round":                    {merge(a, b), merge(b, a)},
		"a circle":                               {merge(a, b), merge(b, c), merge(c, a)},
		"a second one":                           {merge(a, b), merge(a, c)},
		"into somebody else":                     {merge(a, b), merge(c, b)},
		"an undoing":                             {merge(a, b), undo(b), arrives("Other", "ada-2", attrs{"email": "new@other.example"})},
		"an undoing and again":                   {merge(a, b), undo(b), merge(a, b)},
		"an undoing and another":                 {merge(a, b), undo(b), merge(c, b)},
		"two undoings":                           {merge(a, b), undo(b), undo(b)},
		"the destination's deletion":             {merge(a, b), deletes(a), arrives("Other", "ada-2", nil)},
		"the other one's deletion":               {merge(a, b), deletes(b), arrives("Other", "ada-2", nil)},
		"an undoing and a deletion":              {merge(a, b), undo(b), deletes(a)},
		"a disabling":                            {merge(a, b), disable},
		"an edit":                                {merge(a, b), edit, arrives("Other", "ada-2", attrs{"email": "new@other.example"})},
		"everything":                             {merge(a, b), merge(b, c), undo(b), deletes(c), arrives("Other", "ada-2", nil), edit},
		"an undoing, a sign-in and an unlinking": {merge(a, b), undo(b), arrives("Other", "linked", nil), unlinks("linked")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			met := 0
			for seed := range uint64(mergeOrders) {
				m := newMerging(t)
				m.arrive(t, m.other, "third", nil)
				if _, _, err := m.LinkProvider(t.Context(), m.p.ID, b, pool.Source{Provider: "Other", Attribute: pool.SubjectAttribute, Value: "linked"}); err != nil {
					t.Fatal(err)
				}
				if seed%2 == 1 { // everything again, on what is merged already
					m.merge(t, a, b)
				}
				e := &callTurns{Engine: m.engine.Engine, order: rand.New(rand.NewPCG(seed, 1))}
				var steps []func(context.Context) error
				for _, step := range all {
					d := m.node()
					d.Engine = e
					steps = append(steps, func(ctx context.Context) error { return step(ctx, d, m) })
				}
				for i, err := range e.run(t.Context(), steps...) {
					switch fault.CodeOf(err) {
					case fault.NotFound, fault.Invalid, fault.Conflict, fault.Denied:
						met++
					default:
						if err != nil {
							t.Errorf("seed %d, step %d: %v", seed, i, err)
						}
					}
				}
				m.sound(t, fmt.Sprint("seed ", seed))
				if t.Failed() {
					return
				}
			}
			t.Logf("%d of %d steps were refused", met, mergeOrders*len(all))
		})
	}
}

// TestAMergeThatIsCutShort lets the process die before each of its writes: people are who they were, or one, and calling again, or undoing, ends it.
func TestAMergeThatIsCutShort(t *testing.T) {
	for name, tt := range map[string]struct{ start, again func(m *merging) error }{
		"a merge, and again": {func(m *merging) error {
			return second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false))
		},
			func(m *merging) error {
				return second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false))
			}},
		"a merge, and undone": {func(m *merging) error {
			return second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false))
		},
			func(m *merging) error { return second(m.UnmergeUser(t.Context(), m.p.ID, "Other_ada-2", false)) }},
		"a merge, and into somebody else": {func(m *merging) error {
			return second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false))
		},
			func(m *merging) error {
				_ = second(m.UnmergeUser(t.Context(), m.p.ID, "Other_ada-2", false)) // refused where nothing was begun
				return second(m.MergeUsers(t.Context(), m.p.ID, "Other_third", "Other_ada-2", operator, false))
			}},
		"an undoing, and again": {func(m *merging) error {
			if err := second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false)); err != nil {
				return err
			}
			return second(m.UnmergeUser(t.Context(), m.p.ID, "Other_ada-2", false))
		}, func(m *merging) error { return second(m.UnmergeUser(t.Context(), m.p.ID, "Other_ada-2", false)) }},
		"a deletion, and again": {func(m *merging) error {
			if err := second(m.MergeUsers(t.Context(), m.p.ID, "Corp_ada", "Other_ada-2", operator, false)); err != nil {
				return err
			}
			return m.DeleteUser(t.Context(), m.p.ID, m.a.Sub)
		}, func(m *merging) error { return m.DeleteUser(t.Context(), m.p.ID, m.a.Sub) }},
	} {
		t.Run(name, func(t *testing.T) {
			for n := int64(0); ; n++ {
				m := newMerging(t)
				m.arrive(t, m.other, "third", nil)
				m.engine.failAfter.Store(n)
				err := tt.start(m)
				m.engine.failAfter.Store(-1)
				if err == nil {
					if n < 2 {
						t.Errorf("%d writes", n)
					}
					break
				}
				if !errors.Is(err, errPulled) {
					t.Fatalf("%d writes: %v", n, err)
				}
				m.signsIn(t, fmt.Sprintf("cut short after %d writes", n))
				if err := tt.again(m); err != nil && !errors.Is(err, pool.ErrNotMerged) && fault.CodeOf(err) != fault.NotFound {
					t.Errorf("%d writes, and then: %v", n, err)
				}
				m.sound(t, fmt.Sprintf("after %d writes, and again", n))
			}
		})
	}
}

// A pointer that an undoing left behind does not make a merge hold that was only begun after it: each has its own id.
func TestAPointerOfAMergeThatWasUndone(t *testing.T) {
	m := newMerging(t)
	m.merge(t, m.a.Sub, m.b.Sub)
	m.engine.failAfter.Store(1)
	if _, err := m.UnmergeUser(t.Context(), m.p.ID, m.b.Sub, false); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	m.engine.failAfter.Store(1)
	if _, err := m.MergeUsers(t.Context(), m.p.ID, m.a.Sub, m.b.Sub, operator, false); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	m.engine.failAfter.Store(-1)
	docs := m.documents(t)
	if docs[m.b.Sub].MergedInto == nil || len(docs[m.a.Sub].Merged) != 1 {
		t.Fatalf("not what the test is about: %+v", docs)
	}
	if r := m.arrive(t, m.other, "ada-2", nil); r.User.Sub != m.b.Sub {
		t.Errorf("signs in as %+v", r.User)
	}
	if m.merge(t, m.a.Sub, m.b.Sub).Already {
		t.Error("taken for merged")
	}
	m.sound(t, "merged at last")
	m.isMergedStill(t)
}
