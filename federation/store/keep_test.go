package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// raw is how a newer release sees a kind: with all its members, whatever they are.
func raw(e store.Engine, name string, r *secret.Ring) *store.Kind[map[string]any] {
	return &store.Kind[map[string]any]{Engine: e, Name: name, Ring: r, KeysOf: func(m *map[string]any) store.Keys {
		return store.Keys{Key: (*m)["id"].(string)}
	}}
}

// strange makes members of a newer release: names and values of all kinds, which no member of person or credential is called.
func strange(r *rand.Rand) map[string]any {
	text := func() string {
		alphabet := []rune("abcXYZ0_-. {}[],:\"\\\n\u00e4\u4e16\U0001f511\u2028<&>")
		out := make([]rune, r.IntN(8))
		for i := range out {
			out[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(out)
	}
	var value func(depth int) any
	value = func(depth int) any {
		switch n := r.IntN(8); {
		case n == 0:
			return nil
		case n == 1:
			return r.IntN(2) == 0
		case n == 2:
			return float64(r.IntN(1e6)) / 8
		case n == 3 && depth < 3:
			return []any{value(depth + 1), value(depth + 1)}
		case n == 4 && depth < 3:
			return map[string]any{text(): value(depth + 1), "id": "not the document's"}
		}
		return text()
	}
	out := map[string]any{}
	for range r.IntN(6) {
		out["later "+text()] = value(0)
	}
	return out
}

// Whatever members a newer release writes, they survive every change of the older one, and what the older one changes is as it says.
func TestWhatAnOlderReleaseDoesNotKnowSurvivesIt(t *testing.T) {
	e := engine(t)
	ring := newRing(t, secret.GenerateKey())
	plain, sealed := people(e), credentials(e, ring)
	rawPlain, rawSealed := raw(e, "person", nil), raw(e, "credential", ring)
	rawPlain.Upgrades = personUpgrades
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		id := fmt.Sprintf("p%d", n)
		want := strange(r)
		wantPerson, wantCredential := maps.Clone(want), maps.Clone(want)
		maps.Copy(wantPerson, map[string]any{"id": id, "names": []any{"Ann"}, "level": float64(1), "mail": id + "@example.com"})
		maps.Copy(wantCredential, map[string]any{"id": id, "secret": "old"})
		put(t, rawPlain, wantPerson)
		put(t, rawSealed, wantCredential)
		for round := range 3 {
			_, err := plain.Update(t.Context(), id, func(p *person) error { p.Level, p.Mail = round, ""; return nil })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sealed.Update(t.Context(), id, func(c *credential) error { c.Secret = secret.New(fmt.Sprint(round)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		wantPerson["level"], wantCredential["secret"] = float64(2), "2"
		delete(wantPerson, "mail") // what the older release knows and took away does not come back
		same(t, rawPlain, id, wantPerson)
		same(t, rawSealed, id, wantCredential)
	}
}

func put(t *testing.T, k *store.Kind[map[string]any], v map[string]any) {
	t.Helper()
	if _, err := k.Put(t.Context(), &v, 0); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, k *store.Kind[map[string]any], id string, want map[string]any) {
	t.Helper()
	got, err := k.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(got.Value)
	b, errB := json.Marshal(want)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Fatalf("%s %s: %s, want %s", k.Name, id, a, b)
	}
}

// The bytes that are written are in a golden file: what stands in the store may not depend on luck.
func TestBytesThatAreKept(t *testing.T) {
	e := engine(t)
	in, err := os.ReadFile("testdata/person-later.json")
	if err != nil {
		t.Fatal(err)
	}
	putBody(t, e, "person", "ann", in)
	if _, err := people(e).Update(t.Context(), "ann", func(p *person) error { p.Level++; return nil }); err != nil {
		t.Fatal(err)
	}
	got := append(body(t, e, "person", "ann"), '\n')
	const golden = "testdata/person-later-changed.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("written\n%swant\n%s%v", got, want, err)
	}
}

type inner struct {
	Deep  int `json:"deep,omitempty"`
	Plain int `json:",omitempty"`
}

type outer struct {
	inner
	*Other

	Name   string         `json:"name,omitempty"`
	Hidden string         `json:"-"`
	Tagged inner          `json:"tagged,omitzero"`
	Bag    map[string]int `json:"bag,omitempty"`
}

// Other is embedded by pointer.
type Other struct {
	Far int `json:"far,omitempty"`
}

func TestWhichMembersAreKept(t *testing.T) {
	for name, c := range map[string]struct{ old, fresh, want string }{
		"none":                          {`{"name":"a"}`, `{"name":"b"}`, `{"name":"b"}`},
		"one":                           {`{"name":"a","x":1}`, `{"name":"b"}`, `{"name":"b","x":1}`},
		"in their order":                {`{"y":2,"name":"a","x":1}`, `{"name":"b"}`, `{"name":"b","y":2,"x":1}`},
		"beside nothing":                {`{"y":2,"x":1}`, `{}`, `{"y":2,"x":1}`},
		"as they are written":           {`{ "x" : { "n" : 1e400, "s" : "\u00e4" } , "name" : "a" }`, `{}`, `{"x" : { "n" : 1e400, "s" : "\u00e4" }}`},
		"with names in other letters":   {`{"\u0078":1,"n\u0061me":"a"}`, `{}`, `{"\u0078":1}`},
		"not what this release removed": {`{"name":"a","bag":{"x":1},"far":1,"deep":2,"Plain":3,"tagged":{}}`, `{}`, `{}`},
		"nor in another case":           {`{"NAME":"a","plain":3,"dEEp":2}`, `{}`, `{}`},
		"what only looks like a field":  {`{"Hidden":"a","inner":2,"Other":3}`, `{}`, `{"Hidden":"a","inner":2,"Other":3}`},
		"not what is deeper":            {`{"tagged":{"x":1},"bag":{"y":2}}`, `{"tagged":{"deep":1}}`, `{"tagged":{"deep":1}}`},
		"null too":                      {`{"x":null}`, `{}`, `{"x":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			var v outer
			if err := json.Unmarshal([]byte(c.old), &v); err != nil {
				t.Fatal(err)
			}
			got := string(store.Keep([]byte(c.old), []byte(c.fresh), &v))
			if got != c.want || !json.Valid([]byte(got)) {
				t.Errorf("%s and %s give %s, want %s", c.old, c.fresh, got, c.want)
			}
			if again := string(store.Keep([]byte(got), []byte(got), &v)); again != got {
				t.Errorf("again it gives %s", again)
			}
		})
	}
	if got := store.Keep([]byte(`{"x":1}`), []byte(`{"y":1}`), &map[string]int{}); string(got) != `{"y":1}` {
		t.Errorf("of a map, which has no members that it does not know: %s", got)
	}
	if got := store.Keep([]byte(`"2030-01-02T00:00:00Z"`), []byte(`"2031-01-02T00:00:00Z"`), &time.Time{}); string(got) != `"2031-01-02T00:00:00Z"` {
		t.Errorf("of a form of its own: %s", got)
	}
}

func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, ` { "a" : [ {"b":"}"} , "\\\"," ] , "c":{} }`, `{"":"","\"":{"a":[]}}`, `{"a":1,"a":2}`, `{"a`, `{"a":{`, `[1]`, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		names, whole := store.Members(b) // ends, whatever it is
		if !json.Valid(b) || bytes.TrimSpace(b)[0] != '{' {
			return
		}
		var want []string
		d := json.NewDecoder(bytes.NewReader(b))
		_, err := d.Token()
		for err == nil && d.More() {
			var name any
			var value json.RawMessage
			if name, err = d.Token(); err == nil {
				err = d.Decode(&value)
			}
			want = append(want, fmt.Sprint(name)+string(value))
		}
		var got []string
		for i, name := range names {
			var s string
			if err := json.Unmarshal([]byte(name), &s); err != nil {
				t.Fatalf("%q of %q is no name: %v", name, b, err)
			}
			_, value, _ := strings.Cut(strings.TrimPrefix(whole[i], name), ":")
			got = append(got, s+strings.TrimLeft(value, " \t\r\n"))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q has the members %q, want %q, %v", b, got, want, err)
		}
	})
}

// What an entry was read from is not for the log.
func TestEntryDoesNotShowWhatItWasReadFrom(t *testing.T) {
	k := credentials(engine(t), newRing(t, secret.GenerateKey()))
	if _, err := k.Put(t.Context(), &credential{"a", secret.New("hunter2")}, 0); err != nil {
		t.Fatal(err)
	}
	e, err := k.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, text := range []string{fmt.Sprintf(format, e), fmt.Sprintf(format, &e), fmt.Sprintf(format, []any{e})} {
			for _, leak := range []string{"hunter2", fmt.Sprint([]byte("hunter2"))[1:20], fmt.Sprintf("%x", "hunter2")} {
				if strings.Contains(text, leak) {
					t.Errorf("%s shows the secret: %s", format, text)
				}
			}
		}
	}
}

// account is as large as a user with what most have.
type account struct {
	PoolID     string            `json:"pool"`
	Sub        string            `json:"sub"`
	Username   string            `json:"username"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Identities []identity        `json:"identities,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
	Aliases    []string          `json:"aliases,omitempty"`
	Edited     []string          `json:"edited,omitempty"`
	Enabled    bool              `json:"enabled"`
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
}

type identity struct {
	Provider, Type, Issuer, Subject string
	Created                         time.Time
}

func newAccount() account {
	return account{
		PoolID: "local_Example01", Sub: "6e3a2f0c-5a27-4c8e-9d53-0f6d1a6c7b11", Username: "Corp_248289761001", Enabled: true, Created: now, Modified: now,
		Attributes: map[string]string{
			"email": "ada@example.com", "email_verified": "true", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "custom:department": "Engines",
		},
		Identities: []identity{{"Corp", "OIDC", "https://login.example.com", "248289761001", now}}, Groups: []string{"k3b2h1g4f5d6", "a1b2c3d4e5f6"},
	}
}

// What a change of a document pays for the members that it does not know: the search where there are none, and where there is one.
func BenchmarkKeep(b *testing.B) {
	v := newAccount()
	fresh, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	later := bytes.Replace(fresh, []byte(`,"enabled"`), []byte(`,"sources":{"email":{"kind":"provider","provider":"Corp"}},"enabled"`), 1)
	for name, old := range map[string][]byte{"nothing unknown": fresh, "one unknown member": later} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := store.Keep(old, fresh, &v); len(got) < len(fresh) {
					b.Fatal("lost")
				}
			}
		})
	}
	b.Run("for comparison, marshal and unmarshal", func(b *testing.B) {
		for b.Loop() {
			var v account
			if err := json.Unmarshal(fresh, &v); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
