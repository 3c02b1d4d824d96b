package poolapi_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

const role = "arn:aws:iam::123456789012:role/editors"

// inPool is an input about the example pool.
func inPool(more body) body {
	in := body{"UserPoolId": servertest.PoolID}
	for k, v := range more {
		in[k] = v
	}
	return in
}

// group makes a group and returns an input that names it.
func (r *rig) group(name string) body {
	r.Helper()
	if ans := r.call("GetGroup", inPool(body{"GroupName": name})); ans.Status != 200 {
		r.must("CreateGroup", inPool(body{"GroupName": name, "Description": "who may edit", "Precedence": 3, "RoleArn": role}))
	}
	return inPool(body{"GroupName": name})
}

// person lets somebody sign in once and returns the input that names them.
func (r *rig) person(who string) body {
	r.Helper()
	r.signIn(who)
	return inPool(body{"Username": "Corp_" + who + "-0001"})
}

// member is a person in a group.
func (r *rig) member(who, group string) body {
	r.Helper()
	in := r.person(who)
	in["GroupName"] = r.group(group)["GroupName"]
	r.must("AdminAddUserToGroup", in)
	return in
}

// want compares members of an answer with what they should be, as JSON has them.
func (r *rig) want(out any, members body) {
	r.Helper()
	got, _ := out.(body)
	for name, want := range members {
		if n, ok := want.(int); ok {
			want = float64(n)
		}
		if !reflect.DeepEqual(got[name], want) {
			r.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

var noGroup = refused{"no such group", "ResourceNotFoundException", "Group not found", func(_ *rig, in body) { in["GroupName"] = "nobodys" }}
var noUser = refused{"no such user", "UserNotFoundException", "User does not exist.", func(_ *rig, in body) { in["Username"] = "nobody" }}

func groupContracts() map[string]contract {
	whole := body{"GroupName": "editors", "UserPoolId": servertest.PoolID, "Description": "who may edit", "Precedence": 3, "RoleArn": role}
	return map[string]contract{
		"CreateGroup": {
			in: func(r *rig) body {
				return inPool(body{"GroupName": fmt.Sprint("editors-", len(r.Name())), "Description": "who may edit", "Precedence": 3, "RoleArn": role})
			},
			check: func(r *rig, in, out body) {
				r.want(out["Group"], in)
				r.want(r.must("GetGroup", inPool(body{"GroupName": in["GroupName"]}))["Group"], out["Group"].(body))
			},
			refusals: []refused{
				{"the name is taken", "GroupExistsException", "A group with the name already exists.", func(r *rig, in body) { r.must("CreateGroup", in) }},
				{"a role that is none", "InvalidParameterException", "roleArn", func(_ *rig, in body) { in["RoleArn"] = "arn:aws:iam:role/editors" }},
				{"a space in the name", "InvalidParameterException", "groupName", func(_ *rig, in body) { in["GroupName"] = "the editors" }},
			},
		},
		"GetGroup": {
			in:       func(r *rig) body { return r.group("editors") },
			check:    func(r *rig, _, out body) { r.want(out["Group"], whole) },
			refusals: []refused{noGroup},
		},
		"UpdateGroup": {
			in: func(r *rig) body {
				in := r.group("editors")
				in["Description"], in["Precedence"] = "", 0
				return in
			},
			check: func(r *rig, _, out body) {
				r.want(out["Group"], body{"GroupName": "editors", "Description": nil, "Precedence": 0, "RoleArn": role})
				r.must("UpdateGroup", inPool(body{"GroupName": "editors", "Description": "again"}))
				r.want(r.must("GetGroup", r.group("editors"))["Group"], body{"Description": "again", "Precedence": 0, "RoleArn": role})
			},
			refusals: []refused{noGroup},
		},
		"DeleteGroup": {
			in: func(r *rig) body { return r.group("editors") },
			check: func(r *rig, in, _ body) {
				wantRefusal(r.T, "GetGroup", r.call("GetGroup", in), "ResourceNotFoundException", "Group not found")
			},
			refusals: []refused{noGroup},
		},
		"ListGroups":               listGroupsContract(),
		"AdminAddUserToGroup":      addToGroupContract(),
		"AdminRemoveUserFromGroup": removeFromGroupContract(),
		"AdminListGroupsForUser": {
			in: func(r *rig) body {
				r.member("ada", "editors")
				in := r.member("ada", "writers")
				delete(in, "GroupName")
				return in
			},
			check: func(r *rig, in, out body) {
				r.wantPages("AdminListGroupsForUser", in, "Groups", "NextToken", "GroupName", "editors", "writers")
				r.want(out["Groups"].([]any)[0], whole)
			},
			refusals: []refused{noUser, badToken("NextToken")},
		},
		"ListUsersInGroup": {
			in: func(r *rig) body {
				r.member("bob", "editors")
				in := r.member("ada", "editors")
				delete(in, "Username")
				return in
			},
			check: func(r *rig, in, out body) {
				r.wantPages("ListUsersInGroup", in, "Users", "NextToken", "Username", "Corp_ada-0001", "Corp_bob-0001")
				r.want(out["Users"].([]any)[0], body{"Enabled": true, "UserStatus": "EXTERNAL_PROVIDER"})
			},
			refusals: []refused{noGroup, badToken("NextToken")},
		},
	}
}

// badToken is a pagination token that nobody here has made.
func badToken(member string) refused {
	return refused{"a forged token", "InvalidParameterException", "pagination token", func(_ *rig, in body) { in[member] = "forged" }}
}

// pages lists in pages of one and returns the ids of what came, at most one more than max.
func (r *rig) pages(name string, in body, list, token, id string, most int) []string {
	r.Helper()
	limit := "Limit"
	if hasMember(name, "MaxResults") {
		limit = "MaxResults"
	}
	var got []string
	var next any
	for range most + 1 {
		page := body{}
		maps.Copy(page, in)
		page[limit] = 1
		if next != nil {
			page[token] = next
		}
		out := r.must(name, page)
		for _, e := range out[list].([]any) {
			got = append(got, e.(body)[id].(string))
		}
		if next = out[token]; next == nil {
			break
		}
	}
	return got
}

// wantPages wants those things in that order.
func (r *rig) wantPages(name string, in body, list, token, id string, want ...string) {
	r.Helper()
	if got := r.pages(name, in, list, token, id, len(want)); !slices.Equal(got, want) {
		r.Errorf("%s in pages: %q, want %q", name, got, want)
	}
}

func listGroupsContract() contract {
	return contract{
		in: func(r *rig) body {
			r.group("writers")
			r.group("editors")
			return inPool(nil)
		},
		check: func(r *rig, in, _ body) {
			r.wantPages("ListGroups", in, "Groups", "NextToken", "GroupName", "editors", "writers")
		},
		refusals: []refused{badToken("NextToken")},
	}
}

func addToGroupContract() contract {
	return contract{
		in: func(r *rig) body {
			in := r.person("ada")
			in["GroupName"] = r.group("editors")["GroupName"]
			return in
		},
		check: func(r *rig, in, _ body) {
			r.must("AdminAddUserToGroup", in) // once more is no error
			claims, err := r.SPA().Verify(r.signIn("ada").Text("id_token"))
			if err != nil {
				r.Fatal(err)
			}
			r.want(claims, body{"cognito:groups": []any{"editors"}, "cognito:roles": []any{role}, "cognito:preferred_role": role})
		},
		refusals: []refused{noUser, noGroup},
	}
}

func removeFromGroupContract() contract {
	return contract{
		in: func(r *rig) body { return r.member("ada", "editors") },
		check: func(r *rig, in, _ body) {
			r.must("AdminRemoveUserFromGroup", in) // once more is no error
			r.wantPages("AdminListGroupsForUser", inPool(body{"Username": in["Username"]}), "Groups", "NextToken", "GroupName")
		},
		refusals: []refused{noUser, noGroup},
	}
}

// A token of one pool, one list or one filter is of no use for another.
func TestPaginationTokensAreBoundToTheirList(t *testing.T) {
	r := newRig(t)
	r.group("editors")
	r.group("writers")
	token := r.must("ListGroups", inPool(body{"Limit": 1}))["NextToken"]
	r.member("ada", "editors")
	in := r.member("ada", "writers")
	wantRefusal(t, "AdminListGroupsForUser", r.call("AdminListGroupsForUser", inPool(body{"Username": in["Username"], "NextToken": token})), "InvalidParameterException", "pagination token")
	wantRefusal(t, "ListUsersInGroup", r.call("ListUsersInGroup", inPool(body{"GroupName": "editors", "NextToken": token})), "InvalidParameterException", "pagination token")
}
