package social_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/providers/social"
	"github.com/weir-id/weir/providers/social/socialtest"
	"github.com/weir-id/weir/server/servertest"
)

// overageMarkers are the words of a token that has too many groups to list, as Microsoft documents them.
var overageMarkers = map[string]map[string]any{
	"version 2.0": {"_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{
		"endpoint": "https://graph.windows.net/" + contoso + "/users/00000000-0000-0000-66f3-3332eca7ea81/getMemberObjects"}}},
	"an endpoint elsewhere": {"_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://evil.example/"}}},
	"the implicit flow":     {"hasgroups": true},
}

func objectID(i int) string { return fmt.Sprintf("2b0f7f5a-17d1-4e2c-9b1f-%012d", i) }

// overGraph is Entra ID, with a person whose token has more, and Microsoft Graph, where the person has 250 groups.
func overGraph(t *testing.T, more map[string]any, pairs ...string) (*servertest.Weir, *oidctest.Provider, *socialtest.Graph) {
	t.Helper()
	clock, s := servertest.NewClock(), theEntra(t)
	s.faults = func(up *oidctest.Provider) oidctest.Faults {
		f := entra(up, contoso, nil)
		made := f.IDToken
		f.IDToken = func(claims map[string]any) {
			made(claims)
			for name, value := range more {
				claims[name] = value
			}
		}
		return f
	}
	up := s.start(t, clock)
	graph := &socialtest.Graph{Members: map[string][][2]string{}, Page: 100}
	for i := range 250 {
		graph.Members["ada-0001"] = append(graph.Members["ada-0001"], [2]string{"#microsoft.graph.group", objectID(i)})
	}
	graph.Members["ada-0001"] = append(graph.Members["ada-0001"], [2]string{"#microsoft.graph.directoryRole", objectID(900)}, [2]string{"#microsoft.graph.administrativeUnit", objectID(901)})
	graph.Person = func(token string) (string, bool) { return tokenOf(t, up, token) }
	graph.Start(t)
	spec := s.spec(up, append([]string{"graph_url", graph.URL, "group_claim", "groups", "group_rules",
		"sales <- id " + objectID(7) + "\nadmins <- id " + objectID(249) + "\nroles <- id " + objectID(900) + " " + objectID(901)}, pairs...)...)
	example := servertest.Example(spec)
	for _, g := range []string{"sales", "admins", "roles"} {
		example.UserPools[0].Groups = append(example.UserPools[0].Groups, pool.GroupSpec{GroupName: g})
	}
	return servertest.Start(t, servertest.Options{Clock: clock, Spec: example}), up, graph
}

// tokenOf asks the provider whose access token it is.
func tokenOf(t *testing.T, up *oidctest.Provider, token string) (string, bool) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, up.Issuer()+string(oidctest.EndpointUserInfo), nil)
	if err != nil {
		t.Error(err)
		return "", false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return "", false
	}
	var info struct{ Sub string }
	err = json.NewDecoder(resp.Body).Decode(&info)
	if closed := resp.Body.Close(); closed != nil {
		t.Error(closed)
	}
	return info.Sub, err == nil && info.Sub != ""
}

func groupsOfAda(t *testing.T, w *servertest.Weir) string {
	t.Helper()
	app := w.Web()
	return fmt.Sprint(app.Claims(app.Login(w.Browser(), servertest.As("ada")).Text("id_token"))["cognito:groups"])
}

func TestGroupOverageIsAskedOfGraph(t *testing.T) {
	for name, more := range overageMarkers {
		t.Run(name, func(t *testing.T) {
			w, _, graph := overGraph(t, more, "group_overage", "graph")
			if got := groupsOfAda(t, w); got != "[admins sales]" {
				t.Errorf("groups %s", got)
			}
			var asked []string
			for _, u := range graph.Asked() {
				asked = append(asked, u.String())
			}
			const first = "/v1.0/me/transitiveMemberOf?%24select=id&%24top=999"
			if want := []string{first, "/v1.0/me/transitiveMemberOf?%24select=id&%24skiptoken=100&%24top=999", "/v1.0/me/transitiveMemberOf?%24select=id&%24skiptoken=200&%24top=999"}; !slices.Equal(asked, want) {
				t.Errorf("asked %q", asked)
			}
			if scope := w.Browser().Get(w.Web().Authorize()).Params().Get("scope"); scope != "openid email profile User.Read" {
				t.Errorf("scope %q", scope)
			}
		})
	}
	t.Run("and not without overage", func(t *testing.T) {
		w, _, graph := overGraph(t, map[string]any{"groups": []string{objectID(7)}}, "group_overage", "graph")
		if got := groupsOfAda(t, w); got != "[sales]" || len(graph.Asked()) != 0 {
			t.Errorf("groups %s, %d calls", got, len(graph.Asked()))
		}
	})
	t.Run("and not unless it is set", func(t *testing.T) {
		w, _, graph := overGraph(t, overageMarkers["version 2.0"])
		wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), "too many groups to list")
		if len(graph.Asked()) != 0 {
			t.Errorf("%d calls", len(graph.Asked()))
		}
	})
}

