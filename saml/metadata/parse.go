package metadata

import (
	"cmp"
	"crypto"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/saml/internal/xmltree"
	"github.com/weir-id/weir/saml/xmlsig"
)

// MaxBytes is the largest document that is read. Those of AD FS have about 75 KB.
const MaxBytes = 1 << 20

var limits = xmltree.Limits{Bytes: 2 * MaxBytes, Depth: 40, Elements: 20000, Attrs: 64, Value: 16 << 10, Text: 64 << 10}

const (
	maxCertificates = 40
	maxEndpoints    = 40
	maxListed       = 20   // entity ids in an error
	maxProblems     = 20   // kept
	maxText         = 1024 // characters of an entity id (SAML core section 8.3.6) or a format
)

// Options say what is wanted of a document.
type Options struct {
	// EntityID chooses the entity. It may be empty where the document has only one.
	EntityID string
	// Pins, where there are any, demand that the document is signed with one of these certificates.
	Pins []Pin
	// Policy is for that signature.
	Policy xmlsig.Policy
	// AllowHTTP admits addresses that begin with http://, for tests and closed networks.
	AllowHTTP bool
	// Now is the time of the check for expiry.
	Now time.Time
}

// Parse reads the metadata of an identity provider: an EntityDescriptor, or an EntitiesDescriptor with one that
// EntityID names, in UTF-8 or UTF-16. Parts that cannot be used are left out and told in Problems.
// Errors: those of this package, and of package xmlsig for what is no XML or a bad signature.
func Parse(data []byte, o Options) (*Metadata, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes of metadata, %d are allowed", xmlsig.ErrTooLarge, len(data), MaxBytes)
	}
	text, err := toUTF8(data)
	if err != nil {
		return nil, err
	}
	doc, err := xmlsig.Read(text, limits)
	if err != nil {
		return nil, err
	}
	root := doc.Root
	if root.Space != Namespace || (root.Local != "EntityDescriptor" && root.Local != "EntitiesDescriptor") {
		return nil, fmt.Errorf("%w: the root element is %s; for AD FS the address is https://<server>/FederationMetadata/2007-06/FederationMetadata.xml", ErrNotMetadata, short(root.Local))
	}
	m := &Metadata{}
	if len(o.Pins) > 0 {
		if err := verifyPinned(doc, o); err != nil {
			return nil, err
		}
		m.Pinned = true
	}
	found, err := choose(root, o.EntityID)
	if err != nil {
		return nil, err
	}
	if m.EntityID, err = entityID(found.entity); err != nil {
		return nil, err
	}
	if err := m.age(found.chain); err != nil {
		return nil, err
	}
	idp, err := identityProvider(found.entity)
	if err != nil {
		return nil, err
	}
	if err := m.age([]*xmltree.Node{idp}); err != nil {
		return nil, err
	}
	if m.Expired(o.Now) {
		return nil, expired(m)
	}
	if err := m.read(idp, o); err != nil {
		return nil, err
	}
	return m, nil
}

// read takes what the role says.
func (m *Metadata) read(idp *xmltree.Node, o Options) error {
	m.keys(idp)
	m.SSO = m.endpoints(idp, "SingleSignOnService", o)
	m.SLO = m.endpoints(idp, "SingleLogoutService", o)
	want := strings.TrimSpace(xmlsig.Attr(idp, "WantAuthnRequestsSigned"))
	m.WantSigned = want == "true" || want == "1"
	for _, el := range xmlsig.Children(idp, Namespace, "NameIDFormat") {
		if text, ok := xmlsig.Text(el); ok && text != "" && len(text) <= maxText && len(m.NameIDFormats) < maxEndpoints {
			m.NameIDFormats = append(m.NameIDFormats, text)
		}
	}
	switch {
	case len(m.SigningKeys) == 0:
		return fmt.Errorf("%w in the metadata of %q%s", ErrNoKey, m.EntityID, because(m.Problems))
	case len(m.SSO) == 0:
		return fmt.Errorf("%w in the metadata of %q: a SingleSignOnService for HTTP-Redirect or HTTP-POST is needed%s", ErrNoSSO, m.EntityID, because(m.Problems))
	}
	return nil
}

