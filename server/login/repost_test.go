package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// On plain http a browser holds Lax cookies back from a cross-site POST. The page that answers it posts the same form once
// more, now from the same site, and once only.
func TestRepost(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	req := posted(t.Context(), t, b.ToCallback(app.Authorize("state", `"><script>`), ada))
	crossSite := w.Browser() // a browser without the cookie, as the cross-site POST is
	first := crossSite.Do(req)
	action, fields := first.Form()
	if first.Status != http.StatusOK || action != w.URL+"/oauth2/idpresponse?weir_reposted=1" || len(first.Cookies) != 0 {
		t.Fatalf("answer %d, posts to %q, cookies %v", first.Status, action, first.Cookies)
	}
	t.Run("brings the answer home", func(t *testing.T) {
		app.Code(b.Post(action, fields))
	})
	t.Run("once only", func(t *testing.T) {
		onPage(t, crossSite.Post(action, fields), http.StatusBadRequest, "no longer valid")
	})
	t.Run("cannot be made to post elsewhere, or to run anything", func(t *testing.T) {
		hostile := url.Values{"state": {"x"}, `"><script>alert(1)</script>`: {`"><form action="https://evil.example">`}, "action": {"https://evil.example"}}
		p := crossSite.Post("/oauth2/idpresponse?action=https://evil.example&next=//evil.example", hostile)
		action, fields := p.Form()
		if action != w.URL+"/oauth2/idpresponse?weir_reposted=1" || fields.Encode() != hostile.Encode() {
			t.Errorf("posts %v to %q", fields, action)
		}
		if strings.Contains(p.Body, "<script>") || strings.Count(p.Body, "<form") != 1 {
			t.Errorf("page %s", p.Body)
		}
	})
	t.Run("a GET is not posted", func(t *testing.T) {
		onPage(t, crossSite.Get("/oauth2/idpresponse?state=x&code=y"), http.StatusBadRequest, "no longer valid")
	})
}

// On https the cookie is SameSite=None and comes with a cross-site POST; without it there is nothing to try again.
func TestNoRepostOnHTTPS(t *testing.T) {
	w, _ := servertest.StartExample(t, servertest.Secure)
	app, b := w.Web(), w.Browser()
	req := b.ToCallback(app.Authorize(), ada)
	onPage(t, w.Browser().Do(posted(t.Context(), t, req)), http.StatusBadRequest, "no longer valid")
	app.Code(b.Do(posted(t.Context(), t, req)))
}
