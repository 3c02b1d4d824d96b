package saml

import (
	"context"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/saml/response"
)

// What a sign-in through a SAML provider adds to its trace: the checks of package response by their stable names, with this in front.
const (
	stepPrefix = "saml."
	stepReplay = stepPrefix + "replay"           // the assertion is used for the first time
	stepKeys   = stepPrefix + "metadata_renewed" // because no known key had made the signature
)

// note is one thing that was observed.
type note struct {
	name   string
	passed bool
	facts  []string
}

// notes collect what is observed of a response, since it may be checked twice and the last time counts.
type notes struct {
	login   *trace.Login
	all     []note
	renewed bool
}

func newNotes(ctx context.Context) *notes { return &notes{login: trace.From(ctx)} }

// observer is nil where nobody keeps a trace.
func (n *notes) observer() response.Observer {
	if n.login == nil {
		return nil
	}
	n.all = make([]note, 0, 20)
	return func(name string, passed bool, facts ...string) { n.all = append(n.all, note{name, passed, facts}) }
}

// again begins anew with renewed metadata.
func (n *notes) again() { n.all, n.renewed = n.all[:0], true }

// tell adds everything to the trace, with the check that err is a refusal of.
func (n *notes) tell(idp, sp string, err error) {
	if n.login == nil {
		return
	}
	if n.renewed {
		n.login.Note(stepKeys)
	}
	for _, o := range n.all {
		if o.passed {
			n.login.Pass(stepPrefix+o.name, o.facts...)
		} else {
			n.login.Note(stepPrefix+o.name, o.facts...)
		}
	}
	if check := response.CheckOf(err); check != "" {
		n.login.Fail(stepPrefix+string(check), "entity_id", idp, "sp_entity_id", sp)
	}
}

// attributesOf are the attributes as the assertion has them, and the name of the person: without the short names that claimsOf adds.
func attributesOf(as *response.Assertion) map[string]any {
	out := make(map[string]any, len(as.Attributes)+2)
	values := make(map[string][]string, len(as.Attributes))
	for _, a := range as.Attributes {
		values[a.Name] = append(values[a.Name], a.Values...)
	}
	for name, v := range values {
		out[name] = claim(v)
	}
	if as.NameID != nil {
		out[claimNameID] = as.NameID.Value
		if as.NameID.Format != "" {
			out[claimNameIDFormat] = as.NameID.Format
		}
	}
	if as.AuthnContextClassRef != "" {
		out[claimContext] = as.AuthnContextClassRef
	}
	return out
}
