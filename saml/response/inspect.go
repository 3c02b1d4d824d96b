package response

import (
	"fmt"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Inspection is what a response says, and which checks it does not pass. It proves nothing: it is for an administrator who wants to see what an
// old message, or one of another service, would be read as. It is a type of its own, so that nobody takes it for an Assertion.
type Inspection struct {
	Said     Assertion // what is written there, whoever wrote it
	Steps    []Step
	Answered string // the request that it answers, which nobody can check any more; "" for none
}

// Step is one of the checks of a response, in their order.
type Step struct {
	Name    string
	Refusal *Refusal // nil: passed
}

// Inspect reads a response and makes every check that can still be made: e.RequestID is not looked at. Where the decision about a real
// response ends at the first refusal, this goes on to the end. Errors: a *Refusal for what cannot be read at all.
func Inspect(form string, e Expect) (in Inspection, err error) {
	defer func() {
		if p := recover(); p != nil {
			in, err = Inspection{}, refuse(CheckDefect, "The response could not be checked because of a defect in this software.").because(fmt.Errorf("panic: %v", p))
		}
	}()
	v := &validation{Expect: e}
	v.RequestID, v.RequireEncrypted = "", false // it is read all the same
	if r := v.prepare(); r != nil {
		return in, r
	}
	doc, r := v.parse(form)
	if r == nil {
		r = v.readMessage(doc)
	}
	if r != nil {
		return in, r
	}
	// As the answer to whatever request it names, since ours is long forgotten.
	in.Answered, _ = v.msg.response.Attr("InResponseTo")
	v.RequestID = in.Answered
	for _, s := range []struct {
		name  string
		check func(*xmltree.Document) *Refusal
	}{{"message", v.envelope}, {"status", v.status}, {"signature", v.protection}} {
		in.Steps = append(in.Steps, Step{s.name, s.check(doc)})
	}
	if v.msg.assertion == nil || v.msg.in.issuer == nil { // none, or it could not be opened
		for _, s := range in.Steps {
			if s.Refusal != nil {
				return in, s.Refusal
			}
		}
		return in, refuse(CheckAssertions, "The response has no assertion that can be read.")
	}
	for _, s := range []struct {
		name  string
		check func() *Refusal
	}{{"issued", v.issued}, {"subject", v.subject}, {"conditions", v.conditions}, {"authentication", v.authentication}, {"attributes", v.attributes}} {
		in.Steps = append(in.Steps, Step{s.name, s.check()})
	}
	if e.RequireEncrypted {
		s := Step{Name: "encryption"}
		if !v.out.Encrypted {
			s.Refusal = refuse(CheckUnencrypted, "The assertion is not encrypted, and this provider is set to accept encrypted ones only.")
		}
		in.Steps = append(in.Steps, s)
	}
	in.Said = v.out
	return in, nil
}
