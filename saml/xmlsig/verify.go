package xmlsig

import (
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/beevik/etree"
)

// maxPrefixes bounds InclusiveNamespaces.
const maxPrefixes = 32

// ncName is what an ID may look like, in ASCII; all known software keeps to it.
var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]{0,255}$`)

// Verified is the content that a signature covers.
type Verified struct {
	// Root is read anew from the bytes that were hashed. It has no signature and no comments. Take
	// everything from here, and nothing from the document that came.
	Root *etree.Element
	// Key is the index of the key that signed.
	Key int
}

// Verify checks the enveloped signature of the root of a document that Read returned. keys are pinned: there is no chain, no expiry and
// no look at KeyInfo. alone demands that there is no other signature anywhere in the document; metadata of
// many entities is the case where there may be.
// Errors: ErrUnsigned, ErrSignature, ErrAlgorithm, ErrUnknownKey.
func Verify(root *etree.Element, keys []crypto.PublicKey, alone bool, p Policy) (Verified, error) {
	id := Attr(root, "ID")
	own := Children(root, Namespace, "Signature")
	n, ids := survey(root, id)
	switch {
	case n == 0:
		return Verified{}, ErrUnsigned
	case len(own) == 0:
		return Verified{}, fmt.Errorf("%w: the signature is not that of the whole document", ErrUnsigned)
	case len(own) > 1 || (alone && n > 1):
		return Verified{}, fmt.Errorf("%w: more than one signature", ErrSignature)
	case root.Parent() != nil || !ncName.MatchString(id):
		return Verified{}, fmt.Errorf("%w: the root element has no proper ID", ErrSignature)
	case ids != 1:
		return Verified{}, fmt.Errorf("%w: the ID of the root element stands twice", ErrSignature)
	}
	s, err := parseSignature(own[0], id, p)
	if err != nil {
		return Verified{}, err
	}
	// The signature first: it is the cheap half, and digests of the rest are worth nothing without it.
	data, err := canonical(s.info, s.infoPrefixes)
	if err != nil {
		return Verified{}, errors.Join(ErrSignature, err)
	}
	key, err := VerifyBytes(s.algorithm, data, s.value, keys, p)
	if err != nil {
		return Verified{}, err
	}
	content := root.Copy()
	content.RemoveChildAt(own[0].Index())
	if data, err = canonical(content, s.prefixes); err != nil {
		return Verified{}, errors.Join(ErrSignature, err)
	}
	h := s.hash.New()
	_, _ = h.Write(data) // hash.Hash.Write never returns an error
	if subtle.ConstantTimeCompare(h.Sum(nil), s.digest) != 1 {
		return Verified{}, fmt.Errorf("%w: the document was changed after it was signed", ErrSignature)
	}
	// Limits were those of the document that came; its canonical form has at most a few more bytes per element.
	again, err := Read(data, Limits{Bytes: 16 * (len(data) + 1), Depth: 1 << 20, Elements: 1 << 30, Attributes: 1 << 20})
	if err != nil {
		return Verified{}, errors.Join(ErrSignature, err)
	}
	return Verified{Root: again, Key: key}, nil
}

// survey counts the signatures in the document and the elements with that ID.
func survey(el *etree.Element, id string) (signatures, ids int) {
	if Is(el, Namespace, "Signature") {
		signatures++
	}
	for _, a := range el.Attr {
		// Attributes that other vocabularies use as IDs count as well.
		if a.Value == id && a.Space != "xmlns" && strings.EqualFold(a.Key, "id") {
			ids++
			break
		}
	}
	for _, c := range el.ChildElements() {
		s, i := survey(c, id)
		signatures, ids = signatures+s, ids+i
	}
	return signatures, ids
}

// signature is a Signature of the one accepted shape.
type signature struct {
	info         *etree.Element
	infoPrefixes []string // of CanonicalizationMethod
	algorithm    string
	value        []byte
	hash         crypto.Hash
	digest       []byte
	prefixes     []string // of the Reference
}

// parseSignature holds the Signature to the accepted shape, child by child (XML Signature section 4.1).
func parseSignature(el *etree.Element, id string, p Policy) (s signature, err error) {
	parts := el.ChildElements()
	if len(parts) < 2 || len(parts) > 3 || !Is(parts[0], Namespace, "SignedInfo") || !Is(parts[1], Namespace, "SignatureValue") ||
		(len(parts) == 3 && !Is(parts[2], Namespace, "KeyInfo")) {
		return s, shape("Signature")
	}
	s.info = parts[0]
	if s.value, err = binary(parts[1]); err != nil {
		return s, err
	}
	info := s.info.ChildElements()
	if len(info) != 3 || !Is(info[0], Namespace, "CanonicalizationMethod") || !Is(info[1], Namespace, "SignatureMethod") ||
		!Is(info[2], Namespace, "Reference") {
		return s, shape("SignedInfo")
	}
	if Attr(info[0], "Algorithm") != ExclusiveC14N {
		return s, fmt.Errorf("%w: canonicalization method", ErrAlgorithm)
	}
	if s.infoPrefixes, err = prefixList(info[0]); err != nil {
		return s, err
	}
	s.algorithm = Attr(info[1], "Algorithm")
	if _, err := p.method(s.algorithm); err != nil {
		return s, err
	}
	if len(info[1].ChildElements()) > 0 {
		return s, shape("SignatureMethod")
	}
	return s, s.reference(info[2], id, p)
}

func (s *signature) reference(ref *etree.Element, id string, p Policy) (err error) {
	parts := ref.ChildElements()
	if Attr(ref, "URI") != "#"+id || len(parts) != 3 || !Is(parts[0], Namespace, "Transforms") ||
		!Is(parts[1], Namespace, "DigestMethod") || !Is(parts[2], Namespace, "DigestValue") || len(parts[1].ChildElements()) > 0 {
		return shape("Reference")
	}
	transforms := parts[0].ChildElements()
	if len(transforms) != 2 || !Is(transforms[0], Namespace, "Transform") || !Is(transforms[1], Namespace, "Transform") {
		return shape("Transforms")
	}
	if Attr(transforms[0], "Algorithm") != Enveloped || len(transforms[0].ChildElements()) > 0 || Attr(transforms[1], "Algorithm") != ExclusiveC14N {
		return fmt.Errorf("%w: transform", ErrAlgorithm)
	}
	if s.prefixes, err = prefixList(transforms[1]); err != nil {
		return err
	}
	if s.hash, err = p.digest(Attr(parts[1], "Algorithm")); err != nil {
		return err
	}
	s.digest, err = binary(parts[2])
	return err
}

// prefixList reads InclusiveNamespaces, the only parameter of exclusive canonicalization.
func prefixList(el *etree.Element) ([]string, error) {
	parts := el.ChildElements()
	if len(parts) == 0 {
		return nil, nil
	}
	if len(parts) > 1 || !Is(parts[0], ExclusiveC14N, "InclusiveNamespaces") || len(parts[0].ChildElements()) > 0 {
		return nil, shape("canonicalization")
	}
	prefixes := strings.Fields(Attr(parts[0], "PrefixList"))
	if len(prefixes) > maxPrefixes {
		return nil, shape("canonicalization")
	}
	for i, p := range prefixes {
		if p == "#default" {
			prefixes[i] = "" // the library's list has no name for it: without it such a signature does not verify
		}
	}
	return prefixes, nil
}

func binary(el *etree.Element) ([]byte, error) {
	text, ok := Text(el)
	if !ok {
		return nil, shape(el.Tag)
	}
	value, err := Base64(text)
	if err != nil || len(value) == 0 {
		return nil, fmt.Errorf("%w: not base64", ErrSignature)
	}
	return value, nil
}

// Base64 decodes standard base64 with white space anywhere in it, as XML Schema allows (base64Binary).
func Base64(text string) ([]byte, error) {
	if strings.ContainsAny(text, " \t\r\n") {
		text = strings.Join(strings.Fields(text), "")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

func shape(part string) error {
	return fmt.Errorf("%w: %s has an unusual shape", ErrSignature, part)
}
