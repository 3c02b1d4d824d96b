// Package xmlsig reads XML that strangers wrote, and signs and verifies XML signatures.
//
// It owns three things: Read, which refuses what no SAML document needs before it costs
// anything (size, depth, counts, DTD, processing instructions); Sign, which puts an enveloped signature into a
// document; and Verify, which returns the content that a signature covers and nothing else. It also owns
// the table of signature algorithms, which the redirect binding shares. It does not know what a document means.
//
// Only one shape of signature is accepted: enveloped, of the root element, by exclusive canonicalization,
// with RSA or ECDSA and SHA-256 or better (XML Signature section 4, SAML core section 5.4). KeyInfo is
// never looked at: the keys come from the caller.
package xmlsig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/beevik/etree"
)

// What Read refuses. The messages of its errors never quote the document.
var (
	ErrTooLarge  = errors.New("xml: the document passes a limit")
	ErrForbidden = errors.New("xml: the document holds what is not allowed here")
	ErrMalformed = errors.New("xml: the document is not well-formed")
)

// Namespaces that are reserved (Namespaces in XML 1.0 section 3).
const (
	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

// Limits bound a document. A field that is zero allows nothing.
type Limits struct {
	Bytes      int
	Depth      int // of elements; the root is 1
	Elements   int
	Attributes int // of one element, namespace declarations included
}

// Read returns the root of a document in UTF-8 (a byte order mark and an XML declaration are fine). What it
// lets through is well-formed XML with namespaces: every prefix is declared, no attribute stands twice. Comments are kept; Text
// passes over them.
// Errors: ErrTooLarge, ErrForbidden, ErrMalformed.
func Read(data []byte, l Limits) (*etree.Element, error) {
	if len(data) > l.Bytes {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(data), l.Bytes)
	}
	r := reader{limits: l}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	dec := xml.NewDecoder(bytes.NewReader(data))
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.token(tok)
		} else {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				err = fmt.Errorf("%w: line %d: %s", ErrMalformed, syntax.Line, plain(syntax.Msg))
			} else {
				err = fmt.Errorf("%w: %s", ErrMalformed, plain(err.Error()))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if r.root == nil || r.open != nil {
		return nil, fmt.Errorf("%w: it ends too early", ErrMalformed)
	}
	return r.root, nil
}

// reader builds the tree while it checks it.
type reader struct {
	limits   Limits
	root     *etree.Element
	open     *etree.Element // the innermost element that is not closed
	depth    int
	elements int
	began    bool      // something came already
	scopes   []binding // namespace declarations in force, the innermost last
	marks    []int     // length of scopes before each open element
}

type binding struct{ prefix, uri string }

func (r *reader) token(tok xml.Token) error {
	first := !r.began
	r.began = true
	switch t := tok.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.end(t)
	case xml.CharData:
		if r.open != nil {
			r.open.CreateText(string(t))
		} else if len(bytes.TrimSpace(t)) > 0 {
			return fmt.Errorf("%w: text outside the root element", ErrMalformed)
		}
	case xml.Comment:
		if r.open != nil {
			r.open.CreateComment(string(t))
		}
	case xml.ProcInst:
		if t.Target != "xml" || !first {
			return fmt.Errorf("%w: a processing instruction", ErrForbidden)
		}
	default:
		return fmt.Errorf("%w: a document type definition", ErrForbidden)
	}
	return nil
}

func (r *reader) start(t xml.StartElement) error {
	r.elements++
	r.depth++
	switch {
	case r.elements > r.limits.Elements:
		return fmt.Errorf("%w: more than %d elements", ErrTooLarge, r.limits.Elements)
	case r.depth > r.limits.Depth:
		return fmt.Errorf("%w: elements nested deeper than %d", ErrTooLarge, r.limits.Depth)
	case len(t.Attr) > r.limits.Attributes:
		return fmt.Errorf("%w: more than %d attributes of one element", ErrTooLarge, r.limits.Attributes)
	case r.open == nil && r.root != nil:
		return fmt.Errorf("%w: a second root element", ErrMalformed)
	}
	r.marks = append(r.marks, len(r.scopes))
	if err := r.declare(t.Attr); err != nil {
		return err
	}
	if _, err := r.resolve(t.Name, true); err != nil {
		return err
	}
	el := &etree.Element{Space: t.Name.Space, Tag: t.Name.Local}
	seen := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		name, err := r.resolve(a.Name, false)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%w: an attribute stands twice", ErrMalformed)
		}
		seen[name] = true
		el.Attr = append(el.Attr, etree.Attr{Space: a.Name.Space, Key: a.Name.Local, Value: a.Value})
	}
	if r.open == nil {
		r.root = el
	} else {
		r.open.AddChild(el)
	}
	r.open = el
	return nil
}

