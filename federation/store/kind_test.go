package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

var update = flag.Bool("update", false, "write the golden file of the newest schema")

// person is what the tests store, in its third schema.
type person struct {
	ID      string    `json:"id"`
	Names   []string  `json:"names"` // schema 1 and 2: one "name"
	Mail    string    `json:"mail,omitempty"`
	Level   int       `json:"level"` // new in schema 2: everybody had 1
	Expires time.Time `json:"expires,omitzero"`
}

func personKeys(p *person) store.Keys {
	k := store.Keys{Key: p.ID, Index: []string{fmt.Sprintf("level:%02d", p.Level)}, Expires: p.Expires}
	if p.Mail != "" {
		k.Unique = []string{"mail:" + p.Mail}
	}
	return k
}

var personUpgrades = []store.Upgrade{
	func(old json.RawMessage) (json.RawMessage, error) {
		return edit(old, func(m map[string]any) { m["level"] = 1 })
	},
	func(old json.RawMessage) (json.RawMessage, error) {
		return edit(old, func(m map[string]any) { m["names"] = []any{m["name"]}; delete(m, "name") })
	},
}

func edit(old json.RawMessage, change func(map[string]any)) (json.RawMessage, error) {
	var m map[string]any
	if err := json.Unmarshal(old, &m); err != nil {
		return nil, err
	}
	change(m)
	return json.Marshal(m)
}

// credential holds a secret, so that its stored form is not its JSON form.
type credential struct {
	ID     string
	Secret secret.Text
}

type storedCredential struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// MarshalStored implements store.Stored.
func (c *credential) MarshalStored() ([]byte, error) {
	return json.Marshal(storedCredential{c.ID, c.Secret.Reveal()})
}

// StoredForm implements store.Stored.
func (*credential) StoredForm() any { return storedCredential{} }

