package xmltree

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"

	// maxScope bounds the namespaces in scope at once, which bounds each lookup of a prefix.
	maxScope = 48
)

// parser is the state of one reading. cur is the open element, nil outside the root.
type parser struct {
	src string
	pos int
	lim Limits

	doc      Document
	cur      *Node
	depth    int
	elements int

	scope []Binding // in scope, innermost last
	marks []int     // len(scope) before each open element

	// The run of text under way: text, or buf where it has several pieces or was decoded.
	text    string
	buf     []byte
	pending bool

	raw      []Attr // the attributes of the tag under way
	nodes    []Node // slabs: a tree of a thousand nodes takes a dozen allocations
	attrs    []Attr
	bindings []Binding
}

// Parse reads src, a whole document with one root. Where within is not nil, src is read as if it
// stood in that element: the namespaces declared there apply (XML Encryption section 4.4), and the root's Parent is it.
//
// Errors are ErrLimit or ErrSyntax, with a reason that quotes nothing from the document but names.
func Parse(src []byte, lim Limits, within *Node) (*Document, error) {
	if len(src) > lim.Bytes {
		return nil, limit("%d bytes, at most %d", len(src), lim.Bytes)
	}
	p := &parser{src: string(src), lim: lim}
	p.doc.Count = make(map[string]int, len(lim.Names))
	p.src = strings.TrimPrefix(p.src, "\uFEFF")
	if err := checkCharacters(p.src); err != nil {
		return nil, err
	}
	for n := within; n != nil; n = n.Parent {
		for _, b := range n.Scope {
			if _, inner := p.resolve(b.Prefix); !inner {
				p.scope = append(p.scope, b)
			}
		}
	}
	if err := p.declaration(); err != nil {
		return nil, err
	}
	if err := p.content(); err != nil {
		return nil, err
	}
	p.doc.Root.Parent = within
	return &p.doc, nil
}

// checkCharacters enforces UTF-8 and the characters of XML 1.0 section 2.2.
func checkCharacters(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return fmt.Errorf("%w: a control character", ErrSyntax)
		}
	}
	if strings.Contains(s, "\uFFFE") || strings.Contains(s, "\uFFFF") {
		return fmt.Errorf("%w: a noncharacter", ErrSyntax)
	}
	return nil
}

func (p *parser) fail(reason string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, reason, p.pos)
}

func (p *parser) rest() string { return p.src[p.pos:] }

// declaration takes the XML declaration, which must name UTF-8 if it names an encoding.
func (p *parser) declaration() error {
	if !strings.HasPrefix(p.src, "<?xml") || len(p.src) < 6 || !isSpace(p.src[5]) {
		return nil
	}
	p.pos = len("<?xml")
	var seen []string
	for {
		p.skipSpace()
		if strings.HasPrefix(p.rest(), "?>") {
			p.pos += 2
			break
		}
		prefix, name, ok := p.name()
		if !ok || prefix != "" || len(seen) == 3 {
			return p.fail("a broken XML declaration")
		}
		value, err := p.attrValue()
		if err != nil {
			return err
		}
		fine := false
		switch name {
		case "version":
			fine = len(seen) == 0 && value == "1.0"
		case "encoding":
			fine = len(seen) == 1 && strings.EqualFold(value, "UTF-8")
		case "standalone":
			fine = len(seen) > 0 && seen[len(seen)-1] != "standalone" && (value == "yes" || value == "no")
		}
		if !fine {
			return p.fail("an XML declaration that is not version 1.0 in UTF-8")
		}
		seen = append(seen, name)
	}
	if len(seen) == 0 {
		return p.fail("a broken XML declaration")
	}
	return nil
}

// content reads everything after the declaration.
func (p *parser) content() error {
	for p.pos < len(p.src) {
		if err := p.step(); err != nil {
			return err
		}
	}
	switch {
	case p.cur != nil:
		return p.fail("the end inside an element")
	case p.doc.Root == nil:
		return p.fail("no element")
	}
	return nil
}

