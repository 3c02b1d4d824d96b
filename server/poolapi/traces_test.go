package poolapi_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

// newestTrace is the trace of the last sign-in of all.
func (r *rig) newestTrace() (reference, attempt string) {
	r.Helper()
	list, err := r.Traces.Newest(r.Context(), 1)
	if err != nil || len(list) != 1 {
		r.Fatalf("%d traces, %v", len(list), err)
	}
	return list[0].Reference, list[0].Attempt
}

func getLoginTraceContract() contract {
	noTrace := func(why string, in func(r *rig, in body)) refused {
		return refused{why, "ResourceNotFoundException", "Login trace does not exist.", in}
	}
	return contract{
		in: func(r *rig) body {
			r.signIn("ada")
			reference, _ := r.newestTrace()
			return inPool(body{"Reference": reference})
		},
		check: func(r *rig, in, out body) {
			text, _ := out["Text"].(string)
			document, _ := out["Trace"].(body)
			r.want(document, body{"reference": in["Reference"], "outcome": "succeeded", "provider": "Corp", "username": "Corp_ada-0001"})
			if !strings.Contains(text, `email: text of 16: "ada@corp.example"`) || !strings.Contains(text, "a sign-in that succeeded") {
				r.Errorf("text %s", text)
			}
			_, attempt := r.newestTrace()
			again := r.must("GetLoginTrace", inPool(body{"Reference": attempt}))
			r.want(again["Trace"], body{"reference": in["Reference"]})
			in["Redacted"] = true
			redacted, err := json.Marshal(r.must("GetLoginTrace", in))
			if err != nil || strings.Contains(string(redacted), "ada@corp.example") || strings.Contains(string(redacted), "ada-0001") ||
				strings.Contains(string(redacted), servertest.WebClient) || !strings.Contains(string(redacted), `"marks":["`) {
				r.Errorf("redacted %s, %v", redacted, err)
			}
		},
		refusals: []refused{
			noTrace("an unknown one", func(_ *rig, in body) { in["Reference"] = "AAAA-BBBB-CCCC-DDDD" }),
			noTrace("an unknown attempt", func(_ *rig, in body) { in["Reference"] = "0123456789abcdefghijkl" }),
			noTrace("one of an answer that nobody waited for", func(r *rig, in body) {
				r.Browser().Get("/oauth2/idpresponse?state=x&code=y")
				in["Reference"], _ = r.newestTrace()
			}),
			{"no reference", "InvalidParameterException", "A reference has 16 letters", func(_ *rig, in body) { in["Reference"] = "nonsense" }},
		},
	}
}

func listLoginTracesContract() contract {
	return contract{
		in: func(r *rig) body {
			r.signIn("ada")
			r.signIn("bob")
			r.Browser().SignIn(r.Web().Authorize(), servertest.Cancel)
			return inPool(nil)
		},
		check: func(r *rig, in, out body) {
			list := out["LoginTraces"].([]any)
			if len(list) != 3 {
				r.Fatalf("list %v", list)
			}
			outcomes := map[any]int{}
			for _, one := range list {
				outcomes[one.(body)["Outcome"]]++
				if one.(body)["Reference"] == nil || one.(body)["Date"] == nil || one.(body)["ProviderName"] != "Corp" {
					r.Errorf("%v", one)
				}
			}
			if outcomes["SUCCEEDED"] != 2 || outcomes["FAILED"] != 1 {
				r.Errorf("outcomes %v", outcomes)
			}
			for name, c := range map[string]struct {
				more body
				want int
			}{
				"of ada":             {body{"Username": "Corp_ada-0001"}, 1},
				"of ada, by sub":     {body{"Username": r.subOf("Corp_ada-0001")}, 1},
				"failures":           {body{"Failed": true}, 1},
				"of the SPA":         {body{"ClientId": servertest.SPAClient}, 2},
				"of another":         {body{"ProviderName": "Other"}, 0},
				"of today":           {body{"Since": r.Clock.Now().Unix() - 60}, 3},
				"of the time to be":  {body{"Since": r.Clock.Now().Unix() + 60}, 0},
				"failures of bob":    {body{"Username": "Corp_bob-0001", "Failed": true}, 0},
				"two at the most":    {body{"MaxResults": 2}, 2},
				"of nobody's client": {body{"ClientId": "unknown"}, 0},
			} {
				if got := r.must("ListLoginTraces", inPool(c.more))["LoginTraces"].([]any); len(got) != c.want {
					r.Errorf("%s: %v", name, got)
				}
			}
			var all []string
			for _, one := range list {
				all = append(all, one.(body)["Reference"].(string))
			}
			r.wantPages("ListLoginTraces", in, "LoginTraces", "NextToken", "Reference", all...)
			for _, who := range []string{"Corp_ada-0001", "Corp_bob-0001"} {
				r.wantPages("ListLoginTraces", inPool(body{"Username": who}), "LoginTraces", "NextToken", "Reference",
					r.must("ListLoginTraces", inPool(body{"Username": who}))["LoginTraces"].([]any)[0].(body)["Reference"].(string))
			}
		},
		refusals: []refused{noUser, badToken("NextToken")},
	}
}

// A key for some pools sees their traces alone, whatever reference it names.
func TestAKeyOfAPoolSeesTheTracesOfItAlone(t *testing.T) {
	tenant := sigv4.Key{ID: "TENANT", Secret: secret.New("the secret of the key of the tenant"), Allow: []string{"*"}, Pools: []string{servertest.OtherPool}}
	w, up := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{tenant} })
	w.Apply(servertest.WithOther(servertest.Example(servertest.Provider("Corp", up, "corp.example")), servertest.Provider("Corp", up)))
	w.Web().Login(w.Browser(), servertest.As("ada"))
	w.Browser().SignIn(w.Web().Authorize(), servertest.Cancel)
	w.Clock.Advance(1)
	w.Other().Login(w.Browser(), servertest.As("bob"))
	all, err := w.Traces.Newest(t.Context(), 10)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d traces, %v", len(all), err)
	}
	call := func(name string, in body) *servertest.Answer {
		return (&servertest.API{Weir: w, Key: tenant, HTTP: w.Client()}).Call(name, in)
	}
	list := call("ListLoginTraces", body{"UserPoolId": servertest.OtherPool})
	if got, _ := list.JSON["LoginTraces"].([]any); len(got) != 1 || got[0].(body)["Reference"] != all[0].Reference {
		t.Errorf("list %s", list.Body)
	}
	wantRefusal(t, "another pool's list", call("ListLoginTraces", body{"UserPoolId": servertest.PoolID}), "AccessDeniedException", "")
	for i, one := range all {
		for _, name := range slices.Compact([]string{one.Reference, one.Attempt}) {
			wantRefusal(t, "another pool", call("GetLoginTrace", body{"UserPoolId": servertest.PoolID, "Reference": name}), "AccessDeniedException", "")
			ans := call("GetLoginTrace", body{"UserPoolId": servertest.OtherPool, "Reference": name})
			if i == 0 {
				if ans.Status != 200 {
					t.Errorf("its own: %s", ans.Body)
				}
				continue
			}
			wantRefusal(t, "another pool's reference", ans, "ResourceNotFoundException", "Login trace does not exist.")
		}
	}
}