func (r *reader) end(t xml.EndElement) error {
	if r.open == nil || r.open.Space != t.Name.Space || r.open.Tag != t.Name.Local {
		return fmt.Errorf("%w: an end tag without its start", ErrMalformed)
	}
	r.depth--
	last := len(r.marks) - 1
	r.scopes, r.marks = r.scopes[:r.marks[last]], r.marks[:last]
	r.open = r.open.Parent()
	return nil
}

// declare puts the namespace declarations among attrs into force.
func (r *reader) declare(attrs []xml.Attr) error {
	for _, a := range attrs {
		b := binding{prefix: a.Name.Local, uri: a.Value}
		switch {
		case a.Name.Space == "xmlns":
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			b.prefix = ""
		default:
			continue
		}
		// Namespaces in XML 1.0 sections 3 and 5: a prefix cannot be undeclared, and these names cannot be moved.
		if b.prefix == "xml" || b.prefix == "xmlns" || b.uri == xmlNamespace || b.uri == xmlnsNamespace || (b.uri == "" && b.prefix != "") {
			return fmt.Errorf("%w: a reserved namespace is declared", ErrForbidden)
		}
		r.scopes = append(r.scopes, b)
	}
	return nil
}

// resolve returns the expanded name. The default namespace is for elements only.
func (r *reader) resolve(n xml.Name, element bool) (xml.Name, error) {
	if n.Local == "" || strings.Contains(n.Local, ":") {
		return n, fmt.Errorf("%w: a name with a misplaced colon", ErrMalformed)
	}
	switch n.Space {
	case "xml":
		return xml.Name{Space: xmlNamespace, Local: n.Local}, nil
	case "xmlns":
		if element {
			return n, fmt.Errorf("%w: an element in a reserved namespace", ErrForbidden)
		}
		return xml.Name{Space: xmlnsNamespace, Local: n.Local}, nil
	case "":
		if !element {
			return n, nil
		}
	}
	for i := len(r.scopes) - 1; i >= 0; i-- {
		if r.scopes[i].prefix == n.Space {
			return xml.Name{Space: r.scopes[i].uri, Local: n.Local}, nil
		}
	}
	if n.Space != "" {
		return n, fmt.Errorf("%w: a prefix that is not declared", ErrMalformed)
	}
	return n, nil
}

// plain cuts what the decoder quotes of the document.
func plain(msg string) string {
	if i := strings.IndexAny(msg, "<:&\""); i > 0 {
		msg = strings.TrimSpace(msg[:i])
	}
	return msg
}

// Is reports whether el has that expanded name.
func Is(el *etree.Element, namespace, local string) bool {
	return el.Tag == local && el.NamespaceURI() == namespace
}

// Children returns the children of el with that expanded name.
func Children(el *etree.Element, namespace, local string) []*etree.Element {
	var out []*etree.Element
	for _, c := range el.ChildElements() {
		if Is(c, namespace, local) {
			out = append(out, c)
		}
	}
	return out
}

// Attr returns an attribute without namespace, "" if it is absent.
func Attr(el *etree.Element, local string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == local {
			return a.Value
		}
	}
	return ""
}

// Text returns the whole text of el without surrounding white space: what stands before and behind a comment is one text, because a
// part of a name is another name. ok is false where el has child elements.
func Text(el *etree.Element) (text string, ok bool) {
	var b strings.Builder
	for _, c := range el.Child {
		switch c := c.(type) {
		case *etree.CharData:
			b.WriteString(c.Data)
		case *etree.Element:
			return "", false
		}
	}
	return strings.TrimSpace(b.String()), true
}
