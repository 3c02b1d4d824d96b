package poolapi_test

import (
	"strings"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// webClient names the client that has a secret.
func webClient() body { return inPool(body{"ClientId": servertest.WebClient}) }

func clientSecretContracts() map[string]contract {
	public := refused{"a public client", "InvalidParameterException", "public one", func(_ *rig, in body) { in["ClientId"] = servertest.SPAClient }}
	return map[string]contract{
		"AddUserPoolClientSecret": {
			in: func(r *rig) body {
				// Called again and again: there is always room for one more.
				if all := r.must("ListUserPoolClientSecrets", webClient())["ClientSecrets"].([]any); len(all) == 2 {
					in := webClient()
					in["ClientSecretId"] = all[1].(body)["ClientSecretId"]
					r.must("DeleteUserPoolClientSecret", in)
				}
				return webClient()
			},
			check: func(r *rig, in, out body) {
				d := out["ClientSecretDescriptor"].(body)
				value, _ := d["ClientSecretValue"].(string)
				id, _ := d["ClientSecretId"].(string)
				if len(value) != 52 || !strings.HasPrefix(id, servertest.WebClient+"--") || d["ClientSecretCreateDate"] == nil {
					r.Errorf("%v", d)
				}
				app := *r.Web()
				app.Secret = value
				if ans := app.Refresh("nonsense"); ans.Text("error") != "invalid_grant" {
					r.Errorf("the new secret is not taken: %s", ans.Body)
				}
			},
			refusals: []refused{
				noClient, public,
				{"two already", "LimitExceededException", "two secrets already", func(r *rig, in body) { r.must("AddUserPoolClientSecret", in) }},
				{"the one that it has", "InvalidParameterException", "has this secret already", func(_ *rig, in body) { in["ClientSecret"] = servertest.WebSecret }},
			},
		},
		"ListUserPoolClientSecrets": {
			in: func(*rig) body { return webClient() },
			check: func(r *rig, in, out body) {
				first := out["ClientSecrets"].([]any)[0].(body)
				if first["ClientSecretValue"] != nil || first["ClientSecretId"] == nil || first["ClientSecretCreateDate"] == nil {
					r.Errorf("%v", first)
				}
				own := webClient()
				own["ClientSecret"] = "a_secret_of_24_characters"
				if d := r.must("AddUserPoolClientSecret", own)["ClientSecretDescriptor"].(body); d["ClientSecretValue"] != nil {
					r.Errorf("a secret that was brought is repeated: %v", d)
				}
				if all := r.must("ListUserPoolClientSecrets", in)["ClientSecrets"].([]any); len(all) != 2 {
					r.Errorf("%v", all)
				}
			},
			refusals: []refused{noClient, badToken("NextToken")},
		},
		"DeleteUserPoolClientSecret": {
			in: func(r *rig) body {
				in := webClient()
				all := r.must("ListUserPoolClientSecrets", in)["ClientSecrets"].([]any)
				if len(all) < 2 {
					r.must("AddUserPoolClientSecret", webClient())
				}
				in["ClientSecretId"] = all[0].(body)["ClientSecretId"]
				return in
			},
			check: func(r *rig, in, _ body) {
				if ans := r.Web().Refresh("nonsense"); ans.Text("error") != "invalid_client" {
					r.Errorf("the deleted secret is taken: %s", ans.Body)
				}
				if all := r.must("ListUserPoolClientSecrets", webClient())["ClientSecrets"].([]any); len(all) != 1 {
					r.Errorf("%v", all)
				}
			},
			refusals: []refused{
				noClient,
				{"no such secret", "ResourceNotFoundException", "no secret of this id", func(_ *rig, in body) { in["ClientSecretId"] = "another" }},
				{"the last one", "InvalidParameterException", "last secret", func(r *rig, in body) {
					r.must("DeleteUserPoolClientSecret", in)
					in["ClientSecretId"] = r.must("ListUserPoolClientSecrets", webClient())["ClientSecrets"].([]any)[0].(body)["ClientSecretId"]
				}},
			},
		},
	}
}

// An application that computes SECRET_HASH may do so with either secret.
func TestSecretHashIsTakenOfEitherSecret(t *testing.T) {
	r := newRig(t)
	refresh := r.Web().Login(r.Browser(), servertest.As("ada")).Text("refresh_token")
	added := r.must("AddUserPoolClientSecret", webClient())["ClientSecretDescriptor"].(body)["ClientSecretValue"].(string)
	for _, s := range []string{servertest.WebSecret, added} {
		in := body{"ClientId": servertest.WebClient, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": body{
			"REFRESH_TOKEN": refresh, "SECRET_HASH": secretHash("Corp_ada-0001", servertest.WebClient, s),
		}}
		if ans := r.nobody.Call("InitiateAuth", in); ans.Status != 200 {
			t.Errorf("%d %s", ans.Status, ans.Body)
		}
	}
}
