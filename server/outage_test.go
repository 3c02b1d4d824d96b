package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

// asked is an answer of whatever path.
type asked struct {
	status int
	header http.Header
	errors string // the error code of a redirect to the application
}

func page(p *servertest.Page) asked {
	a := asked{status: p.Status, header: p.Header}
	if p.Location != nil {
		a.errors = p.Location.Query().Get("error")
	}
	return a
}

func answer(a *servertest.Answer) asked { return asked{status: a.Status, header: a.Header} }

// unavailable reports whether the answer is one to come again: a 503 that says when, or, to an application that was checked before, the error code that
// stands for it in a redirect (RFC 6749 section 4.1.2.1).
func (a asked) unavailable() bool {
	return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" ||
		a.status > 300 && a.status < 304 && a.errors == "temporarily_unavailable"
}

// door is a request whose answer needs the store. do makes it; what it needs was made ready while the store was well.
type door struct {
	name string
	do   func() asked
	// warm: for five seconds a node may answer from memory.
	warm bool
}

// doors are requests of every path, ready to be made.
func doors(t *testing.T, w *servertest.Weir, who servertest.Upstream) []door {
	t.Helper()
	web, b, fresh := w.Web(), w.Browser(), w.Browser()
	first := web.Login(b, who)
	refresh, access := first.Text("refresh_token"), first.Text("access_token")
	code := web.Code(b.Get(web.Authorize()))
	callback := fresh.ToCallback(web.Authorize(), who)
	post := func(path string, v url.Values) func() asked {
		return func() asked { return answer(web.Post(path, v)) }
	}
	get := func(path string) func() asked {
		return func() asked { return answer(web.Send(web.NewRequest(http.MethodGet, path, nil))) }
	}
	call := func(a *servertest.API, op string, body any) door {
		return door{op, func() asked { return answer(a.Call(op, body)) }, false}
	}
	of := map[string]any{"UserPoolId": servertest.PoolID}
	return []door{
		{"authorize", func() asked { return page(b.Get(web.Authorize())) }, false},
		{"authorize, posted", func() asked { return page(b.Post("/oauth2/authorize", web.Request())) }, false},
		{"authorize, silently", func() asked { return page(b.Get(web.Authorize("prompt", "none"))) }, false},
		{"callback", func() asked { return page(fresh.Do(callback)) }, false},
		{"sign-in page", func() asked { return page(b.Get("/login?" + web.Request().Encode())) }, true},
		{"logout", func() asked { return page(b.Get("/logout?client_id=" + web.ClientID)) }, false},
		{"code", func() asked { return answer(web.Redeem(code)) }, false},
		{"refresh", func() asked { return answer(web.Refresh(refresh)) }, false},
		{"userinfo", func() asked { return answer(web.UserInfo(access)) }, false},
		{"introspection", post("/oauth2/introspect", url.Values{"token": {refresh}}), false},
		{"revocation", post("/oauth2/revoke", url.Values{"token": {web.Login(w.Browser(), who).Text("refresh_token")}}), false},
		{"discovery", get("/" + servertest.PoolID + "/.well-known/openid-configuration"), true},
		{"keys", get("/" + servertest.PoolID + "/.well-known/jwks.json"), true},
		{"request for deletion", get("/oauth2/notices/" + servertest.PoolID + "/Corp/deletion?code=x"), true},
		call(w.Admin(), "ListUserPools", map[string]any{"MaxResults": 10}),
		call(w.Admin(), "DescribeUserPool", of),
		call(w.Admin(), "ListUsers", of),
		call(w.Admin(), "CreateGroup", map[string]any{"UserPoolId": servertest.PoolID, "GroupName": "g"}),
		call(w.Anybody(), "GetUser", map[string]any{"AccessToken": access}),
	}
}

// samlDoors are those of the SAML service provider.
func samlDoors(t *testing.T, w *servertest.Weir, who servertest.Upstream) []door {
	t.Helper()
	b := w.Browser()
	w.Web().Login(b, who)
	response := b.ToCallback(w.Web().Authorize("prompt", "login"), who)
	return []door{
		{"SAML response", func() asked { return page(b.Do(response)) }, false},
		{"SAML metadata", func() asked { return page(b.Get(servertest.MetadataAt(servertest.PoolID, "Corp"))) }, true},
		{"SAML sign-out", func() asked { return page(b.Get("/logout?client_id=" + servertest.WebClient)) }, false},
	}
}

