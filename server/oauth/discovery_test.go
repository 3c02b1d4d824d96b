package oauth_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

func indented(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDiscovery(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		o.BaseURL = servertest.HTTPS
		o.Spec.UserPools[0].SigningAlgorithm = "RS256"
	})
	app := w.Web()
	fetch := func(method, host, path string) *servertest.Answer {
		req := app.NewRequest(method, path, nil)
		if host != "" {
			req.Host = host
		}
		return app.Send(req)
	}
	const path = "/" + servertest.PoolID + "/.well-known/openid-configuration"
	ans := fetch(http.MethodGet, "", path)
	var doc bytes.Buffer
	if err := json.Indent(&doc, []byte(ans.Body), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "discovery.json", doc.String()+"\n")
	if ans.Header.Get("Cache-Control") != "public, max-age=300" || ans.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", ans.Header)
	}
	t.Run("also where RFC 8414 has it, and where Nimbus looks for it", func(t *testing.T) {
		const name = "/.well-known/oauth-authorization-server"
		for _, path := range []string{name + "/" + servertest.PoolID, "/" + servertest.PoolID + name} {
			if got := fetch(http.MethodGet, "", path); got.Body != ans.Body || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %s", path, got.Status, got.Body)
			}
		}
	})
	t.Run("every endpoint that it names is there", func(t *testing.T) {
		for name, v := range ans.JSON {
			url, ok := v.(string)
			if !ok || !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
				continue
			}
			if got := fetch(http.MethodGet, "", strings.TrimPrefix(url, w.URL)); got.Status == http.StatusNotFound {
				t.Errorf("%s: %s is not there", name, url)
			}
		}
	})
	t.Run("on the pool's own host the endpoints are there, the issuer is not", func(t *testing.T) {
		got := fetch(http.MethodGet, "acme.example.com", path)
		if got.Text("token_endpoint") != "https://acme.example.com/oauth2/token" || got.Text("issuer") != app.Issuer {
			t.Errorf("answer %s", got.Body)
		}
	})
	t.Run("a host that is not ours is not repeated", func(t *testing.T) {
		if got := fetch(http.MethodGet, "evil.example", path); got.Body != ans.Body {
			t.Errorf("answer %s", got.Body)
		}
	})
	t.Run("unknown pool", func(t *testing.T) {
		for _, id := range []string{"local_Nobody001", "x", "..%2f..", strings.Repeat("x", 100)} {
			for _, doc := range []string{"openid-configuration", "jwks.json"} {
				refused(t, fetch(http.MethodGet, "", "/"+id+"/.well-known/"+doc), http.StatusNotFound, "not_found", "")
			}
		}
	})
	t.Run("keys", func(t *testing.T) {
		got := fetch(http.MethodGet, "", "/"+servertest.PoolID+"/.well-known/jwks.json")
		keys, _ := got.JSON["keys"].([]any)
		if got.Status != http.StatusOK || len(keys) != 2 || !strings.HasPrefix(got.Header.Get("Cache-Control"), "public, max-age=") {
			t.Fatalf("answer %d %v %s", got.Status, got.Header, got.Body)
		}
		for _, k := range keys {
			key, _ := k.(map[string]any)
			if key["d"] != nil || key["p"] != nil || key["kid"] == "" || key["alg"] != "RS256" || key["use"] != "sig" {
				t.Errorf("key %v", key)
			}
		}
		head := fetch(http.MethodHead, "", path)
		if head.Status != http.StatusOK || head.Body != "" {
			t.Errorf("HEAD: %d %q", head.Status, head.Body)
		}
	})
}

// volatile are the claims that differ from run to run; what they hold is tested elsewhere.
var volatile = []string{"sub", "jti", "origin_jti", "event_id", "at_hash"}

// The decoded tokens and userInfo of a login, with all that an application can rely on.
func TestTokensGolden(t *testing.T) {
	w, up := servertest.StartExample(t, servertest.Secure)
	web := w.Web()
	ans := web.Login(w.Browser(), ada, "scope", "openid email phone profile")
	w.Clock.Advance(time.Minute)
	refreshed := web.Refresh(ans.Text("refresh_token"))
	for name, doc := range map[string]map[string]any{
		"id_token.json": web.Claims(ans.Text("id_token")), "access_token.json": web.Claims(ans.Text("access_token")),
		"refreshed_id_token.json": web.Claims(refreshed.Text("id_token")), "userinfo.json": web.UserInfo(ans.Text("access_token")).JSON,
	} {
		for _, v := range volatile {
			if doc[v] != nil {
				doc[v] = "(" + v + ")"
			}
		}
		golden(t, name, strings.ReplaceAll(indented(t, doc), up.Issuer(), "(upstream issuer)"))
	}
	body := ans.JSON
	for _, name := range []string{"id_token", "access_token", "refresh_token"} {
		if body[name] != nil {
			body[name] = "(" + name + ")"
		}
	}
	golden(t, "token_answer.json", indented(t, body))
}

// The bodies of the errors that programs meet.
func TestErrorBodiesGolden(t *testing.T) {
	w, _ := servertest.StartExample(t)
	web := w.Web()
	get := func(path string) *servertest.Answer { return web.Send(web.NewRequest(http.MethodGet, path, nil)) }
	all := map[string]any{}
	for name, ans := range map[string]*servertest.Answer{
		"token: unknown code":         web.Redeem("x"),
		"token: no code":              web.Redeem(""),
		"token: unknown grant type":   web.Redeem("x", "grant_type", "password"),
		"token: unknown client":       w.App(servertest.PoolID, "nobody", "", "").Redeem("x"),
		"token: wrong secret, basic":  w.App(servertest.PoolID, servertest.WebClient, "wrong", "").Redeem("x"),
		"token: unknown refresh":      web.Refresh("x"),
		"userInfo: no token":          get("/oauth2/userInfo"),
		"userInfo: no access token":   web.UserInfo("x"),
		"discovery: unknown pool":     get("/local_Nobody001/.well-known/openid-configuration"),
		"nothing there":               get("/nothing"),
		"a method that is not served": get("/oauth2/token"),
	} {
		id := ans.Header.Get("X-Request-Id")
		challenge := strings.ReplaceAll(ans.Header.Get("WWW-Authenticate"), id, "(reference)")
		all[name] = map[string]any{"status": ans.Status, "challenge": challenge, "body": strings.ReplaceAll(strings.TrimSpace(ans.Body), id, "(reference)")}
	}
	golden(t, "errors.json", indented(t, all))
}
