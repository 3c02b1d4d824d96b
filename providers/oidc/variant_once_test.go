package oidc_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// What a provider says only once adds to the claims of the ID token and replaces none of them.
func TestRulesOfWhatIsSaidOnce(t *testing.T) {
	rules := oidc.Rules{OnceParam: "user", Once: func(value string, carried bool, claims mapping.Claims) mapping.Claims {
		if value == "bad" || carried && claims["email"] != "jane@example.com" {
			return nil
		}
		claims["name"] = "not ours to change"
		return mapping.Claims{"nickname": value, "name": "Mallory", "sub": "2", "email": "ceo@example.com", "acr": "high", "sid": "1"}
	}}
	for name, tt := range map[string]struct {
		now, carried string
		want         mapping.Claims
	}{
		"nothing":                         {"", "", mapping.Claims{}},
		"now":                             {"jj", "", mapping.Claims{"nickname": "jj"}},
		"carried":                         {"", "jc", mapping.Claims{"nickname": "jc"}},
		"now counts before carried":       {"jj", "jc", mapping.Claims{"nickname": "jj"}},
		"carried, where now says nothing": {"bad", "jc", mapping.Claims{"nickname": "jc"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := ruled(t, rules)
			at := r.attempt()
			resp, err := r.authorize(at)
			if err != nil {
				t.Fatal(err)
			}
			if tt.now != "" {
				resp.Query.Set("user", tt.now)
			}
			resp.Carried = url.Values{"user": {tt.carried}}
			id, err := r.rp.Finish(t.Context(), at, resp)
			if err != nil {
				t.Fatal(err)
			}
			if id.Once == nil || !maps.Equal(id.Once, tt.want) || id.Claims["name"] != "Jane Doe" || id.Claims["email"] != "jane@example.com" ||
				id.Claims["nickname"] != tt.want["nickname"] || id.Claims["acr"] != nil || id.Claims["sid"] == "1" || id.Subject != subject {
				t.Errorf("once %v, claims %v", id.Once, id.Claims)
			}
			ch, err := r.rp.Begin(t.Context(), at)
			if err != nil || !slices.Equal(ch.Once, []string{"user"}) {
				t.Errorf("challenge %+v, %v", ch, err)
			}
		})
	}
	t.Run("a provider without the rule", func(t *testing.T) {
		r := newRig(t)
		at := r.attempt()
		resp, err := r.authorize(at)
		if err != nil {
			t.Fatal(err)
		}
		resp.Query.Set("user", "jj")
		resp.Carried = url.Values{"user": {"jc"}}
		if id, err := r.rp.Finish(t.Context(), at, resp); err != nil || id.Once != nil || id.Claims["nickname"] != nil {
			t.Errorf("once %v, claims %v, %v", id.Once, id.Claims, err)
		}
	})
}

// The advice is in the text of the error for the log, and by itself for the trace.
func TestRulesOfAdvice(t *testing.T) {
	for code, want := range map[string]string{"invalid_client": "turn it round", "invalid_scope": ""} {
		r := ruled(t, oidc.Rules{Advice: map[string]string{"invalid_client": "turn it round"}})
		r.op.Set(endpoint(oidctest.EndpointToken, oidctest.Reply(http.StatusBadRequest, "application/json", `{"error":"`+code+`"}`)))
		_, err := r.login(r.attempt())
		if err == nil || strings.Contains(err.Error(), "turn it round") != (want != "") {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestRulesOfAProviderThatAlwaysAsks(t *testing.T) {
	at := newRig(t).attempt()
	at.Request = federation.Request{Prompt: []string{"none"}}
	r := ruled(t, oidc.Rules{AlwaysAsks: true})
	_, err := r.rp.Begin(t.Context(), at)
	wantFault(t, err, fault.LoginRequired, nil)
	if _, err := ruled(t, oidc.Rules{}).rp.Begin(t.Context(), at); err != nil {
		t.Errorf("of any other: %v", err)
	}
}
