package xmltree_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/weir-id/weir/saml/internal/xmltree"
)

var wide = xmltree.Limits{Bytes: 1 << 20, Depth: 40, Elements: 5000, Attrs: 64, Value: 8 << 10, Text: 64 << 10, LongText: "long", Names: map[string]int{"few": 2}}

func parse(tb testing.TB, doc string) *xmltree.Document {
	tb.Helper()
	d, err := xmltree.Parse([]byte(doc), wide, nil)
	if err != nil {
		tb.Fatalf("%v in %q", err, doc)
	}
	return d
}

func canonical(tb testing.TB, n *xmltree.Node, inclusive ...string) string {
	tb.Helper()
	var b bytes.Buffer
	if err := n.Canonical(&b, inclusive, nil); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// find returns the first element called local.
func find(n *xmltree.Node, local string) *xmltree.Node {
	if n.Local == local {
		return n
	}
	for c := range n.Elements() {
		if f := find(c, local); f != nil {
			return f
		}
	}
	return nil
}

func TestCanonicalForm(t *testing.T) {
	tests := []struct{ name, doc, of, inclusive, want string }{
		{"the example of exc-c14n section 2.2", `<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n0:local>`, "elem2", "",
			`<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>`},
		{"the same in another envelope", `<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xml:lang="fr" xml:space="retain"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n2:pdu>`, "elem2", "",
			`<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>`},
		{"attributes and declarations in order", `<a xmlns:b="urn:2" xmlns:a="urn:1" b:y="1" a:z="2" x="3" xmlns="urn:0" c="4" a:b="5"/>`, "a", "",
			`<a xmlns="urn:0" xmlns:a="urn:1" xmlns:b="urn:2" c="4" x="3" a:b="5" a:z="2" b:y="1"></a>`},
		{"characters of attributes", "<a b=\"&lt;&amp;&quot;&#9;&#10;&#13;'>\t\n \"/>", "a", "", `<a b="&lt;&amp;&quot;&#x9;&#xA;&#xD;'>   "></a>`},
		{"characters of text", "<a>&lt;&amp;&gt;\"'&#13;\r\n\r<![CDATA[<&]]></a>", "a", "", "<a>&lt;&amp;&gt;\"'&#xD;\n\n&lt;&amp;</a>"},
		{"comments are dropped", `<a>x<!-- y -->z<b/><!-- y --></a>`, "a", "", `<a>xz<b></b></a>`},
		{"a default namespace taken back", `<a xmlns="urn:0"><b xmlns=""><c xmlns="urn:0"/><d/></b></a>`, "a", "", `<a xmlns="urn:0"><b xmlns=""><c xmlns="urn:0"></c><d></d></b></a>`},
		{"no default namespace to take back", `<p:a xmlns:p="urn:0" xmlns="urn:1"><b xmlns=""/></p:a>`, "a", "", `<p:a xmlns:p="urn:0"><b></b></p:a>`},
		{"a prefix bound anew", `<p:a xmlns:p="urn:0"><p:b xmlns:p="urn:1"><p:c xmlns:p="urn:0"/></p:b><p:d/></p:a>`, "a", "", `<p:a xmlns:p="urn:0"><p:b xmlns:p="urn:1"><p:c xmlns:p="urn:0"></p:c></p:b><p:d></p:d></p:a>`},
		{"siblings declare for themselves", `<a xmlns:p="urn:0"><p:b/><p:c/></a>`, "a", "", `<a><p:b xmlns:p="urn:0"></p:b><p:c xmlns:p="urn:0"></p:c></a>`},
		{"a PrefixList takes what is in scope", `<r xmlns:xs="urn:xs" xmlns:no="urn:no" xmlns="urn:d"><p:a xmlns:p="urn:p"><p:b xmlns:xs="urn:other"/></p:a></r>`, "a", "xs #default out",
			`<p:a xmlns="urn:d" xmlns:p="urn:p" xmlns:xs="urn:xs"><p:b xmlns:xs="urn:other"></p:b></p:a>`},
		{"a PrefixList with a default taken back", `<r xmlns="urn:d"><p:a xmlns:p="urn:p"><p:b xmlns=""/></p:a></r>`, "a", "#default", `<p:a xmlns="urn:d" xmlns:p="urn:p"><p:b xmlns=""></p:b></p:a>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := canonical(t, find(parse(t, tt.doc).Root, tt.of), strings.Fields(tt.inclusive)...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestCanonicalLeavesOutWhatIsOmitted(t *testing.T) {
	d := parse(t, `<a>x<s><t/></s>y</a>`)
	var b bytes.Buffer
	if err := d.Root.Canonical(&b, nil, find(d.Root, "s")); err != nil || b.String() != "<a>xy</a>" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCanonicalReturnsTheErrorOfItsWriter(t *testing.T) {
	if err := parse(t, "<a/>").Root.Canonical(brokenWriter{}, nil, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func TestFragmentsTakeTheNamespacesAroundThem(t *testing.T) {
	outer := parse(t, `<r xmlns:p="urn:p" xmlns="urn:d"><h xmlns:p="urn:q"/></r>`)
	d, err := xmltree.Parse([]byte(` <p:a><b/></p:a> `), wide, find(outer.Root, "h"))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Root.Is("urn:q", "a") || !d.Root.First.Is("urn:d", "b") || d.Root.Parent.Local != "h" || outer.Root.First.First != nil {
		t.Errorf("root %+v", d.Root)
	}
	if got, want := canonical(t, d.Root), `<p:a xmlns:p="urn:q"><b xmlns="urn:d"></b></p:a>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTextIsWholeOrNone(t *testing.T) {
	for doc, want := range map[string]string{
		"<a/>": "", "<a>x<!--y-->z</a>": "xz", "<a><!----></a>": "", "<a>&#x1F600;<![CDATA[]]></a>": "😀", "<a><![CDATA[]]>x<![CDATA[y]]>&amp;<!---->z</a>": "xy&z",
		"<a>x<b/></a>": "none", "<a><b/></a>": "none", "<a><b/>x</a>": "none", "<a>\r\n</a>": "\n",
	} {
		if got, ok := parse(t, doc).Root.Text(); got != want && (ok || want != "none") || ok == (want == "none") {
			t.Errorf("%s: %q, %v", doc, got, ok)
		}
	}
}

func TestIdentifiersOfAllKindsAreCollected(t *testing.T) {
	d := parse(t, `<a ID="1" x:Id="2" xmlns:x="urn:x"><b id="3" xml:id="4" identity="5"/></a>`)
	if got := strings.Join(d.IDs, ""); got != "1243" && got != "1234" {
		t.Errorf("got %s", got)
	}
	if _, twice := xmltree.Duplicate(d); twice {
		t.Error("a duplicate among different ones")
	}
	if id, twice := xmltree.Duplicate(d, parse(t, `<a iD="4"/>`)); !twice || id != "4" {
		t.Error("no duplicate across documents")
	}
}

func TestLimitsAreEnforced(t *testing.T) {
	for name, doc := range map[string]string{
		"bytes": "<a>" + strings.Repeat(" ", 1<<20) + "</a>", "depth": strings.Repeat("<a>", 41) + strings.Repeat("</a>", 41), "elements": "<a>" + strings.Repeat("<b/>", 5000) + "</a>",
		"attribute value": `<a b="` + strings.Repeat("x", 8<<10+1) + `"/>`, "text": "<a>" + strings.Repeat("x", 64<<10+1) + "</a>", "text in pieces": "<a>" + strings.Repeat("xx<!---->", 33<<10) + "</a>",
		"a name": "<a><few/><x:few xmlns:x='urn:x'/><few/></a>",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := xmltree.Parse([]byte(doc), wide, nil); !errors.Is(err, xmltree.ErrLimit) {
				t.Errorf("got %v", err)
			}
		})
	}
	parse(t, "<long>"+strings.Repeat("x", 64<<10+1)+"</long>")
	parse(t, strings.Repeat("<a>", 40)+strings.Repeat("</a>", 40))
}

// documents are seeds, accepted and refused ones.
var documents = []string{
	`<a/>`, "\uFEFF<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n<a b=\"c\">d<e/>f</a>\n<!-- g -->", `<a xmlns="urn:0" xmlns:p="urn:1" p:b="&#9;x"><p:c xmlns=""/>&lt;<![CDATA[]]]]>&gt;</a>`,
	"<a\tb='\r\n'\r>\r\n\r</a >", `<a xml:lang="x" xml:space="preserve"/>`, `<xml:a/>`, `<a xmlns:xml="http://www.w3.org/XML/1998/namespace"/>`, `<a>]]></a>`, `<!DOCTYPE a><a/>`, `<?p?><a/>`,
	`<a b="1" b="2"/>`, `<a b = '1'c="2"/>`, `<a>&amp;&lt;&gt;&quot;&apos;&#x10FFFF;&#xD7FF;</a>`, `<a>&#xD800;</a>`, `<a>&e;</a>`, `<a><b></a></b>`, `<p:a xmlns:p=""/>`, `<a:b:c/>`, `<a`, `<`, `<a></a`, "<a>\x01</a>", `<?xml version="1.0"?>`, `<a><!-- -- --></a>`,
	`<a xmlns:p="urn:1" xmlns:q="urn:1" p:b="" q:b=""/>`, "<a>\uFFFE</a>", `<a/><b/>`, `<a/>x`, `</a>`, `<a b/>`, `<a b=c/>`, `<a b="<"/>`, `<é/>`,
}

// transcript writes a tree as encoding/xml's tokens would be written.
func transcript(b *strings.Builder, n *xmltree.Node) {
	if n.Local == "" {
		fmt.Fprintf(b, "%q", n.Value)
		return
	}
	fmt.Fprintf(b, "<%s %s", flat(n.Space), n.Local)
	for _, a := range n.Attrs {
		fmt.Fprintf(b, " %s %s %q", flat(a.Space), a.Local, flat(a.Value))
	}
	b.WriteString(">")
	for c := n.First; c != nil; c = c.Next {
		transcript(b, c)
	}
	b.WriteString("</>")
}

// flat makes white space in attributes and namespaces comparable: encoding/xml does not normalise it, and a character reference is exempt.
func flat(s string) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ", "\r", " ").Replace(s)
}

// FuzzPrescan reads anything. What it takes, encoding/xml reads as the same elements, attributes and texts, and its
// canonical form is read as the same again: no reader of the signed bytes can see another document than we did.
func FuzzPrescan(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := xmltree.Parse(in, wide, nil)
		if err != nil {
			if !errors.Is(err, xmltree.ErrLimit) && !errors.Is(err, xmltree.ErrSyntax) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		var mine strings.Builder
		transcript(&mine, d.Root)
		theirs, err := standard(in)
		if err != nil {
			t.Fatalf("encoding/xml refuses it: %v", err)
		}
		if mine.String() != theirs {
			t.Fatalf("read as\n%s\nby encoding/xml as\n%s", mine.String(), theirs)
		}
		once := canonical(t, d.Root)
		loose := wide
		loose.Bytes, loose.Value, loose.Text, loose.Attrs = 8<<20, 1<<20, 1<<20, 128
		again, err := xmltree.Parse([]byte(once), loose, nil)
		if err != nil {
			t.Fatalf("the canonical form is refused: %v", err)
		}
		if twice := canonical(t, again.Root); twice != once {
			t.Fatalf("canonical form\n%s\nagain\n%s", once, twice)
		}
	})
}

