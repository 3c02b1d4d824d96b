package response_test

import (
	"strings"

	"github.com/weir-id/weir/saml/response"
)

// documents are bytes that no XML library should have to see.
func documents() map[string]attack {
	edit := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = r.swap(old, with) }
	}
	around := func(before, after string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.after = func(doc string) string { return before + doc + after } }
	}
	return map[string]attack{
		"text outside the root, before":         {response.CheckXML, around("x", "")},
		"text outside the root, after":          {response.CheckXML, around("", "x")},
		"two roots":                             {response.CheckXML, around("", "<x/>")},
		"a document type":                       {response.CheckXML, around(`<!DOCTYPE x [<!ENTITY e "x">]>`, "")},
		"a document type after the declaration": {response.CheckXML, around(`<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1/">`, "")},
		"an unknown entity":                     {response.CheckXML, edit("alice@corp.example</NameID>", "&xxe;</NameID>")},
		"a processing instruction in NameID":    {response.CheckXML, edit("alice@corp.example</NameID>", "alice@<?x y?>corp.example</NameID>")},
		"a stylesheet":                          {response.CheckXML, around(`<?xml-stylesheet href="x"?>`, "")},
		"UTF-16": {response.CheckXML, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return "\xff\xfe" + strings.Join(strings.Split(doc, ""), "\x00") + "\x00" }
		}},
		"an encoding other than UTF-8":       {response.CheckXML, around(`<?xml version="1.0" encoding="ISO-8859-1"?>`, "")},
		"UTF-7":                              {response.CheckXML, around(`<?xml version="1.0" encoding="utf-7"?>`, "")},
		"XML 1.1":                            {response.CheckXML, around(`<?xml version="1.1"?>`, "")},
		"invalid UTF-8":                      {response.CheckXML, edit("alice@", "alice\xff@")},
		"a zero byte":                        {response.CheckXML, edit("alice@", "alice\x00@")},
		"a reference to a zero byte":         {response.CheckXML, edit("alice@", "alice&#0;@")},
		"an undeclared prefix":               {response.CheckXML, edit("<samlp:Status>", "<x:y/><samlp:Status>")},
		"an attribute twice":                 {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" ID="_r1"`)},
		"an attribute twice by two prefixes": {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:a="urn:x" xmlns:b="urn:x" a:c="" b:c=""`)},
		"the prefix xml rebound":             {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:xml="urn:x"`)},
		"the prefix xmlns bound":             {response.CheckXML, edit(`ID="_r1"`, `ID="_r1" xmlns:xmlns="urn:x"`)},
		"a prefix undeclared":                {response.CheckXML, edit(`ID="_a1"`, `ID="_a1" xmlns:samlp=""`)},
		"tags that cross":                    {response.CheckXML, edit("</Subject>", "</Subjects>")},
		"a name in other letters":            {response.CheckXML, edit("<Subject>", "<Sub\u0458ect>")},
		"an end tag too many":                {response.CheckXML, around("", "</x>")},
		"an end too early":                   {response.CheckXML, edit("</samlp:Response>", "")},
		"a comment with two hyphens":         {response.CheckXML, edit("<samlp:Status>", "<!-- a -- b --><samlp:Status>")},
		"an attribute without quotes":        {response.CheckXML, edit(`Version="2.0"`, "Version=2.0")},
		"a tag in an attribute":              {response.CheckXML, edit(`Version="2.0"`, `Version="<"`)},
		"65 attributes":                      {response.CheckLimits, edit(`Version="2.0"`, `Version="2.0"`+manyAttributes(65))},
		"an XML attribute of 9 KB":           {response.CheckLimits, edit(`ID="_r1"`, `ID="_r1" x="`+strings.Repeat("x", 9<<10)+`"`)},
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + `=""`)
	}
	return b.String()
}
