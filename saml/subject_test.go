package saml_test

import (
	"net/http"
	"testing"

	"github.com/beevik/etree"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// Whom an assertion is about, if its NameID does not say so for good.
func TestSubject(t *testing.T) {
	w, up := start(t)
	app := w.Web()
	format := func(f string) func(*samltest.ServiceProvider) {
		return func(sp *samltest.ServiceProvider) { sp.NameID.Format = f }
	}
	refused := func(t *testing.T, reason string) {
		t.Helper()
		w.Events.Take()
		p := w.Browser().SignIn(app.Authorize(), ada)
		toClient(t, p, "server_error", "An administrator has to change it.")
		failed(t, w, p, reason)
		if len(users(t, w, servertest.PoolID)) != 0 {
			t.Error("a user")
		}
	}
	t.Run("a transient NameID is nobody", func(t *testing.T) {
		w.Trust(up, servertest.PoolID, "Corp", format(samltest.FormatTransient))
		refused(t, "or name an attribute in SubjectAttribute")
	})
	t.Run("an attribute that is not there", func(t *testing.T) {
		change(w, up, nil, "SubjectAttribute", "employeeNumber")
		refused(t, `SubjectAttribute names "employeeNumber"; the assertion has: "`+samltest.ClaimGroup+`"`)
	})
	t.Run("an attribute of several values", func(t *testing.T) {
		change(w, up, nil, "SubjectAttribute", "groups")
		refused(t, "missing or has several values")
	})
	for name, trust := range map[string]func(*samltest.ServiceProvider){
		"a transient NameID": format(samltest.FormatTransient), "no NameID": func(sp *samltest.ServiceProvider) { sp.NameID.None = true },
	} {
		for _, source := range []string{samltest.ClaimEmail, "email"} {
			t.Run(name+" beside "+source, func(t *testing.T) {
				change(w, up, func(p *pool.ProviderSpec) { p.AttributeMapping["nickname"] = "NameID" }, "SubjectAttribute", source)
				up.Set(samltest.Faults{Assertion: func(a *etree.Element) {
					forged := a.SelectElement("AttributeStatement").CreateElement("Attribute")
					forged.CreateAttr("Name", "NameID")
					forged.CreateElement("AttributeValue").SetText("forged")
				}})
				for _, u := range users(t, w, servertest.PoolID) {
					if err := w.Directory.DeleteUser(t.Context(), servertest.PoolID, u.Sub); err != nil {
						t.Fatal(err)
					}
				}
				w.Trust(up, servertest.PoolID, "Corp", trust)
				app.Login(w.Browser(), ada)
				list := users(t, w, servertest.PoolID)
				if got, ok := list[0].Attributes["nickname"]; ok != (name == "a transient NameID") || got == "forged" {
					t.Errorf("the claim NameID is %q", got)
				}
				if len(list) != 1 || list[0].Identities[0].Subject != "ada@corp.example" {
					t.Errorf("users %+v", list)
				}
			})
		}
	}
}

// While the person is away an administrator changes what the attempt relies on.
func TestChangedWhileThePersonIsAway(t *testing.T) {
	away := func(t *testing.T) (*servertest.Weir, *samltest.Provider, *servertest.Browser, *http.Request) {
		t.Helper()
		w, up := start(t)
		b := w.Browser()
		req := b.ToCallback(w.Web().Authorize(), ada)
		w.Events.Take()
		return w, up, b, req
	}
	t.Run("the provider is removed", func(t *testing.T) {
		w, _, b, req := away(t)
		if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp"); err != nil {
			t.Fatal(err)
		}
		p := b.Do(req)
		toClient(t, p, "invalid_request", "no longer valid")
		failed(t, w, p, "")
	})
	t.Run("our entity id", func(t *testing.T) {
		w, up, b, req := away(t)
		change(w, up, nil, "SPEntityID", "urn:new")
		notAccepted(t, w, b.Do(req), "(audience)")
	})
	t.Run("the identity provider", func(t *testing.T) {
		w, _, b, req := away(t)
		change(w, servertest.SAML(t, w.Clock), nil)
		notAccepted(t, w, b.Do(req), "(issuer)")
	})
	t.Run("the provider is another kind of that name", func(t *testing.T) {
		w, up := start(t)
		replace := func(p pool.ProviderSpec) {
			if err := w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp"); err != nil {
				t.Fatal(err)
			}
			change(w, up, func(old *pool.ProviderSpec) { *old = p })
		}
		for _, was := range []string{"SAML", "OIDC"} {
			b := w.Browser()
			var req *http.Request
			if was == "SAML" {
				req = b.ToCallback(w.Web().Authorize(), ada)
				replace(servertest.Provider("Corp", servertest.OIDC(t, w.Clock)))
			} else {
				req = b.ToCallback(w.Web().Authorize(), servertest.As("ada"))
				replace(servertest.SAMLProvider("Corp", up))
			}
			w.Events.Take()
			p := b.Do(req)
			toClient(t, p, "invalid_request", "")
			failed(t, w, p, "")
		}
	})
	t.Run("something that does not matter to it", func(t *testing.T) {
		w, up, b, req := away(t)
		change(w, up, func(p *pool.ProviderSpec) { p.ProviderDetails["IDPSignout"] = secret.New("true") })
		w.Web().Tokens(b.Do(req))
	})
}
