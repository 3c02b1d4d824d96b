package response_test

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/saml/response"
)

// hostile are documents that are costly to read. None may be refused later than the reader can.
func hostile() map[string]attack {
	around := func(inner string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = r.swap("<samlp:Status>", inner+"<samlp:Status>") }
	}
	extension := func(inner string) func(*reply, *response.Expect) {
		return around("<samlp:Extensions>" + inner + "</samlp:Extensions>")
	}
	repeated := func(name string, n int) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string {
				one := element(r.tb, doc, name)
				return strings.Replace(doc, one, strings.Repeat(one, n), 1)
			}
		}
	}
	return map[string]attack{
		"depth 20,000":             {response.CheckLimits, around(strings.Repeat("<a>", 20000) + strings.Repeat("</a>", 20000))},
		"depth 41":                 {response.CheckLimits, around(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40))},
		"5 MB of empty elements":   {response.CheckLimits, extension(strings.Repeat("<a/>", 5<<20/4))},
		"250 KB of empty elements": {response.CheckLimits, extension(strings.Repeat("<a/>", 240<<10/4))},
		"50 badly signed assertions": {response.CheckAssertions, func(r *reply, _ *response.Expect) {
			r.assertionSigned = &signing{key: key(r.tb, "attacker")}
			repeated("Assertion", 50)(r, nil)
		}},
		"500 EncryptedAssertions": {response.CheckAssertions, extension(strings.Repeat("<EncryptedAssertion/>", 500))},
		"an attribute value of 200 KB": {response.CheckLimits, func(r *reply, _ *response.Expect) {
			r.before = r.swap("alice@corp.example</AttributeValue>", strings.Repeat("x", 200<<10)+"</AttributeValue>")
		}},
		"an XML attribute of 200 KB": {response.CheckLimits, around(`<a x="` + strings.Repeat("x", 200<<10) + `"/>`)},
		"400 References": {response.CheckSignatureShape, func(r *reply, _ *response.Expect) {
			r.assertionSigned = &signing{reshape: func(info string) string {
				one := info[strings.Index(info, "<ds:Reference"):strings.Index(info, "</ds:SignedInfo>")]
				return strings.Replace(info, one, strings.Repeat(one, 400), 1)
			}}
		}},
		"300 EncryptedKeys": {response.CheckLimits, func(r *reply, _ *response.Expect) { r.encrypted = &encryption{repeat: 300} }},
		"8 EncryptedKeys for others": {response.CheckDecryption, func(r *reply, _ *response.Expect) {
			r.encrypted = &encryption{repeat: 7}
			r.encrypted.keyMangle = func(b []byte) []byte { b[0] ^= 1; return b }
		}},
		"a comment per character": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.after = nil, r.swap("alice@corp.example</AttributeValue>", strings.Repeat("a<!---->", 28000)+"</AttributeValue>")
		}},
		"a reference per character": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.after = nil, r.swap("alice@corp.example</AttributeValue>", strings.Repeat("&#97;", 49000)+"</AttributeValue>")
		}},
		"4,900 declarations": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned = nil
			extension(strings.Repeat(`<a xmlns:b="urn:c" b:c="" b:d=""/>`, 4900))(r, nil)
		}},
		"49 namespaces in scope": {response.CheckLimits, extension("<a" + declarations(49) + "/>")},
		"as many lookups of prefixes as fit": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned = nil
			// The prefix declared first is found last.
			extension("<a"+declarations(40)+">"+strings.Repeat(`<n:a n:b="" n:c="" n:d="" n:e="" n:f=""/>`, 4900)+"</a>")(r, nil)
		}},
		"4,900 identifiers": {response.CheckUnsigned, func(r *reply, _ *response.Expect) {
			r.assertionSigned = nil
			var b strings.Builder
			for i := range 4900 {
				b.WriteString(`<a id="` + base64.RawURLEncoding.EncodeToString([]byte{byte(i >> 8), byte(i)}) + `"/>`)
			}
			extension(b.String())(r, nil)
		}},
		"240 KB that a stranger signed": {response.CheckSigningKey, func(r *reply, _ *response.Expect) {
			r.assertionSigned, r.attributes = &signing{key: key(r.tb, "attacker")}, attributes(4400)
		}},
		"240 KB that were changed after signing": {response.CheckDigest, func(r *reply, _ *response.Expect) {
			r.attributes, r.after = attributes(4400), r.swap("Group-0001", "Group-9999")
		}},
		"240 KB that grow in canonical form": {response.CheckDigest, func(r *reply, _ *response.Expect) {
			r.after = r.swap("<AttributeStatement>", strings.Repeat(`<AttributeStatement>`+strings.Repeat(">", 60000)+`</AttributeStatement>`, 4)+"<AttributeStatement>")
		}},
	}
}

// declarations binds n prefixes.
func declarations(n int) string {
	var b strings.Builder
	b.WriteString(` xmlns:n="urn:n"`)
	for i := range n - 1 {
		b.WriteString(" xmlns:p" + strings.Repeat("q", i) + `="urn:x"`)
	}
	return b.String()
}

func BenchmarkHostile(b *testing.B) {
	table := hostile()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		b.Run(name, func(b *testing.B) {
			r, e := newReply(b), expect(b)
			table[name].make(r, &e)
			in := form(r.xml())
			defer cpu(b)()
			for b.Loop() {
				if _, err := response.Validate(in, e); response.CheckOf(err) != table[name].check {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("a base64 bomb", func(b *testing.B) {
		in, e := strings.Repeat("QUFB", 16<<20/4), expect(b)
		defer cpu(b)()
		for b.Loop() {
			if _, err := response.Validate(in, e); response.CheckOf(err) != response.CheckLimits {
				b.Fatal(err)
			}
		}
	})
}
