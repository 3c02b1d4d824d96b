package pool_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

func TestTags(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	if err := f.Tag(t.Context(), p.ID, map[string]string{"a": "1", "b": ""}); err != nil {
		t.Fatal(err)
	}
	if err := f.Tag(t.Context(), p.ID, map[string]string{"a": "2", "c": "3"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Untag(t.Context(), p.ID, []string{"c", "unknown"}); err != nil {
		t.Fatal(err)
	}
	p, err := f.Pool(t.Context(), p.ID)
	if want := map[string]string{"a": "2", "b": ""}; err != nil || !maps.Equal(p.Tags, want) {
		t.Errorf("tags %v, error %v", p.Tags, err)
	}
	many := map[string]string{}
	for i := range 49 {
		many[fmt.Sprint("tag", i)] = "x"
	}
	wantCode(t, f.Tag(t.Context(), p.ID, many), fault.Invalid)
	wantCode(t, f.Tag(t.Context(), p.ID, map[string]string{"aws:x": "y"}), fault.Invalid)
	wantCode(t, f.Tag(t.Context(), "local_Nowhere01", nil), fault.NotFound)
}

func TestAddAttributes(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t, pool.SchemaSpec{Name: "custom:team"})
	p, err := f.AddAttributes(t.Context(), p.ID, []pool.SchemaSpec{{Name: "level", AttributeDataType: "Number"}, {Name: "note", DeveloperOnlyAttribute: true}})
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{"custom:team": "String", "custom:level": "Number", "dev:custom:note": "String"} {
		if a, ok := p.Attribute(name); !ok || a.DataType != kind {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for want, specs := range map[string][]pool.SchemaSpec{
		"custom:team: Existing attribute already has name custom:team": {{Name: "other"}, {Name: "team"}},
		"custom:x: Existing attribute already has name custom:x":       {{Name: "x"}, {Name: "x"}},
		"CustomAttributes[0].Required":                                 {{Name: "x", Required: true}},
		"CustomAttributes[0].AttributeDataType":                        {{Name: "x", AttributeDataType: "Blob"}},
		"at most 50 custom attributes":                                 manyAttributes(48),
	} {
		_, err := f.AddAttributes(t.Context(), p.ID, specs)
		if got := problemsOf(t, err); !strings.Contains(got, want) {
			t.Errorf("problems %s, want %s", got, want)
		}
	}
	p, err = f.Pool(t.Context(), p.ID)
	if _, there := p.Attribute("custom:other"); err != nil || there {
		t.Errorf("half of a refused call was kept; error %v", err)
	}
}

func manyAttributes(n int) (out []pool.SchemaSpec) {
	for i := range n {
		out = append(out, pool.SchemaSpec{Name: fmt.Sprint("a", i)})
	}
	return out
}

func TestLooks(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClient(t.Context(), goodClient())
	if err != nil {
		t.Fatal(err)
	}
	if l, err := f.LookOf(t.Context(), p.ID, c.ID); err != nil || !l.Created.IsZero() {
		t.Errorf("none: %+v, error %v", l, err)
	}
	if _, err := f.SetLook(t.Context(), p.ID, pool.AllClients, ptr(".a{}"), []byte("\xff\xd8\xffimage")); err != nil {
		t.Fatal(err)
	}
	if l, err := f.LookOf(t.Context(), p.ID, c.ID); err != nil || l.ClientID != pool.AllClients || l.CSS != ".a{}" {
		t.Errorf("that of all: %+v, error %v", l, err)
	}
	if _, err := f.SetLook(t.Context(), p.ID, c.ID, ptr(".b{}"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.SetLook(t.Context(), p.ID, c.ID, nil, []byte("\xff\xd8\xfflogo")); err != nil {
		t.Fatal(err)
	}
	if l, err := f.LookOf(t.Context(), p.ID, c.ID); err != nil || l.ClientID != c.ID || l.CSS != ".b{}" || !bytes.Equal(l.Image, []byte("\xff\xd8\xfflogo")) {
		t.Errorf("its own: %+v, error %v", l, err)
	}
	for range 2 {
		if l, err := f.SetLook(t.Context(), p.ID, c.ID, nil, nil); err != nil || !l.Created.IsZero() {
			t.Errorf("taken away: %+v, error %v", l, err)
		}
	}
	if l, err := f.LookOf(t.Context(), p.ID, c.ID); err != nil || l.ClientID != pool.AllClients {
		t.Errorf("that of all again: %+v, error %v", l, err)
	}
	_, err = f.SetLook(t.Context(), p.ID, c.ID, nil, make([]byte, 128*1024+1))
	wantCode(t, err, fault.Invalid)
	_, err = f.SetLook(t.Context(), p.ID, "unknown", ptr(""), nil)
	wantCode(t, err, fault.NotFound)
	_, err = f.SetLook(t.Context(), "local_Nowhere01", pool.AllClients, ptr(""), nil)
	wantCode(t, err, fault.NotFound)
	if err := f.DeleteClient(t.Context(), p.ID, c.ID); err != nil {
		t.Fatal(err)
	}
	if err := f.DeletePool(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	empty(t, f.engine, "look")
}
