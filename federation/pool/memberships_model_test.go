package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

// tape is an engine in memory that lets parallel callers go on one call at a time, in an order that a test draws. Callers are told apart by their
// context; those without a number are not held.
type tape struct {
	mu      sync.Mutex
	docs    map[string]store.Doc // by kind and key
	waiting chan turn
}

type turn struct {
	caller int
	done   bool
	goOn   chan struct{}
}

type callerKey struct{}

func (e *tape) hold(ctx context.Context) func() {
	if n, ok := ctx.Value(callerKey{}).(int); ok {
		t := turn{caller: n, goOn: make(chan struct{})}
		e.waiting <- t
		<-t.goOn
	}
	e.mu.Lock()
	return e.mu.Unlock
}

func (e *tape) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	defer e.hold(ctx)()
	d, ok := e.docs[kind+"\x00"+key]
	if !ok {
		return d, store.ErrNotFound
	}
	return d, nil
}

func (e *tape) holder(kind, unique string) (store.Doc, bool) {
	for at, d := range e.docs {
		if strings.HasPrefix(at, kind+"\x00") && slices.Contains(d.Unique, unique) {
			return d, true
		}
	}
	return store.Doc{}, false
}

func (e *tape) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	defer e.hold(ctx)()
	d, ok := e.holder(kind, unique)
	if !ok {
		return d, store.ErrNotFound
	}
	return d, nil
}

func (e *tape) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	defer e.hold(ctx)()
	at := kind + "\x00" + d.Key
	if e.docs[at].Version != d.Version {
		return 0, store.ErrConflict
	}
	for _, u := range d.Unique {
		if other, taken := e.holder(kind, u); taken && other.Key != d.Key {
			return 0, store.ErrTaken
		}
	}
	d.Version++
	e.docs[at] = d
	return d.Version, nil
}

func (e *tape) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	defer e.hold(ctx)()
	d, ok := e.docs[kind+"\x00"+key]
	delete(e.docs, kind+"\x00"+key)
	if !ok {
		return d, store.ErrNotFound
	}
	return d, nil
}

func (e *tape) Delete(ctx context.Context, kind, key string) error {
	defer e.hold(ctx)()
	delete(e.docs, kind+"\x00"+key)
	return nil
}