// UnmarshalStored implements store.Stored.
func (c *credential) UnmarshalStored(b []byte) error {
	var s storedCredential
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*c = credential{s.ID, secret.New(s.Secret)}
	return nil
}

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func engine(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func people(e store.Engine) *store.Kind[person] {
	return &store.Kind[person]{Engine: e, Name: "person", KeysOf: personKeys, Upgrades: personUpgrades}
}

func credentials(e store.Engine, r *secret.Ring) *store.Kind[credential] {
	return &store.Kind[credential]{Engine: e, Name: "credential", KeysOf: func(c *credential) store.Keys { return store.Keys{Key: c.ID} }, Ring: r}
}

func newRing(t *testing.T, keys ...string) *secret.Ring {
	t.Helper()
	r, err := secret.ParseRing(strings.NewReader(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// putBody stores a body as it is.
func putBody(t *testing.T, e store.Engine, kind, key string, body []byte) {
	t.Helper()
	if _, err := e.Put(t.Context(), kind, store.Doc{Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
}

func body(t *testing.T, e store.Engine, kind, key string) []byte {
	t.Helper()
	d, err := e.Get(t.Context(), kind, key)
	if err != nil {
		t.Fatal(err)
	}
	return d.Body
}

func TestAValueGoesThroughItsLife(t *testing.T) {
	k := people(engine(t))
	ann := person{ID: "ann", Names: []string{"Ann", "A."}, Mail: "ann@example.com", Level: 2}
	v, err := k.Put(t.Context(), &ann, 0)
	if err != nil || v != 1 {
		t.Fatalf("put: version %d, %v", v, err)
	}
	for how, get := range map[string]func() (store.Entry[person], error){
		"Get":   func() (store.Entry[person], error) { return k.Get(t.Context(), "ann") },
		"GetBy": func() (store.Entry[person], error) { return k.GetBy(t.Context(), "mail:ann@example.com") },
	} {
		if e, err := get(); err != nil || e.Version != 1 || fmt.Sprint(e.Value) != fmt.Sprint(ann) {
			t.Errorf("%s: %+v, %v", how, e, err)
		}
	}
	if _, err := k.Put(t.Context(), &ann, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := k.Put(t.Context(), &person{ID: "bob", Mail: "ann@example.com"}, 0); !errors.Is(err, store.ErrTaken) {
		t.Errorf("mail claimed twice: %v", err)
	}
	if e, err := k.Take(t.Context(), "ann"); err != nil || e.Value.Mail != ann.Mail {
		t.Errorf("take: %+v, %v", e, err)
	}
	if _, err := k.Take(t.Context(), "ann"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("taken twice: %v", err)
	}
	if err := k.Delete(t.Context(), "ann"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := k.Put(t.Context(), &person{ID: "late", Expires: now}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(t.Context(), "late"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("expired: %v", err)
	}
}

func TestPagesOfAKind(t *testing.T) {
	k := people(engine(t))
	for i := range 25 {
		if _, err := k.Put(t.Context(), &person{ID: fmt.Sprintf("p%02d", 24-i), Level: i / 20}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for index, want := range map[string]int{"": 25, "level:": 25, "level:00": 20, "level:01": 5, "level:02": 0} {
		for _, limit := range []int{1, 5, 7, 25, 100} {
			var ids []string
			for after := ""; ; {
				page, next, err := k.List(t.Context(), index, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page {
					ids = append(ids, e.Value.ID)
				}
				if after = next; next == "" {
					break
				}
			}
			slices.Sort(ids)
			if n := len(slices.Compact(ids)); n != want || len(ids) != want {
				t.Errorf("list %q in pages of %d: %d documents, %d different, want %d", index, limit, len(ids), n, want)
			}
		}
		n := 0
		if err := k.All(t.Context(), index, func(store.Entry[person]) error { n++; return nil }); err != nil || n != want {
			t.Errorf("all of %q: %d, %v", index, n, err)
		}
	}
	stop := errors.New("enough")
	n := 0
	err := k.All(t.Context(), "", func(store.Entry[person]) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("stopped after %d with %v", n, err)
	}
	if _, _, err := k.List(t.Context(), "", "", 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("limit 0: %v", err)
	}
}

// Every schema that a release wrote has its golden file for ever: person-1.json and so on. Its
// value must be read as this release would have written it.
func TestEverySchemaIsUpgraded(t *testing.T) {
	e := engine(t)
	k := people(e)
	want := person{ID: "ann", Names: []string{"Ann Lee"}, Mail: "ann@example.com", Level: 1}
	newest := fmt.Sprintf("testdata/person-%d.json", len(personUpgrades)+1)
	if *update {
		if _, err := k.Put(t.Context(), &want, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(newest, append(body(t, e, "person", "ann"), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := k.Delete(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	for schema := 1; schema <= len(personUpgrades)+1; schema++ {
		golden, err := os.ReadFile(fmt.Sprintf("testdata/person-%d.json", schema))
		if err != nil {
			t.Fatal(err)
		}
		putBody(t, e, "person", "ann", golden)
		got, err := k.Get(t.Context(), "ann")
		if err != nil || fmt.Sprint(got.Value) != fmt.Sprint(want) {
			t.Errorf("schema %d is read as %+v, %v; want %+v", schema, got.Value, err, want)
		}
		if _, err := k.Put(t.Context(), &got.Value, got.Version); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(newest)
		if err != nil {
			t.Fatal(err)
		}
		if b := string(body(t, e, "person", "ann")); b != strings.TrimSpace(string(written)) {
			t.Errorf("written again as %s, want %s", b, written)
		}
		if err := k.Delete(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBodiesThatCannotBeReadAreClearErrors(t *testing.T) {
	for name, c := range map[string]struct{ body, says string }{
		"a newer schema":          {`{"v":4,"d":{}}`, "schema 4, this release knows 1 to 3"},
		"schema 0":                {`{"v":0,"d":{}}`, "schema 0"},
		"no schema":               {`{"id":"ann"}`, "schema 0"},
		"no json":                 {`hello`, "decode person"},
		"an empty body":           {``, "decode person"},
		"a value of another type": {`{"v":3,"d":{"level":"high"}}`, "decode person"},
		"no value":                {`{"v":3}`, "no value"},
		"a null":                  {`{"v":3,"d":null}`, "no value"},
		"an upgrade that fails":   {`{"v":1,"d":[]}`, "upgrade person from schema 1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine(t)
			putBody(t, e, "person", "ann", []byte(c.body))
			if _, err := people(e).Get(t.Context(), "ann"); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want it to say %q", err, c.says)
			}
			if _, _, err := people(e).List(t.Context(), "", "", 10); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("list: error %v, want it to say %q", err, c.says)
			}
		})
	}
}

func TestUnknownMembersAreTolerated(t *testing.T) {
	e := engine(t)
	putBody(t, e, "person", "ann", []byte(`{"v":3,"later":true,"d":{"id":"ann","names":["Ann"],"level":7,"colour":{"r":1}}}`))
	got, err := people(e).Get(t.Context(), "ann")
	if err != nil || got.Value.Level != 7 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSealedKind(t *testing.T) {
	e := engine(t)
	oldKey, newKey, alien := secret.GenerateKey(), secret.GenerateKey(), secret.GenerateKey()
	k := credentials(e, newRing(t, oldKey))
	if _, err := k.Put(t.Context(), &credential{"a", secret.New("hunter2")}, 0); err != nil {
		t.Fatal(err)
	}
	if b := string(body(t, e, "credential", "a")); strings.Contains(b, "hunter2") || strings.Contains(b, `"v"`) {
		t.Errorf("stored in the clear: %q", b)
	}
	got, err := credentials(e, newRing(t, newKey, oldKey)).Get(t.Context(), "a")
	if err != nil || !got.Value.Secret.Equal("hunter2") {
		t.Errorf("under a rotated ring: %v, %v", got, err)
	}
	_, err = credentials(e, newRing(t, alien)).Get(t.Context(), "a")
	if !errors.Is(err, secret.ErrUnknownKey) || !strings.Contains(err.Error(), "open credential") {
		t.Errorf("under a wrong ring: %v", err)
	}
	if _, err = credentials(e, nil).Put(t.Context(), &credential{ID: "b"}, 0); err == nil || !strings.Contains(err.Error(), "no key ring") {
		t.Errorf("without a ring: %v", err)
	}
}

func TestASealedDocumentCannotBeMoved(t *testing.T) {
	e := engine(t)
	r := newRing(t, secret.GenerateKey())
	k := credentials(e, r)
	if _, err := k.Put(t.Context(), &credential{"admin", secret.New("known to the thief")}, 0); err != nil {
		t.Fatal(err)
	}
	sealed := body(t, e, "credential", "admin")
	putBody(t, e, "credential", "victim", sealed)
	if _, err := k.Get(t.Context(), "victim"); !errors.Is(err, secret.ErrTampered) {
		t.Errorf("moved to another key: %v", err)
	}
	putBody(t, e, "other", "admin", sealed)
	other := credentials(e, r)
	other.Name = "other"
	if _, err := other.Get(t.Context(), "admin"); !errors.Is(err, secret.ErrTampered) {
		t.Errorf("moved to another kind: %v", err)
	}
	putBody(t, e, "credential", "plain", []byte(`{"v":1,"d":{"id":"plain","secret":"forged"}}`))
	if _, err := k.Get(t.Context(), "plain"); !errors.Is(err, secret.ErrTampered) {
		t.Errorf("put in unsealed: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	db, err := bolt.Open(filepath.Join(f.TempDir(), "weir.db"), bolt.Options{Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	for _, s := range []string{`{"v":1,"d":{"id":"a","name":"x"}}`, `{"v":3,"d":{"id":"a","names":["x"],"level":2}}`, `{"v":9}`, `{`, `null`, `{"v":1,"d":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > store.MaxBody {
			return
		}
		k := people(fixed{db, b})
		e, err := k.Get(t.Context(), "a")
		if err != nil {
			return
		}
		var env struct {
			V int `json:"v"`
		}
		if err := json.Unmarshal(b, &env); err != nil || env.V < 1 || env.V > 3 {
			t.Fatalf("accepted %q as %+v", b, e.Value)
		}
	})
}

// fixed is an engine with one body.
type fixed struct {
	store.Engine
	body []byte
}

// Get returns the body.
func (f fixed) Get(_ context.Context, _, key string) (store.Doc, error) {
	return store.Doc{Key: key, Version: 1, Body: f.body}, nil
}
