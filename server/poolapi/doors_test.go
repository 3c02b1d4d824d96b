package poolapi_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

var update = flag.Bool("update", false, "write docs/api.md anew")

// No row can be left out, written twice, or be open to more callers than the model says.
func TestTheTableIsHeldToTheModel(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"as it is":         {poolapi.TabulateWith("", nil), ""},
		"no access":        {poolapi.TabulateWith("CreateGroup", func(a *poolapi.Access) { *a = poolapi.Nobody }), "does not say who may call it"},
		"opened":           {poolapi.TabulateWith("CreateGroup", func(a *poolapi.Access) { *a = poolapi.Public }), "which the model does not say"},
		"closed":           {poolapi.TabulateWith("SignUp", func(a *poolapi.Access) { *a = poolapi.Admin }), "which the model does not say"},
		"token of nothing": {poolapi.TabulateWith("SignUp", func(a *poolapi.Access) { *a = poolapi.AccessToken }), "takes no access token"},
		"another kind":     {poolapi.TabulateWith("CreateGroup", func(a *poolapi.Access) { *a = 9 }), "does not say who may call it"},
		"twice":            {poolapi.TabulateWith("", nil, "CreateGroup"), "two rows for CreateGroup"},
		"unknown":          {poolapi.TabulateWith("", nil, "CreateWeir"), `the model has no operation "CreateWeir"`},
		"left out":         {poolapi.TabulateWithout("CreateGroup"), "no row for CreateGroup"},
		"other types":      {poolapi.TabulateMistyped(), "GlobalSignOut is from GetUserRequest"},
	} {
		if got := fmt.Sprint(c.err); c.want == "" && c.err != nil || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", name, got, c.want)
		}
	}
}

// Walks through the whole table: what is an administrator's is nobody else's, built or not, whatever the body says.
func TestNoAdministratorsOperationIsReachableUnsigned(t *testing.T) {
	r := newRig(t)
	token := r.signIn("ada").Text("access_token")
	limited := sigv4.Key{ID: "LIMITED", Secret: secret.New("the secret of the limited key"), Allow: []string{"NothingAtAll"}}
	stranger := sigv4.Key{ID: "STRANGER", Secret: secret.New("the secret of a stranger to us")}
	forger := servertest.AdminKey
	forger.Secret = secret.New("not the secret of the key of ada")
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{limited} })
	admins := 0
	for name, row := range rows {
		if row.Access != "administrator" {
			continue
		}
		if !ownOperation(name) {
			admins++
		}
		in := body{"UserPoolId": servertest.PoolID, "AccessToken": token}
		wantRefusal(t, name, w.Anybody().Call(name, in), "MissingAuthenticationTokenException", "Missing Authentication Token")
		bearer := w.Anybody().Request(name, in)
		bearer.Header.Set("Authorization", "Bearer "+token)
		for who, req := range map[string]*http.Request{
			"UnrecognizedClientException":         (&servertest.API{Weir: w, Key: stranger}).Sign(w.Anybody().Request(name, in)),
			"InvalidSignatureException":           (&servertest.API{Weir: w, Key: forger}).Sign(w.Anybody().Request(name, in)),
			"AccessDeniedException":               (&servertest.API{Weir: w, Key: limited}).Sign(w.Anybody().Request(name, in)),
			"MissingAuthenticationTokenException": bearer,
		} {
			wantRefusal(t, name, w.SPA().Send(req), who, "")
		}
	}
	if admins != 97 {
		t.Errorf("%d operations of administrators, the model has 97", admins)
	}
}

// What is not built yet says so to those who could call it.
func TestOperationsThatAreNotBuilt(t *testing.T) {
	r := newRig(t)
	for name, row := range rows {
		if !row.Built {
			wantRefusal(t, name, r.call(name, body{}), "NotImplementedException", "does not have the operation "+name)
		}
	}
}

