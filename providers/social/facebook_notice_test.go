package social_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// signed is the callback of Facebook's about ada, now; pairs are members over the usual ones.
func (f *atFacebook) signed(change map[string]any) string {
	f.t.Helper()
	claims := map[string]any{"algorithm": "HMAC-SHA256", "issued_at": f.Clock.Now().Unix(), "user_id": adaAtFacebook}
	maps.Copy(claims, change)
	raw, err := f.up.SignedRequest(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// asForm is a notice as it is posted.
func asForm(signed ...string) federation.Response {
	return federation.Response{Method: http.MethodPost, Body: []byte(url.Values{"signed_request": signed}.Encode())}
}

func TestFacebookNotices(t *testing.T) {
	f := startFacebook(t)
	r := f.provider().(federation.NoticeReader)
	sent := f.signed(nil)
	ids := map[string]bool{}
	for door, kind := range map[string]federation.NoticeKind{"deauthorize": federation.ConsentRevoked, "data-deletion": federation.DataDeletion} {
		first, err := r.ReadNotice(t.Context(), door, asForm(sent))
		if err != nil {
			t.Fatal(err)
		}
		want := federation.Notice{Kind: kind, Subject: adaAtFacebook, Issued: f.Clock.Now(), ID: first.ID}
		if !first.Issued.Equal(want.Issued) || first.Kind != want.Kind || first.Subject != want.Subject || first.Email != "" {
			t.Errorf("%s: notice %+v, want %+v", door, first, want)
		}
		second, err := r.ReadNotice(t.Context(), door, federation.Response{Method: http.MethodPost, Form: url.Values{"signed_request": {sent}}})
		if err != nil || second.ID != first.ID || first.ID == "" { // a second copy has to be known
			t.Errorf("%s: ids %q and %q, %v", door, first.ID, second.ID, err)
		}
		ids[first.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("the two callbacks of one removal have one id: %v", ids)
	}
	// As documentation and examples of Facebook's write it, and with padding.
	for name, raw := range map[string]string{
		"algorithm in small letters": f.signed(map[string]any{"algorithm": "hmac-sha256"}),
		"a day old":                  f.signed(map[string]any{"issued_at": f.Clock.Now().Add(-23 * time.Hour).Unix()}),
		"a padded signature":         strings.Replace(sent, ".", "=.", 1),
	} {
		if got, err := r.ReadNotice(t.Context(), "deauthorize", asForm(raw)); err != nil || got.Subject != adaAtFacebook {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := r.ReadNotice(t.Context(), "notifications", asForm(sent)); !errors.Is(err, federation.ErrNoNotices) {
		t.Errorf("at another door: %v", err)
	}
}

func TestFacebookNoticesRefused(t *testing.T) {
	f := startFacebook(t)
	r := f.provider().(federation.NoticeReader)
	now := f.Clock.Now()
	good := f.signed(nil)
	_, payload, _ := strings.Cut(good, ".")
	stranger := &atFacebook{Weir: f.Weir, t: t, up: &socialtest.Facebook{Server: socialtest.Server{ClientSecret: "another"}}}
	nobody := &atFacebook{Weir: f.Weir, t: t, up: &socialtest.Facebook{}}
	sig, _, _ := strings.Cut(good, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"algorithm":"HMAC-SHA256","issued_at":1,"user_id":"1"}`))
	for name, res := range map[string]federation.Response{
		"signed with another secret":    asForm(stranger.signed(nil)),
		"signed with no secret":         asForm(nobody.signed(nil)),
		"another payload":               asForm(sig + "." + other),
		"without a signature":           asForm("." + payload),
		"without a payload":             asForm(sig),
		"a short signature":             asForm(sig[:20] + "." + payload),
		"a signature that is no base64": asForm("!!." + payload),
		"alg none":                      asForm(f.signed(map[string]any{"algorithm": "none"})),
		"no alg":                        asForm(f.signed(map[string]any{"algorithm": nil})),
		"another alg":                   asForm(f.signed(map[string]any{"algorithm": "HMAC-SHA1"})),
		"stale":                         asForm(f.signed(map[string]any{"issued_at": now.Add(-24*time.Hour - time.Minute).Unix()})),
		"of the future":                 asForm(f.signed(map[string]any{"issued_at": now.Add(6 * time.Minute).Unix()})),
		"without a time":                asForm(f.signed(map[string]any{"issued_at": nil})),
		"with a time in text":           asForm(f.signed(map[string]any{"issued_at": "now"})),
		"a browser's, with a code":      asForm(f.signed(map[string]any{"code": "AQB-of-the-cookie"})),
		"about nobody":                  asForm(f.signed(map[string]any{"user_id": ""})),
		"about a number":                asForm(f.signed(map[string]any{"user_id": 7})),
		"about a name":                  asForm(f.signed(map[string]any{"user_id": "ada"})),
		"large":                         asForm(f.signed(map[string]any{"x": strings.Repeat("x", 8<<10)})),
		"two":                           asForm(good, good),
		"none":                          asForm(),
		"a GET":                         {Method: http.MethodGet, Body: asForm(good).Body},
		"in the query":                  {Method: http.MethodPost, Query: url.Values{"signed_request": {good}}},
		"JSON":                          {Method: http.MethodPost, Body: []byte(`{"signed_request":"` + good + `"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.ReadNotice(t.Context(), "data-deletion", res)
			if err == nil || fault.CodeOf(err) != fault.Invalid || got != (federation.Notice{}) {
				t.Errorf("notice %+v, %v", got, err)
			}
		})
	}
}

// tell posts a signed request to a door of Weir, as Facebook does.
func (f *atFacebook) tell(door, signed string) *servertest.Answer {
	f.t.Helper()
	at := "/oauth2/notices/" + servertest.PoolID + "/Facebook/" + door
	return f.Web().Send(f.Web().NewRequest(http.MethodPost, at, url.Values{"signed_request": {signed}}))
}

// Whoever removes the app at Facebook is signed out, and nobody else.
func TestFacebookDeauthorizationEndsTheSession(t *testing.T) {
	f := startFacebook(t)
	b := f.Browser()
	ada := f.Web().Tokens(b.SignIn(f.Web().Authorize(), upstream))
	f.up.Change(func(s *socialtest.Server) { s.Person = bobAtFacebook })
	bob := f.Web().Tokens(f.Browser().SignIn(f.Web().Authorize(), upstream))
	if ans := f.tell("deauthorize", "x."+f.signed(nil)); ans.Status != http.StatusBadRequest {
		t.Errorf("forged: %d %s", ans.Status, ans.Body)
	}
	if ans := f.tell("deauthorize", f.signed(nil)); ans.Status != http.StatusOK {
		t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, f.Log.Text())
	}
	if got := f.Web().Refresh(ada.Text("refresh_token")); got.Text("error") != "invalid_grant" {
		t.Errorf("refresh: %d %s", got.Status, got.Body)
	}
	if got := b.Get(f.Web().Authorize("prompt", "none")).Params().Get("error"); got != "login_required" {
		t.Errorf("single sign-on: %q", got)
	}
	if got := f.Web().Refresh(bob.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("of another person: %d %s", got.Status, got.Body)
	}
}

// Facebook wants an address and a code of the person's request, and shows both to the person.
func TestFacebookDataDeletion(t *testing.T) {
	for mode, done := range map[string]bool{"record": false, "delete": true} {
		t.Run(mode, func(t *testing.T) {
			f := startFacebook(t, "on_data_deletion", mode)
			ada := f.Web().Tokens(f.Browser().SignIn(f.Web().Authorize(), upstream))
			signed := f.signed(nil)
			ans := f.tell("data-deletion", signed)
			code, at := ans.Text("confirmation_code"), ans.Text("url")
			if ans.Status != http.StatusOK || code == "" || !strings.Contains(at, code) || !strings.HasPrefix(at, f.URL+"/oauth2/notices/") {
				t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, f.Log.Text())
			}
			if again := f.tell("data-deletion", signed); again.Text("confirmation_code") != code {
				t.Errorf("the same request again: %d %s", again.Status, again.Body)
			}
			if got := f.Web().Refresh(ada.Text("refresh_token")); got.Text("error") != "invalid_grant" {
				t.Errorf("refresh: %d %s", got.Status, got.Body)
			}
			if gone := len(users(t, f.Weir)) == 0; gone != done {
				t.Errorf("deleted: %t", gone)
			}
			page := f.Browser().Get(at)
			if page.Status != http.StatusOK || strings.Contains(page.Body, "Ada") || strings.Contains(page.Body, adaAtFacebook) {
				t.Errorf("page %d: %s", page.Status, page.Body)
			}
			if other := f.Browser().Get(strings.Replace(at, code, "A"+code[1:len(code)-1]+"B", 1)); other.Status != http.StatusNotFound {
				t.Errorf("with another code: %d", other.Status)
			}
		})
	}
}