// standard is transcript by encoding/xml.
func standard(in []byte) (string, error) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(in, []byte("\uFEFF"))))
	var b strings.Builder
	var text strings.Builder
	depth := 0
	flush := func() {
		if text.Len() > 0 && depth > 0 {
			fmt.Fprintf(&b, "%q", text.String())
		}
		text.Reset()
	}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		} else if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			flush()
			depth++
			fmt.Fprintf(&b, "<%s %s", flat(tok.Name.Space), tok.Name.Local)
			var attrs []xml.Attr
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && !(a.Name.Space == "" && a.Name.Local == "xmlns") {
					a.Name.Space = flat(a.Name.Space)
					attrs = append(attrs, a)
				}
			}
			for len(attrs) > 0 {
				least := 0
				for i, a := range attrs {
					l := attrs[least].Name
					if a.Name.Space < l.Space || a.Name.Space == l.Space && a.Name.Local < l.Local {
						least = i
					}
				}
				fmt.Fprintf(&b, " %s %s %q", attrs[least].Name.Space, attrs[least].Name.Local, flat(attrs[least].Value))
				attrs = append(attrs[:least], attrs[least+1:]...)
			}
			b.WriteString(">")
		case xml.EndElement:
			flush()
			depth--
			b.WriteString("</>")
		case xml.CharData:
			text.Write(tok)
		}
	}
}

