package poolapi_test

import (
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/weir-id/weir/server/servertest"
)

// wholeClient has every member of a client that a request can have.
func wholeClient() body {
	return inPool(body{
		"ClientName": "whole", "GenerateSecret": true, "CallbackURLs": []any{"https://app.example/cb"}, "LogoutURLs": []any{"https://app.example/"},
		"DefaultRedirectURI": "https://app.example/cb", "AllowedOAuthFlows": []any{"code"}, "AllowedOAuthFlowsUserPoolClient": true,
		"AllowedOAuthScopes": []any{"openid", "email"}, "SupportedIdentityProviders": []any{"Corp"},
		"ExplicitAuthFlows": []any{"ALLOW_USER_SRP_AUTH"}, "PreventUserExistenceErrors": "ENABLED", "EnablePropagateAdditionalUserContextData": true,
		"IdTokenValidity": 30, "AccessTokenValidity": 2, "RefreshTokenValidity": 7, "AuthSessionValidity": 5,
		"TokenValidityUnits":    body{"IdToken": "minutes", "AccessToken": "hours", "RefreshToken": "days"},
		"RefreshTokenRotation":  body{"Feature": "ENABLED", "RetryGracePeriodSeconds": 10},
		"EnableTokenRevocation": false, "ReadAttributes": []any{"email"}, "WriteAttributes": []any{"name"},
	})
}

// client makes a client and returns an input that names it.
func (r *rig) client(in body) body {
	r.Helper()
	made := r.must("CreateUserPoolClient", in)["UserPoolClient"].(body)
	return inPool(body{"ClientId": made["ClientId"]})
}

// shown is what describing a client gives.
func (r *rig) shown(client body) body {
	r.Helper()
	return r.must("DescribeUserPoolClient", client)["UserPoolClient"].(body)
}

var noClient = refused{"no such client", "ResourceNotFoundException", "User pool client nobodys does not exist.", func(_ *rig, in body) { in["ClientId"] = "nobodys" }}

func clientContracts() map[string]contract {
	refusals := []refused{
		{"implicit", "InvalidOAuthFlowException", "implicit is not supported yet", func(_ *rig, in body) { in["AllowedOAuthFlows"] = []any{"implicit"} }},
		{"a scope of nobody's", "ScopeDoesNotExistException", "AllowedOAuthScopes[0]", func(_ *rig, in body) { in["AllowedOAuthScopes"] = []any{"emial"} }},
		{"a scope of no resource server", "ScopeDoesNotExistException", "Invalid scope requested: api.example/read", func(_ *rig, in body) { in["AllowedOAuthScopes"] = []any{"openid", "api.example/read"} }},
		{"a provider of nobody's", "InvalidParameterException", "SupportedIdentityProviders[0]", func(_ *rig, in body) { in["SupportedIdentityProviders"] = []any{"Google"} }},
		{"rotation and REFRESH_TOKEN_AUTH", "InvalidParameterException", "exclude each other", func(_ *rig, in body) { in["ExplicitAuthFlows"] = []any{"ALLOW_REFRESH_TOKEN_AUTH"} }},
		{"auth flows of two ages", "InvalidParameterException", "ExplicitAuthFlows: values that begin", func(_ *rig, in body) {
			in["ExplicitAuthFlows"] = []any{"ALLOW_USER_SRP_AUTH", "USER_PASSWORD_AUTH"}
		}},
		{"an ID token of 1 minute", "InvalidParameterException", "IdTokenValidity: must be from 5 minutes", func(_ *rig, in body) { in["IdTokenValidity"] = 1 }},
		{"Pinpoint", "InvalidParameterException", "AnalyticsConfiguration", func(_ *rig, in body) { in["AnalyticsConfiguration"] = body{"ApplicationId": "abc"} }},
	}
	updated := func(r *rig) body {
		in := wholeClient()
		delete(in, "GenerateSecret")
		in["ClientId"], in["ClientName"] = r.client(wholeClient())["ClientId"], "renamed"
		return in
	}
	return map[string]contract{
		"CreateUserPoolClient": {
			in: func(*rig) body { return wholeClient() },
			check: func(r *rig, in, out body) {
				made := out["UserPoolClient"].(body)
				want := maps.Clone(in)
				delete(want, "GenerateSecret")
				r.sameClient(made, want)
				if s, _ := made["ClientSecret"].(string); len(s) != 52 || made["CreationDate"] == nil || made["LastModifiedDate"] == nil {
					r.Errorf("%v", made)
				}
				r.sameClient(r.shown(inPool(body{"ClientId": made["ClientId"]})), made)
			},
			refusals: append(refusals,
				refused{"two secrets", "InvalidParameterException", "GenerateSecret", func(_ *rig, in body) { in["ClientSecret"] = "a_secret_of_24_characters" }}),
		},
		"DescribeUserPoolClient": {
			in:       func(r *rig) body { return r.client(inPool(body{"ClientName": "plain"})) },
			check:    func(r *rig, in, out body) { r.plainClient(out["UserPoolClient"].(body)) },
			refusals: []refused{noClient},
		},
		"UpdateUserPoolClient": {
			in:       updated,
			check:    checkUpdatedClient,
			refusals: append(refusals, noClient),
		},
		"DeleteUserPoolClient": {
			in: func(r *rig) body { return r.client(inPool(body{"ClientName": "plain"})) },
			check: func(r *rig, in, _ body) {
				wantRefusal(r.T, "DescribeUserPoolClient", r.call("DescribeUserPoolClient", in), "ResourceNotFoundException", "does not exist")
			},
			refusals: []refused{noClient},
		},
		"ListUserPoolClients": {
			in: func(*rig) body { return inPool(nil) },
			check: func(r *rig, in, out body) {
				r.wantPages("ListUserPoolClients", in, "UserPoolClients", "NextToken", "ClientId", servertest.WebClient, servertest.SPAClient)
				want := body{"UserPoolId": servertest.PoolID, "ClientId": servertest.WebClient, "ClientName": "web"}
				if got := out["UserPoolClients"].([]any)[0]; !reflect.DeepEqual(got, any(want)) {
					r.Errorf("%v, want %v", got, want)
				}
			},
			refusals: []refused{badToken("NextToken")},
		},
	}
}

