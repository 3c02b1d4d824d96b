package socialtest

import (
	"errors"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// ErrPage: the provider showed a page instead of answering the relying party.
var ErrPage = errors.New("neither a redirect nor a form")

// readForm returns the action and the fields of the form of a page.
func readForm(page string) (string, url.Values, error) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return "", nil, err
	}
	action, fields := "", url.Values{}
	for n := range doc.Descendants() {
		at := func(name string) string {
			for _, a := range n.Attr {
				if a.Key == name {
					return a.Val
				}
			}
			return ""
		}
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			action = at("action")
		case n.Data == "input":
			fields.Add(at("name"), at("value"))
		}
	}
	if action == "" {
		return "", nil, ErrPage
	}
	return action, fields, nil
}
