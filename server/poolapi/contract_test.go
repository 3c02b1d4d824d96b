package poolapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/servertest"
)

// contract is what an operation that is built is held to, besides what holds for all of them.
type contract struct {
	// in is an input that succeeds in the rig, every required member in it. It may prepare what it needs.
	in func(r *rig) body
	// check looks at the answer and at what became of the call. Required.
	check func(r *rig, in, out body)
	// refusals are the errors that the operation makes itself, by what has to be sent for them.
	refusals []refused
}

type refused struct {
	why  string
	kind string // the error's type
	says string // part of its message
	in   func(r *rig, in body)
}

type body = map[string]any

// contracts has an entry for every operation that is built: TestEveryOperationHasAContract.
func contracts() map[string]contract {
	all := map[string]contract{}
	for _, area := range []func() map[string]contract{
		poolContracts, mfaContracts, domainContracts, clientContracts, clientSecretContracts, providerContracts, resourceServerContracts,
		groupContracts, userContracts, attributeContracts, linkingContracts, tagContracts, brandingContracts, tokenContracts, selfContracts,
		ownContracts, mergeContracts,
	} {
		maps.Copy(all, area())
	}
	return all
}

// rig is a Weir with the example pool, somebody who administers it and somebody who can sign in.
type rig struct {
	*servertest.Weir
	*testing.T
	admin  *servertest.API
	nobody *servertest.API
}

func newRig(t *testing.T) *rig {
	t.Helper()
	w, _ := servertest.StartExample(t, func(o *servertest.Options) {
		for i := range o.Spec.UserPools[0].Clients {
			c := &o.Spec.UserPools[0].Clients[i]
			c.AllowedOAuthScopes = append(c.AllowedOAuthScopes, "aws.cognito.signin.user.admin")
		}
	})
	return &rig{Weir: w, T: t, admin: w.Admin(), nobody: w.Anybody()}
}

// signIn signs somebody in (ada, bob, eve) at the client without a secret and returns the tokens.
func (r *rig) signIn(who string) *servertest.Answer {
	r.Helper()
	return r.SPA().Login(r.Browser(), servertest.As(who), "scope", "openid email profile aws.cognito.signin.user.admin")
}

// call calls an operation as those may whom the table names: administrators sign, all others do not.
func (r *rig) call(name string, in body) *servertest.Answer {
	r.Helper()
	if rows[name].Access == "administrator" {
		return r.admin.Call(name, in)
	}
	return r.nobody.Call(name, in)
}

// must is call of an operation that has to succeed.
func (r *rig) must(name string, in body) body {
	r.Helper()
	ans := r.call(name, in)
	if ans.Status != http.StatusOK {
		r.Fatalf("%s: %d %s", name, ans.Status, ans.Body)
	}
	return ans.JSON
}

var rows = func() map[string]poolapi.Row {
	m := map[string]poolapi.Row{}
	for _, r := range poolapi.Table() {
		m[r.Name] = r
	}
	return m
}()

func TestEveryOperationHasAContract(t *testing.T) {
	all := contracts()
	for name, row := range rows {
		_, has := all[name]
		if has != row.Built {
			t.Errorf("%s: built %v, has a contract %v", name, row.Built, has)
		}
	}
}

// wantRefusal wants an answer to be that error, of a type that the model has for the operation.
func wantRefusal(t *testing.T, name string, ans *servertest.Answer, kind, says string) {
	t.Helper()
	got, message := ans.Text("__type"), ans.Text("message")
	if got != kind || ans.Status < 400 || !strings.Contains(message, says) {
		t.Errorf("%s: %d %s, want %s with %q", name, ans.Status, ans.Body, kind, says)
	}
	if ans.Header.Get("X-Amzn-Errortype") != got || ans.Header.Get("X-Amzn-Requestid") == "" || ans.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("%s: headers %v", name, ans.Header)
	}
	if !slices.Contains(api.TheModel().Operations[name].Errors, got) && !slices.Contains(poolapi.CommonErrors, got) {
		t.Errorf("%s: the model does not have the error %s", name, got)
	}
}

