package pool

import (
	"maps"
	"slices"
	"strings"

	"github.com/weir-id/weir/mapping"
)

// How a provider's identities come to the users that there are already is said by keys of ProviderDetails, for every type of provider
// (docs/linking.md, docs/decisions/0037-linking.md).
const (
	// detailLinkUsers is none (default), email, attribute:<name> or ask.
	detailLinkUsers = "link_users"
	// detailTrustedDomains are the e-mail domains that the provider may speak for, separated by spaces: example.com where the administrator
	// declares it, example.com/dns where a DNS record of the domain has to prove it.
	detailTrustedDomains = "trusted_domains"
	// detailLinkSources are other providers of the pool, separated by spaces, whose word about the address of an existing user counts as
	// well: see Directory.vouched.
	detailLinkSources = "link_sources"
)

// LinkKind is a kind of linking policy.
type LinkKind string

// The kinds. Whatever is none of the others is LinkNone.
const (
	LinkNone      LinkKind = "none"      // nobody is linked but by an administrator
	LinkEmail     LinkKind = "email"     // by a verified e-mail address in a domain that the provider may speak for
	LinkAttribute LinkKind = "attribute" // by the value of an attribute
	LinkAsk       LinkKind = "ask"       // whoever proves to be the existing user by signing in as it
)

const (
	attrEmail     = "email"
	attributeMark = string(LinkAttribute) + ":"
)

// LinkPolicy is by what the identities of a provider are linked to existing users at their first sign-in.
type LinkPolicy struct {
	Kind      LinkKind
	Attribute string // that has to be the same: email but for LinkAttribute; "" of LinkNone
}

// String is the policy as link_users says it.
func (l LinkPolicy) String() string {
	if l.Kind == LinkAttribute {
		return attributeMark + l.Attribute
	}
	return string(l.Kind)
}

// LinkPolicy returns the provider's policy. What cannot be read is LinkNone.
func (p IdentityProvider) LinkPolicy() LinkPolicy {
	switch v := p.Details.Get(detailLinkUsers); {
	case v == string(LinkEmail), v == string(LinkAsk):
		return LinkPolicy{Kind: LinkKind(v), Attribute: attrEmail}
	case len(v) > len(attributeMark) && strings.HasPrefix(v, attributeMark):
		return LinkPolicy{Kind: LinkAttribute, Attribute: v[len(attributeMark):]}
	}
	return LinkPolicy{Kind: LinkNone}
}

func (p IdentityProvider) linkSources() []string {
	return strings.Fields(p.Details.Get(detailLinkSources))
}

// saysPlainly reports whether the provider's mapping fills the attribute from a claim as it is, so that the value is what the provider says
// and nothing that was made of it.
func (p IdentityProvider) saysPlainly(attribute string) bool {
	return linkable(attribute, p.AttributeMapping[attribute])
}

// checkLinking checks the keys about linking.
func checkLinking(ps, warn *Problems, ip IdentityProvider, p Pool) {
	domains := checkTrustedDomains(ps, warn, ip)
	path := entry("ProviderDetails", detailLinkUsers)
	given, policy := ip.Details.Get(detailLinkUsers), ip.LinkPolicy()
	switch policy.Kind {
	case LinkNone:
		if given != "" && given != string(LinkNone) {
			ps.add(path, "must be none, email, ask, or attribute: and the name of an attribute")
		}
	case LinkEmail:
		if domains == 0 {
			ps.add(path, "email needs trusted_domains: the e-mail domains that this provider may speak for, such as example.com")
		}
		checkEmailSaid(ps, warn, ip, path)
	case LinkAsk:
		checkEmailSaid(ps, warn, ip, path)
	case LinkAttribute:
		checkLinkAttribute(ps, ip, p, policy.Attribute)
	}
	checkLinkSources(ps, ip, policy)
}

// checkEmailSaid checks that the provider says addresses, and whether they are verified.
func checkEmailSaid(ps, warn *Problems, ip IdentityProvider, path string) {
	switch verified := ip.AttributeMapping[flagOf[attrEmail]]; {
	case !ip.saysPlainly(attrEmail):
		ps.add(path, "needs the attribute email in AttributeMapping, from a claim and without options")
	case verified == "":
		ps.add(path, "needs the attribute email_verified in AttributeMapping: an address that nobody has verified links nobody")
	case !mapping.IsClaim(verified) && ip.letsAnybodyIn():
		ps.add(path, "needs email_verified from a claim: whoever has a tenant of their own can put any address into it, and the rule would vouch for it")
	case !mapping.IsClaim(verified):
		warn.add(path, "email_verified is not a claim of the provider: with linking, the rule vouches for every address in trusted_domains that the provider sends, "+
			"and whoever can choose their address there gets the account of its owner")
	}
}

