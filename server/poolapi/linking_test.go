package poolapi_test

import (
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

func identifier(provider, attribute, value string) body {
	return body{"ProviderName": provider, "ProviderAttributeName": attribute, "ProviderAttributeValue": value}
}

// grace makes a local user.
func (r *rig) grace() {
	r.Helper()
	r.must("AdminCreateUser", inPool(body{"Username": "grace", "MessageAction": "SUPPRESS", "UserAttributes": []body{{"Name": "email", "Value": "grace@corp.example"}}}))
}

func linkingContracts() map[string]contract {
	ada := identifier("Corp", "Cognito_Subject", "ada-0001")
	grace := body{"ProviderName": "Cognito", "ProviderAttributeValue": "grace"}
	return map[string]contract{
		"AdminLinkProviderForUser": {
			in: func(r *rig) body {
				r.grace()
				return inPool(body{"DestinationUser": grace, "SourceUser": ada})
			},
			check: func(r *rig, _, _ body) { r.wantUsername("ada", "grace") },
			refusals: []refused{
				{"no such user", "UserNotFoundException", "User does not exist.", func(_ *rig, in body) {
					in["DestinationUser"] = body{"ProviderName": "Cognito", "ProviderAttributeValue": "nobody"}
				}},
				{"no such user of a provider", "UserNotFoundException", "User does not exist.", func(_ *rig, in body) {
					in["DestinationUser"] = identifier("Corp", "Cognito_Subject", "eve-0001")
				}},
				{"no such provider", "ResourceNotFoundException", "identity provider", func(_ *rig, in body) { in["SourceUser"] = identifier("Acme", "Cognito_Subject", "x") }},
				{"a local user as the source", "InvalidParameterException", "source must be an identity", func(_ *rig, in body) { in["SourceUser"] = identifier("Cognito", "", "grace") }},
				{"an attribute that is not mapped", "InvalidParameterException", "Cognito_Subject", func(_ *rig, in body) { in["SourceUser"] = identifier("Corp", "upn", "x") }},
				{"no value", "InvalidParameterException", "SourceUser needs", func(_ *rig, in body) { in["SourceUser"] = body{"ProviderName": "Corp"} }},
				{"somebody who has signed in", "InvalidParameterException", "Merging is not currently supported", func(r *rig, _ body) { r.signIn("ada") }},
				{"twice", "InvalidParameterException", "already linked", func(r *rig, in body) { r.must("AdminLinkProviderForUser", in) }},
			},
		},
		"AdminDisableProviderForUser": {
			in: func(r *rig) body {
				r.grace()
				r.must("AdminLinkProviderForUser", inPool(body{"DestinationUser": grace, "SourceUser": ada}))
				r.wantUsername("ada", "grace")
				return inPool(body{"User": ada})
			},
			check: func(r *rig, _, _ body) { r.wantUsername("ada", "Corp_ada-0001") },
			refusals: []refused{
				{"nobody's identity", "UserNotFoundException", "User does not exist.", func(_ *rig, in body) { in["User"] = identifier("Corp", "Cognito_Subject", "eve-0001") }},
				{"no value", "InvalidParameterException", "User needs", func(_ *rig, in body) { in["User"] = body{"ProviderName": "Corp"} }},
			},
		},
	}
}

// wantUsername lets somebody sign in and wants them to be that user.
func (r *rig) wantUsername(who, want string) {
	r.Helper()
	claims, err := r.SPA().Verify(r.signIn(who).Text("id_token"))
	if err != nil {
		r.Fatal(err)
	}
	r.want(claims, body{"cognito:username": want})
}

// A link by a claim waits for whoever brings it; a disabled local account lets nobody in, whatever is linked to it.
func TestLinksByClaimAndDisabledAccounts(t *testing.T) {
	r := newRig(t)
	r.grace()
	r.must("AdminLinkProviderForUser", inPool(body{
		"DestinationUser": body{"ProviderName": "Cognito", "ProviderAttributeValue": "grace"}, "SourceUser": identifier("Corp", "email", "bob@corp.example"),
	}))
	r.wantUsername("bob", "grace")
	r.wantUsername("ada", "Corp_ada-0001")
	r.must("AdminDisableProviderForUser", inPool(body{"User": identifier("Cognito", "", "grace")}))
	if p := r.Browser().SignIn(r.SPA().Authorize(), servertest.As("bob")); p.Params().Get("code") != "" {
		t.Error("a disabled user signs in")
	}
}