// List gives everything on one page.
func (e *tape) List(ctx context.Context, kind, index, after string, _ int) ([]store.Doc, error) {
	defer e.hold(ctx)()
	var out []store.Doc
	for at, d := range e.docs {
		if after == "" && strings.HasPrefix(at, kind+"\x00") && (index == "" || slices.ContainsFunc(d.Index, func(i string) bool { return strings.HasPrefix(i, index) })) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b store.Doc) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (*tape) Sweep(context.Context, time.Time) (int, error) { return 0, nil }

func (*tape) Close() error { return nil }

// play runs callers in parallel, each call of the store in an order that random draws.
func (e *tape) play(ctx context.Context, random *rand.Rand, callers []func(context.Context)) {
	e.waiting = make(chan turn)
	for n, run := range callers {
		go func() {
			run(context.WithValue(ctx, callerKey{}, n))
			e.waiting <- turn{caller: n, done: true}
		}()
	}
	var held []turn
	for live := len(callers); live > 0; {
		for len(held) < live {
			if t := <-e.waiting; t.done {
				live--
			} else {
				held = append(held, t)
			}
		}
		if live > 0 {
			slices.SortFunc(held, func(a, b turn) int { return a.caller - b.caller })
			i := random.IntN(len(held))
			close(held[i].goOn)
			held = slices.Delete(held, i, i+1)
		}
	}
}

// memberModel is what the page says of memberships, for one user, two providers and some groups.
type memberModel struct {
	group    map[string]int // the generation of each; 0: it is not there
	provider map[string]int
	linked   map[string]bool
	admin    map[string]bool            // group and generation
	given    map[string]map[string]bool // by provider and its generation
	next     int
}

func (m *memberModel) clone() *memberModel {
	c := &memberModel{group: map[string]int{}, provider: map[string]int{}, linked: map[string]bool{}, admin: map[string]bool{}, given: map[string]map[string]bool{}, next: m.next}
	for k, v := range m.group {
		c.group[k] = v
	}
	for k, v := range m.provider {
		c.provider[k] = v
	}
	for k, v := range m.linked {
		c.linked[k] = v
	}
	for k, v := range m.admin {
		c.admin[k] = v
	}
	for k, v := range m.given {
		c.given[k] = v // replaced and never changed
	}
	return c
}

func (m *memberModel) id(group string) string { return fmt.Sprint(group, " ", m.group[group]) }

func (m *memberModel) giver(provider string) string {
	return fmt.Sprint(provider, " ", m.provider[provider])
}

// groups are those that the user is in.
func (m *memberModel) groups() []string {
	var out []string
	for g, generation := range m.group {
		in := m.admin[m.id(g)]
		for p, there := range m.provider {
			in = in || there > 0 && m.linked[p] && m.given[m.giver(p)][m.id(g)]
		}
		if generation > 0 && in {
			out = append(out, g)
		}
	}
	slices.Sort(out)
	return out
}

// memberOp is one thing that happens to memberships: to the model, and to the directory.
type memberOp struct {
	name  string
	model func(*memberModel)
	run   func(context.Context, *pool.Directory) error
}

// memberRig is a user with an identity at two providers.
type memberRig struct {
	engine *tape
	clock  *clock
	nodes  []*pool.Directory
	p      pool.Pool
	sub    string
	ips    map[string]pool.IdentityProvider
}

var memberGroups = []string{"a", "b", "c"}

func newMemberRig(t *testing.T, ring *secret.Ring) (*memberRig, *memberModel) {
	t.Helper()
	r := &memberRig{engine: &tape{docs: map[string]store.Doc{}}, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, ips: map[string]pool.IdentityProvider{}}
	for range 2 {
		r.nodes = append(r.nodes, &pool.Directory{Engine: r.engine, Ring: ring, Now: r.clock.Now})
	}
	ctx, d := t.Context(), r.nodes[0]
	var err error
	if r.p, err = d.CreatePool(ctx, pool.Pool{ID: "local_Members01", Name: "members"}); err != nil {
		t.Fatal(err)
	}
	m := &memberModel{group: map[string]int{}, provider: map[string]int{}, linked: map[string]bool{}, admin: map[string]bool{}, given: map[string]map[string]bool{}, next: 1}
	for _, name := range []string{"Corp", "Uni"} {
		if r.ips[name], err = d.CreateProvider(ctx, pool.IdentityProvider{PoolID: r.p.ID, Name: name, Type: "OIDC"}); err != nil {
			t.Fatal(err)
		}
		m.provider[name], m.linked[name] = 1, true
	}
	for _, g := range memberGroups {
		if _, err := d.CreateGroup(ctx, pool.Group{PoolID: r.p.ID, Name: g}); err != nil {
			t.Fatal(err)
		}
		m.group[g] = 1
	}
	in, err := d.SignIn(ctx, r.p, pool.SignIn{Provider: r.ips["Corp"], Issuer: "x", Subject: "1"})
	if err != nil {
		t.Fatal(err)
	}
	r.sub = in.User.Sub
	if _, _, err := d.LinkProvider(ctx, r.p.ID, in.User.Username, pool.Source{Provider: "Uni", Attribute: pool.SubjectAttribute, Value: "1"}); err != nil {
		t.Fatal(err)
	}
	return r, m
}

// signIn signs in through a provider whose claims give groups.
func (r *memberRig) signIn(provider string, groups []string) memberOp {
	ip := r.ips[provider]
	result := &mapping.GroupResult{}
	for _, g := range groups {
		result.Given = append(result.Given, mapping.GroupGiven{Group: g, Line: 1, Rule: "$0 <- value", Value: g})
	}
	return memberOp{fmt.Sprintf("%s gives %v", provider, groups), func(m *memberModel) {
		if !m.linked[provider] {
			return
		}
		given := map[string]bool{}
		for _, g := range groups {
			given[m.id(g)] = m.group[g] > 0
		}
		m.given[m.giver(provider)] = given
	}, func(ctx context.Context, d *pool.Directory) error {
		_, err := d.SignIn(ctx, r.p, pool.SignIn{Provider: ip, Issuer: "x", Subject: "1", Groups: result})
		return err
	}}
}

// draw draws what happens next; alone: nothing happens at the same time.
func (r *memberRig) draw(random *rand.Rand, alone bool) memberOp {
	g := memberGroups[random.IntN(len(memberGroups))]
	provider := []string{"Corp", "Uni"}[random.IntN(2)]
	var some []string
	for _, name := range append(memberGroups, "none") {
		if random.IntN(2) == 0 {
			some = append(some, name)
		}
	}
	n := 10
	if alone {
		n = 14
	}
	switch random.IntN(n) {
	default:
		return r.signIn(provider, some)
	case 4, 5:
		return memberOp{"add to " + g, func(m *memberModel) {
			if m.group[g] > 0 {
				m.admin[m.id(g)] = true
			}
		}, func(ctx context.Context, d *pool.Directory) error { return d.AddToGroup(ctx, r.p.ID, r.sub, g) }}
	case 6, 7:
		return memberOp{"remove from " + g, func(m *memberModel) {
			delete(m.admin, m.id(g))
			for p, given := range m.given {
				left := map[string]bool{}
				for id, in := range given {
					left[id] = in && id != m.id(g)
				}
				m.given[p] = left
			}
		}, func(ctx context.Context, d *pool.Directory) error { return d.RemoveFromGroup(ctx, r.p.ID, r.sub, g) }}
	case 8:
		return memberOp{"delete " + g, func(m *memberModel) { m.group[g] = 0 },
			func(ctx context.Context, d *pool.Directory) error { return d.DeleteGroup(ctx, r.p.ID, g) }}
	case 9:
		return memberOp{"make " + g, func(m *memberModel) {
			if m.group[g] == 0 {
				m.next++
				m.group[g] = m.next
			}
		}, func(ctx context.Context, d *pool.Directory) error {
			_, err := d.CreateGroup(ctx, pool.Group{PoolID: r.p.ID, Name: g})
			return err
		}}
	case 10:
		return memberOp{"unlink", func(m *memberModel) { m.linked["Uni"] = false; delete(m.given, m.giver("Uni")) }, func(ctx context.Context, d *pool.Directory) error {
			_, err := d.UnlinkProvider(ctx, r.p.ID, pool.Source{Provider: "Uni", Attribute: pool.SubjectAttribute, Value: "1"})
			return err
		}}
	case 11, 12, 13:
		return memberOp{"make Uni again", func(m *memberModel) { m.next++; m.provider["Uni"] = m.next }, func(ctx context.Context, d *pool.Directory) error {
			r.clock.Add(time.Minute)
			if err := d.DeleteProvider(ctx, r.p.ID, "Uni"); err != nil {
				return err
			}
			var err error
			r.ips["Uni"], err = d.CreateProvider(ctx, pool.IdentityProvider{PoolID: r.p.ID, Name: "Uni", Type: "OIDC"})
			return err
		}}
	}
}

// groups are those that tokens would have, seen by a node whose memory is fresh; and those in whose lists the user is.
func (r *memberRig) groups(t *testing.T, ring *secret.Ring) (in, listed []string) {
	t.Helper()
	d := &pool.Directory{Engine: r.engine, Ring: ring, Now: r.clock.Now}
	u, err := d.User(t.Context(), r.p.ID, r.sub)
	if err != nil {
		t.Fatal(err)
	}
	of, err := d.GroupsOf(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range of {
		in = append(in, g.Name)
		users, _, err := d.UsersInGroup(t.Context(), r.p.ID, g.Name, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(users, func(u pool.User) bool { return u.Sub == r.sub }) {
			listed = append(listed, g.Name)
		}
	}
	slices.Sort(in)
	slices.Sort(listed)
	return in, listed
}

// Memberships after any sequence of sign-ins, of what administrators do, and of groups and providers that go and come are what the model says.
func TestMembershipsFollowTheModel(t *testing.T) {
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	members := 0
	for range 100 {
		r, m := newMemberRig(t, ring)
		var story []string
		for range 25 {
			op := r.draw(random, true)
			story = append(story, op.name)
			if op.name == "unlink" && !m.linked["Uni"] || strings.HasPrefix(op.name, "Uni") && !m.linked["Uni"] {
				continue
			}
			_ = op.run(t.Context(), r.nodes[0]) // a group that is not there is an error, and so it should be
			op.model(m)
			in, listed := r.groups(t, ring)
			if members += len(in); !slices.Equal(in, m.groups()) || !slices.Equal(listed, in) {
				t.Fatalf("in %v, listed in %v, want %v after\n%s", in, listed, m.groups(), strings.Join(story, "\n"))
			}
		}
	}
	if members < 700 {
		t.Errorf("only %d memberships were seen", members)
	}
}

// Of things that happen at the same time, in whatever order their reads and writes meet, the outcome is that of one after another.
func TestMembershipsUnderInterleavings(t *testing.T) {
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	parallel := 0
	for range 1_500 {
		r, m := newMemberRig(t, ring)
		var story []string
		for range random.IntN(3) {
			op := r.draw(random, false)
			story = append(story, op.name)
			_ = op.run(t.Context(), r.nodes[0])
			op.model(m)
		}
		r.nodes[1] = &pool.Directory{Engine: r.engine, Ring: ring, Now: r.clock.Now}
		ops := []memberOp{r.draw(random, false), r.draw(random, false), r.draw(random, false)}
		callers := make([]func(context.Context), len(ops))
		story = append(story, "at the same time:")
		for i, op := range ops {
			story = append(story, op.name)
			callers[i] = func(ctx context.Context) { _ = op.run(ctx, r.nodes[i%2]) }
		}
		r.engine.play(t.Context(), random, callers)
		in, listed := r.groups(t, ring)
		possible := map[string]bool{}
		for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			c := m.clone()
			for _, i := range order {
				ops[i].model(c)
			}
			possible[fmt.Sprint(c.groups())] = true
		}
		if !possible[fmt.Sprint(in)] || !slices.Equal(listed, in) {
			t.Fatalf("in %v, listed in %v, possible %v after\n%s", in, listed, possible, strings.Join(story, "\n"))
		}
		if len(possible) > 1 {
			parallel++
		}
	}
	if parallel < 250 {
		t.Errorf("the order mattered %d times only", parallel)
	}
}