// letsAnybodyIn reports whether the provider's people are of organizations that anybody can found, each with an administrator of its own who
// says what address somebody has (the preset EntraID).
func (p IdentityProvider) letsAnybodyIn() bool {
	return slices.Contains([]string{"common", "organizations", "consumers"}, strings.ToLower(p.Details.Get("tenant")))
}

// namesOnly are attributes that many people share.
var namesOnly = []string{"name", "given_name", "family_name"}

func checkLinkAttribute(ps *Problems, ip IdentityProvider, p Pool, attribute string) {
	path := entry("ProviderDetails", detailLinkUsers)
	_, known := p.Attribute(attribute)
	switch {
	case ip.Type != "OIDC" && ip.Type != "SAML":
		ps.add(path, "attribute: is for providers of the types OIDC and SAML")
	case attribute == attrEmail:
		ps.add(path, "for e-mail addresses use email, which asks for the domains that the provider may speak for")
	case !known || !slices.Contains(p.searchable(), attribute):
		ps.add(path, "must name a custom attribute of the user pool, phone_number or preferred_username")
	case !isCustom(attribute) && (slices.Contains(namesOnly, attribute) || !slices.Contains(attributeIndexes, attribute)):
		ps.add(path, "must name an attribute that tells people apart: a custom one, phone_number or preferred_username")
	case !ip.saysPlainly(attribute):
		ps.add(path, "needs the attribute in AttributeMapping, from a claim and without options")
	case flagOf[attribute] != "" && ip.AttributeMapping[flagOf[attribute]] == "":
		ps.add(path, "needs the attribute "+flagOf[attribute]+" in AttributeMapping: a number that nobody has verified links nobody")
	}
}

func checkLinkSources(ps *Problems, ip IdentityProvider, policy LinkPolicy) {
	path := entry("ProviderDetails", detailLinkSources)
	sources := ip.linkSources()
	if len(sources) > 0 && policy.Kind != LinkEmail {
		ps.add(path, "needs link_users: email")
	}
	if len(sources) > maxIdentifiers {
		ps.add(path, "at most 50 are possible")
	}
	for _, name := range sources {
		switch {
		case foldName(name) == foldName(ip.Name):
			ps.add(path, "must name other providers, not this one")
		case !characters(name, 1, maxProviderName) || !providerNamePattern.MatchString(name) || strings.Contains(name, "_"):
			ps.add(path, "must be names of other providers of the user pool, separated by spaces")
		}
	}
}

// publicMail are domains where anybody can have an address, each with the type or preset of the provider that is their owner's, "" for one that
// none here is.
var publicMail = map[string]string{
	"gmail.com": "Google", "googlemail.com": "Google", "icloud.com": "SignInWithApple", "me.com": "SignInWithApple", "mac.com": "SignInWithApple",
	"privaterelay.appleid.com": "SignInWithApple", "outlook.com": "", "hotmail.com": "", "live.com": "", "msn.com": "", "yahoo.com": "",
	"ymail.com": "", "aol.com": "", "proton.me": "", "protonmail.com": "", "pm.me": "", "gmx.de": "", "gmx.net": "", "gmx.com": "", "web.de": "",
	"t-online.de": "", "mail.com": "", "zoho.com": "", "yandex.ru": "", "yandex.com": "", "mail.ru": "", "qq.com": "", "163.com": "", "126.com": "",
	"sina.com": "", "naver.com": "", "orange.fr": "", "laposte.net": "", "libero.it": "", "seznam.cz": "", "wp.pl": "", "tutanota.com": "",
	"fastmail.com": "", "hey.com": "", "comcast.net": "", "att.net": "", "verizon.net": "", "btinternet.com": "", "hotmail.co.uk": "", "yahoo.co.jp": "",
}

// warnOfDomain warns of a trusted domain that the provider can hardly speak for.
func warnOfDomain(warn *Problems, ip IdentityProvider, domain string) {
	path := entry("ProviderDetails", detailTrustedDomains)
	owner, public := publicMail[domain]
	switch {
	case public && owner != ip.Type:
		warn.add(path, "names a domain where anybody can have an address: only the company whose mail it is knows who has which, and this provider is not its")
	// Google's documentation: it is authoritative for addresses in gmail.com, and for verified ones of accounts with the claim hd. Of any
	// other address its owner may have changed since Google verified it.
	case ip.Type == "Google" && owner != "Google" && !strings.EqualFold(ip.Details.Get("hd"), domain):
		warn.add(path, "Google speaks for addresses outside gmail.com only where the account is of that Google Workspace domain: say so with hd")
	}
}

// identifiers returns every identifier and trusted domain of a provider as the store compares them.
func (p IdentityProvider) identifiers() []string {
	seen := map[string]bool{}
	for _, s := range p.Identifiers {
		seen[FoldDomain(s)] = true
	}
	for _, t := range p.trustedDomains() {
		seen[t.domain] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (p IdentityProvider) hasIdentifier(s string) bool {
	return slices.ContainsFunc(p.Identifiers, func(own string) bool { return FoldDomain(own) == FoldDomain(s) })
}
