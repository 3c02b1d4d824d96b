package login_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

// A provider's request for deletion while the store is away: the provider hears that it has to come again, as its own documentation wants it, nothing is
// done by halves, and when it comes again the same notice is taken.
func TestNoticeInAnOutage(t *testing.T) {
	for name, set := range map[string]func(*servertest.Engine, bool){
		"away": (*servertest.Engine).SetDown, "hanging": (*servertest.Engine).SetHang,
		"taking no requests": func(e *servertest.Engine, out bool) { full(e, out, "erasure") },
		"ending no grants":   func(e *servertest.Engine, out bool) { full(e, out, "grant") },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.StoreTime = time.Second })
			web := w.Web()
			refresh := web.Login(w.Browser(), ada).Text("refresh_token")
			theirs := web.Login(w.Browser(), servertest.As("bob")).Text("refresh_token")
			w.Broker.Providers = asking{w.Broker.Providers}
			notice := func() *servertest.Answer {
				return web.Send(web.NewRequest(http.MethodPost, notices+"/data-deletion", url.Values{"user": {"ada-0001"}, "id": {"a request"}}))
			}
			set(w.Engine, true)
			for range 2 {
				if ans := notice(); ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "" {
					t.Errorf("answer %d, Retry-After %q, %s", ans.Status, ans.Header.Get("Retry-After"), ans.Body)
				}
			}
			set(w.Engine, false)
			ans := notice()
			if ans.Status != http.StatusOK || ans.Text("confirmation_code") == "" {
				t.Fatalf("afterwards: %d %s\n%s", ans.Status, ans.Body, w.Log.Text())
			}
			if p := w.Browser().Get(ans.Text("url")); p.Status != http.StatusOK {
				t.Errorf("the page of the request: %d", p.Status)
			}
			if ans := web.Refresh(refresh); ans.Status != http.StatusBadRequest {
				t.Errorf("what came of the provider goes on: %d %s", ans.Status, ans.Body)
			}
			if ans := web.Refresh(theirs); ans.Status != http.StatusOK {
				t.Errorf("somebody else's has ended: %d %s", ans.Status, ans.Body)
			}
		})
	}
}

func full(e *servertest.Engine, out bool, kind string) {
	if out {
		e.SetFull(kind)
	} else {
		e.SetFull()
	}
}
