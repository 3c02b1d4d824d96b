package poolapi_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

func ownContracts() map[string]contract {
	all := labContracts()
	maps.Copy(all, map[string]contract{
		"AdminGetUserSources": {
			in: func(r *rig) body {
				in := r.person("ada")
				r.must("CreateGroup", inPool(body{"GroupName": "sourced"}))
				r.must("AdminAddUserToGroup", inPool(body{"Username": in["Username"], "GroupName": "sourced"}))
				r.must("AdminUpdateUserAttributes", inPool(body{"Username": in["Username"], "UserAttributes": []any{body{"Name": "nickname", "Value": "Countess"}}}))
				return in
			},
			check: func(r *rig, _, out body) {
				r.want(out, body{"Username": "Corp_ada-0001", "UserSub": r.subOf("Corp_ada-0001")})
				groups := out["Groups"].([]any)
				if len(groups) != 1 {
					r.Fatalf("groups %v", groups)
				}
				r.want(groups[0].(body), body{"GroupName": "sourced"})
				if src := groups[0].(body)["Sources"].([]any); len(src) != 1 || src[0].(body)["Kind"] != "ADMINISTRATOR" || src[0].(body)["Date"] == nil {
					r.Errorf("sources %v", src)
				}
				got := map[string]body{}
				for _, a := range out["Attributes"].([]any) {
					got[a.(body)["Name"].(string)] = a.(body)
				}
				for name, want := range map[string]body{
					"email":    {"Kind": "PROVIDER", "ProviderName": "Corp", "Rule": "email"},
					"name":     {"Kind": "PROVIDER", "ProviderName": "Corp", "Rule": "name"},
					"nickname": {"Kind": "ADMINISTRATOR"},
				} {
					if got[name] == nil {
						r.Errorf("no source of %s in %v", name, out)
						continue
					}
					src := got[name]["Source"].(body)
					r.want(src, want)
					if src["Date"] == nil {
						r.Errorf("%s: no date in %v", name, src)
					}
				}
				if got["nickname"]["Value"] != "Countess" || len(got) != 4 {
					r.Errorf("attributes %v", got)
				}
			},
			refusals: []refused{noUser},
		},
	})
	return all
}

// Our own operations and the published ones do not answer under each other's prefix: a policy or a log that reads the target would mean another one.
func TestOwnOperationsHaveTheirPrefixAlone(t *testing.T) {
	r := newRig(t)
	for target, want := range map[string]int{
		"Weir.AdminGetUserSources": http.StatusOK, "AWSCognitoIdentityProviderService.AdminGetUser": http.StatusOK,
		"AWSCognitoIdentityProviderService.AdminGetUserSources": http.StatusBadRequest, "Weir.AdminGetUser": http.StatusBadRequest,
		"weir.AdminGetUserSources": http.StatusBadRequest, "Weir.": http.StatusBadRequest, "Weir.Weir.AdminGetUserSources": http.StatusBadRequest,
	} {
		req := r.admin.Request("AdminGetUser", r.person("ada"))
		req.Header.Set("X-Amz-Target", target)
		r.admin.Sign(req)
		ans := (&servertest.App{Weir: r.Weir, HTTP: r.admin.HTTP}).Send(req)
		if ans.Status != want {
			t.Errorf("%s: %d %s, want %d", target, ans.Status, ans.Body, want)
		}
	}
}
