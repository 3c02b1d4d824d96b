// Package xmlsig signs what Weir sends over SAML, and verifies signatures of the two kinds that SAML has: over a string of
// bytes, as the redirect binding does, and enveloped in XML, as everything else does.
//
// It owns Sign and SignBytes, the table of algorithms for signatures over bytes, and the reading of documents other than
// Responses: Read and Verify put this package's limits and errors before the one parser and the one verifier of
// XML signatures (saml/internal/xmltree and xmlsec), so that all XML of strangers is read by the same code. It does
// not know what a document means.
//
// Keys come from the caller and are pinned: there is no chain, no expiry and no look at KeyInfo.
package xmlsig

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-id/weir/saml/internal/xmlsec"
	"github.com/weir-id/weir/saml/internal/xmltree"
)

// What Read refuses.
var (
	ErrTooLarge  = errors.New("xml: the document passes a limit")
	ErrMalformed = errors.New("xml: the document is not well-formed, or holds what is not allowed here")
)

// What a signature can be refused for.
var (
	ErrSignature = errors.New("signature: not valid")
	ErrAlgorithm = errors.New("signature: algorithm not allowed")
	ErrUnsigned  = errors.New("signature: missing")
	// ErrUnknownKey: well formed, and by none of the keys. The signer may have new ones.
	ErrUnknownKey = errors.New("signature: by no known key")
)

// Policy says what a verifier tolerates. The zero value is the strict one.
type Policy struct {
	// AllowSHA1 admits SHA-1 in signatures and digests. Whoever sets it answers for a peer whose messages
	// can be forged by whoever finds a collision; it is for an IdP that cannot be changed, and one at a time.
	AllowSHA1 bool
}

// Read parses a document within limits.
// Errors: ErrTooLarge, ErrMalformed.
func Read(data []byte, l xmltree.Limits) (*xmltree.Document, error) {
	doc, err := xmltree.Parse(data, l, nil)
	switch {
	case errors.Is(err, xmltree.ErrLimit):
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return doc, nil
}

// Verify checks the enveloped signature of the root of a document with keys. After it, the root and all below it, its
// Signature excepted, are what the owner of one of the keys signed.
//
// There is one signature that is a child of the root, and its one reference is to the root's ID, which stands nowhere
// else. Signatures further down, which aggregated metadata has, are content like any other.
// Errors: ErrUnsigned, ErrSignature, ErrAlgorithm, ErrUnknownKey.
func Verify(doc *xmltree.Document, keys []crypto.PublicKey, p Policy) error {
	own := Children(doc.Root, Namespace, "Signature")
	switch len(own) {
	case 0:
		return fmt.Errorf("%w: the document as a whole has no signature", ErrUnsigned)
	case 1:
	default:
		return fmt.Errorf("%w: more than one signature", ErrSignature)
	}
	if _, twice := xmltree.Duplicate(doc); twice {
		return fmt.Errorf("%w: an ID stands twice in the document", ErrSignature)
	}
	err := xmlsec.Verify(doc, doc.Root, own[0], xmlsec.Trust{Keys: keys, SHA1: p.AllowSHA1})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, xmlsec.ErrKey):
		return fmt.Errorf("%w: %d keys tried", ErrUnknownKey, len(keys))
	case errors.Is(err, xmlsec.ErrAlgorithm):
		return fmt.Errorf("%w: %w", ErrAlgorithm, err)
	}
	return fmt.Errorf("%w: %w", ErrSignature, err)
}

// Children returns the children of n with that expanded name.
func Children(n *xmltree.Node, namespace, local string) []*xmltree.Node {
	var out []*xmltree.Node
	for c := range n.Elements() {
		if c.Is(namespace, local) {
			out = append(out, c)
		}
	}
	return out
}

// Attr returns an attribute without namespace, "" if it is absent.
func Attr(n *xmltree.Node, local string) string {
	v, _ := n.Attr(local)
	return v
}

// Text returns the whole text of n without surrounding white space. ok is false where n has child elements.
func Text(n *xmltree.Node) (text string, ok bool) {
	text, ok = n.Text()
	return strings.TrimSpace(text), ok
}

// Base64 decodes standard base64 with white space anywhere in it (XML Schema part 2 section 3.2.16).
func Base64(text string) ([]byte, error) {
	if strings.ContainsAny(text, " \t\r\n") {
		text = strings.Join(strings.Fields(text), "")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}