// sameClient compares two clients, numbers in them as JSON has them.
func (r *rig) sameClient(got, want body) {
	r.Helper()
	for _, nested := range []string{"RefreshTokenRotation", "TokenValidityUnits"} {
		if w, ok := want[nested].(body); ok {
			r.want(got[nested], w)
		}
	}
	flat := maps.Clone(want)
	delete(flat, "RefreshTokenRotation")
	delete(flat, "TokenValidityUnits")
	r.want(got, flat)
}

// plainClient is a client of which a request gave the name alone.
func (r *rig) plainClient(c body) {
	r.Helper()
	r.want(c, body{
		"ClientName": "plain", "ClientSecret": nil, "AllowedOAuthFlowsUserPoolClient": false, "EnableTokenRevocation": true,
		"EnablePropagateAdditionalUserContextData": false, "AuthSessionValidity": 3, "RefreshTokenValidity": 30,
		"IdTokenValidity": nil, "AccessTokenValidity": nil, "TokenValidityUnits": nil, "RefreshTokenRotation": nil, "ExplicitAuthFlows": nil,
		"PreventUserExistenceErrors": nil, "ReadAttributes": nil, "CallbackURLs": nil,
	})
}

func checkUpdatedClient(r *rig, in, out body) {
	client := inPool(body{"ClientId": in["ClientId"]})
	r.sameClient(out["UserPoolClient"].(body), in)
	before := r.shown(client)
	secretOf := before["ClientSecret"]
	// What was shown, sent back, changes nothing.
	again := maps.Clone(before)
	for _, member := range []string{"ClientSecret", "CreationDate", "LastModifiedDate"} {
		delete(again, member)
	}
	r.Clock.Advance(time.Minute)
	if got := r.must("UpdateUserPoolClient", again)["UserPoolClient"]; !reflect.DeepEqual(got, any(before)) {
		r.Errorf("sent back %v\ngot %v", before, got)
	}
	// What is left out becomes the default, but for the secret.
	r.must("UpdateUserPoolClient", inPool(body{"ClientId": in["ClientId"], "ClientName": "plain"}))
	plain := r.shown(client)
	if plain["ClientSecret"] != secretOf {
		r.Errorf("the secret changed")
	}
	delete(plain, "ClientSecret")
	r.plainClient(plain)
	// Terraform sends lists without entries for what it has read as empty.
	empty := inPool(body{"ClientId": in["ClientId"], "ClientName": "plain"})
	for _, member := range []string{"ReadAttributes", "WriteAttributes", "CallbackURLs", "AllowedOAuthScopes", "ExplicitAuthFlows"} {
		empty[member] = []any{}
	}
	r.must("UpdateUserPoolClient", empty)
	plain = r.shown(client)
	delete(plain, "ClientSecret")
	r.plainClient(plain)
}

// A client of the API sees what it has sent, whichever way it counts.
func TestRotationThatIsSwitchedOffInSoManyWordsIsShown(t *testing.T) {
	r := newRig(t)
	client := r.client(inPool(body{"ClientName": "off", "RefreshTokenRotation": body{"Feature": "DISABLED"}, "ClientSecret": "a_secret_of_24_characters"}))
	if got := r.shown(client); !reflect.DeepEqual(got["RefreshTokenRotation"], any(body{"Feature": "DISABLED"})) || got["ClientSecret"] != "a_secret_of_24_characters" {
		t.Errorf("%v", got)
	}
}
