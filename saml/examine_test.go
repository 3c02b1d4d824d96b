package saml_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/server/servertest"
)

// TestExamineReadsAnOldResponse: an administrator's document is read with what does not hold of it, and is no sign-in.
func TestExamineReadsAnOldResponse(t *testing.T) {
	w, up := start(t)
	w.Trust(up, servertest.PoolID, "Corp", func(sp *samltest.ServiceProvider) { sp.Encryption = nil })
	app := w.Web()
	req := w.Browser().ToCallback(app.Authorize(), ada)
	encoded := form(t, req).Get("SAMLResponse")
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	examine := func(what string, doc []byte) (*federation.GivenAssertion, map[string]string) {
		t.Helper()
		w.Engine.Reset()
		given, err := w.Broker.Examine(t.Context(), servertest.PoolID, "Corp", req.URL.String(), doc)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if w.Engine.Writes() != 0 {
			t.Errorf("%s: written: %s", what, w.Engine.Written())
		}
		checks := map[string]string{}
		for _, c := range given.Checks {
			checks[c.Name] = c.Outcome
			if (c.Outcome == "PASSED") != (c.Message == "") {
				t.Errorf("%s: %+v", what, c)
			}
		}
		return given, checks
	}
	for what, doc := range map[string][]byte{"XML": document, "XML with a line's end": append(document, '\n'), "base64": []byte(encoded)} {
		given, checks := examine(what, doc)
		if given.Subject == "" || given.Claims["email"] != "ada@corp.example" || checks["signature"] != "PASSED" || checks["conditions"] != "PASSED" ||
			checks["request"] != "NOT_CHECKED" || checks["replay"] != "NOT_CHECKED" {
			t.Errorf("%s: %+v", what, given)
		}
	}
	forged, checks := examine("somebody else's", []byte(strings.ReplaceAll(string(document), "ada@corp.example", "eve@corp.example")))
	if forged.Claims["email"] != "eve@corp.example" || checks["signature"] != "FAILED" {
		t.Errorf("forged: %+v", forged)
	}
	w.Clock.Advance(time.Hour)
	if _, checks := examine("an old one", document); checks["subject"] != "FAILED" || checks["signature"] != "PASSED" {
		t.Errorf("old: %v", checks)
	}
	w.Clock.Advance(-time.Hour)
	for what, doc := range map[string]string{"nothing": "", "no XML": "<", "a page": "<html/>", "JSON": "{}", "entities": `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`} {
		if given, err := w.Broker.Examine(t.Context(), servertest.PoolID, "Corp", req.URL.String(), []byte(doc)); fault.CodeOf(err) != fault.Invalid || given != nil {
			t.Errorf("%s: %+v, %v", what, given, err)
		}
	}
	if got := users(t, w, servertest.PoolID); len(got) != 0 {
		t.Errorf("there are users: %+v", got)
	}
}

// TestExamineSpendsNothing: the person whose answer was looked at can still bring it, once.
func TestExamineSpendsNothing(t *testing.T) {
	w, _ := start(t)
	b := w.Browser()
	req := b.ToCallback(w.Web().Authorize(), ada)
	document := []byte(form(t, req).Get("SAMLResponse"))
	if _, err := w.Broker.Examine(t.Context(), servertest.PoolID, "Corp", req.URL.String(), document); err != nil {
		t.Fatal(err)
	}
	if p := b.Do(req); p.Params().Get("code") == "" {
		t.Errorf("%v", p.Params())
	}
}
