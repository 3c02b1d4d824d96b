package social

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// Group overage. A token of Entra ID lists 200 groups at most; of a person with more it says in _claim_names (or in hasgroups, where it comes
// through the browser, with more than five) that the claim groups is elsewhere. The address that it gives in _claim_sources is one of
// Azure AD Graph, which is being switched off, and the token's word where an access token goes is not taken anyway: the groups are asked of
// Microsoft Graph at its fixed address, with the access token of this very sign-in.
//
// Of the ways to ask, GET /me/transitiveMemberOf is the one with the least permission: delegated User.Read, which every person may consent to.
// getMemberObjects and getMemberGroups want GroupMember.Read.All and more. Without a cast to groups in the address there is no need
// for the header ConsistencyLevel: eventual, whose index may lag behind. Sources: learn.microsoft.com, "Configure group claims", "List a user's
// memberships (direct and transitive)", "user: getMemberGroups", "Microsoft Graph national cloud deployments".

const (
	graphPageSize = 999 // the largest
	graphPages    = 11  // with which rules have more values than they take
	graphPath     = "/v1.0/me/transitiveMemberOf"
	graphGroup    = "#microsoft.graph.group"
)

// graphHosts are Microsoft Graph by authority_host.
var graphHosts = map[string]string{
	"https://login.microsoftonline.com":        "https://graph.microsoft.com",
	"https://login.microsoftonline.us":         "https://graph.microsoft.us",
	"https://login.partner.microsoftonline.cn": "https://microsoftgraph.chinacloudapi.cn",
	"https://login.chinacloudapi.cn":           "https://microsoftgraph.chinacloudapi.cn",
}

// graphPermissions are those of which one is enough.
var graphPermissions = []string{"user.read", "groupmember.read.all", "group.read.all", "user.read.all", "directory.read.all", ".default"}

// readOverage reads group_overage and graph_url, for the cloud of authority, and returns Rules.More; nil where Graph is not asked.
func readOverage(r *detail.Reader, authority string) func(context.Context, *oidc.API, federation.UpstreamTokens, mapping.Claims) (mapping.Claims, error) {
	asked := r.OneOf("group_overage", "off", "graph") == "graph"
	r.Default("graph_url", graphHosts[authority])
	graph := r.URL("graph_url")
	if u, err := url.Parse(graph); graph != "" && (err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery) {
		r.Fail("graph_url", "must have no path and no slash at its end")
		return nil
	}
	if !asked {
		return nil
	}
	r.Require("graph_url")
	r.Default("authorize_scopes", "openid email profile User.Read")
	if problem := graphScopes(r.String("authorize_scopes"), graph); problem != "" {
		r.Fail("authorize_scopes", problem)
	}
	return func(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, claims mapping.Claims) (mapping.Claims, error) {
		if claims["groups"] != nil || !overage(claims) {
			return nil, nil //nolint:nilnil // nothing to add
		}
		groups, err := graphGroups(ctx, api, t, graph)
		if err != nil {
			return nil, err
		}
		return mapping.Claims{"groups": groups}, nil
	}
}

// graphScopes says what is wrong with scopes whose access token is to be for Graph.
func graphScopes(scopes, graph string) string {
	permitted := false
	for _, scope := range strings.Fields(strings.ToLower(scopes)) {
		name, ofGraph := strings.CutPrefix(scope, strings.ToLower(graph)+"/")
		if strings.Contains(scope, "/") && !ofGraph {
			return "may name no other resource beside group_overage: graph: the access token would be for that one"
		}
		permitted = permitted || slices.Contains(graphPermissions, name)
	}
	if !permitted {
		return "must have User.Read for group_overage: graph"
	}
	return ""
}

// overage reports whether a token says that the groups are elsewhere.
func overage(claims mapping.Claims) bool {
	names, _ := claims["_claim_names"].(map[string]any)
	return names["groups"] != nil || claims["hasgroups"] == true || claims["hasgroups"] == "true"
}

// graphPage is a page of Graph's answer.
type graphPage struct {
	Value []struct {
		Type string `json:"@odata.type"`
		ID   string `json:"id"`
	} `json:"value"`
	Next string `json:"@odata.nextLink"`
}

// graphGroups asks for the object ids of all groups that the person is in, through others too: what the claim groups has of somebody with fewer.
func graphGroups(ctx context.Context, api *oidc.API, t federation.UpstreamTokens, graph string) ([]any, error) {
	groups := []any{}
	call := oidc.Call{Method: http.MethodGet, URL: graph + graphPath, Query: url.Values{"$select": {"id"}, "$top": {fmt.Sprint(graphPageSize)}}, Bearer: t.Access}
	for range graphPages {
		var page graphPage
		if err := api.Decode(ctx, call, &page); err != nil {
			return nil, graphFault(err)
		}
		for _, member := range page.Value {
			switch {
			case member.Type == "" || !tenantID.MatchString(member.ID):
				return nil, oidc.Refuse(oidc.ErrUserInfo, "Microsoft Graph listed a membership without a type or an object id")
			case member.Type == graphGroup: // and no directory role or administrative unit
				groups = append(groups, member.ID)
			}
		}
		if page.Next == "" {
			if len(groups) == 0 {
				return nil, oidc.Refuse(oidc.ErrUserInfo, "Microsoft Graph listed no group of a person who has too many for a token")
			}
			return groups, nil
		}
		if !sameGraph(page.Next, graph) {
			return nil, oidc.Refuse(oidc.ErrUserInfo, "Microsoft Graph sent on to another address")
		}
		call.URL, call.Query = page.Next, nil
	}
	return nil, oidc.Refuse(oidc.ErrUserInfo, "Microsoft Graph listed more than %d memberships", graphPages*graphPageSize)
}

// sameGraph reports whether the next page is one of Graph itself: the access token goes there.
func sameGraph(next, graph string) bool {
	u, err := url.Parse(next)
	return err == nil && strings.EqualFold(u.Scheme+"://"+u.Host, graph) && u.User == nil && u.Opaque == "" && strings.HasPrefix(u.Path, "/v1.0/")
}

// graphFault says with a failure of Graph what may be done about it.
func graphFault(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return fault.New(f.Code, f.Public, fmt.Errorf(
		"group overage: Microsoft Graph: %w (with 401 or 403, check that the application has the delegated permission User.Read and that the people or their administrator consented to it)", f.Cause))
}