// A store that is away, or hangs, and comes back. Everybody is told in time to come again; afterwards everything is as it was, in the same process.
func TestAStoreThatIsAwayAndComesBack(t *testing.T) {
	const storeTime = 100 * time.Millisecond
	short := func(o *servertest.Options) { o.StoreTime = storeTime }
	for outage, set := range map[string]func(e *servertest.Engine, out bool){
		"away": (*servertest.Engine).SetDown, "hanging": (*servertest.Engine).SetHang,
	} {
		for protocol, start := range map[string]func() (*servertest.Weir, []door, servertest.Upstream){
			"OIDC": func() (*servertest.Weir, []door, servertest.Upstream) {
				w, _ := servertest.StartExample(t, short)
				return w, doors(t, w, ada), ada
			},
			"SAML": func() (*servertest.Weir, []door, servertest.Upstream) {
				w, _ := servertest.StartSAML(t, short)
				return w, samlDoors(t, w, servertest.AsSAML("ada")), servertest.AsSAML("ada")
			},
		} {
			for _, cold := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, cold %t", outage, protocol, cold), func(t *testing.T) {
					w, all, who := start()
					if cold {
						w.Clock.Advance(cacheAge) // of what the node remembers nothing is good any more
					}
					set(w.Engine, true)
					for _, d := range all {
						began := time.Now()
						got := d.do()
						if !got.unavailable() && !(d.warm && !cold && got.status < 500) {
							t.Errorf("%s: %d, Retry-After %q, %s", d.name, got.status, got.header.Get("Retry-After"), got.errors)
						}
						if took := time.Since(began); took > 20*storeTime {
							t.Errorf("%s: answered after %s", d.name, took)
						}
					}
					set(w.Engine, false)
					for _, d := range all {
						if got := d.do(); got.status >= 500 || got.errors == "temporarily_unavailable" {
							t.Errorf("%s afterwards: %d %s", d.name, got.status, got.errors)
						}
					}
					w.Web().Login(w.Browser(), who)
				})
			}
		}
	}
}

// What was asked for in an outage has cost nobody anything.
func TestAnOutageCostsNothing(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.StoreTime = 50 * time.Millisecond })
	web, b := w.Web(), w.Browser()
	first := web.Login(b, ada)
	code := web.Code(b.Get(web.Authorize()))
	for _, set := range []func(bool){w.Engine.SetDown, w.Engine.SetHang} {
		set(true)
		for name, ans := range map[string]*servertest.Answer{"code": web.Redeem(code), "refresh": web.Refresh(first.Text("refresh_token"))} {
			if !answer(ans).unavailable() || ans.Text("error") != "temporarily_unavailable" {
				t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
			}
		}
		set(false)
	}
	for name, ans := range map[string]*servertest.Answer{"code": web.Redeem(code), "refresh": web.Refresh(first.Text("refresh_token"))} {
		if ans.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
		}
	}
	web.Code(b.Get(web.Authorize("prompt", "none")))
}

// Probes hear within two seconds that a node cannot serve, and that it can again.
func TestReadiness(t *testing.T) {
	w, _ := servertest.StartExample(t)
	ops := w.Server.Operations(func(ctx context.Context) error { // as cmd/weir asks
		_, _, err := w.Directory.Pools(ctx, "", 1)
		return err
	})
	probe := func(path string, want int) {
		t.Helper()
		rec := httptest.NewRecorder()
		began := time.Now()
		ops.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if took := time.Since(began); rec.Code != want || took > 3*time.Second {
			t.Errorf("%s: %d after %s, want %d", path, rec.Code, took, want)
		}
	}
	probe("/readyz", http.StatusOK)
	for _, set := range []func(bool){w.Engine.SetDown, w.Engine.SetHang} {
		set(true)
		probe("/readyz", http.StatusServiceUnavailable)
		probe("/livez", http.StatusOK) // a restart would not help
		set(false)
		probe("/readyz", http.StatusOK)
	}
}

// Requests that come while the store hangs do not pile up: each has ended after its time, with all that it began.
func TestNothingPilesUpWhileTheStoreHangs(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.StoreTime = 200 * time.Millisecond })
	web := w.Web()
	token := web.Login(w.Browser(), ada).Text("refresh_token")
	web.HTTP.CloseIdleConnections()
	before := runtime.NumGoroutine()
	w.Clock.Advance(cacheAge)
	w.Engine.SetHang(true)
	var all sync.WaitGroup
	for i := range 150 {
		all.Go(func() {
			app := w.Web()
			defer app.HTTP.CloseIdleConnections()
			var got asked
			switch i % 3 {
			case 0:
				got = answer(app.Refresh(token))
			case 1:
				got = answer(app.Send(app.NewRequest(http.MethodGet, "/"+servertest.PoolID+"/.well-known/jwks.json", nil)))
			default:
				b := w.Browser()
				defer b.CloseIdleConnections()
				got = page(b.Get(app.Authorize()))
			}
			if !got.unavailable() {
				t.Errorf("%d %s", got.status, got.errors)
			}
		})
	}
	all.Wait()
	// Connections take a moment to close; what is counted is what does not end.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(10 * time.Second); ; {
		n := runtime.NumGoroutine()
		if n <= before+10 {
			break
		}
		select {
		case <-late:
			t.Fatalf("%d goroutines, %d before", n, before)
		case <-tick.C:
		}
	}
	w.Engine.SetHang(false)
	if ans := web.Refresh(token); ans.Status != http.StatusOK {
		t.Errorf("%d %s", ans.Status, ans.Body)
	}
}
