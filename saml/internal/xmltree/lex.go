package xmltree

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) skipSpace() {
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
}

// name reads a qualified name (Namespaces in XML section 4), in ASCII.
func (p *parser) name() (prefix, local string, ok bool) {
	local = p.ncName()
	if p.pos < len(p.src) && p.src[p.pos] == ':' {
		p.pos++
		prefix, local = local, p.ncName()
		if prefix == "" {
			return "", "", false
		}
	}
	return prefix, local, local != ""
}

func (p *parser) ncName() string {
	from := p.pos
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (p.pos == from || !('0' <= c && c <= '9' || c == '-' || c == '.')) {
			break
		}
		p.pos++
	}
	return p.src[from:p.pos]
}

// attributes reads the rest of a start tag, pushes its declarations on the scope and leaves the other attributes in raw.
func (p *parser) attributes() (empty bool, err error) {
	mark := len(p.scope)
	p.raw = p.raw[:0]
	for {
		spaced := p.pos < len(p.src) && isSpace(p.src[p.pos])
		p.skipSpace()
		rest := p.rest()
		if strings.HasPrefix(rest, ">") || strings.HasPrefix(rest, "/>") {
			empty = rest[0] == '/'
			p.pos += 1
			if empty {
				p.pos++
			}
			return empty, nil
		}
		prefix, local, ok := p.name()
		if !ok || !spaced {
			return false, p.fail("a broken tag")
		}
		value, err := p.attrValue()
		if err != nil {
			return false, err
		}
		if len(p.raw)+len(p.scope)-mark == p.lim.Attrs {
			return false, limit("more than %d attributes in one element", p.lim.Attrs)
		}
		switch {
		case prefix == "xmlns":
			err = p.declare(mark, local, value)
		case prefix == "" && local == "xmlns":
			err = p.declare(mark, "", value)
		default:
			p.raw = append(p.raw, Attr{Prefix: prefix, Local: local, Value: value})
			if strings.EqualFold(local, "id") {
				p.doc.IDs = append(p.doc.IDs, value)
			}
		}
		if err != nil {
			return false, err
		}
	}
}

// declare pushes a declaration of a namespace, under the constraints of Namespaces in XML section 3.
func (p *parser) declare(mark int, prefix, uri string) error {
	reserved := prefix == "xmlns" || uri == xmlnsSpace || (prefix == "xml") != (uri == xmlSpace)
	if reserved || prefix != "" && uri == "" {
		return p.fail("a forbidden declaration of a namespace")
	}
	for _, b := range p.scope[mark:] {
		if b.Prefix == prefix {
			return p.fail("a namespace declared twice")
		}
	}
	if len(p.scope) == maxScope {
		return limit("more than %d namespaces in scope", maxScope)
	}
	p.scope = append(p.scope, Binding{Prefix: prefix, URI: uri})
	return nil
}

// resolve returns the namespace of prefix in the scope, and whether it is declared.
func (p *parser) resolve(prefix string) (string, bool) {
	for i := len(p.scope) - 1; i >= 0; i-- {
		if p.scope[i].Prefix == prefix {
			return p.scope[i].URI, true
		}
	}
	return "", false
}

// qualify gives the element and its attributes their namespaces, and the attributes their canonical order.
func (p *parser) qualify(n *Node) error {
	var ok bool
	if n.Space, ok = p.resolve(n.Prefix); !ok && n.Prefix != "" {
		return p.fail("an undeclared prefix")
	}
	for i := range n.Attrs {
		a := &n.Attrs[i]
		switch a.Prefix {
		case "":
		case "xml":
			a.Space = xmlSpace
		default:
			if a.Space, ok = p.resolve(a.Prefix); !ok {
				return p.fail("an undeclared prefix")
			}
		}
		for j := i; j > 0; j-- {
			before := &n.Attrs[j-1]
			if before.Space == a.Space && before.Local == a.Local {
				return p.fail("an attribute given twice")
			}
			if before.Space < a.Space || before.Space == a.Space && before.Local < a.Local {
				break
			}
			n.Attrs[j-1], n.Attrs[j] = n.Attrs[j], n.Attrs[j-1]
			a = &n.Attrs[j-1]
		}
	}
	return nil
}

