package login_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/servertest"
)

// asking are providers that pass on a request for deletion about whoever the form names as its user.
type asking struct{ federation.Providers }

type asker struct{ federation.Provider }

func (p asking) Provider(ctx context.Context, cfg pool.IdentityProvider) (federation.Provider, error) {
	inner, err := p.Providers.Provider(ctx, cfg)
	return asker{inner}, err
}

func (asker) ReadNotice(_ context.Context, door string, r federation.Response) (federation.Notice, error) {
	if door != "data-deletion" || r.Method != http.MethodPost || r.Form.Encode() != string(r.Body) {
		return federation.Notice{}, federation.ErrNoNotices
	}
	return federation.Notice{Kind: federation.DataDeletion, Subject: r.Form.Get("user"), ID: r.Form.Get("id")}, nil
}

const notices = "/oauth2/notices/" + servertest.PoolID + "/Corp"

// ask posts a request for deletion and returns the address that the answer leads to.
func ask(t *testing.T, w *servertest.Weir, base, user string) string {
	t.Helper()
	w.Broker.Providers = asking{w.Broker.Providers}
	req := w.Web().NewRequest(http.MethodPost, notices+"/data-deletion", url.Values{"user": {user}, "id": {"request of " + user}})
	if base != w.URL {
		at, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Host, req.Host = at.Host, at.Host
	}
	ans := w.Web().Send(req)
	code := ans.Text("confirmation_code")
	if ans.Status != http.StatusOK || code == "" || len(ans.JSON) != 2 || ans.Text("url") != base+notices+"/deletion?code="+code {
		t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, w.Log.Text())
	}
	if strings.Contains(w.Log.Text(), code) {
		t.Error("the code is in the log")
	}
	return ans.Text("url")
}

func TestDeletionPage(t *testing.T) {
	w, _ := servertest.StartExample(t)
	sub := w.Web().Claims(w.Web().Login(w.Browser(), ada).Text("id_token"))["sub"].(string)
	at := ask(t, w, w.URL, "ada-0001")
	b := w.Browser()
	p := b.Get(at)
	if p.Status != http.StatusOK || !strings.Contains(p.Body, "Your request was received") || !strings.Contains(p.Body, "4 May 2026") {
		t.Errorf("answer %d\n%s", p.Status, p.Body)
	}
	for _, personal := range []string{"ada", "Corp", sub} {
		if strings.Contains(strings.ToLower(p.Body), strings.ToLower(personal)) {
			t.Errorf("%q is in the page", personal)
		}
	}
	if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'none'") {
		t.Errorf("policy %q", csp)
	}
	if p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", p.Header)
	}
	if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, "an administrator"); err != nil {
		t.Fatal(err)
	}
	if p := b.Get(at); p.Status != http.StatusOK || !strings.Contains(p.Body, "Your request is done") {
		t.Errorf("answer %d\n%s", p.Status, p.Body)
	}
	if strings.Contains(w.Log.Text(), at[len(at)-20:]) {
		t.Error("the code is in the log")
	}
}

// The answer about somebody who is not known leads to a page too, and a pool's own host to one there.
func TestDeletionOfAnUnknownPerson(t *testing.T) {
	w, _ := servertest.StartExample(t)
	at := ask(t, w, "http://acme.login.test", "nobody-0001")
	if p := w.Browser().Get(at); p.Status != http.StatusOK || !strings.Contains(p.Body, "Your request is done") {
		t.Errorf("answer %d\n%s", p.Status, p.Body)
	}
}

func TestNoDeletionPage(t *testing.T) {
	w, up := servertest.StartExample(t)
	w.Apply(servertest.WithOther(servertest.Example(servertest.Provider("Corp", up)), servertest.Provider("Corp", up)))
	at := ask(t, w, w.URL, "ada-0001")
	for name, wrong := range map[string]string{
		"another code":                at + "A",
		"no code":                     w.URL + notices + "/deletion",
		"another pool":                strings.Replace(at, servertest.PoolID, servertest.OtherPool, 1),
		"an unknown pool":             strings.Replace(at, servertest.PoolID, "local_Nowhere01", 1),
		"an unknown provider":         strings.Replace(at, "/Corp/", "/Nobody/", 1),
		"at the host of another pool": strings.Replace(at, "login.test", "other.login.test", 1),
	} {
		t.Run(name, func(t *testing.T) {
			onPage(t, w.Browser().Get(wrong), http.StatusNotFound, "There is no such page")
		})
	}
}