// mixed reports whether an element has attributes of two prefixes.
func mixed(n *xmltree.Node) bool {
	prefix := ""
	for _, a := range n.Attrs {
		if prefix != "" && a.Prefix != prefix {
			return true
		}
		prefix = a.Prefix
	}
	for c := range n.Elements() {
		if mixed(c) {
			return true
		}
	}
	return false
}

// FuzzCanonical compares with goxmldsig, which many service providers verify with.
func FuzzCanonical(f *testing.F) {
	for _, d := range documents {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := xmltree.Parse([]byte(in), wide, nil)
		// goxmldsig takes line ends and white space of attributes as they come, and sorts attributes of different prefixes
		// by their local names, not by namespace as canonical XML 1.0 section 2.2 wants it.
		if err != nil || strings.ContainsAny(in, "\r\t\n") || strings.Contains(in, "CDATA") || strings.Contains(in, "xmlns:xml=") || mixed(d.Root) {
			return
		}
		doc := etree.NewDocument()
		if err := doc.ReadFromString(strings.TrimPrefix(in, "\uFEFF")); err != nil {
			t.Fatalf("etree refuses it: %v", err)
		}
		detached, err := etreeutils.NSDetatch(etreeutils.NewDefaultNSContext(), doc.Root())
		if err != nil {
			return // its limits are lower
		}
		theirs, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(detached)
		if err != nil {
			return
		}
		if mine := canonical(t, d.Root); mine != string(theirs) {
			t.Fatalf("%q\nmine   %s\ntheirs %s", in, mine, theirs)
		}
	})
}
