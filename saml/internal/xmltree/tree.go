// Package xmltree reads the small part of XML that SAML messages need, strictly, and writes it in canonical form.
//
// It owns the parser, its limits, and Exclusive XML Canonicalization 1.0 (W3C exc-c14n) over the tree it built.
// It does not know SAML, signatures or encryption: those are packages xmlsec and response.
//
// There is one parser for everything. A signature is computed over the very tree from which names are
// read afterwards, so there is no second reading of the bytes that could see another document.
//
// What it takes is XML 1.0 with namespaces in UTF-8, less what only attacks use: no document type, hence no
// entities but the five of XML, no processing instructions, names in ASCII only. Every limit is
// enforced while reading, in one pass, so that hostile input costs what was read of it until then. Comments are
// dropped, as canonical XML without comments drops them, and the text around one is a single text: a
// value cannot end at a comment.
package xmltree

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// The two kinds of refusal; every error of Parse is one of them.
var (
	ErrLimit  = errors.New("limit passed")
	ErrSyntax = errors.New("not acceptable XML")
)

// Limits bound a document. Every field must be positive, except that names absent from Names and LongText are fine.
type Limits struct {
	Bytes    int            // of the whole document
	Depth    int            // of nested elements; the root is 1
	Elements int            // in all
	Attrs    int            // of one element, declarations of namespaces included
	Value    int            // bytes of one attribute value
	Text     int            // bytes of one run of text, whatever comments are in it
	LongText string         // local name of the element whose text only Bytes bounds
	Names    map[string]int // elements of a local name, in whatever namespace
}

// Document is a parsed document or fragment.
type Document struct {
	Root *Node
	// IDs are the values of all attributes called ID in whatever case and namespace (ID, Id, id, xml:id), in
	// document order. Which of them is an identifier only a schema could say, so all count.
	IDs []string
	// Comments tells that there were some. They are not in the tree.
	Comments bool
	// Count holds how many elements there are of each name in Limits.Names.
	Count map[string]int
}

// TooManyError is an ErrLimit: more elements of a name than Limits.Names has.
type TooManyError struct {
	Local string
	Most  int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("%v: more than %d elements called %s", ErrLimit, e.Most, e.Local)
}

// Unwrap returns ErrLimit.
func (e *TooManyError) Unwrap() error { return ErrLimit }

// Node is an element, or a run of text where Local is empty. It is never changed after Parse.
type Node struct {
	Parent, First, Next *Node
	last                *Node

	Space  string // namespace; "" is none
	Prefix string
	Local  string
	Attrs  []Attr    // without declarations, sorted as canonical XML wants them
	Scope  []Binding // namespaces declared here

	Value string // of a text
}

// Attr is an attribute. Value is normalised (XML 1.0 section 3.3.3).
type Attr struct {
	Space, Prefix, Local, Value string
}

// Binding is a declaration of a namespace; the default one has an empty Prefix.
type Binding struct {
	Prefix, URI string
}

// Is reports whether n is the element local of the namespace space.
func (n *Node) Is(space, local string) bool {
	return n != nil && n.Local == local && n.Space == space
}

// Attr returns the value of the attribute local without a namespace, and whether it is there.
func (n *Node) Attr(local string) (string, bool) {
	for i := range n.Attrs {
		if a := &n.Attrs[i]; a.Local == local && a.Space == "" {
			return a.Value, true
		}
	}
	return "", false
}

// Elements ranges over the child elements.
func (n *Node) Elements() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for c := n.First; c != nil; c = c.Next {
			if c.Local != "" && !yield(c) {
				return
			}
		}
	}
}

// Text returns the whole text of an element that holds nothing else. It is false where there is a child
// element: what such an element says is for its reader to decide, never a part of its text.
func (n *Node) Text() (string, bool) {
	if n.First == nil {
		return "", true
	}
	// The parser joins adjacent text, so that an only child is all of it.
	if n.First.Local != "" || n.First.Next != nil {
		return "", false
	}
	return n.First.Value, true
}

// OnlyElements reports whether all text directly in n is white space.
func (n *Node) OnlyElements() bool {
	for c := n.First; c != nil; c = c.Next {
		if c.Local == "" && strings.Trim(c.Value, " \t\r\n") != "" {
			return false
		}
	}
	return true
}

// lookup returns the namespace that prefix has at n, "" where it has none.
func (n *Node) lookup(prefix string) string {
	for ; n != nil; n = n.Parent {
		for i := range n.Scope {
			if n.Scope[i].Prefix == prefix {
				return n.Scope[i].URI
			}
		}
	}
	return ""
}

// Duplicate returns an identifier that occurs twice in docs taken together, and whether there is one.
func Duplicate(docs ...*Document) (string, bool) {
	seen := make(map[string]struct{}, 8)
	for _, d := range docs {
		for _, id := range d.IDs {
			if _, twice := seen[id]; twice {
				return id, true
			}
			seen[id] = struct{}{}
		}
	}
	return "", false
}

func limit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}
