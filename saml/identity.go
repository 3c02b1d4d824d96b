package saml

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/response"
)

// Why a verified assertion does not say who somebody is.
var (
	ErrTransient = errors.New("saml: the NameID is another one at every sign-in")
	ErrSubject   = errors.New("saml: the subject attribute is missing or has several values")
)

const transient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

// Claims that come from the assertion itself. No attribute can pass for one of them.
const (
	claimNameID       = "NameID"
	claimNameIDFormat = "NameIDFormat"
	claimSession      = "SessionIndex"
	claimContext      = "AuthnContextClassRef"
	claimInstant      = "AuthnInstant"
)

var ownClaims = []string{claimNameID, claimNameIDFormat, claimSession, claimContext, claimInstant}

// presets are short names for the claim URIs of AD FS and Entra ID. The first URI that is there counts; an attribute that
// really has the short name goes before.
var presets = map[string][]string{
	"email":              {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "urn:oid:0.9.2342.19200300.100.1.3"},
	"given_name":         {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "urn:oid:2.5.4.42"},
	"family_name":        {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "urn:oid:2.5.4.4"},
	"name":               {"http://schemas.microsoft.com/identity/claims/displayname", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "urn:oid:2.16.840.1.113730.3.1.241"},
	"upn":                {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"},
	"windowsaccountname": {"http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"},
	"groups":             {"http://schemas.xmlsoap.org/claims/Group", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"},
	"roles":              {"http://schemas.microsoft.com/ws/2008/06/identity/claims/role"},
	"oid":                {"http://schemas.microsoft.com/identity/claims/objectidentifier"},
}

// identity makes of a verified assertion who signed in.
func (p *Provider) identity(as *response.Assertion) (federation.Identity, error) {
	claims := claimsOf(as)
	subject, err := p.subject(as, claims)
	if err != nil {
		return federation.Identity{}, fault.New(fault.Config, publicConfig, err)
	}
	id := federation.Identity{
		Provider: p.cfg.Name, ProviderType: p.cfg.Type, Issuer: as.Issuer, Subject: subject, Claims: claims,
		AuthTime: as.AuthnInstant, SessionIndex: as.SessionIndex,
	}
	if as.NameID != nil {
		id.Principal = as.NameID.Value
		if id.Logout, err = keepForLogout(logoutData{NameID: binding.NameID(*as.NameID), Session: as.SessionIndex}); err != nil {
			return federation.Identity{}, err
		}
	}
	return id, nil
}

// maxLogout is the bound of federation.Identity.Logout in bytes.
const maxLogout = 1 << 10

// keepForLogout is what a LogoutRequest will need. A name that is too long to be kept (five parts of up to 1,024 bytes are accepted, and
// real ones have some 300 together) does not cost the person the sign-in, which is proven; but it must not be cut either, since a provider would
// take the rest for another name. What is kept then says so, and the sign-out reports it, where it is missed: see BeginLogout.
// The provider's own requests end the session all the same: they find it by Identity.Principal.
func keepForLogout(d logoutData) ([]byte, error) {
	kept, err := json.Marshal(d)
	if err == nil && len(kept) > maxLogout {
		return json.Marshal(logoutData{TooLong: len(kept)})
	}
	return kept, err
}

// subject is the NameID, or the configured attribute. A transient NameID would make a new user at every sign-in.
func (p *Provider) subject(as *response.Assertion, claims mapping.Claims) (string, error) {
	if p.s.subject == "" {
		if as.NameID.Format == transient {
			return "", fmt.Errorf("%w: have the identity provider issue a persistent identifier, or name an attribute in %s", ErrTransient, keySubject)
		}
		return as.NameID.Value, nil
	}
	if v, ok := claims[p.s.subject].(string); ok && strings.TrimSpace(v) != "" {
		return v, nil
	}
	return "", fmt.Errorf("%w: %s names %q; the assertion has: %s", ErrSubject, keySubject, p.s.subject, names(as))
}

// names lists the first attributes of an assertion, for the log.
func names(as *response.Assertion) string {
	var out []string
	for i, a := range as.Attributes {
		if i == 30 {
			return strings.Join(out, ", ") + ", …"
		}
		out = append(out, fmt.Sprintf("%.200q", a.Name))
	}
	return strings.Join(out, ", ")
}

// claimsOf lists the attributes under their names as given, then under their FriendlyNames and the presets where nothing has
// that name yet. An attribute with one value is text, with several a list; one that occurs twice is joined.
func claimsOf(as *response.Assertion) mapping.Claims {
	values := map[string][]string{}
	for _, a := range as.Attributes {
		values[a.Name] = append(values[a.Name], a.Values...)
	}
	given := len(values)
	out := make(mapping.Claims, given+len(presets)+5)
	for name, vs := range values {
		if len(vs) > 0 {
			out[name] = claim(vs)
		}
	}
	for _, a := range as.Attributes {
		if v, ok := out[a.Name]; ok && a.FriendlyName != "" && out[a.FriendlyName] == nil {
			out[a.FriendlyName] = v
		}
	}
	for short, uris := range presets {
		for _, uri := range uris {
			if v, ok := out[uri]; ok && out[short] == nil {
				out[short] = v
			}
		}
	}
	var id response.NameID
	if as.NameID != nil {
		id = *as.NameID
	}
	set(out, claimNameID, id.Value)
	set(out, claimNameIDFormat, id.Format)
	set(out, claimSession, as.SessionIndex)
	set(out, claimContext, as.AuthnContextClassRef)
	out[claimInstant] = as.AuthnInstant.UTC().Format(time.RFC3339)
	return out
}

// set makes sure that what an attribute says is not taken for what the assertion says.
func set(c mapping.Claims, name, value string) {
	delete(c, name)
	if value != "" {
		c[name] = value
	}
}

func claim(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
