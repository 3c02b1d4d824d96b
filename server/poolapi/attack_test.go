package poolapi_test

import (
	"context"
	"fmt"
	"github.com/weir-id/weir/federation/store"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

// Languages with one kind of number write 3 as 3.0; what is no whole number at all is the caller's fault and not ours.
func TestNumbersInInputs(t *testing.T) {
	r := newRig(t)
	for text, kind := range map[string]string{
		"3": "", "3.0": "", "-0": "", "1e2": "", "2147483647": "",
		"-1": "InvalidParameterException", "2147483648": "InvalidParameterException", "9223372036854775807": "InvalidParameterException",
		"9223372036854775808": "SerializationException", "1e400": "SerializationException", "3.5": "SerializationException", "NaN": "SerializationException",
		"1e15": "InvalidParameterException", `"3"`: "SerializationException",
	} {
		ans := r.admin.Call("CreateGroup", `{"UserPoolId":"`+servertest.PoolID+`","GroupName":"g`+strings.Trim(text, `"`)+`","Precedence":`+text+`}`)
		if got := ans.Text("__type"); got != kind || (kind == "") != (ans.Status == http.StatusOK) {
			t.Errorf("%s: %d %s, want %q", text, ans.Status, ans.Body, kind)
		}
	}
}

// Proxies and clients refuse answers with long headers (nginx: 4 or 8 KB for all of them), so the whole message is in the body alone.
func TestLongMessagesDoNotGoIntoAHeader(t *testing.T) {
	r := newRig(t)
	var schema []any
	for range 50 {
		schema = append(schema, body{"Name": "x", "AttributeDataType": "Text"})
	}
	ans := r.admin.Call("CreateUserPool", body{"PoolName": "p", "Schema": schema})
	wantRefusal(t, "CreateUserPool", ans, "InvalidParameterException", "50 validation errors detected: Value at 'schema.1.member.attributeDataType'")
	head, whole := ans.Header.Get("X-Amzn-Errormessage"), ans.Text("message")
	if len(whole) < 1024 || len(head) > 1024 || head == "" || !strings.HasPrefix(whole, head[:256]) {
		t.Errorf("a header of %d bytes for a message of %d", len(head), len(whole))
	}
}

// A key that reaches for another pool than its own is as much in the audit stream as a wrong signature.
func TestReachingForAnotherPoolIsAudited(t *testing.T) {
	key := sigv4.Key{ID: "TENANT", Secret: secret.New("the secret of the key TENANT"), Allow: []string{"*"}, Pools: []string{servertest.OtherPool}}
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{key} })
	tenant := &servertest.API{Weir: w, Key: key, HTTP: w.Client()}
	w.Events.Take()
	ans := tenant.Call("DescribeUserPool", inPool(nil))
	wantRefusal(t, "DescribeUserPool", ans, "AccessDeniedException", "")
	for _, e := range w.Events.Take() {
		if refused, ok := e.(audit.APIRefused); ok {
			if refused.By != "TENANT" || refused.Operation != "DescribeUserPool" || refused.Reference != ans.Header.Get("X-Amzn-Requestid") {
				t.Errorf("event %+v", refused)
			}
			return
		}
	}
	t.Error("no event")
}

// A deletion that was cut short can be repeated until no client has the scopes any more.
func TestScopesOfAResourceServerGoWithIt(t *testing.T) {
	for name, change := range map[string]func(in body){
		"DeleteResourceServer": func(in body) { delete(in, "Scopes"); delete(in, "Name") },
		"UpdateResourceServer": func(in body) { in["Scopes"] = []any{body{"ScopeName": "read", "ScopeDescription": "look"}} },
	} {
		r := newRig(t)
		in := existing(r, "orders")
		id := r.must("CreateUserPoolClient", inPool(body{"ClientName": "c", "AllowedOAuthFlows": []any{"code"}, "AllowedOAuthFlowsUserPoolClient": true,
			"AllowedOAuthScopes": []any{"openid", "orders/write"}, "CallbackURLs": []any{servertest.SPAURI}}))["UserPoolClient"].(body)["ClientId"]
		change(in)
		r.Engine.SetFull("client")
		if ans := r.call(name, in); ans.Status != http.StatusServiceUnavailable {
			t.Fatalf("%s with a store that is full: %d %s", name, ans.Status, ans.Body)
		}
		r.Engine.SetFull()
		if ans := r.call(name, in); ans.Status != http.StatusOK {
			t.Errorf("%s once more: %d %s", name, ans.Status, ans.Body)
		}
		c := r.must("DescribeUserPoolClient", inPool(body{"ClientId": id}))["UserPoolClient"].(body)
		if scopes := c["AllowedOAuthScopes"].([]any); len(scopes) != 1 {
			t.Errorf("after %s the client still has %v", name, scopes)
		}
	}
}