// attrValue reads ="value" and normalises the value.
func (p *parser) attrValue() (string, error) {
	p.skipSpace()
	if !strings.HasPrefix(p.rest(), "=") {
		return "", p.fail("an attribute without a value")
	}
	p.pos++
	p.skipSpace()
	if p.pos == len(p.src) || p.src[p.pos] != '"' && p.src[p.pos] != '\'' {
		return "", p.fail("an attribute without quotes")
	}
	quote := p.src[p.pos]
	p.pos++
	end := strings.IndexByte(p.rest(), quote)
	if end < 0 {
		return "", p.fail("an attribute without an end")
	}
	if end > p.lim.Value {
		return "", limit("an attribute of %d bytes, at most %d", end, p.lim.Value)
	}
	raw := p.src[p.pos : p.pos+end]
	if strings.IndexByte(raw, '<') >= 0 {
		return "", p.fail("a < in an attribute")
	}
	if strings.ContainsAny(raw, "&\t\r\n") {
		out, err := p.decode(make([]byte, 0, len(raw)), raw, true)
		if err != nil {
			return "", err
		}
		raw = string(out)
	}
	p.pos += end + 1
	return raw, nil
}

// characters reads text up to the next <.
func (p *parser) characters() error {
	raw := p.rest()
	if end := strings.IndexByte(raw, '<'); end >= 0 {
		raw = raw[:end]
	}
	if p.cur == nil {
		if strings.Trim(raw, " \t\r\n") != "" {
			return p.fail("text outside the root")
		}
		p.pos += len(raw)
		return nil
	}
	if strings.Contains(raw, "]]>") {
		return p.fail("a ]]> in text")
	}
	return p.piece(raw, len(raw), true)
}

// section reads <![CDATA[ ]]>, which is text.
func (p *parser) section() error {
	if p.cur == nil {
		return p.fail("text outside the root")
	}
	p.pos += len("<![CDATA[")
	end := strings.Index(p.rest(), "]]>")
	if end < 0 {
		return p.fail("a section without an end")
	}
	return p.piece(p.src[p.pos:p.pos+end], end+len("]]>"), false)
}

// piece adds raw to the text under way and moves on by n bytes.
func (p *parser) piece(raw string, n int, references bool) error {
	decoded := strings.IndexByte(raw, '\r') >= 0 || references && strings.IndexByte(raw, '&') >= 0
	switch {
	case !decoded && !p.pending:
		p.text = raw
	default:
		if !p.pending {
			p.buf = p.buf[:0]
		} else if p.text != "" {
			p.buf, p.text = append(p.buf[:0], p.text...), ""
		}
		if !references {
			p.buf = append(p.buf, strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\r", "\n")...)
			break
		}
		var err error
		if p.buf, err = p.decode(p.buf, raw, false); err != nil {
			return err
		}
	}
	p.pending = true
	p.pos += n
	if size := len(p.text) + len(p.buf); size > p.lim.Text && p.cur.Local != p.lim.LongText {
		return limit("a text of more than %d bytes", p.lim.Text)
	}
	return nil
}

// flush ends the run of text under way.
func (p *parser) flush() {
	if !p.pending {
		return
	}
	value := p.text
	if value == "" {
		value = string(p.buf)
	}
	p.pending, p.text, p.buf = false, "", p.buf[:0]
	if value != "" {
		n := p.node()
		n.Value = value
		p.add(n)
	}
}

// decode appends raw to out with references resolved and line ends as XML 1.0 section 2.11 wants them. In an
// attribute white space that was not written as a reference becomes a blank (section 3.3.3).
func (p *parser) decode(out []byte, raw string, attr bool) ([]byte, error) {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '&':
			end := strings.IndexByte(raw[i:min(len(raw), i+12)], ';')
			if end < 0 {
				return nil, p.fail("a broken reference")
			}
			r, err := p.reference(raw[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			out = utf8.AppendRune(out, r)
			i += end
		case '\r', '\n', '\t':
			if c == '\r' {
				if i+1 < len(raw) && raw[i+1] == '\n' {
					continue
				}
				c = '\n'
			}
			if attr {
				c = ' '
			}
			out = append(out, c)
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// reference resolves what stands between & and ;.
func (p *parser) reference(name string) (rune, error) {
	switch name {
	case "amp":
		return '&', nil
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	digits, numeric := strings.CutPrefix(name, "#")
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	r := rune(code) //nolint:gosec // out of range is refused below, before use
	if !numeric || err != nil || code > utf8.MaxRune || !isCharacter(r) {
		return 0, fmt.Errorf("%w: a reference to nothing of XML's at byte %d", ErrSyntax, p.pos)
	}
	return r, nil
}

// isCharacter is Char of XML 1.0 section 2.2.
func isCharacter(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return true
	case r < 0x20 || r >= 0xD800 && r <= 0xDFFF || r == 0xFFFE || r == 0xFFFF:
		return false
	}
	return r <= utf8.MaxRune
}
