package pool_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// awkward is a custom attribute whose name holds what filters and indexes are made of.
const awkward = `custom:a:b%="^c`

func searchSchema() []pool.SchemaSpec {
	return []pool.SchemaSpec{{Name: "dept"}, {Name: "dept^"}, {Name: `a:b%="^c`}, {Name: "level", DeveloperOnlyAttribute: true}}
}

func TestFilters(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t, searchSchema()...)
	for s, want := range map[string]pool.Filter{
		"":                               {},
		"  ":                             {},
		`email = "a@b.example"`:          {Name: "email", Value: "a@b.example", Exact: true},
		`email="a@b.example"`:            {Name: "email", Value: "a@b.example", Exact: true},
		` email ^=  "a" `:                {Name: "email", Value: "a"},
		`email^="a"`:                     {Name: "email", Value: "a"},
		`given_name ^= ""`:               {Name: "given_name"},
		`name = "a \"b\" \\c"`:           {Name: "name", Value: `a "b" \c`, Exact: true},
		`name = "= \" and \""`:           {Name: "name", Value: `= " and "`, Exact: true},
		`cognito:user_status = "x"`:      {Name: "cognito:user_status", Value: "x", Exact: true},
		`status = "Enabled"`:             {Name: "status", Value: "Enabled", Exact: true},
		`status="disabled"`:              {Name: "status", Value: "disabled", Exact: true},
		`status ^= "E"`:                  {Name: "status", Value: "E"},
		`custom:dept="x"`:                {Name: "custom:dept", Value: "x", Exact: true},
		`custom:dept ^="x"`:              {Name: "custom:dept", Value: "x"},
		`custom:dept^ = "x"`:             {Name: "custom:dept^", Value: "x", Exact: true},
		`custom:dept^ ^= "x"`:            {Name: "custom:dept^", Value: "x"},
		`dev:custom:level = "9"`:         {Name: "dev:custom:level", Value: "9", Exact: true},
		awkward + `="x"`:                 {Name: awkward, Value: "x", Exact: true},
		"name = \"Zo\u00eb \u4e2d\"":     {Name: "name", Value: "Zo\u00eb \u4e2d", Exact: true},
		`preferred_username ^= "a"`:      {Name: "preferred_username", Value: "a"},
		"phone_number\t^=\n\"+49\"":      {Name: "phone_number", Value: "+49"},
		`sub = "9e2b"`:                   {Name: "sub", Value: "9e2b", Exact: true},
		`username = "` + long(240) + `"`: {Name: "username", Value: long(240), Exact: true},
	} {
		if got, err := p.ParseFilter(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for s, part := range map[string]string{
		`email`:                              "form",
		`email "a"`:                          "form",
		`email = a`:                          "form",
		`email = "a`:                         "form",
		`email = a"`:                         "form",
		`email = "a"b"`:                      "form",
		`email = "a" and name = "b"`:         "form",
		`email == "a"`:                       "form",
		`email ^ = "a"`:                      "form",
		`email = "a\"`:                       "form",
		`email = "a\n"`:                      "form",
		`= "a"`:                              "attribute",
		`"a"`:                                "attribute",
		`emai = "secret"`:                    "attribute",
		`custom:none = "secret"`:             "attribute",
		`address = "secret"`:                 "attribute",
		`identities = "secret"`:              "attribute",
		`EMAIL = "secret"`:                   "attribute",
		`status = "secret"`:                  "Enabled or Disabled",
		"email = \"a\x00\"":                  "form",
		"email = \"\xff\"":                   "form",
		`email = "secret` + long(250) + `"`:  "256",
		`group-x = "secret"`:                 "attribute",
		`user_status = "secret"`:             "attribute",
		`custom%3Adept = "secret"`:           "attribute",
		`email = "secret" ; email = "other"`: "form",
	} {
		_, err := p.ParseFilter(s)
		wantCode(t, err, fault.Invalid)
		if got := fault.PublicOf(err); !strings.Contains(got, part) || strings.Contains(got, "secret") {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func FuzzParseFilter(f *testing.F) {
	p := pool.Pool{Schema: append(pool.StandardSchema(), pool.SchemaAttribute{Name: "custom:dept", DataType: "String"}, pool.SchemaAttribute{Name: awkward, DataType: "String"})}
	for _, s := range []string{"", `email = "a"`, `name^="\"\\"`, awkward + `="x"`, `status = "Enabled"`, `custom:dept^="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := p.ParseFilter(s)
		if err != nil || got.Name == "" {
			return
		}
		op := " ^= "
		if got.Exact {
			op = " = "
		}
		written := got.Name + op + `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(got.Value) + `"`
		if len(written) > 256 {
			return
		}
		if again, err := p.ParseFilter(written); err != nil || again != got {
			t.Fatalf("%q was read as %+v, and that as %+v, %v", s, got, again, err)
		}
	})
}

// found pages through a filter with the given limit.
func found(t *testing.T, f *fixture, p pool.Pool, filter string, limit int) string {
	t.Helper()
	parsed, err := p.ParseFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for after := ""; ; {
		page, next, err := f.SearchUsers(t.Context(), p.ID, parsed, after, limit)
		if err != nil || len(page) > limit {
			t.Fatalf("%d users, %v", len(page), err)
		}
		for _, u := range page {
			out = append(out, strings.TrimPrefix(u.Username, "Corp_"))
		}
		if after = next; next == "" {
			slices.Sort(out)
			return strings.Join(out, " ")
		}
	}
}

func TestSearch(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t, searchSchema()...)
	person := func(subject string, a attrs) pool.User {
		t.Helper()
		r, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: subject, Attributes: a})
		if err != nil {
			t.Fatal(err)
		}
		return r.User
	}
	a := person("a", attrs{"email": "Jane@Example.com", "name": "Jane", "custom:dept": "Sales", awkward: "One", "dev:custom:level": "7"})
	person("b", attrs{"email": "jane@example.com.au", "name": "jane doe", "custom:dept": "Sales East", "custom:dept^": "x"})
	person("c", attrs{"email": "joe@example.com", "name": "JANE", "custom:dept": "sales", awkward: "one and two"})
	person("d", attrs{"name": "x" + long(400) + "1"})
	person("e", attrs{"name": "x" + long(400) + "2"})
	person("f", attrs{"name": "x" + long(400)})
	if _, err := f.EnableUser(t.Context(), p.ID, a.Sub, false); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		``:                              "a b c d e f",
		`email = "JANE@example.COM"`:    "a",
		`email ^= "JANE@example.COM"`:   "a b",
		`name = "jane"`:                 "a c",
		`name ^= "jane"`:                "a b c",
		`custom:dept = "SALES"`:         "a c",
		`custom:dept ^= "SALES"`:        "a b c",
		`custom:dept^ = "X"`:            "b",
		`dev:custom:level = "7"`:        "a",
		`dev:custom:level = "8"`:        "",
		awkward + ` = "ONE"`:            "a",
		awkward + ` ^= "ONE"`:           "a c",
		`sub = "` + a.Sub + `"`:         "a",
		`username = "corp_A"`:           "a",
		`username = "corp_"`:            "",
		`username ^= "corp_"`:           "a b c d e f",
		`status = "Enabled"`:            "b c d e f",
		`status = "disabled"`:           "a",
		`cognito:user_status ^= "EXT"`:  "a b c d e f",
		`phone_number ^= ""`:            "",
		`name ^= "x` + long(230) + `"`:  "d e f",
		`given_name = "x"`:              "",
		`cognito:user_status = "Other"`: "",
	} {
		for _, limit := range []int{1, 2, 60} {
			if got := found(t, f, p, filter, limit); got != want {
				t.Errorf("%s by %d: %s, want %s", filter, limit, got, want)
			}
		}
	}
	// Values that are cut in the index to the same beginning are told apart all the same.
	for value, want := range map[string]string{"1": "d", "2": "e", "": "f", "3": ""} {
		var got []string
		for after := ""; ; {
			page, next, err := f.SearchUsers(t.Context(), p.ID, pool.Filter{Name: "name", Value: "X" + long(400) + value, Exact: true}, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page {
				got = append(got, strings.TrimPrefix(u.Username, "Corp_"))
			}
			if after = next; next == "" {
				break
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", value, got, want)
		}
	}
}

// An exact search reads one page, however many values go on from there.
func TestAnExactSearchDoesNotWalkOverLongerValues(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	for i := range 50 {
		in := pool.SignIn{Provider: ip, Subject: fmt.Sprint(i), Attributes: attrs{"name": fmt.Sprintf("jane %d", i)}}
		if i%10 == 0 {
			in.Attributes["name"] = "jane"
		}
		if _, err := f.SignIn(t.Context(), p, in); err != nil {
			t.Fatal(err)
		}
	}
	var n, reads int
	for after := ""; ; {
		before := f.engine.reads.Load()
		page, next, err := f.SearchUsers(t.Context(), p.ID, pool.Filter{Name: "name", Value: "Jane", Exact: true}, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		n, reads = n+len(page), reads+int(f.engine.reads.Load()-before)
		if after = next; next == "" {
			break
		}
	}
	if n != 5 || reads > 2 {
		t.Errorf("%d users in %d reads", n, reads)
	}
}

func TestCursorsOfSearches(t *testing.T) {
	f := newFixture(t)
	a, b := twoPools(t, f, 4)
	filter := pool.Filter{Name: "email", Value: "person"}
	_, cursor, err := f.SearchUsers(t.Context(), a.ID, filter, "", 2)
	if err != nil || cursor == "" {
		t.Fatalf("%q, %v", cursor, err)
	}
	for name, try := range map[string]struct {
		pool   string
		filter pool.Filter
		cursor string
	}{
		"another pool":       {b.ID, filter, cursor},
		"another value":      {a.ID, pool.Filter{Name: "email", Value: "persons"}, cursor},
		"another comparison": {a.ID, pool.Filter{Name: "email", Value: "person", Exact: true}, cursor},
		"another name":       {a.ID, pool.Filter{Name: "name", Value: "person"}, cursor},
		"everybody":          {a.ID, pool.Filter{}, cursor},
		"damaged":            {a.ID, filter, cursor[:len(cursor)-2] + "AA"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := f.SearchUsers(t.Context(), try.pool, try.filter, try.cursor, 2)
			wantCode(t, err, fault.Invalid)
		})
	}
	_, _, err = f.SearchUsers(t.Context(), a.ID, pool.Filter{Name: "address", Value: "x"}, "", 2)
	wantCode(t, err, fault.Invalid)
	_, _, err = f.SearchUsers(t.Context(), "local_Nowhere", filter, "", 2)
	wantCode(t, err, fault.NotFound)
}

// Who was there from the start, and stays, comes once, whoever else comes and goes meanwhile.
func TestPagesAreStable(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	add := func(i int, kind string) error {
		_, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: fmt.Sprintf("%s%04d", kind, i),
			Attributes: attrs{"email": fmt.Sprintf("p%04d@example.com", i*7919%1000), "name": []string{"Jane", "Jane Doe"}[i%2]}})
		return err
	}
	const there = 300
	for i := range there {
		if err := add(i, "old"); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 150 {
				err := add(i, fmt.Sprintf("new%d-", w))
				if err == nil && i%3 == 0 {
					var u pool.User
					if u, err = f.UserByUsername(t.Context(), p.ID, fmt.Sprintf("Corp_new%d-%04d", w, i)); err == nil {
						err = f.DeleteUser(t.Context(), p.ID, u.Sub)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for filter, want := range map[pool.Filter]int{
		{}:                              there,
		{Name: "email", Value: "p"}:     there,
		{Name: "sub"}:                   there,
		{Name: "name", Value: "jane"}:   there,
		{Name: "username", Value: "co"}: there,
		{Name: "name", Value: "JANE", Exact: true}:       there / 2,
		{Name: "status", Value: "Enabled", Exact: true}:  there,
		{Name: "cognito:user_status", Value: "external"}: there,
	} {
		wg.Go(func() { pagesOnce(t, f, p.ID, filter, want) })
	}
	wg.Wait()
}

// pagesOnce pages through a filter and looks for everybody whose name says that they were there from the start.
func pagesOnce(t *testing.T, f *fixture, poolID string, filter pool.Filter, want int) {
	seen := map[string]int{}
	for after := ""; ; {
		page, next, err := f.SearchUsers(t.Context(), poolID, filter, after, 7)
		if err != nil {
			t.Error(err)
			return
		}
		for _, u := range page {
			seen[u.Username]++
		}
		if after = next; next == "" {
			break
		}
	}
	old := 0
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%+v: %s came %d times", filter, name, n)
		}
		if strings.HasPrefix(name, "Corp_old") {
			old++
		}
	}
	if old != want {
		t.Errorf("%+v: %d of %d who were there", filter, old, want)
	}
}

func TestEstimate(t *testing.T) {
	f := newFixture(t)
	p, ip := f.withPool(t)
	estimate := func() int {
		t.Helper()
		n, err := f.EstimateUsers(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := 0
	grow := func(to int) {
		t.Helper()
		var wg sync.WaitGroup
		for ; n < to; n++ {
			subject := fmt.Sprint(n)
			wg.Go(func() {
				if _, err := f.SignIn(t.Context(), p, pool.SignIn{Provider: ip, Subject: subject}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if got := estimate(); got != 0 {
		t.Errorf("%d users in an empty pool", got)
	}
	grow(399)
	if got := estimate(); got != 399 {
		t.Errorf("%d, want 399 exactly", got)
	}
	for _, to := range []int{1000, 5000} {
		grow(to)
		// Six standard errors: once in 500 million runs.
		if got := estimate(); math.Abs(float64(got-to)) > 0.3*float64(to) {
			t.Errorf("%d, want about %d", got, to)
		}
	}
	_, err := f.EstimateUsers(t.Context(), "local_Nowhere")
	wantCode(t, err, fault.NotFound)
}