// A client's id that another pool has now makes no token of the first pool count again.
func TestATokenIsOfItsClientsPool(t *testing.T) {
	r := newRig(t)
	tokens := r.signIn("ada")
	token := tokens.Text("access_token")
	other := newPool(r, "other")
	r.must("DeleteUserPoolClient", inPool(body{"ClientId": servertest.SPAClient}))
	wantRefusal(t, "GetUser", r.call("GetUser", body{"AccessToken": token}), "NotAuthorizedException", "")
	if _, err := r.Directory.CreateClient(t.Context(), pool.Client{
		ID: servertest.SPAClient, PoolID: other, Name: "another", OAuth: true, Flows: []string{"code"}, CallbackURLs: []string{servertest.SPAURI},
		Scopes: []string{"openid", "email", "profile", "aws.cognito.signin.user.admin"}, EnableTokenRevocation: true,
	}); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, "GetUser", r.call("GetUser", body{"AccessToken": token}), "NotAuthorizedException", "")
	wantRefusal(t, "UpdateUserAttributes", r.call("UpdateUserAttributes", body{"AccessToken": token,
		"UserAttributes": []any{body{"Name": "nickname", "Value": "x"}}}), "NotAuthorizedException", "")
	refresh := body{"ClientId": servertest.SPAClient, "RefreshToken": tokens.Text("refresh_token")}
	wantRefusal(t, "GetTokensFromRefreshToken", r.call("GetTokensFromRefreshToken", refresh), "NotAuthorizedException", "")
}

// endless is a body that says how much of it was read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

// What strangers send costs little: no more of it is read than their operations need, and of an administrator's operation nothing at all.
func TestStrangersBodiesAreNotRead(t *testing.T) {
	r := newRig(t)
	for name, most := range map[string]int{"RevokeToken": 300 << 10, "GetUser": 300 << 10, "CreateUserPool": 0} {
		for who, sign := range map[string]func(*http.Request){
			"nobody": func(*http.Request) {},
			"no key": func(req *http.Request) {
				(&servertest.API{Weir: r.Weir, Key: sigv4.Key{ID: "STRANGER", Secret: secret.New("the secret of a stranger to us")}}).Sign(req)
			},
		} {
			req := r.nobody.Request(name, body{})
			sign(req)
			sent := &endless{}
			req.Body, req.ContentLength = io.NopCloser(sent), -1
			rec := httptest.NewRecorder()
			r.Handler.ServeHTTP(rec, req)
			if rec.Code < 400 || rec.Code >= 500 || sent.read > most {
				t.Errorf("%s, %s: %d after %d bytes: %s", name, who, rec.Code, sent.read, rec.Body)
			}
			if rec.Header().Get("X-Amzn-Requestid") == "" || rec.Header().Get("X-Amzn-Errortype") == "" {
				t.Errorf("%s, %s: headers %v", name, who, rec.Header())
			}
		}
	}
}