func TestContracts(t *testing.T) {
	for name, c := range contracts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("success", func(t *testing.T) {
				r := newRig(t)
				in := c.in(r)
				sent := maps.Clone(in)
				sent["MemberOfALaterModel"] = map[string]any{"a": 1}
				ans := r.call(name, sent)
				if ans.Status != http.StatusOK {
					t.Fatalf("%d %s", ans.Status, ans.Body)
				}
				checkShape(t, name, ans)
				c.check(r, in, ans.JSON)
			})
			for _, f := range c.refusals {
				t.Run(f.why, func(t *testing.T) {
					r := newRig(t)
					in := c.in(r)
					f.in(r, in)
					wantRefusal(t, name, r.call(name, in), f.kind, f.says)
				})
			}
		})
	}
}

// checkShape wants nothing in an answer that the model does not have.
func checkShape(t *testing.T, name string, ans *servertest.Answer) {
	t.Helper()
	out := api.TheModel().Operations[name].Output
	if out == "" {
		if ans.Body != "" {
			t.Errorf("an answer where the model has none: %s", ans.Body)
		}
		return
	}
	if ans.JSON == nil {
		t.Fatalf("no JSON: %q", ans.Body)
	}
	fit(t, out, name, ans.JSON)
}

func fit(t *testing.T, shape, path string, v any) {
	t.Helper()
	s := api.TheModel().Shapes[shape]
	switch v := v.(type) {
	case map[string]any:
		for k, value := range v {
			switch {
			case s.Type == "structure" && s.Members[k] == "":
				t.Errorf("%s has a member %s, which %s does not", path, k, shape)
			case s.Type == "structure":
				fit(t, s.Members[k], path+"."+k, value)
			case s.Type == "map":
				fit(t, s.Value, path+"."+k, value)
			}
		}
	case []any:
		for i, value := range v {
			fit(t, s.Element, fmt.Sprintf("%s[%d]", path, i), value)
		}
	case string:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			t.Errorf("%s is %q, which is none of %v", path, v, s.Enum)
		}
	}
}

// What holds for every operation that is built: each required member is required, each member has its type, and a pool that does not
// exist is named as such.
func TestInputsOfEveryOperation(t *testing.T) {
	model := api.TheModel()
	for name, c := range contracts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			in := c.in(r)
			shape := model.Shapes[model.Operations[name].Input]
			for _, member := range shape.Required {
				without := maps.Clone(in)
				delete(without, member)
				wantRefusal(t, name, r.call(name, without), "InvalidParameterException",
					"1 validation error detected: Value at '"+lowerFirst(member)+"' failed to satisfy constraint: Member must not be null")
			}
			for member, of := range shape.Members {
				if model.Shapes[of].Type == "document" {
					continue // any JSON is one: what it may hold is the operation's to say
				}
				wrong := maps.Clone(in)
				wrong[member] = mistyped(model.Shapes[of].Type)
				wantRefusal(t, name, r.call(name, wrong), "SerializationException", "'"+lowerFirst(member)+"'")
			}
			if shape.Members["UserPoolId"] != "" {
				elsewhere := maps.Clone(in)
				elsewhere["UserPoolId"] = "local_Nowhere01"
				wantRefusal(t, name, r.call(name, elsewhere), "ResourceNotFoundException", "")
			}
		})
	}
}

// hasMember reports whether the input of an operation has a member.
func hasMember(name, member string) bool {
	m := api.TheModel()
	return m.Shapes[m.Operations[name].Input].Members[member] != ""
}

func mistyped(kind string) any {
	if kind == "string" || kind == "blob" {
		return json.Number("7")
	}
	return "x"
}

func lowerFirst(s string) string {
	r := []rune(s)
	r[0] = unicode.ToLower(r[0])
	return string(r)
}
