package trace_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/trace"
)

// marked is a trace in which every text is a secret with a mark, but for those that may be shown, which say so.
func marked() trace.Trace {
	n := 0
	secret := func() string {
		n++
		return fmt.Sprintf("MARK%03d", n)
	}
	shareable := []string{"alg", "kid", "iss", "aud", "azp", "exp", "nbf", "iat", "auth_time", "expected_issuer", "client_id", "client_authentication", "error",
		"claims", "away", "prompt", "max_age", "acr_values", "response_id", "in_response_to", "assertion_id", "issue_instant", "destination", "issuer", "element",
		"id", "entity_id", "sp_entity_id"}
	var facts []trace.Fact
	for _, name := range shareable {
		facts = append(facts, trace.Fact{Name: name, Text: "shown-" + name})
	}
	for _, name := range []string{"scopes", "login_hint", "ui_locales", "sub", "user", "changed", "matched_by", "grant", "reason", "tokens", "novel", "MARK-name"} {
		facts = append(facts, trace.Fact{Name: name, Text: secret()})
	}
	value := secret()
	facts = append(facts, trace.Fact{Name: "kid", Text: "shown-with " + value}) // a provider writes what it likes
	t := trace.Trace{
		Kind: trace.SignIn, Outcome: trace.Failed, At: epoch, Began: epoch.Add(-time.Second), Salt: secret(),
		Pool: secret(), Client: secret(), Provider: secret(), ProviderType: "SAML", Attempt: secret(), Method: secret(), Path: secret(),
		Sub: secret(), Username: secret(), Grant: secret(), Identity: secret(), Code: "upstream", Cause: secret(), Omitted: 3,
		Shown: trace.Shown{Where: trace.OnPage, Sentence: secret(), Error: secret()},
		Facts: []trace.Fact{
			{Name: trace.FactCheck, Text: "audience"},
			{Name: trace.FactAdvice, Text: fmt.Sprintf("The assertion is for %q and %q and \"shown-sp_entity_id\" of %s: set it to shown-sp_entity_id.", secret(), `a "quoted" `+secret(), value)},
			{Name: trace.FactAdvice, Text: `cut in the middle of "MARK-cut`},
			{Name: trace.FactStatus, Text: "urn:oasis:names:tc:SAML:2.0:status:Responder"},
			{Name: trace.FactMessage, Text: "AADSTS50105: The signed in user '" + secret() + "' is not assigned."},
			{Name: trace.FactDetail, Text: secret()}, {Name: secret(), Text: secret()},
		},
	}
	for _, name := range []string{"began", "returned", "oidc.signature", "saml.message", "user", "grant", "upstream_tokens", "groups", secret(), "oidc." + secret()} {
		t.Steps = append(t.Steps, trace.Step{Name: name, Facts: slices.Clone(facts)})
	}
	t.Steps = append(t.Steps, trace.Step{Name: "saml.audience", Outcome: trace.Refused},
		trace.Step{Name: "received", Claims: []trace.Claim{
			{Name: "shown-email", Type: "text", Length: 8, Values: []string{value}},
			{Name: "shown-again", Type: "list", Count: 2, Length: 16, Values: []string{value, secret()}},
			{Name: "shown-object", Type: "object", Count: 1, Values: []string{secret()}},
			{Name: "shown-long", Type: "text", Length: 300, Values: []string{secret() + "…"}},
			{Name: "shown-token", Type: "text", Length: 9, Withheld: true},
		}},
		trace.Step{Name: "mapping", Rules: []trace.Rule{
			{Attribute: secret(), Source: "shown-department", Outcome: "absent", Note: secret()},
			{Attribute: secret(), Source: "=" + secret(), Outcome: "not_text", Note: secret()},
			{Attribute: secret(), Source: "[cel]" + secret(), Outcome: "failed", Note: secret()},
			{Attribute: secret(), Source: secret(), Outcome: "written", Note: secret()},
		}})
	return t
}

// texts are all strings in v, by reflection, so that a new member cannot be forgotten.
func texts(v reflect.Value, out *[]string) {
	switch v.Kind() {
	case reflect.String:
		*out = append(*out, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			texts(v.Elem(), out)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			texts(v.Index(i), out)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			texts(it.Key(), out)
			texts(it.Value(), out)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			texts(v.Field(i), out)
		}
	}
}

// No string of a trace that was not meant for it is in the redacted form, in words or in JSON, and what was meant for it is.
func TestRedactedFormHoldsNothingOfOthers(t *testing.T) {
	in := marked()
	in.Reference = ref(1)
	var before []string
	texts(reflect.ValueOf(in), &before)
	hidden := slices.DeleteFunc(before, func(s string) bool { return !strings.Contains(s, "MARK") })
	if len(hidden) < 60 {
		t.Fatalf("%d marks are in the trace", len(hidden))
	}
	out := in.Redacted()
	var text strings.Builder
	if err := out.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var after []string
	texts(reflect.ValueOf(out), &after)
	for _, form := range append(after, text.String(), string(document)) {
		if i := strings.Index(form, "MARK"); i >= 0 {
			t.Errorf("shown: %.120s", form[max(0, i-60):])
		}
	}
	for _, want := range []string{ref(1), "saml.audience", "shown-alg", "shown-in_response_to", "shown-email", "shown-department: absent", "AADSTS50105",
		`"shown-sp_entity_id"`, "set it to shown-sp_entity_id.", "status:Responder", "shown-with …", "shown-token: text of 9\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// Equal values have equal marks within a trace, others have others, and in another trace nothing can be compared.
func TestMarksTellEqualValuesOfOneTrace(t *testing.T) {
	marks := func(salt string) []string {
		in := trace.Trace{Salt: salt, Steps: []trace.Step{{Name: "received", Claims: []trace.Claim{
			{Name: "a", Type: "text", Values: []string{"ada@corp.example"}}, {Name: "b", Type: "list", Values: []string{"ada@corp.example", "bob@corp.example"}},
			{Name: "cut", Type: "text", Values: []string{"long…"}},
		}}}}
		var out []string
		for _, c := range in.Redacted().Steps[0].Claims {
			out = append(out, c.Marks...)
		}
		return out
	}
	one, two, none := marks("salt one"), marks("salt two"), marks("")
	if len(one) != 4 || len(one[0]) != 8 || one[0] != one[1] || one[0] == one[2] || one[3] != "" {
		t.Errorf("marks %q", one)
	}
	if slices.Contains(two, one[0]) || slices.Contains(two, one[2]) {
		t.Errorf("%q and %q can be compared", one, two)
	}
	if strings.Join(none, "") != "" {
		t.Errorf("marks that anybody could make: %q", none)
	}
}

// A trace of an earlier release has no steps, and what of it may be shown is shown.
func TestRedactedFormOfAnOldTrace(t *testing.T) {
	var text strings.Builder
	if err := golden.Redacted().WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `ABCD-EFGH-IJKL-MNOP: a sign-in that failed at 2026-05-04 12:00:00 UTC

  For the administrator of the identity provider. Values of the person are left out; equal marks (#) are equal values.
  provider type: SAML
  check that failed: audience

What to change
  Set the relying party identifier.
`
	if text.String() != want {
		t.Errorf("got\n%s", text.String())
	}
}
