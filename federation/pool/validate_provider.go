package pool

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-id/weir/mapping"
)

var (
	// ProviderNameTypeV2 without its slip: as written it wants three characters at least, and allows an underscore in second place,
	// which would make <ProviderName>_<subject> ambiguous.
	providerNamePattern = regexp.MustCompile(`^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$`)
	identifierPattern   = regexp.MustCompile(`^[\w\s+=.@-]+$`) // IdpIdentifierType
)

const (
	maxProviderName = 32
	maxIdentifier   = 40
	maxIdentifiers  = 50
	maxMappingKey   = 32 // AttributeMappingKeyType
)

// ProviderTypes are the types of IdentityProviderTypeType.
func ProviderTypes() []string {
	return []string{"SAML", "Facebook", "Google", "LoginWithAmazon", "SignInWithApple", "OIDC"}
}

// subjectClaims are the claims whose value is the subject, which the mapping of username may name.
var subjectClaims = map[string]string{
	"OIDC": "sub", "Google": "sub", "SignInWithApple": "sub", "Facebook": "id", "LoginWithAmazon": "user_id",
}

// mapUsername is the mapping key that is allowed though it is no attribute: clients of the original's API send it.
const mapUsername = "username"

// ValidateProvider returns everything that is wrong with a provider of the pool p by itself, and what is
// allowed but probably not meant. The details of a type are Directory.CheckProvider's.
func ValidateProvider(ip IdentityProvider, p Pool) (problems, warnings []Problem) {
	var ps, warn Problems
	checkProviderName(&ps, ip)
	if !slices.Contains(ProviderTypes(), ip.Type) {
		ps.add("ProviderType", "must be one of "+strings.Join(ProviderTypes(), ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(ip.Details)) {
		if k == "" || !storable(k) || !storable(ip.Details.Get(k)) {
			ps.add(entry("ProviderDetails", k), "must be valid UTF-8 without NUL characters")
		}
	}
	checkIdentifiers(&ps, ip.Identifiers)
	checkMapping(&ps, &warn, ip, p)
	_, wrong := ip.GroupSource().Compile()
	ps = append(ps, wrong...)
	checkLinking(&ps, &warn, ip, p)
	checkKeeping(&ps, ip)
	return ps, warn
}

func checkProviderName(ps *Problems, ip IdentityProvider) {
	if !characters(ip.Name, 1, maxProviderName) || !storable(ip.Name) || !providerNamePattern.MatchString(ip.Name) ||
		strings.Contains(ip.Name, "_") {
		ps.add("ProviderName", "must have 1 to 32 letters, digits, symbols or punctuation marks, no underscore and no space")
		return
	}
	name := foldName(ip.Name)
	if name == foldName(LocalProvider) || lookName(ip.Name) == lookName(LocalProvider) {
		ps.add("ProviderName", "COGNITO is the name of the user pool's own accounts, and so is what looks like it")
	}
	for _, t := range []string{"Facebook", "Google", "LoginWithAmazon", "SignInWithApple"} {
		if ip.Type == t && ip.Name == t {
			continue
		}
		if name == foldName(t) {
			ps.add("ProviderName", "the name "+t+" belongs to the provider type "+t)
		} else if lookName(ip.Name) == lookName(t) {
			ps.add("ProviderName", "can be taken for the name "+t+", which belongs to the provider type "+t)
		}
	}
}

func checkIdentifiers(ps *Problems, idents []string) {
	if len(idents) > maxIdentifiers {
		ps.add("IdpIdentifiers", "at most 50 are possible")
	}
	first := map[string]bool{}
	for i, s := range idents {
		if !characters(s, 1, maxIdentifier) || !identifierPattern.MatchString(s) {
			ps.add(at("IdpIdentifiers", i), "must have 1 to 40 characters of letters, digits, spaces and _+=.@-")
			continue
		}
		if first[FoldDomain(s)] {
			ps.add(at("IdpIdentifiers", i), "repeats another one but for case")
		}
		first[FoldDomain(s)] = true
	}
}

// checkRule checks one rule by itself, so that each problem has its path.
func checkRule(ps, warn *Problems, ip IdentityProvider, p Pool, target, claim string) {
	path := entry("AttributeMapping", target)
	rule, err := mapping.CompileRule(target, claim)
	switch {
	case err != nil && mapping.HasOptions(claim):
		ps.add(path, err.Error())
		return
	case err != nil || !storable(claim):
		ps.add(path, "must be a claim's name, a claim path, or = and a constant, of at most 2048 characters")
		return
	}
	if why := rule.Vouching(mapping.Provider{Name: ip.Name, Type: ip.Type})[target]; why != "" {
		warn.add(path, why)
	}
	if a, known := p.Attribute(target); known && rule.Clears() {
		switch {
		case !a.Mutable:
			ps.add(path, "absent=clear: the attribute is immutable and cannot be taken away")
		case a.Required:
			ps.add(path, "absent=clear: the attribute is required and cannot be taken away")
		}
	}
}

func checkMapping(ps, warn *Problems, ip IdentityProvider, p Pool) {
	for _, target := range slices.Sorted(maps.Keys(ip.AttributeMapping)) {
		claim := ip.AttributeMapping[target]
		path := entry("AttributeMapping", target)
		checkRule(ps, warn, ip, p, target, claim)
		if target == mapUsername {
			if want := subjectClaims[ip.Type]; want != claim && ip.Type != "SAML" {
				warn.add(path, "has no effect: the user name is made of the provider's name and the claim "+want)
			}
			continue
		}
		a, known := p.Attribute(target)
		switch {
		case len(target) > maxMappingKey || !known:
			ps.add(path, "the attribute is not in the schema of the user pool")
		case target == attrSub || target == attrIdentities:
			ps.add(path, "the user pool sets this attribute itself")
		case !a.Mutable:
			warn.add(path, "the attribute is immutable: people whose value changes will not be able to sign in")
		}
	}
	for _, a := range p.Schema {
		if _, mapped := ip.AttributeMapping[a.Name]; a.Required && !mapped && a.Name != attrSub {
			ps.add("AttributeMapping", "the required attribute "+a.Name+" is not mapped")
		}
	}
}
