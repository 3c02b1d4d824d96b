package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/faulty"
)

// What linking has to do under every order of what people and administrators do at the same time:
//
//   - It has to be explained by some order in which they had done it one after the other: the same users with the same identities, and the same
//     answers to everybody. So there are neither two users where one after the other there would be one, nor none, and no sub changes.
//   - Whatever the order, no identity has two users, and nobody is let in as somebody else: see world.crossed.
//
// Who is who is known beforehand. ann and bob have two values each, which no provider with a policy says of anybody else; mallory has none of her
// own and says at Weak, which links nobody and verifies nothing, that hers is ann's, or writes it herself.
var people = []string{"ann", "bob", "mallory"}

// values of a person: the first is the usual one. Each is an address in example.com and an employee's number.
func valueOf(person string, n int) string {
	if person == "mallory" {
		person = "ann"
	}
	return fmt.Sprint(person, n)
}

// orders returns every order in which the threads' steps can be done one after the other.
func (pr program) orders() [][][2]int {
	var out [][][2]int
	at := make([]int, len(pr.threads))
	var walk func(done [][2]int)
	walk = func(done [][2]int) {
		last := true
		for i, thread := range pr.threads {
			if at[i] == len(thread) {
				continue
			}
			last = false
			at[i]++
			walk(append(slices.Clone(done), [2]int{i, at[i] - 1}))
			at[i]--
		}
		if last {
			out = append(out, done)
		}
	}
	walk(nil)
	return out
}

// base is a store with the pool and its providers, from which every run starts.
type base struct {
	engine *loose
	ring   *secret.Ring
	w      world
}

func newBase(t *testing.T) base {
	t.Helper()
	ring, err := secret.ParseRing(strings.NewReader(secret.GenerateKey()))
	if err != nil {
		t.Fatal(err)
	}
	b := base{engine: newLoose(), ring: ring}
	l := policies{fixture: &fixture{Directory: b.node(b.engine)}}
	l.p, _ = l.withPool(t, pool.SchemaSpec{Name: "employee"})
	if err := l.DeleteProvider(t.Context(), l.p.ID, "Corp"); err != nil {
		t.Fatal(err)
	}
	b.w = world{p: l.p, providers: map[string]pool.IdentityProvider{
		"Corp": l.provider(t, "Corp", attrs{"link_users": "email", "trusted_domains": "example.com", "link_sources": "HR Badge"}),
		"HR":   l.provider(t, "HR", attrs{"link_users": "attribute:custom:employee"}), "Badge": l.provider(t, "Badge", attrs{"link_users": "attribute:custom:employee"}),
		"Weak": l.provider(t, "Weak", nil),
	}}
	return b
}

// node is a process without a cache, so that what one does is seen by the next.
func (b base) node(e store.Engine) *pool.Directory {
	return &pool.Directory{Engine: e, Ring: b.ring, Now: func() time.Time { return created }, CacheAge: -1}
}

// start is a world in which the program's first part has happened.
func (b base) start(t *testing.T, pr program, e store.Engine) *world {
	t.Helper()
	w := b.w
	w.d, w.subs = b.node(e), map[string]string{}
	w.led, w.parted = func(string, string) {}, func(string, string) {}
	for _, s := range pr.before {
		if got := s.do(&w); got != "created" && got != "linked" {
			t.Fatalf("%s: %s", s.name, got)
		}
	}
	for _, u := range w.users(t) {
		for _, who := range people {
			if u.Username == who || strings.HasSuffix(u.Username, "_"+who) {
				w.subs[who] = u.Sub
			}
		}
	}
	return &w
}

func (w *world) users(t *testing.T) []pool.User {
	t.Helper()
	users, next, err := w.d.Users(context.Background(), w.p.ID, "", "", 1000)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	return users
}

