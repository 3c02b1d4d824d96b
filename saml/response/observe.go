package response

import (
	"strings"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Observer hears how a response is checked, for the login trace: each check as it is passed, and what a message says of itself. Facts are names and
// texts in turn, which until the signature was checked are the word of whoever sent the message, and cut to 256 bytes.
type Observer func(name string, passed bool, facts ...string)

// What an Observer hears beside the checks.
const (
	SeenMessage   = "message"   // the Response, before anything of it is believed
	SeenSignature = "signature" // a signature that is going to be checked
)

// passed tells the observer of checks that were passed.
func (v *validation) passed(checks ...Check) {
	if v.Observe == nil {
		return
	}
	for _, c := range checks {
		v.Observe(string(c), true)
	}
}

// sawMessage tells what the Response says of itself.
func (v *validation) sawMessage() {
	if v.Observe == nil {
		return
	}
	of := func(n *xmltree.Node, name string) string {
		s, _ := n.Attr(name)
		return strings.Clone(cut(s, maxID)) // and not a part of the whole message
	}
	issuer := ""
	if v.msg.issuer != nil {
		issuer, _ = v.msg.issuer.Text()
	}
	root := v.msg.response
	v.Observe(SeenMessage, false, "response_id", of(root, "ID"), "in_response_to", of(root, "InResponseTo"), "issue_instant", of(root, "IssueInstant"),
		"destination", of(root, "Destination"), "issuer", strings.Clone(cut(issuer, maxID)))
}

// sawSignature tells what a signature is made with.
func (v *validation) sawSignature(of, signature *xmltree.Node) {
	if v.Observe == nil {
		return
	}
	id, _ := of.Attr("ID")
	v.Observe(SeenSignature, false, "element", strings.Clone(of.Local), "id", strings.Clone(cut(id, maxID)), "alg", algorithmOf(signature))
}

func algorithmOf(signature *xmltree.Node) string {
	for info := range signature.Elements() {
		for n := range info.Elements() {
			if n.Local == "SignatureMethod" {
				alg, _ := n.Attr("Algorithm")
				return strings.Clone(cut(alg, maxID))
			}
		}
	}
	return ""
}