// Whatever Graph does wrong ends the sign-in: part of the groups would be a wrong user.
func TestGraphThatFails(t *testing.T) {
	answer := func(status int, body string) func(*socialtest.Graph) {
		return func(g *socialtest.Graph) {
			g.Override(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				if _, err := w.Write([]byte(body)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for name, test := range map[string]struct {
		change func(*socialtest.Graph)
		log    string
	}{
		"no permission":          {answer(http.StatusForbidden, `{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}`), "Authorization_RequestDenied"},
		"another token":          {func(g *socialtest.Graph) { g.Person = func(string) (string, bool) { return "", false } }, "User.Read"},
		"throttled":              {answer(http.StatusTooManyRequests, `{}`), "status 429"},
		"no JSON":                {answer(http.StatusOK, `<html>`), "Microsoft Graph"},
		"nobody's groups":        {answer(http.StatusOK, `{"value":[]}`), "no group of a person who has too many"},
		"roles alone":            {answer(http.StatusOK, `{"value":[{"@odata.type":"#microsoft.graph.directoryRole","id":"`+objectID(1)+`"}]}`), "no group of a person who has too many"},
		"no type":                {answer(http.StatusOK, `{"value":[{"id":"`+objectID(1)+`"}]}`), "without a type"},
		"no id":                  {answer(http.StatusOK, `{"value":[{"@odata.type":"#microsoft.graph.group","id":"admins"}]}`), "without a type or an object id"},
		"a page at another host": {func(g *socialtest.Graph) { g.Next = func(string) string { return "http://127.0.0.1:1/v1.0/me" } }, "another address"},
		"a page of another scheme": {func(g *socialtest.Graph) {
			g.Next = func(s string) string { return strings.Replace(s, "http:", "https:", 1) }
		}, "another address"},
		"a page with a user": {func(g *socialtest.Graph) {
			g.Next = func(s string) string { return strings.Replace(s, "http://", "http://a@", 1) }
		}, "another address"},
		"a page of another path": {func(g *socialtest.Graph) {
			g.Next = func(s string) string { return strings.Replace(s, "/v1.0/", "/beta/", 1) }
		}, "another address"},
		"pages without end": {func(g *socialtest.Graph) {
			g.Next = func(s string) string { return strings.Replace(s, "skiptoken=100", "skiptoken=0", 1) }
		}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, graph := overGraph(t, overageMarkers["version 2.0"], "group_overage", "graph")
			test.change(graph)
			wantRefused(t, w, w.Browser().SignIn(w.Web().Authorize(), servertest.As("ada")), test.log)
			if n := len(users(t, w)); n != 0 || len(graph.Asked()) > 11 {
				t.Errorf("%d users, %d calls", n, len(graph.Asked()))
			}
		})
	}
}

func TestDetailsOfGroupOverage(t *testing.T) {
	for name, test := range map[string]struct {
		details []string
		want    string
	}{
		"the default scopes":           {nil, ""},
		"another cloud":                {[]string{"authority_host", "https://login.microsoftonline.us"}, ""},
		"a cloud nobody knows":         {[]string{"authority_host", "https://login.example.com"}, "graph_url: required"},
		"of which the address is said": {[]string{"authority_host", "https://login.example.com", "graph_url", "https://graph.example.com"}, ""},
		"scopes with permission":       {[]string{"authorize_scopes", "openid GroupMember.Read.All"}, ""},
		"scopes by their long name":    {[]string{"authorize_scopes", "openid https://graph.microsoft.com/User.Read"}, ""},
		"scopes without permission":    {[]string{"authorize_scopes", "openid email"}, "authorize_scopes: must have User.Read"},
		"scopes of another resource":   {[]string{"authorize_scopes", "openid User.Read api://wiki/read"}, "authorize_scopes: may name no other resource"},
		"an address with a path":       {[]string{"graph_url", "https://graph.microsoft.com/v1.0"}, "graph_url: must have no path"},
		"an address on http":           {[]string{"graph_url", "http://graph.microsoft.com"}, "graph_url: must begin with https://"},
		"another word":                 {[]string{"group_overage", "ask"}, "group_overage: must be off or graph"},
	} {
		t.Run(name, func(t *testing.T) {
			d := pool.Details{"client_id": secret.New(clientID), "client_secret": secret.New(clientSecret), "preset": secret.New("EntraID"), "tenant": secret.New(contoso), "group_overage": secret.New("graph")}
			for pair := range slices.Chunk(test.details, 2) {
				d[pair[0]] = secret.New(pair[1])
			}
			v, faults := social.OIDC(d)
			if len(faults) == 0 {
				faults = v.Validate(d, false)
			}
			if test.want == "" && len(faults) > 0 || test.want != "" && (len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), test.want)) {
				t.Errorf("faults %v, want %q", faults, test.want)
			}
		})
	}
}