// A key for one pool of many costs one look at a pool, wherever in the list that is.
func TestALimitedKeysListCostsNoLookAtTheOthers(t *testing.T) {
	key := sigv4.Key{ID: "TENANT", Secret: secret.New("the secret of the key TENANT"), Allow: []string{"*"},
		Pools: []string{"local_Z2", "local_Z1", "local_Z1", "local_Nowhere"}}
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{key} })
	for i := range 30 {
		if _, err := w.Directory.CreatePool(t.Context(), pool.Pool{ID: fmt.Sprint("local_A", i), Name: "another"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"local_Z1", "local_Z2"} {
		if _, err := w.Directory.CreatePool(t.Context(), pool.Pool{ID: id, Name: "own"}); err != nil {
			t.Fatal(err)
		}
	}
	tenant := &servertest.API{Weir: w, Key: key, HTTP: w.Client()}
	var got []string
	w.Engine.Reset()
	for in := (body{"MaxResults": 1}); ; {
		ans := tenant.Call("ListUserPools", in)
		for _, p := range ans.JSON["UserPools"].([]any) {
			got = append(got, p.(body)["Id"].(string))
		}
		if in["NextToken"] = ans.JSON["NextToken"]; in["NextToken"] == nil {
			break
		}
		wantRefusal(t, "ListUserPools", w.Admin().Call("ListUserPools", in), "InvalidParameterException", "pagination token")
	}
	if reads := w.Engine.Reads("pool"); !slices.Equal(got, []string{"local_Z1", "local_Z2"}) || reads > 6 {
		t.Errorf("listed %v with %d reads", got, reads)
	}
}

// stuck refuses to delete documents of a kind.
type stuck struct {
	store.Engine
	kind string
}

func (s *stuck) Delete(ctx context.Context, kind, key string) error {
	if kind == s.kind {
		return fmt.Errorf("stuck: %w", store.ErrUnavailable)
	}
	return s.Engine.Delete(ctx, kind, key)
}

// Nothing of a pool whose deletion has begun counts any more, however far it came, and the deletion can be repeated.
func TestAPoolThatIsHalfDeletedIsGone(t *testing.T) {
	for _, kind := range []string{"client", "provider", "user", "grant"} {
		r := newRig(t)
		tokens := r.signIn("ada")
		r.must("DeleteUserPoolDomain", inPool(body{"Domain": "acme"}))
		engine := r.Engine.Engine
		r.Engine.Engine = &stuck{engine, kind}
		if ans := r.call("DeleteUserPool", inPool(nil)); ans.Status != http.StatusServiceUnavailable {
			t.Fatalf("%s: %d %s", kind, ans.Status, ans.Body)
		}
		for name, in := range map[string]body{
			"GetUser":                   {"AccessToken": tokens.Text("access_token")},
			"UpdateUserAttributes":      {"AccessToken": tokens.Text("access_token"), "UserAttributes": []any{body{"Name": "name", "Value": "x"}}},
			"InitiateAuth":              {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": servertest.SPAClient, "AuthParameters": body{"REFRESH_TOKEN": tokens.Text("refresh_token")}},
			"GetTokensFromRefreshToken": {"ClientId": servertest.SPAClient, "RefreshToken": tokens.Text("refresh_token")},
			"DescribeUserPool":          inPool(nil),
			"DescribeUserPoolClient":    inPool(body{"ClientId": servertest.SPAClient}),
			"AdminGetUser":              inPool(body{"Username": "Corp_ada-0001"}),
			"CreateGroup":               inPool(body{"GroupName": "g"}),
			"ListTagsForResource":       {"ResourceArn": "arn:aws:cognito-idp:local:000000000000:userpool/" + servertest.PoolID},
		} {
			if ans := r.call(name, in); ans.Status != http.StatusBadRequest {
				t.Errorf("%s with %s left: %d %s", name, kind, ans.Status, ans.Body)
			}
		}
		if ans := r.SPA().UserInfo(tokens.Text("access_token")); ans.Status == http.StatusOK {
			t.Errorf("userInfo with %s left: %s", kind, ans.Body)
		}
		r.Engine.Engine = engine
		r.must("DeleteUserPool", inPool(nil))
		wantRefusal(t, "DeleteUserPool", r.call("DeleteUserPool", inPool(nil)), "ResourceNotFoundException", "")
	}
}

// JSON can name half a character, which becomes U+FFFD in Go: two names that differ there only would be one.
func TestHalfCharactersAreRefused(t *testing.T) {
	r := newRig(t)
	for text, kind := range map[string]string{
		`a\ud800`: "SerializationException", `a\udc00b`: "SerializationException", `\ud83dx`: "SerializationException", `a\uDBFF\uD800`: "SerializationException",
		`a\ud83d\ude00`: "", `a\ufffd`: "", `a\\ud800`: "", "a\\u0000": "InvalidParameterException", "a\\u2028b": "InvalidParameterException", "a\\u202eb": "InvalidParameterException",
	} {
		ans := r.admin.Call("CreateGroup", `{"UserPoolId":"`+servertest.PoolID+`","GroupName":"`+text+`"}`)
		if got := ans.Text("__type"); got != kind {
			t.Errorf("%s: %d %s, want %q", text, ans.Status, ans.Body, kind)
		}
	}
}

// Every answer at the API's address has an id to ask for, those that are no operation's too, and no other address has it.
func TestEveryAnswerHasARequestID(t *testing.T) {
	r := newRig(t)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPost} {
		ans := r.SPA().Send(r.SPA().NewRequest(method, "/", nil))
		if id := ans.Header.Get("X-Amzn-Requestid"); id == "" || id != ans.Header.Get("X-Request-Id") {
			t.Errorf("%s: %d %v", method, ans.Status, ans.Header)
		}
	}
	if ans := r.SPA().Send(r.SPA().NewRequest(http.MethodGet, "/login", nil)); ans.Header.Get("X-Amzn-Requestid") != "" {
		t.Errorf("a page has the id of the API: %v", ans.Header)
	}
}

// A client that goes away in the middle of its request has failed, and not we: nobody has to be woken for it.
func TestABodyThatBreaksOff(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"GetUser", "DescribeUserPool"} {
		req := r.admin.Sign(r.admin.Request(name, inPool(nil)))
		req.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
		rec := httptest.NewRecorder()
		r.Handler.ServeHTTP(rec, req)
		if rec.Code != http.StatusBadRequest || rec.Header().Get("X-Amzn-Errortype") != "SerializationException" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// Only what ended is in the audit stream as revoked: anybody can send something else.
func TestNothingIsRecordedAsRevokedThatWasNot(t *testing.T) {
	r := newRig(t)
	refresh := r.signIn("ada").Text("refresh_token")
	r.Events.Take()
	for i, c := range []struct {
		token string
		want  int
	}{{"x", 0}, {refresh[:24] + "AAAA" + refresh[28:], 0}, {refresh, 1}, {refresh, 0}} {
		r.must("RevokeToken", body{"ClientId": servertest.SPAClient, "Token": c.token})
		if got := servertest.Names(r.Events.Take()); len(got) != c.want {
			t.Errorf("%d: %v", i, got)
		}
		r.SPA().Post("/oauth2/revoke", url.Values{"token": {c.token}, "client_id": {servertest.SPAClient}})
		if got := servertest.Names(r.Events.Take()); len(got) != 0 {
			t.Errorf("%d, at the endpoint: %v", i, got)
		}
	}
}

// A client leaves no look behind that the next one of its id would have.
func TestAClientsLookGoesWithIt(t *testing.T) {
	r := newRig(t)
	in := inPool(body{"ClientId": servertest.SPAClient})
	r.must("SetUICustomization", merged(in, body{"CSS": ".a{}"}))
	engine := r.Engine.Engine
	r.Engine.Engine = &stuck{engine, "look"}
	if ans := r.call("DeleteUserPoolClient", in); ans.Status != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", ans.Status, ans.Body)
	}
	r.Engine.Engine = engine
	r.must("DeleteUserPoolClient", in)
	if docs, err := r.Engine.List(t.Context(), "look", "", "", 10); err != nil || len(docs) != 0 {
		t.Errorf("%d looks are left, %v", len(docs), err)
	}
}

// A change that broke off in the middle is in the audit stream: what it had done until then stays.
func TestChangesThatBreakOffAreAudited(t *testing.T) {
	r := newRig(t)
	r.must("DeleteUserPoolDomain", inPool(body{"Domain": "acme"}))
	r.Engine.Engine = &stuck{r.Engine.Engine, "client"}
	r.Events.Take()
	r.call("DeleteUserPool", inPool(nil))
	r.call("CreateGroup", inPool(body{"GroupName": "g"})) // refused, and changes nothing
	want := audit.AdminChange{Operation: "DeleteUserPool", By: "key ada", Pool: servertest.PoolID, Notes: [][2]string{{"outcome", "broke off"}}}
	if got := r.Events.Take(); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("events %+v", got)
	}
}

// Whoever has made a provider is told so, and does not find it there when they try again: its certificate can be asked for later.
func TestAProviderThatIsStoredIsAcknowledged(t *testing.T) {
	r := newRig(t)
	doc, err := servertest.SAML(t, r.Clock).Metadata()
	if err != nil {
		t.Fatal(err)
	}
	in := inPool(body{"ProviderName": "Campus", "ProviderType": "SAML", "ProviderDetails": body{"MetadataFile": string(doc)}})
	r.Engine.SetFull("saml_keyset")
	ans := r.call("CreateIdentityProvider", in)
	if ans.Status != http.StatusOK || ans.JSON["IdentityProvider"].(body)["ProviderName"] != "Campus" {
		t.Errorf("%d %s", ans.Status, ans.Body)
	}
	r.Engine.SetFull()
	if r.provider("Campus")["ProviderDetails"].(body)["ActiveEncryptionCertificate"] == nil {
		t.Error("no certificate is shown once there is one")
	}
}
