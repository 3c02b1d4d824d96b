package poolapi_test

import (
	"reflect"
	"time"
)

// two lets ada and eve sign in and returns the input that merges eve's user into ada's.
func (r *rig) two() body {
	r.Helper()
	r.signIn("ada")
	r.signIn("eve")
	return inPool(body{"Username": "Corp_ada-0001", "SourceUsername": "Corp_eve-0001"})
}

func mergeContracts() map[string]contract {
	source := func(name string) func(*rig, body) { return func(_ *rig, in body) { in["SourceUsername"] = name } }
	return map[string]contract{
		"AdminMergeUsers": {
			in: func(r *rig) body {
				in := r.two()
				r.must("CreateGroup", inPool(body{"GroupName": "staff"}))
				r.must("AdminAddUserToGroup", inPool(body{"GroupName": "staff", "Username": in["SourceUsername"]}))
				r.must("AdminUpdateUserAttributes", inPool(body{"Username": in["SourceUsername"], "UserAttributes": []any{body{"Name": "nickname", "Value": "Eve"}}}))
				ada, eve := r.subOf("Corp_ada-0001"), r.subOf("Corp_eve-0001")
				dry := r.must("AdminMergeUsers", inPool(body{"Username": ada, "SourceUsername": eve, "DryRun": true}))
				r.want(dry["Changes"], body{"UserSub": ada, "SourceSub": eve, "EndedGrants": 1.0})
				if got := r.subOf("Corp_eve-0001"); got != eve {
					r.Errorf("a dry run merged: %s", got)
				}
				return in
			},
			check: func(r *rig, in, out body) {
				changes := out["Changes"].(body)
				r.want(changes, body{"Username": "Corp_ada-0001", "SourceUsername": "Corp_eve-0001"})
				for name, want := range map[string]any{
					"Groups":     []any{"staff"},
					"Attributes": []any{body{"Name": "nickname", "After": "Eve"}},
					"Identities": []any{body{"ProviderName": "Corp", "ProviderType": "OIDC", "UserId": "eve-0001"}},
				} {
					if !reflect.DeepEqual(changes[name], want) {
						r.Errorf("%s: %v, want %v", name, changes[name], want)
					}
				}
				got := r.must("AdminGetUser", inPool(body{"Username": changes["SourceSub"]}))
				r.want(got, body{"Username": "Corp_ada-0001"})
				if users := r.must("ListUsers", inPool(body{}))["Users"].([]any); len(users) != 1 {
					r.Errorf("%d users are listed", len(users))
				}
				r.wantUsername("eve", "Corp_ada-0001")
				r.want(r.must("AdminMergeUsers", in), body{"AlreadyMerged": true})
			},
			refusals: []refused{
				{"no such user", "UserNotFoundException", "User does not exist.", source("nobody")},
				{"no such destination", "UserNotFoundException", "User does not exist.", func(_ *rig, in body) { in["Username"] = "nobody" }},
				{"itself", "InvalidParameterException", "into itself", source("Corp_ada-0001")},
				{"a local account", "InvalidParameterException", "the other way round", func(r *rig, in body) { r.grace(); in["SourceUsername"] = "grace" }},
				{"too many identities", "LimitExceededException", "largest number of identities", func(r *rig, in body) {
					for _, subject := range []string{"1", "2", "3", "4"} {
						r.must("AdminLinkProviderForUser", inPool(body{"DestinationUser": identifier("Corp", "", "ada-0001"), "SourceUser": identifier("Corp", "Cognito_Subject", subject)}))
					}
				}},
			},
		},
		"AdminUnmergeUser": {
			in: func(r *rig) body {
				in := r.two()
				r.must("AdminMergeUsers", in)
				r.wantUsername("eve", "Corp_ada-0001")
				dry := r.must("AdminUnmergeUser", inPool(body{"SourceUsername": in["SourceUsername"], "DryRun": true}))
				r.want(dry, body{"SourceEnabled": true})
				r.want(dry["Changes"], body{"EndedGrants": 1.0})
				r.wantUsername("eve", "Corp_ada-0001")
				return inPool(body{"SourceUsername": in["SourceUsername"]})
			},
			check: func(r *rig, in, out body) {
				r.want(out, body{"SourceEnabled": true})
				r.want(out["Changes"], body{"Username": "Corp_ada-0001", "SourceUsername": "Corp_eve-0001"})
				r.Clock.Advance(time.Second) // what was until now is void
				r.wantUsername("eve", "Corp_eve-0001")
				r.wantUsername("ada", "Corp_ada-0001")
			},
			refusals: []refused{
				{"no such user", "UserNotFoundException", "User does not exist.", source("nobody")},
				{"not merged", "InvalidParameterException", "not merged", source("Corp_ada-0001")},
			},
		},
	}
}
