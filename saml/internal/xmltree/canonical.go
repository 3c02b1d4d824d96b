package xmltree

import (
	"io"
	"slices"
	"strings"
)

// Canonical writes n in Exclusive XML Canonicalization 1.0 (W3C Recommendation 18 July 2002), without
// comments, to w, and returns w's error. inclusive is the PrefixList of InclusiveNamespaces, where #default is the default namespace.
// omit, which may be nil, is left out with all it holds: the enveloped signature.
//
// Two trees with the same canonical form have the same names, attributes and text: what a
// signature covers is all that a reader of the tree sees, but omit. Prefixes inside of values (xsi:type) are text
// to it; nothing here resolves them.
func (n *Node) Canonical(w io.Writer, inclusive []string, omit *Node) error {
	c := canonical{w: w, out: make([]byte, 0, flushAt+flushAt/8), omit: omit}
	for _, p := range inclusive {
		if p == "#default" {
			p = ""
		}
		if p != "xml" && !slices.Contains(c.inclusive, p) {
			c.inclusive = append(c.inclusive, p)
		}
	}
	c.element(n)
	c.flush()
	return c.err
}

// flushAt bounds what is held: the canonical form may be several times as long as the document.
const flushAt = 4 << 10

type canonical struct {
	w         io.Writer
	err       error
	out       []byte
	omit      *Node
	inclusive []string
	rendered  []Binding // written by the open elements, innermost last
}

// element is as deep as Limits.Depth allowed.
func (c *canonical) element(n *Node) {
	mark := len(c.rendered)
	c.use(n.Prefix, n.Space)
	for i := range n.Attrs {
		if p := n.Attrs[i].Prefix; p != "" && p != "xml" {
			c.use(p, n.Attrs[i].Space)
		}
	}
	for _, p := range c.inclusive {
		// A prefix out of scope has no namespace node; the default one may have to be taken back.
		if uri := n.lookup(p); uri != "" || p == "" {
			c.use(p, uri)
		}
	}
	fresh := c.rendered[mark:]
	slices.SortFunc(fresh, func(a, b Binding) int { return strings.Compare(a.Prefix, b.Prefix) })

	c.out = append(c.out, '<')
	c.name(n.Prefix, n.Local)
	for _, b := range fresh {
		c.out = append(c.out, " xmlns"...)
		if b.Prefix != "" {
			c.out = append(append(c.out, ':'), b.Prefix...)
		}
		c.value(b.URI)
	}
	for i := range n.Attrs {
		c.out = append(c.out, ' ')
		c.name(n.Attrs[i].Prefix, n.Attrs[i].Local)
		c.value(n.Attrs[i].Value)
	}
	c.out = append(c.out, '>')
	for child := n.First; child != nil; child = child.Next {
		switch {
		case child == c.omit:
		case child.Local == "":
			c.text(child.Value)
		default:
			c.element(child)
		}
	}
	c.out = append(c.out, "</"...)
	c.name(n.Prefix, n.Local)
	c.out = append(c.out, '>')
	c.rendered = c.rendered[:mark]
}

// use notes a namespace that must be declared here unless the nearest written element has it alike.
func (c *canonical) use(prefix, uri string) {
	for i := len(c.rendered) - 1; i >= 0; i-- {
		if c.rendered[i].Prefix == prefix {
			if c.rendered[i].URI == uri {
				return
			}
			c.rendered = append(c.rendered, Binding{prefix, uri})
			return
		}
	}
	if prefix != "" || uri != "" {
		c.rendered = append(c.rendered, Binding{prefix, uri})
	}
}

func (c *canonical) flush() {
	if c.err == nil {
		_, c.err = c.w.Write(c.out)
	}
	c.out = c.out[:0]
}

func (c *canonical) name(prefix, local string) {
	if prefix != "" {
		c.out = append(append(c.out, prefix...), ':')
	}
	c.out = append(c.out, local...)
}

func (c *canonical) value(s string) {
	c.out = append(c.out, `="`...)
	from := 0
	for i := range len(s) {
		var ref string
		switch s[i] {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '"':
			ref = "&quot;"
		case '\t':
			ref = "&#x9;"
		case '\n':
			ref = "&#xA;"
		case '\r':
			ref = "&#xD;"
		default:
			continue
		}
		c.out = append(append(c.out, s[from:i]...), ref...)
		from = i + 1
	}
	c.out = append(append(c.out, s[from:]...), '"')
}

func (c *canonical) text(s string) {
	from := 0
	for i := range len(s) {
		var ref string
		switch s[i] {
		case '&':
			ref = "&amp;"
		case '<':
			ref = "&lt;"
		case '>':
			ref = "&gt;"
		case '\r':
			ref = "&#xD;"
		default:
			continue
		}
		c.out = append(append(c.out, s[from:i]...), ref...)
		from = i + 1
		if len(c.out) >= flushAt {
			c.flush()
		}
	}
	c.out = append(c.out, s[from:]...)
	if len(c.out) >= flushAt {
		c.flush()
	}
}
