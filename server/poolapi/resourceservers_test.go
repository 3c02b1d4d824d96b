package poolapi_test

import "github.com/weir-id/weir/server/servertest"

// server is a resource server that exists.
func existing(r *rig, identifier string) body {
	in := body{"UserPoolId": servertest.PoolID, "Identifier": identifier, "Name": "Orders", "Scopes": []any{
		body{"ScopeName": "read", "ScopeDescription": "look"}, body{"ScopeName": "write", "ScopeDescription": "change"},
	}}
	r.must("CreateResourceServer", in)
	return in
}

func resourceServerContracts() map[string]contract {
	const missing = "ResourceNotFoundException"
	unknown := refused{"unknown", missing, "Resource server does not exist.", func(_ *rig, in body) { in["Identifier"] = "unknown" }}
	name := func(in body) body { return body{"UserPoolId": in["UserPoolId"], "Identifier": in["Identifier"]} }
	return map[string]contract{
		"CreateResourceServer": {
			in: func(*rig) body {
				return body{"UserPoolId": servertest.PoolID, "Identifier": "https://created.example.com", "Name": "Created",
					"Scopes": []any{body{"ScopeName": "read", "ScopeDescription": "look"}}}
			},
			check: func(r *rig, in, out body) {
				wantMembers(r, in, out["ResourceServer"].(body))
				wantMembers(r, in, r.must("DescribeResourceServer", name(in))["ResourceServer"].(body))
			},
			refusals: []refused{
				{"taken", "InvalidParameterException", "https://created.example.com already exists in user pool local_Example01.", func(r *rig, in body) { r.must("CreateResourceServer", in) }},
				{"a scope twice", "InvalidParameterException", "repeats entry 0", func(_ *rig, in body) {
					in["Scopes"] = append(in["Scopes"].([]any), in["Scopes"].([]any)...)
				}},
			},
		},
		"DescribeResourceServer": {
			in: func(r *rig) body { return name(existing(r, "described")) },
			check: func(r *rig, in, out body) {
				wantMembers(r, in, out["ResourceServer"].(body))
			},
			refusals: []refused{unknown},
		},
		"UpdateResourceServer": {
			in: func(r *rig) body {
				in := existing(r, "updated")
				in["Name"], in["Scopes"] = "Changed", []any{body{"ScopeName": "admin", "ScopeDescription": "all"}}
				return in
			},
			check: func(r *rig, in, out body) {
				wantMembers(r, in, out["ResourceServer"].(body))
				wantMembers(r, in, r.must("DescribeResourceServer", name(in))["ResourceServer"].(body))
			},
			refusals: []refused{unknown},
		},
		"DeleteResourceServer": {
			in: func(r *rig) body { return name(existing(r, "deleted")) },
			check: func(r *rig, in, _ body) {
				wantRefusal(r.T, "DescribeResourceServer", r.call("DescribeResourceServer", in), missing, "Resource server does not exist.")
			},
			refusals: []refused{unknown},
		},
		"ListResourceServers": {
			in: func(r *rig) body {
				existing(r, "list1")
				existing(r, "list2")
				existing(r, "list3")
				return body{"UserPoolId": servertest.PoolID, "MaxResults": 2}
			},
			check: func(r *rig, in, out body) {
				more := r.must("ListResourceServers", body{"UserPoolId": in["UserPoolId"], "NextToken": out["NextToken"]})
				all := append(out["ResourceServers"].([]any), more["ResourceServers"].([]any)...)
				if len(all) != 3 || len(out["ResourceServers"].([]any)) != 2 || more["NextToken"] != nil {
					r.Fatalf("pages %v and %v", out, more)
				}
				for i, identifier := range []string{"list1", "list2", "list3"} {
					wantMembers(r, body{"Identifier": identifier, "Name": "Orders"}, all[i].(body))
				}
				wantRefusal(r.T, "ListResourceServers", r.call("ListResourceServers", body{"UserPoolId": newPool(r, "other"), "NextToken": out["NextToken"]}),
					"InvalidParameterException", "pagination token")
			},
		},
	}
}
