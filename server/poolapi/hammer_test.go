package poolapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// hammers is how many clients work on the same names at the same time, and blows how often each.
const (
	hammers = 50
	blows   = 12
)

// tally counts what was acknowledged.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name] += n
}

// race runs 50 clients at once; each is told its number and which of its calls it is. A call whose answer is neither a success nor one of the
// allowed errors fails the test.
func (r *rig) race(t *testing.T, each func(client, blow int, draw *rand.Rand) (name string, in body, allowed []string, acknowledged func())) {
	t.Helper()
	var wg sync.WaitGroup
	for client := range hammers {
		api := r.Admin()
		wg.Go(func() {
			draw := rand.New(rand.NewPCG(uint64(client), 1))
			for blow := range blows {
				name, in, allowed, acknowledged := each(client, blow, draw)
				ans := api.Call(name, in)
				switch kind := ans.Text("__type"); {
				case ans.Status == http.StatusOK:
					acknowledged()
				case !slices.Contains(allowed, kind):
					t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
				}
			}
		})
	}
	wg.Wait()
}

// Fifty clients create, change and delete things of the same few names. Whatever order the calls took: for each name one more creation than
// deletions was acknowledged if it is there now, and as many if it is not.
func TestHammeringOverlappingNames(t *testing.T) {
	r := newRig(t)
	other := r.must("CreateUserPool", body{"PoolName": "beside"})["UserPool"].(body)["Id"].(string)
	pools := []string{servertest.PoolID, other}
	kinds := map[string]struct {
		create, change, remove string
		id                     string // the member that names it
		more, changed          body
		taken, missing         string
		shared                 bool // the name is one of all pools
	}{
		"group": {"CreateGroup", "UpdateGroup", "DeleteGroup", "GroupName", nil, body{"Description": "x"}, "GroupExistsException", "ResourceNotFoundException", false},
		"resource server": {"CreateResourceServer", "UpdateResourceServer", "DeleteResourceServer", "Identifier", body{"Name": "API"}, body{"Name": "changed"},
			"InvalidParameterException", "ResourceNotFoundException", false},
		"provider": {"CreateIdentityProvider", "UpdateIdentityProvider", "DeleteIdentityProvider", "ProviderName", body{"ProviderType": "OIDC", "ProviderDetails": explicit()},
			body{"IdpIdentifiers": []string{}}, "DuplicateProviderException", "ResourceNotFoundException", false},
		"user": {"AdminCreateUser", "AdminUpdateUserAttributes", "AdminDeleteUser", "Username", body{"MessageAction": "SUPPRESS"},
			body{"UserAttributes": []body{{"Name": "nickname", "Value": "x"}}}, "UsernameExistsException", "UserNotFoundException", false},
		"domain": {"CreateUserPoolDomain", "", "DeleteUserPoolDomain", "Domain", nil, nil, "InvalidParameterException", "ResourceNotFoundException", true},
	}
	for kind, k := range kinds {
		t.Run(kind, func(t *testing.T) {
			var left tally
			r.race(t, func(_, _ int, draw *rand.Rand) (string, body, []string, func()) {
				p, name := pools[draw.IntN(2)], fmt.Sprint("hammered", draw.IntN(3))
				key := p + "/" + name
				if k.shared {
					key = name
				}
				in := body{"UserPoolId": p, k.id: name}
				switch what := draw.IntN(3); {
				case what == 0 && k.change != "":
					return k.change, merged(in, k.more, k.changed), []string{k.missing, "ConcurrentModificationException"}, func() {}
				case what == 1:
					return k.remove, in, []string{k.missing, "InvalidParameterException", "ConcurrentModificationException"}, func() { left.add(key, -1) }
				}
				return k.create, merged(in, k.more), []string{k.taken, "ConcurrentModificationException"}, func() { left.add(key, 1) }
			})
			for _, p := range pools {
				for i := range 3 {
					name := fmt.Sprint("hammered", i)
					key, there := p+"/"+name, 0
					if k.shared {
						if key = name; p != pools[0] {
							continue
						}
					}
					if r.there(kind, p, name) {
						there = 1
					}
					if left.n[key] != there {
						t.Errorf("%s %s: %d creations more than deletions were acknowledged, and there is %d", kind, key, left.n[key], there)
					}
				}
			}
		})
	}
}

func merged(all ...body) body {
	out := body{}
	for _, m := range all {
		for k, v := range m {
			if k != "ProviderType" || out[k] == nil {
				out[k] = v
			}
		}
	}
	return out
}

// explicit are the details of a provider that nobody has to be asked about.
func explicit() body {
	return body{
		"client_id": "weir", "client_secret": "s3cret-of-weir", "attributes_request_method": "GET", "oidc_issuer": "https://idp.example.com",
		"authorize_scopes": "openid", "authorize_url": "https://idp.example.com/authorize", "token_url": "https://idp.example.com/token",
		"attributes_url": "https://idp.example.com/userinfo", "jwks_uri": "https://idp.example.com/jwks",
	}
}

// there reports whether a thing exists, as the lists tell, and fails where it is there twice.
func (r *rig) there(kind, poolID, name string) bool {
	r.Helper()
	lists := map[string][3]string{
		"group": {"ListGroups", "Groups", "GroupName"}, "resource server": {"ListResourceServers", "ResourceServers", "Identifier"},
		"provider": {"ListIdentityProviders", "Providers", "ProviderName"}, "user": {"ListUsers", "Users", "Username"},
	}
	if kind == "domain" {
		return r.must("DescribeUserPoolDomain", body{"Domain": name})["DomainDescription"].(body)["UserPoolId"] != nil
	}
	n := 0
	for _, e := range r.must(lists[kind][0], body{"UserPoolId": poolID})[lists[kind][1]].([]any) {
		if e.(body)[lists[kind][2]] == name {
			n++
		}
	}
	if n > 1 {
		r.Errorf("%s %s is there %d times", kind, name, n)
	}
	return n > 0
}

