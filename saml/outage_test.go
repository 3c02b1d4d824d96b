package saml_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/server/servertest"
)

// A provider's sign-out while the store is away: the browser is told to come again, nobody is told that the person was signed out, the message is not spent, and
// the same one signs out when the store is back.
func TestLogoutRequestInAnOutage(t *testing.T) {
	for name, set := range map[string]func(*servertest.Engine, bool){
		"away": (*servertest.Engine).SetDown, "hanging": (*servertest.Engine).SetHang,
		"spending nothing": func(e *servertest.Engine, out bool) {
			if e.SetFull(); out {
				e.SetFull("samlreplay")
			}
		},
	} {
		for _, over := range []string{binding.HTTPRedirect, binding.HTTPPost} {
			t.Run(name+" over "+over, func(t *testing.T) {
				w, up := servertest.StartSAML(t, func(o *servertest.Options) { o.StoreTime = time.Second })
				app, signer := w.Web(), servertest.SAMLSigners()[0]
				b := w.Browser()
				tokens, theirs := app.Login(b, ada), app.Login(w.Browser(), bob)
				req, _ := slo(t, w, up, over, "relay", &signer, nil)
				first := req.Clone(t.Context())
				if req.GetBody != nil {
					var err error
					if first.Body, err = req.GetBody(); err != nil {
						t.Fatal(err)
					}
				}
				set(w.Engine, true)
				began := time.Now()
				p := b.Do(first)
				if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" || time.Since(began) > 15*time.Second {
					t.Errorf("answer %d, Retry-After %q, after %s", p.Status, p.Header.Get("Retry-After"), time.Since(began))
				}
				set(w.Engine, false)
				tokens = ended(t, app, tokens, false)
				got := message(t, b.Do(req))
				if got.Tag != "LogoutResponse" || got.FindElement("Status/StatusCode").SelectAttrValue("Value", "") != binding.StatusSuccess {
					t.Errorf("afterwards: %v", got)
				}
				ended(t, app, tokens, true)
				ended(t, app, theirs, false)
			})
		}
	}
}
