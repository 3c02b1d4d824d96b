package social_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/social"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// limited is an ID token of Limited Login for ada; pairs are claims over the usual ones.
func (f *atFacebook) limited(pairs ...any) string {
	f.t.Helper()
	now := f.Clock.Now()
	claims := map[string]any{
		"iss": "https://www.facebook.com", "aud": facebookApp, "sub": adaAtFacebook, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "x",
		"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com", "picture": "https://pics.example/ada.jpg",
	}
	for pair := range slices.Chunk(pairs, 2) {
		claims[pair[0].(string)] = pair[1]
	}
	raw, err := f.up.Limited(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

// Who signs in by Limited Login in an app and by the web is one user, with the same attributes.
func TestFacebookLimitedLogin(t *testing.T) {
	f := startFacebook(t)
	exchange := func(raw string) *servertest.Answer {
		return f.SPA().Post("/oauth2/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw}, "nonce": {"n1"},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"}, "identity_provider": {"Facebook"}, "scope": {"openid email profile"},
		})
	}
	for name, raw := range map[string]string{
		"of another app":    f.limited("nonce", "n1", "aud", "9999"),
		"of another issuer": f.limited("nonce", "n1", "iss", "https://facebook.example"),
		"of another nonce":  f.limited("nonce", "n2"),
	} {
		if ans := exchange(raw); ans.Status != http.StatusBadRequest || ans.Text("error") != "invalid_request" {
			t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
		}
	}
	ans := exchange(f.limited("nonce", "n1"))
	if ans.Status != http.StatusOK {
		t.Fatalf("answer %d %s\n%s", ans.Status, ans.Body, f.Log.Text())
	}
	native := f.SPA().Claims(ans.Text("id_token"))
	want := map[string]string{
		"email": "ada@example.com", "email_verified": "false", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
		"picture": "https://pics.example/ada.jpg",
	}
	oneUser(t, f.Weir, want)
	if web := signIn(t, f.Weir, "Facebook"); web["sub"] != native["sub"] || native["cognito:username"] != "Facebook_"+adaAtFacebook {
		t.Errorf("native %v, web %v", native, web)
	}
	oneUser(t, f.Weir, want)
}

func TestFacebookRevocation(t *testing.T) {
	f := startFacebook(t)
	token := f.up.Issue(socialtest.Grant{Person: adaAtFacebook, Query: url.Values{"client_id": {facebookApp}}})
	revoker := f.provider().(federation.Revoker)
	kept := federation.UpstreamTokens{Access: secret.New(token)}
	for _, other := range []string{bobAtFacebook, "me", "../" + adaAtFacebook, ""} {
		if err := revoker.Revoke(t.Context(), kept, other); err == nil {
			t.Errorf("revoked for %q", other)
		}
	}
	if err := revoker.Revoke(t.Context(), federation.UpstreamTokens{}, adaAtFacebook); !errors.Is(err, federation.ErrNoRevocation) {
		t.Errorf("without a token: %v", err)
	}
	if err := revoker.Revoke(t.Context(), kept, adaAtFacebook); err != nil || !slices.Equal(f.up.Removed(), []string{adaAtFacebook}) {
		t.Errorf("removed %v, %v", f.up.Removed(), err)
	}
	err := revoker.Revoke(t.Context(), kept, adaAtFacebook) // the token is gone, and Facebook repeats it
	if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), clientSecret) {
		t.Errorf("error %v", err)
	}
}

func TestFacebookDetails(t *testing.T) {
	good := map[string]string{"client_id": facebookApp, "client_secret": clientSecret}
	for name, c := range map[string]struct {
		details map[string]string
		faults  []string
	}{
		"the least":                         {nil, nil},
		"an older version":                  {map[string]string{"api_version": "v17.0"}, nil},
		"scopes with spaces":                {map[string]string{"authorize_scopes": "public_profile email"}, nil},
		"fields of the administrator":       {map[string]string{"attributes_url": "https://graph.facebook.com/v25.0/me?fields=id,picture.width(200)"}, nil},
		"a version without v":               {map[string]string{"api_version": "25.0"}, []string{"api_version"}},
		"a version that is a path":          {map[string]string{"api_version": "v25.0/../x"}, []string{"api_version"}},
		"a scope that is none":              {map[string]string{"authorize_scopes": "email;x"}, []string{"authorize_scopes"}},
		"fields that are a query":           {map[string]string{"attributes_url": "https://graph.facebook.com/me?fields=id,friends{email}"}, []string{"attributes_url"}},
		"no secret":                         {map[string]string{"client_secret": ""}, []string{"client_secret"}},
		"no secret, and none asked for":     {map[string]string{"client_secret": "", "token_endpoint_auth_method": "none"}, []string{"client_secret", "token_endpoint_auth_method"}},
		"a key that Facebook does not have": {map[string]string{"token_info_url": "https://x.example"}, []string{"token_info_url"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := maps.Clone(good)
			maps.Copy(all, c.details)
			d := pool.Details{}
			for key, value := range all {
				d[key] = secret.New(value)
			}
			var keys []string
			for _, f := range social.Kinds()["Facebook"].Validate(d, false) {
				keys = append(keys, f.Key)
			}
			if !slices.Equal(keys, c.faults) {
				t.Errorf("faults of %v, want %v", keys, c.faults)
			}
		})
	}
}