// What fifty clients add to one thing at the same time is all there, or its sender was told.
func TestNoUpdateIsLost(t *testing.T) {
	r := newRig(t)
	user := r.person("ada")["Username"]
	for _, name := range []string{"g0", "g1", "g2", "g3", "g4"} {
		r.group(name)
	}
	arn := r.must("DescribeUserPool", inPool(nil))["UserPool"].(body)["Arn"].(string)
	var acknowledged tally
	late := []string{"ConcurrentModificationException"}
	r.race(t, func(client, blow int, _ *rand.Rand) (string, body, []string, func()) {
		n := fmt.Sprint(client)
		done := func(what string) func() { return func() { acknowledged.add(what, 1) } }
		switch blow {
		case 0:
			return "AddCustomAttributes", inPool(body{"CustomAttributes": []body{{"Name": "a" + n, "AttributeDataType": "String", "Mutable": true}}}), late, done("custom:a" + n)
		case 1:
			return "TagResource", body{"ResourceArn": arn, "Tags": body{"tag" + n: n}}, late, done("tag" + n)
		case 2, 3:
			return "AdminAddUserToGroup", inPool(body{"Username": user, "GroupName": fmt.Sprint("g", client%5)}), late, done(fmt.Sprint("g", client%5))
		case 4:
			return "AdminUpdateUserAttributes", inPool(body{"Username": user, "UserAttributes": []body{{"Name": "nickname", "Value": n}}}), late, done("nickname")
		}
		// Meanwhile the rest of the pool and the user is written, too.
		if blow == 6 {
			return "SetUserPoolMfaConfig", inPool(body{"MfaConfiguration": "OPTIONAL", "SoftwareTokenMfaConfiguration": body{"Enabled": true}}), late, func() {}
		}
		return "AdminEnableUser", inPool(body{"Username": user}), late, func() {}
	})
	p, err := r.Directory.Pool(t.Context(), servertest.PoolID)
	if err != nil {
		t.Fatal(err)
	}
	tags := r.must("ListTagsForResource", body{"ResourceArn": arn})["Tags"].(body)
	groups := r.pages("AdminListGroupsForUser", inPool(body{"Username": user}), "Groups", "NextToken", "GroupName", 5)
	for what, n := range acknowledged.n {
		_, attribute := p.Attribute(what)
		_, tag := tags[what]
		switch {
		case strings.HasPrefix(what, "custom:") && (!attribute || n != 1), strings.HasPrefix(what, "tag") && (!tag || n != 1),
			strings.HasPrefix(what, "g") && !slices.Contains(groups, what):
			t.Errorf("%s was acknowledged %d times, and is not there", what, n)
		}
	}
	for _, a := range p.Schema {
		if a.Custom() && acknowledged.n[a.Name] != 1 {
			t.Errorf("%s is there, and was not acknowledged", a.Name)
		}
	}
	if acknowledged.n["nickname"] == 0 || p.Settings.MfaConfiguration != "OPTIONAL" {
		t.Errorf("acknowledged %v, MFA %s", acknowledged.n, p.Settings.MfaConfiguration)
	}
}

// A pool that goes takes everything with it, whatever is being made in it at this moment.
func TestNothingIsLeftOfAPool(t *testing.T) {
	r := newRig(t)
	var ids []string
	for i := range 4 {
		ids = append(ids, r.must("CreateUserPool", body{"PoolName": fmt.Sprint("short-lived", i)})["UserPool"].(body)["Id"].(string))
	}
	gone := []string{"ResourceNotFoundException", "ConcurrentModificationException"}
	r.race(t, func(client, blow int, _ *rand.Rand) (string, body, []string, func()) {
		in := body{"UserPoolId": ids[client%len(ids)]}
		n := fmt.Sprint(client, "-", blow)
		nothing := func() {}
		switch {
		case blow == blows/2 && client < 2*len(ids):
			return "DeleteUserPool", in, gone, nothing
		case blow%4 == 0:
			return "CreateUserPoolClient", merged(in, body{"ClientName": n}), gone, nothing
		case blow%4 == 1:
			return "CreateGroup", merged(in, body{"GroupName": n}), gone, nothing
		case blow%4 == 2:
			return "AdminCreateUser", merged(in, body{"Username": n, "MessageAction": "SUPPRESS"}), gone, nothing
		}
		return "CreateIdentityProvider", merged(in, body{"ProviderName": n, "ProviderType": "OIDC", "ProviderDetails": explicit()}), gone, nothing
	})
	kinds := []string{"pool", "client", "provider", "group", "user", "resource_server", "temporary_password", "look"}
	for _, kind := range kinds {
		docs, err := r.Engine.List(t.Context(), kind, "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			for _, id := range ids {
				if strings.Contains(d.Key+strings.Join(d.Index, "\n"), id) {
					t.Errorf("a %s of the pool %s is left: %s", kind, id, d.Key)
				}
			}
		}
	}
	if _, err := r.Directory.Pool(t.Context(), servertest.PoolID); err != nil {
		t.Errorf("the pool beside: %v", err)
	}
}