func TestPolicies(t *testing.T) {
	key := func(id string, allow, pools []string) sigv4.Key {
		return sigv4.Key{ID: id, Secret: secret.New("the secret of the key " + id), Allow: allow, Pools: pools}
	}
	reader := key("READER", []string{"Describe*", "List*"}, nil)
	tenant := key("TENANT", []string{"*"}, []string{servertest.OtherPool})
	w, up := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{reader, tenant} })
	w.Apply(servertest.WithOther(servertest.Example(servertest.Provider("Corp", up, "corp.example")), servertest.Provider("Corp", up)))
	for _, c := range []struct {
		key       sigv4.Key
		operation string
		in        body
		denied    bool
	}{
		{reader, "DescribeUserPool", body{"UserPoolId": servertest.PoolID}, false},
		{reader, "DeleteUserPool", body{"UserPoolId": servertest.PoolID}, true},
		{tenant, "DescribeUserPool", body{"UserPoolId": servertest.OtherPool}, false},
		{tenant, "DescribeUserPool", body{"UserPoolId": servertest.PoolID}, true},
		{tenant, "CreateUserPool", body{"PoolName": "another"}, true},
		{tenant, "ListTagsForResource", body{"ResourceArn": "arn:aws:cognito-idp:local:000000000000:userpool/" + servertest.PoolID}, true},
		{tenant, "ListTagsForResource", body{"ResourceArn": "arn:aws:cognito-idp:local:000000000000:userpool/" + servertest.OtherPool}, false},
		// encoding/json takes other cases of a name too; the policy and the operation must not see two pools.
		{tenant, "DescribeUserPool", body{"UserPoolId": servertest.OtherPool, "userPoolId": servertest.PoolID}, false},
	} {
		ans := (&servertest.API{Weir: w, Key: c.key, HTTP: w.Client()}).Call(c.operation, c.in)
		if denied := ans.Text("__type") == "AccessDeniedException"; denied != c.denied {
			t.Errorf("%s as %s: %s, want denied %v", c.operation, c.key.ID, ans.Body, c.denied)
		}
	}
}

func TestRequestsThatAreNoneOfTheAPI(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		change func(*http.Request)
		kind   string
		status int
	}{
		"no target":          {func(q *http.Request) { q.Header.Del("X-Amz-Target") }, "UnknownOperationException", 400},
		"two targets":        {func(q *http.Request) { q.Header.Add("X-Amz-Target", "AWSCognitoIdentityProviderService.ListUsers") }, "UnknownOperationException", 400},
		"another service":    {func(q *http.Request) { q.Header.Set("X-Amz-Target", "AWSCognitoIdentityService.GetId") }, "UnknownOperationException", 400},
		"no such operation":  {func(q *http.Request) { q.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService.Nothing") }, "UnknownOperationException", 400},
		"name without cover": {func(q *http.Request) { q.Header.Set("X-Amz-Target", "GlobalSignOut") }, "UnknownOperationException", 400},
		"a form":             {func(q *http.Request) { q.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, "SerializationException", 400},
		"plain text":         {func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") }, "SerializationException", 400},
		"no type":            {func(q *http.Request) { q.Header.Del("Content-Type") }, "SerializationException", 400},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.nobody.Request("GlobalSignOut", body{"AccessToken": "x"})
			c.change(req)
			ans := r.SPA().Send(req)
			wantRefusal(t, "GlobalSignOut", ans, c.kind, "")
			if ans.Status != c.status {
				t.Errorf("status %d", ans.Status)
			}
		})
	}
	big := r.SPA().Send(r.nobody.Request("GlobalSignOut", `{"AccessToken":"`+strings.Repeat("x", 2<<20)+`"}`))
	wantRefusal(t, "GlobalSignOut", big, "RequestEntityTooLargeException", "too large")
	charset := r.nobody.Request("GlobalSignOut", body{"AccessToken": "x"})
	charset.Header.Set("Content-Type", "application/x-amz-json-1.1; charset=utf-8")
	wantRefusal(t, "GlobalSignOut", r.SPA().Send(charset), "NotAuthorizedException", "Invalid Access Token")
	if ans := r.SPA().Send(r.SPA().NewRequest(http.MethodGet, "/", nil)); ans.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET /: %d", ans.Status)
	}
}

// A store that is away is an error that SDKs try again, and says nothing of the inside.
func TestAnOutageIsRetryable(t *testing.T) {
	r := newRig(t)
	in := body{"AccessToken": r.signIn("ada").Text("access_token")}
	r.Engine.SetDown(true)
	ans := r.call("GlobalSignOut", in)
	wantRefusal(t, "GlobalSignOut", ans, "ServiceUnavailableException", "")
	if ans.Status != http.StatusServiceUnavailable || ans.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", ans.Status, ans.Header.Get("Retry-After"))
	}
}