func (m *Metadata) problem(format string, args ...any) {
	if len(m.Problems) < maxProblems {
		m.Problems = append(m.Problems, fmt.Sprintf(format, args...))
	}
}

func because(problems []string) string {
	if len(problems) == 0 {
		return ""
	}
	return ": " + strings.Join(problems, "; ")
}

// chosen is an entity with the elements around it, itself included, whose ages it shares.
type chosen struct {
	entity *xmltree.Node
	chain  []*xmltree.Node
}

// choose finds the entity that id names, or the only one there is (SAML metadata section 2.3).
func choose(root *xmltree.Node, id string) (chosen, error) {
	all := entities(root, nil)
	var ids []string
	var hits []chosen
	for _, c := range all {
		if own := xmlsig.Attr(c.entity, "entityID"); id == "" || own == id {
			hits = append(hits, c)
		} else {
			ids = append(ids, own)
		}
	}
	switch {
	case len(all) == 0:
		return chosen{}, fmt.Errorf("%w: it describes no entity", ErrEntity)
	case len(hits) == 0:
		return chosen{}, fmt.Errorf("%w: the document is not about %q; it is about %s", ErrEntity, id, listed(ids))
	case len(hits) == 1:
		return hits[0], nil
	case id != "":
		return chosen{}, fmt.Errorf("%w: the document describes %q more than once", ErrEntity, id)
	}
	// Of many entities the only identity provider may be meant.
	var idps []chosen
	ids = nil
	for _, c := range hits {
		if len(xmlsig.Children(c.entity, Namespace, "IDPSSODescriptor")) > 0 {
			idps = append(idps, c)
			ids = append(ids, xmlsig.Attr(c.entity, "entityID"))
		}
	}
	if len(idps) == 1 {
		return idps[0], nil
	}
	return chosen{}, fmt.Errorf("%w: the document describes %d identity providers, choose one by its entity id: %s", ErrEntity, len(idps), listed(ids))
}

func entities(el *xmltree.Node, around []*xmltree.Node) []chosen {
	chain := append(slices.Clip(around), el)
	if el.Is(Namespace, "EntityDescriptor") {
		return []chosen{{entity: el, chain: chain}}
	}
	var out []chosen
	for c := range el.Elements() {
		if c.Is(Namespace, "EntityDescriptor") || c.Is(Namespace, "EntitiesDescriptor") {
			out = append(out, entities(c, chain)...)
		}
	}
	return out
}

func listed(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, id := range ids[:min(len(ids), maxListed)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", short(id))
	}
	if len(ids) > maxListed {
		fmt.Fprintf(&b, " and %d more", len(ids)-maxListed)
	}
	return b.String()
}

// short keeps a document's text from filling a log.
func short(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}

func entityID(el *xmltree.Node) (string, error) {
	id := xmlsig.Attr(el, "entityID")
	if id == "" || len(id) > maxText || strings.TrimSpace(id) != id {
		return "", fmt.Errorf("%w: its entityID is missing or malformed", ErrNotMetadata)
	}
	return id, nil
}

// age takes the earliest validUntil and the shortest cacheDuration. A date that nobody can read
// must not mean "for ever".
func (m *Metadata) age(elements []*xmltree.Node) error {
	for _, el := range elements {
		if text := strings.TrimSpace(xmlsig.Attr(el, "validUntil")); text != "" {
			until, err := parseTime(text)
			if err != nil {
				return fmt.Errorf("%w: validUntil of %s is not a date and time", ErrNotMetadata, el.Local)
			}
			if m.ValidUntil.IsZero() || until.Before(m.ValidUntil) {
				m.ValidUntil = until
			}
		}
		if text := strings.TrimSpace(xmlsig.Attr(el, "cacheDuration")); text != "" {
			d, err := parseDuration(text)
			if err != nil || d <= 0 {
				m.problem("cacheDuration of %s is not a duration", el.Local)
				continue
			}
			if m.CacheDuration == 0 || d < m.CacheDuration {
				m.CacheDuration = d
			}
		}
	}
	return nil
}