// step reads one tag, comment, section or piece of text.
func (p *parser) step() error {
	rest := p.rest()
	switch {
	case rest[0] != '<':
		return p.characters()
	case strings.HasPrefix(rest, "</"):
		return p.endTag()
	case strings.HasPrefix(rest, "<!--"):
		return p.comment()
	case strings.HasPrefix(rest, "<![CDATA["):
		return p.section()
	case strings.HasPrefix(rest, "<!"):
		return p.fail("a document type or other declaration")
	case strings.HasPrefix(rest, "<?"):
		return p.fail("a processing instruction")
	}
	return p.startTag()
}

func (p *parser) comment() error {
	body := p.src[p.pos+len("<!--"):]
	end := strings.Index(body, "--")
	if end < 0 || !strings.HasPrefix(body[end:], "-->") {
		return p.fail("a broken comment")
	}
	p.doc.Comments = true
	p.pos += len("<!--") + end + len("-->")
	return nil
}

func (p *parser) startTag() error {
	p.flush()
	p.pos++
	prefix, local, ok := p.name()
	if !ok {
		return p.fail("a broken tag")
	}
	if p.cur == nil && p.doc.Root != nil {
		return p.fail("a second root")
	}
	if err := p.count(local); err != nil {
		return err
	}
	mark := len(p.scope)
	empty, err := p.attributes()
	if err != nil {
		return err
	}
	n := p.node()
	n.Prefix, n.Local = prefix, local
	n.Attrs, n.Scope = keep(&p.attrs, p.raw), keep(&p.bindings, p.scope[mark:])
	if err := p.qualify(n); err != nil {
		return err
	}
	if p.cur == nil {
		p.doc.Root = n
	} else {
		p.add(n)
	}
	if empty {
		p.scope = p.scope[:mark]
		p.depth--
		return nil
	}
	p.cur = n
	p.marks = append(p.marks, mark)
	return nil
}

// count holds the limits on elements.
func (p *parser) count(local string) error {
	p.elements++
	p.depth++
	if p.elements > p.lim.Elements {
		return limit("more than %d elements", p.lim.Elements)
	}
	if p.depth > p.lim.Depth {
		return limit("elements nested deeper than %d", p.lim.Depth)
	}
	if most, named := p.lim.Names[local]; named {
		p.doc.Count[local]++
		if p.doc.Count[local] > most {
			return &TooManyError{Local: local, Most: most}
		}
	}
	return nil
}

func (p *parser) endTag() error {
	p.flush()
	p.pos += 2
	prefix, local, ok := p.name()
	if !ok || p.cur == nil || p.cur.Local != local || p.cur.Prefix != prefix {
		return p.fail("an end tag that closes nothing")
	}
	p.skipSpace()
	if !strings.HasPrefix(p.rest(), ">") {
		return p.fail("a broken end tag")
	}
	p.pos++
	p.scope = p.scope[:p.marks[len(p.marks)-1]]
	p.marks = p.marks[:len(p.marks)-1]
	p.depth--
	p.cur = p.cur.Parent
	return nil
}

func (p *parser) node() *Node {
	if len(p.nodes) == cap(p.nodes) {
		p.nodes = make([]Node, 0, min(max(64, 2*cap(p.nodes)), 1024))
	}
	p.nodes = p.nodes[:len(p.nodes)+1]
	return &p.nodes[len(p.nodes)-1]
}

// keep returns a copy of list in slab, which is replaced where it is full.
func keep[T any](slab *[]T, list []T) []T {
	if len(list) == 0 {
		return nil
	}
	if cap(*slab)-len(*slab) < len(list) {
		*slab = make([]T, 0, max(min(max(32, 2*cap(*slab)), 1024), len(list)))
	}
	from := len(*slab)
	*slab = append(*slab, list...)
	return (*slab)[from:len(*slab):len(*slab)]
}

// add appends n to the open element.
func (p *parser) add(n *Node) {
	n.Parent = p.cur
	if p.cur.last == nil {
		p.cur.First = n
	} else {
		p.cur.last.Next = n
	}
	p.cur.last = n
}