func TestBrowsersOfAllOriginsMayCall(t *testing.T) {
	r := newRig(t)
	req := r.SPA().NewRequest(http.MethodOptions, "/", nil)
	for k, v := range map[string]string{
		"Origin": "https://spa.example.com", "Access-Control-Request-Method": "POST",
		"Access-Control-Request-Headers": "amz-sdk-invocation-id,amz-sdk-request,content-type,x-amz-target,x-amz-user-agent",
	} {
		req.Header.Set(k, v)
	}
	ans := r.SPA().Send(req)
	if ans.Status != http.StatusNoContent || ans.Header.Get("Access-Control-Allow-Origin") != "*" ||
		ans.Header.Get("Access-Control-Allow-Headers") != req.Header.Get("Access-Control-Request-Headers") {
		t.Errorf("preflight: %d %v", ans.Status, ans.Header)
	}
	call := r.nobody.Request("GlobalSignOut", body{"AccessToken": "x"})
	call.Header.Set("Origin", "https://spa.example.com")
	ans = r.SPA().Send(call)
	exposed := strings.Split(ans.Header.Get("Access-Control-Expose-Headers"), ",")
	for _, want := range []string{"X-Amzn-Requestid", "X-Amzn-Errortype", "X-Amzn-Errormessage", "Date"} {
		if !slices.Contains(exposed, want) {
			t.Errorf("%s is not exposed: %v", want, exposed)
		}
	}
	if ans.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error("credentials are allowed across origins")
	}
}

// Who tried what without the right to it is in the audit stream, with the reference of the answer.
func TestRefusedCallsAreAudited(t *testing.T) {
	r := newRig(t)
	r.Events.Take()
	r.Clock.Advance(time.Minute)
	ans := r.nobody.Call("DeleteUserPool", body{"UserPoolId": servertest.PoolID})
	for _, e := range r.Events.Take() {
		if refused, ok := e.(audit.APIRefused); ok {
			if refused.Operation != "DeleteUserPool" || refused.Reference != ans.Header.Get("X-Amzn-Requestid") || refused.Reason == "" {
				t.Errorf("event %+v", refused)
			}
			return
		}
	}
	t.Error("no event")
}

// The log and the metrics tell operations apart.
func TestOperationsInLogAndMetrics(t *testing.T) {
	r := newRig(t)
	r.call("GlobalSignOut", body{"AccessToken": "x"})
	if n := len(r.Log.Records("route", "/GlobalSignOut")); n != 1 {
		t.Errorf("%d records of the request", n)
	}
	if n := len(r.Log.Records("path", "/GlobalSignOut")); n != 1 {
		t.Errorf("%d records of the failure", n)
	}
	metrics := httptest.NewRecorder()
	r.Metrics.Handler().ServeHTTP(metrics, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if !strings.Contains(metrics.Body.String(), `route="/GlobalSignOut"`) {
		t.Error("no metric of the operation")
	}
}

// docs/api.md says of each operation who may call it and whether it is there.
func TestDocsListEveryOperation(t *testing.T) {
	const file = "../../docs/api.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- generated: operations -->\n", "<!-- end -->\n"
	head, rest, ok := bytes.Cut(page, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the operations", file)
	}
	want := slices.Concat(head, []byte(begin), []byte(operationsTable()), []byte(end), tail)
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(page, want) {
		t.Errorf("%s is not what the table of operations says: run go test ./server/poolapi -run TestDocs -update", file)
	}
}

func ownOperation(name string) bool { return api.TheModel().Operations[name].Own }

// memberText lists what a structure has, what is required in bold.
func memberText(shape string) string {
	s := api.TheModel().Shapes[shape]
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		text := "`" + name + "`"
		if slices.Contains(s.Required, name) {
			text = "**" + text + "**"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func operationsTable() string {
	var b strings.Builder
	built := 0
	for name, row := range rows {
		if row.Built && !ownOperation(name) {
			built++
		}
	}
	own := slices.DeleteFunc(api.OperationNames(), func(name string) bool { return !ownOperation(name) })
	fmt.Fprintf(&b, "\n%d of %d operations are there.\n\n| operation | who may call it | state |\n|---|---|---|\n", built, len(rows)-len(own))
	for _, name := range api.OperationNames() {
		if ownOperation(name) {
			continue
		}
		state := "not yet"
		if rows[name].Built {
			state = "there"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, rows[name].Access, state)
	}
	b.WriteString("\nWeir's own, with the prefix `Weir.` in `X-Amz-Target`:\n\n| operation | who may call it | takes | returns |\n|---|---|---|---|\n")
	for _, name := range own {
		op := api.TheModel().Operations[name]
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, rows[name].Access, memberText(op.Input), memberText(op.Output))
	}
	b.WriteString("\n")
	return b.String()
}