// identityProvider returns the role for SAML 2.0 (SAML metadata section 2.4.3).
func identityProvider(entity *xmltree.Node) (*xmltree.Node, error) {
	roles := xmlsig.Children(entity, Namespace, "IDPSSODescriptor")
	for _, el := range roles {
		if slices.Contains(strings.Fields(xmlsig.Attr(el, "protocolSupportEnumeration")), protocolNS) {
			return el, nil
		}
	}
	id := xmlsig.Attr(entity, "entityID")
	switch {
	case len(roles) > 0:
		return nil, fmt.Errorf("%w: %q does not offer SAML 2.0", ErrNoIDP, short(id))
	case len(xmlsig.Children(entity, Namespace, "SPSSODescriptor")) > 0:
		return nil, fmt.Errorf("%w: %q is a service provider; was our own metadata uploaded?", ErrNoIDP, short(id))
	}
	return nil, fmt.Errorf("%w: %q has no IDPSSODescriptor", ErrNoIDP, short(id))
}

// endpoints returns the usable addresses of one service, Redirect before POST, each in the order of the document.
func (m *Metadata) endpoints(idp *xmltree.Node, service string, o Options) []Endpoint {
	var redirect, post []Endpoint
	all := xmlsig.Children(idp, Namespace, service)
	if len(all) > maxEndpoints {
		m.problem("only %d of %d elements %s were looked at", maxEndpoints, len(all), service)
		all = all[:maxEndpoints]
	}
	for _, el := range all {
		e := Endpoint{Binding: xmlsig.Attr(el, "Binding"), Location: strings.TrimSpace(xmlsig.Attr(el, "Location"))}
		if e.Binding != HTTPRedirect && e.Binding != HTTPPost {
			continue // SOAP and Artifact are for servers, not browsers
		}
		e.ResponseLocation = strings.TrimSpace(xmlsig.Attr(el, "ResponseLocation"))
		if e.ResponseLocation == "" {
			e.ResponseLocation = e.Location
		}
		if bad := cmp.Or(badURL(e.Location, o.AllowHTTP), badURL(e.ResponseLocation, o.AllowHTTP)); bad != "" {
			m.problem("an address of %s %s", service, bad)
			continue
		}
		if e.Binding == HTTPRedirect {
			redirect = append(redirect, e)
		} else {
			post = append(post, e)
		}
	}
	return append(redirect, post...)
}

// badURL says what keeps a browser from being sent to raw, "" if nothing does.
func badURL(raw string, allowHTTP bool) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || len(raw) > 2048:
		return "is not an absolute URL"
	case u.Scheme == "http" && !allowHTTP:
		return "begins with http:// and has to begin with https://"
	case u.Scheme != "https" && u.Scheme != "http":
		return "does not begin with https://"
	case u.User != nil || strings.Contains(raw, "#"):
		return "has a user name or a fragment"
	}
	return ""
}

// verifyPinned checks the signature of the whole document.
func verifyPinned(doc *xmltree.Document, o Options) error {
	var keys []crypto.PublicKey
	inside := signerCertificates(doc.Root)
	for _, p := range o.Pins {
		if c := p.match(inside); c != nil {
			keys = append(keys, c.PublicKey)
		}
	}
	if len(keys) == 0 {
		return fmt.Errorf("%w: its signature names no certificate with a pinned fingerprint", ErrPin)
	}
	if err := xmlsig.Verify(doc, keys, o.Policy); err != nil {
		return fmt.Errorf("%w: %w", ErrPin, err)
	}
	return nil
}