// state is who is there with which identities, and that those who were there before are still who they were. Subs are drawn anew in each run.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var out []string
	for _, u := range w.users(t) {
		var ids []string
		for _, id := range u.Identities {
			ids = append(ids, id.Provider+":"+id.Subject)
		}
		slices.Sort(ids)
		was := ""
		for who, sub := range w.subs {
			if sub == u.Sub {
				was = who
			}
		}
		out = append(out, fmt.Sprintf("%s was=%s enabled=%v value=%s %v", u.Username, was, u.Enabled, u.Attributes["custom:employee"], ids))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// crossed returns what must never be: an identity of two users, or two people with one user.
func (w *world) crossed(t *testing.T) string {
	t.Helper()
	has := map[string]string{}
	for _, u := range w.users(t) {
		for _, id := range u.Identities {
			if at := id.Provider + ":" + id.Subject; has[at] != "" {
				return at + " has two users"
			} else {
				has[at] = u.Sub
			}
			if id.Subject != u.Identities[0].Subject || w.subs[id.Subject] != u.Sub && slices.Contains([]string{w.subs["ann"], w.subs["bob"], w.subs["mallory"]}, u.Sub) {
				return fmt.Sprintf("%s:%s came to the user %s with %v", id.Provider, id.Subject, u.Username, u.Identities)
			}
		}
	}
	return ""
}

// watch sees to it that nobody who does one thing after the other finds an identity with the user again from whom they took it, unless an
// administrator links it anew, which relinked knows of all.
func (w *world) watch(t *testing.T, relinked *sync.Map) {
	parted := map[string]string{}
	w.parted = func(identity, sub string) {
		if parted[identity] = sub; sub == "" {
			relinked.Store(identity, true)
		}
	}
	w.led = func(identity, sub string) {
		if _, anew := relinked.Load(identity); parted[identity] == sub && !anew {
			t.Errorf("%s came to the user again from whom an administrator took it", identity)
		}
	}
}

// alone does the steps one after the other.
func (b base) alone(t *testing.T, pr program, order [][2]int) string {
	t.Helper()
	w := b.start(t, pr, b.engine.clone(func() {}))
	answers := make([][]string, len(pr.threads))
	w.watch(t, &sync.Map{})
	for _, at := range order {
		answers[at[0]] = append(answers[at[0]], pr.threads[at[0]][at[1]].do(w))
	}
	if bad := w.crossed(t); bad != "" {
		t.Fatalf("one after the other: %s\n%s", bad, pr.tell(answers))
	}
	return fmt.Sprint(answers) + "\n" + w.state(t)
}

// effective is the program without the unlinkings that found nobody. A first sign-in that has looked at the policy and at whom it leads to, and
// has not yet written, may be overtaken by one of these, whatever was done before it: it did nothing, and so can have come earlier.
func (pr program) effective(answers [][]string) (program, [][]string) {
	out := program{before: pr.before}
	kept := make([][]string, len(pr.threads))
	for i, thread := range pr.threads {
		out.threads = append(out.threads, nil)
		for j, s := range thread {
			if !s.unlinks || answers[i][j] != "not_found" {
				out.threads[i], kept[i] = append(out.threads[i], s), append(kept[i], answers[i][j])
			}
		}
	}
	return out, kept
}

// explained are the ends of the orders of a program's steps, of which as many are tried as are needed.
type explained struct {
	program
	left [][][2]int
	ends map[string]bool
}

// has reports whether some order ends like that.
func (x *explained) has(t *testing.T, b base, end string) bool {
	t.Helper()
	for !x.ends[end] && len(x.left) > 0 {
		x.ends[b.alone(t, x.program, x.left[0])] = true
		x.left = x.left[1:]
	}
	return x.ends[end]
}

// atOnce does them at the same time, in the order that the seed says, and returns that order, and what of the program had an effect.
func (b base) atOnce(t *testing.T, pr program, seed uint64) (end, order string, did program) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &turns{rand: rand.New(rand.NewPCG(seed, 2))}
		e := b.engine.clone(func() {})
		w := b.start(t, pr, e)
		e.turn = s.wait
		answers := make([][]string, len(pr.threads))
		var work []func()
		relinked := &sync.Map{}
		for i, thread := range pr.threads {
			own := *w
			own.watch(t, relinked)
			work = append(work, func() {
				for _, st := range thread {
					answers[i] = append(answers[i], st.do(&own))
				}
			})
		}
		s.run(work...)
		e.turn = func() {}
		if bad := w.crossed(t); bad != "" {
			t.Fatalf("seed %d: %s\n%s", seed, bad, pr.tell(answers))
		}
		did, answers = pr.effective(answers)
		end, order = fmt.Sprint(answers)+"\n"+w.state(t), s.taken.String()
	})
	return end, order, did
}

