// Package xmlsec verifies the enveloped signatures and opens the encrypted elements that SAML 2.0 uses: a narrow
// profile of XML Signature (W3C xmldsig-core 1.1) and XML Encryption (W3C xmlenc-core 1.1).
//
// It owns algorithms, shapes and keys. It does not know what was signed; package response does. Keys always come
// from the caller: nothing that a message says about keys (KeyInfo) is read.
package xmlsec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // only under Trust.SHA1, and as OAEP's digest, where collisions do not matter
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

// Namespaces.
const (
	DSig  = "http://www.w3.org/2000/09/xmldsig#"
	excNS = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// Causes of a refused signature.
var (
	ErrSignatureShape = errors.New("a signature of another shape than SAML's")
	ErrAlgorithm      = errors.New("an algorithm that is not accepted")
	ErrKey            = errors.New("the signature matches no known key")
	ErrDigest         = errors.New("the signed content was changed")
)

// minRSABits is what NIST SP 800-131A asks of a key that signs.
const minRSABits = 2048

// maxPrefixes bounds a PrefixList; real ones name one or two.
const maxPrefixes = 16

// Trust is what a signature is checked against.
type Trust struct {
	// Keys are the pinned keys, *rsa.PublicKey of at least 2,048 bits and *ecdsa.PublicKey of P-256, P-384 and P-521.
	// Others are passed over: a bad key beside a good one does no harm.
	Keys []crypto.PublicKey
	// SHA1 accepts rsa-sha1 and SHA-1 digests. SHA-1 signatures can be forged at a price.
	SHA1 bool
}

type signatureMethod struct {
	hash crypto.Hash
	ec   bool
}

var signatureMethods = map[string]signatureMethod{
	DSig + "rsa-sha1": {hash: crypto.SHA1},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   {hash: crypto.SHA256},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   {hash: crypto.SHA384},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   {hash: crypto.SHA512},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": {hash: crypto.SHA256, ec: true},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": {hash: crypto.SHA384, ec: true},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": {hash: crypto.SHA512, ec: true},
}

var digestMethods = map[string]crypto.Hash{
	DSig + "sha1": crypto.SHA1,
	"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
}

// signature is a ds:Signature of the accepted shape.
type signature struct {
	info               *xmltree.Node
	infoPrefixes       []string
	method             signatureMethod
	value              []byte
	reference          string
	prefixes           []string
	digest             crypto.Hash
	digestValue        []byte
	withComments, sha1 bool
}

// Verify checks that sig, which must be a child of doc's element el, signs el with one of t's keys. After it el
// and all below it, sig itself excepted, are what the key's owner signed: the digest was taken from this very tree.
//
// The accepted shape is one SignedInfo with one Reference to the ID of el, exclusive canonicalization throughout and
// exactly the transforms enveloped-signature and exclusive canonicalization, in this order. The signature over
// SignedInfo is checked before el is digested, so that a stranger's message costs the same whatever its size.
func Verify(doc *xmltree.Document, el, sig *xmltree.Node, t Trust) error {
	s, err := readSignature(sig)
	if err != nil {
		return err
	}
	id, _ := el.Attr("ID")
	switch {
	case sig.Parent != el:
		return fmt.Errorf("%w: it stands in another element", ErrSignatureShape)
	case id == "" || s.reference != "#"+id:
		return fmt.Errorf("%w: it is of another element than the one it stands in", ErrSignatureShape)
	case s.withComments && doc.Comments:
		return fmt.Errorf("%w: comments in a document that is signed with its comments", ErrSignatureShape)
	case s.sha1 && !t.SHA1:
		return fmt.Errorf("%w: SHA-1", ErrAlgorithm)
	}
	if !s.verifyInfo(t.Keys) {
		return ErrKey
	}
	if !bytes.Equal(digest(s.digest, el, s.prefixes, sig), s.digestValue) {
		return ErrDigest
	}
	return nil
}

func readSignature(n *xmltree.Node) (*signature, error) {
	parts, err := shape(n, DSig, "SignedInfo", "SignatureValue", "KeyInfo?")
	if err != nil {
		return nil, err
	}
	s := &signature{info: parts[0]}
	info, err := shape(s.info, DSig, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return nil, err
	}
	if s.infoPrefixes, err = s.exclusive(info[0]); err != nil {
		return nil, err
	}
	if _, err := shape(info[1], DSig); err != nil {
		return nil, err
	}
	algorithm, _ := info[1].Attr("Algorithm")
	var ok bool
	if s.method, ok = signatureMethods[algorithm]; !ok {
		return nil, fmt.Errorf("%w: signature method %.80q", ErrAlgorithm, algorithm)
	}
	s.sha1 = s.method.hash == crypto.SHA1
	if s.value, err = Base64(parts[1]); err != nil {
		return nil, fmt.Errorf("%w: SignatureValue", ErrSignatureShape)
	}
	return s, s.readReference(info[2])
}

func (s *signature) readReference(n *xmltree.Node) error {
	s.reference, _ = n.Attr("URI")
	parts, err := shape(n, DSig, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return err
	}
	transforms, err := shape(parts[0], DSig, "Transform", "Transform")
	if err != nil {
		return err
	}
	if a, _ := transforms[0].Attr("Algorithm"); a != DSig+"enveloped-signature" {
		return fmt.Errorf("%w: first transform %.80q", ErrAlgorithm, a)
	}
	if _, err := shape(transforms[0], DSig); err != nil {
		return err
	}
	if s.prefixes, err = s.exclusive(transforms[1]); err != nil {
		return err
	}
	if _, err := shape(parts[1], DSig); err != nil {
		return err
	}
	algorithm, _ := parts[1].Attr("Algorithm")
	var ok bool
	if s.digest, ok = digestMethods[algorithm]; !ok {
		return fmt.Errorf("%w: digest method %.80q", ErrAlgorithm, algorithm)
	}
	s.sha1 = s.sha1 || s.digest == crypto.SHA1
	if s.digestValue, err = Base64(parts[2]); err != nil || len(s.digestValue) != s.digest.Size() {
		return fmt.Errorf("%w: DigestValue", ErrSignatureShape)
	}
	return nil
}

// exclusive reads a CanonicalizationMethod or Transform that must be exclusive canonicalization, and its PrefixList.
// The variant with comments is the same thing where there are no comments; Verify sees to that.
func (s *signature) exclusive(n *xmltree.Node) ([]string, error) {
	switch a, _ := n.Attr("Algorithm"); a {
	case excNS:
	case excNS + "WithComments":
		s.withComments = true
	default:
		return nil, fmt.Errorf("%w: canonicalization %.80q", ErrAlgorithm, a)
	}
	inclusive, err := shape(n, excNS, "InclusiveNamespaces?")
	if err != nil || inclusive[0] == nil {
		return nil, err
	}
	list, _ := inclusive[0].Attr("PrefixList")
	prefixes := strings.Fields(list)
	if len(prefixes) > maxPrefixes || inclusive[0].First != nil {
		return nil, fmt.Errorf("%w: InclusiveNamespaces", ErrSignatureShape)
	}
	return prefixes, nil
}

// shape returns the child elements of n, which must be those named, in this order, and nothing else. A name
// that ends in ? may be absent, which gives nil.
func shape(n *xmltree.Node, space string, names ...string) ([]*xmltree.Node, error) {
	found := make([]*xmltree.Node, len(names))
	at := 0
	for c := range n.Elements() {
		for at < len(names) && !c.Is(space, strings.TrimSuffix(names[at], "?")) && strings.HasSuffix(names[at], "?") {
			at++
		}
		if at == len(names) || !c.Is(space, strings.TrimSuffix(names[at], "?")) {
			return nil, fmt.Errorf("%w: %.40q in %s", ErrSignatureShape, c.Local, n.Local)
		}
		found[at] = c
		at++
	}
	for ; at < len(names); at++ {
		if !strings.HasSuffix(names[at], "?") {
			return nil, fmt.Errorf("%w: no %s in %s", ErrSignatureShape, names[at], n.Local)
		}
	}
	if !n.OnlyElements() {
		return nil, fmt.Errorf("%w: text in %s", ErrSignatureShape, n.Local)
	}
	return found, nil
}

// verifyInfo reports whether one of keys made the signature over SignedInfo.
func (s *signature) verifyInfo(keys []crypto.PublicKey) bool {
	hashed := digest(s.method.hash, s.info, s.infoPrefixes, nil)
	for _, key := range keys {
		switch key := key.(type) {
		case *rsa.PublicKey:
			if !s.method.ec && key.N.BitLen() >= minRSABits && rsa.VerifyPKCS1v15(key, s.method.hash, hashed, s.value) == nil {
				return true
			}
		case *ecdsa.PublicKey:
			if s.method.ec && verifyECDSA(key, hashed, s.value) {
				return true
			}
		}
	}
	return false
}

// verifyECDSA takes r||s, each as long as the order of the curve (xmldsig-core 1.1 section 6.4.3), and nothing else.
func verifyECDSA(key *ecdsa.PublicKey, hashed, value []byte) bool {
	size := (key.Curve.Params().N.BitLen() + 7) / 8
	if key.Curve.Params().N.BitLen() < 256 || len(value) != 2*size {
		return false
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])})
	return err == nil && ecdsa.VerifyASN1(key, hashed, der)
}

// digest hashes the canonical form of n.
func digest(with crypto.Hash, n *xmltree.Node, prefixes []string, omit *xmltree.Node) []byte {
	h := with.New()
	if err := n.Canonical(h, prefixes, omit); err != nil {
		return nil // a hash returns no error; no sum equals nothing
	}
	return h.Sum(nil)
}

// Base64 returns the bytes that the text of n is base64 of. White space anywhere is passed over (XML Schema 2 section 3.2.16).
func Base64(n *xmltree.Node) ([]byte, error) {
	text, ok := n.Text()
	if !ok {
		return nil, errors.New("elements in base64")
	}
	if strings.ContainsAny(text, " \t\r\n") {
		text = strings.Join(strings.Fields(text), "")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, errors.New("not base64")
	}
	return b, nil
}
