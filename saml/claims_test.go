package saml_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// What the assertion says, under the names that an administrator may map.
func TestClaims(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	mapped := func(t *testing.T, source string) (string, bool) {
		t.Helper()
		spec := servertest.Example(servertest.SAMLProvider("Corp", up))
		spec.UserPools[0].Schema = []pool.SchemaSpec{{Name: "x", AttributeDataType: "String", Mutable: new(true)}}
		spec.UserPools[0].IdentityProviders[0].AttributeMapping = map[string]string{"custom:x": source}
		w.Apply(spec)
		for _, u := range users(t, w, servertest.PoolID) {
			if err := w.Directory.DeleteUser(t.Context(), servertest.PoolID, u.Sub); err != nil {
				t.Fatal(err)
			}
		}
		app.Login(w.Browser(), ada)
		list := users(t, w, servertest.PoolID)
		if len(list) != 1 {
			t.Fatalf("users %+v", list)
		}
		v, ok := list[0].Attributes["custom:x"]
		return v, ok
	}
	index := ""
	up.Set(samltest.Faults{Assertion: func(a *etree.Element) {
		st := a.SelectElement("AttributeStatement")
		add := func(name, friendly string, values ...string) {
			at := st.CreateElement("Attribute")
			at.CreateAttr("Name", name)
			if friendly != "" {
				at.CreateAttr("FriendlyName", friendly)
			}
			for _, v := range values {
				at.CreateElement("AttributeValue").SetText(v)
			}
		}
		add("urn:oid:2.5.4.11", "department", "R&D <1>")
		add("urn:oid:1.2.3", "name", "of a friendly name")
		add("twice", "", "a")
		add("twice", "", "b")
		add("empty", "")
		add("SessionIndex", "", "forged")
		add("AuthnContextClassRef", "", "forged")
		add("AuthnInstant", "", "forged")
		add("NameID", "", "forged")
		add("urn:oid:9", "NameIDFormat", "forged")
		add("a.b[0]", "", "dots and brackets")
		index = a.SelectElement("AuthnStatement").SelectAttrValue("SessionIndex", "")
	}})
	for source, want := range map[string]string{
		samltest.ClaimEmail: "ada@corp.example", "email": "ada@corp.example", "upn": "ada@ad.corp.example",
		samltest.ClaimName: "The ada",
		"name":             "of a friendly name", // what the document calls so goes before the presets
		"groups":           "[CORP%5CEngineers,A+%26+B]", samltest.ClaimGroup: "[CORP%5CEngineers,A+%26+B]",
		"groups[0]": "CORP\\Engineers", "urn:oid:2.5.4.11": "R&D <1>", "department": "R&D <1>", "twice": "[a,b]",
		"NameID": "ada@ad.corp.example", "NameIDFormat": samltest.FormatUnspecified, "AuthnContextClassRef": passwordContext,
		"AuthnInstant": w.Clock.Now().Format(time.RFC3339), "a.b[0]": "dots and brackets",
	} {
		t.Run(source, func(t *testing.T) {
			if got, ok := mapped(t, source); !ok || got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	t.Run("SessionIndex", func(t *testing.T) {
		if got, _ := mapped(t, "SessionIndex"); got == "" || got != index {
			t.Errorf("got %q, want %q", got, index)
		}
	})
	for _, source := range []string{"empty", "family_name", "missing"} {
		t.Run(source+" is absent", func(t *testing.T) {
			if got, ok := mapped(t, source); ok {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestManyGroups(t *testing.T) {
	clock := servertest.NewClock()
	var groups []string
	for i := range 2500 {
		groups = append(groups, fmt.Sprintf("CORP\\Group number %04d", i))
	}
	up := servertest.SAML(t, clock, func(c *samltest.Config) { c.People[0].Claims[samltest.ClaimGroup] = groups })
	spec := servertest.Example(servertest.SAMLProvider("Corp", up))
	spec.UserPools[0].Schema = []pool.SchemaSpec{{Name: "last", AttributeDataType: "String", Mutable: new(true)}}
	spec.UserPools[0].IdentityProviders[0].AttributeMapping = map[string]string{"custom:last": "groups[2499]"}
	w := servertest.Start(t, servertest.Options{Clock: clock, Spec: spec})
	for name, sp := range map[string]func(*samltest.ServiceProvider){
		"encrypted": func(*samltest.ServiceProvider) {}, "in the clear": func(sp *samltest.ServiceProvider) { sp.Encryption = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w.Trust(up, servertest.PoolID, "Corp", sp)
			w.Web().Login(w.Browser(), ada)
			if got := users(t, w, servertest.PoolID)[0].Attributes["custom:last"]; got != groups[2499] {
				t.Errorf("got %q", got)
			}
		})
	}
}