func (pr program) tell(answers [][]string) string {
	var b strings.Builder
	for _, s := range pr.before {
		fmt.Fprintf(&b, "before: %s\n", s.name)
	}
	for i, thread := range pr.threads {
		for j, s := range thread {
			got := ""
			if i < len(answers) && j < len(answers[i]) {
				got = answers[i][j]
			}
			fmt.Fprintf(&b, "%d: %s: %s\n", i, s.name, got)
		}
	}
	return b.String()
}

func TestEveryOrderOfSignInsLinksAndUnlinksIsThatOfOneAfterTheOther(t *testing.T) {
	b := newBase(t)
	const programs, seeds = 45, 52
	distinct := map[string]bool{}
	for n := range uint64(programs) {
		pr := randomProgram(n)
		possible := map[string]*explained{}
		for seed := range uint64(seeds) {
			end, order, did := b.atOnce(t, pr, seed)
			distinct[fmt.Sprint(n, " ", order)] = true
			key := did.tell(nil)
			if possible[key] == nil {
				possible[key] = &explained{program: did, left: did.orders(), ends: map[string]bool{}}
			}
			if !possible[key].has(t, b, end) {
				t.Fatalf("program %d, seed %d ends as no order does in which one waits for the other:\n%s\n%s", n, seed, pr.tell(nil), end)
			}
		}
	}
	t.Logf("%d programs, %d distinct orders at the same time", programs, len(distinct))
	if len(distinct) < 2000 {
		t.Errorf("%d distinct orders only", len(distinct))
	}
}

// Whatever call of the store fails, is lost or happens twice, and whenever the process dies: afterwards everybody can sign in, as one user.
func TestAFirstSignInThatIsCutShortLeavesOneUser(t *testing.T) {
	b := newBase(t)
	steps := []step{comesIn("HR", "ann", 0), comesIn("Badge", "ann", 0), comesIn("Corp", "ann", 0), comesIn("Badge", "bob", 0), comesIn("HR", "bob", 0)}
	dies := func(n int, _ faulty.Fault) func(faulty.Call) faulty.Fault {
		return func(c faulty.Call) faulty.Fault {
			if c.Number >= n {
				return faulty.Refuse
			}
			return faulty.None
		}
	}
	for _, how := range []struct {
		name   string
		fault  faulty.Fault
		choose func(int, faulty.Fault) func(faulty.Call) faulty.Fault
	}{{"refuse", faulty.Refuse, faulty.Nth}, {"lose", faulty.Lose, faulty.Nth}, {"repeat", faulty.Repeat, faulty.Nth}, {"die", faulty.Refuse, dies}} {
		for n := 1; ; n++ {
			db := b.engine.clone(func() {})
			e := &faulty.Engine{Engine: db, Choose: how.choose(n, how.fault)}
			w := b.start(t, program{}, db)
			w.d = b.node(e)
			for _, s := range steps {
				s.do(w)
			}
			w.d = b.node(db)
			for _, s := range steps {
				if got := s.do(w); !slices.Contains([]string{"in", "created", "linked"}, got) {
					t.Fatalf("%s call %d: afterwards %s: %s", how.name, n, s.name, got)
				}
			}
			if users, bad := w.users(t), w.crossed(t); len(users) != 2 || bad != "" {
				t.Fatalf("%s call %d: %d users, %s\n%s", how.name, n, len(users), bad, w.state(t))
			}
			if e.Calls() < n {
				if n < 30 {
					t.Errorf("%s: %d calls only", how.name, n)
				}
				break
			}
		}
	}
}
