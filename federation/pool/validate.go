package pool

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The patterns and limits are those of the API model, in whose regular expressions \w and \s are ASCII.
var (
	poolNamePattern = regexp.MustCompile(`^[\w\s+=,.@-]{1,128}$`) // UserPoolNameType, ClientNameType
	poolIDPattern   = regexp.MustCompile(`^[\w-]+_[0-9a-zA-Z]+$`)
	labelPattern    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`) // DomainType
	numericPattern  = regexp.MustCompile(`^[0-9.]+$`)
)

const (
	maxPoolID         = 55
	maxDomain         = 253 // RFC 1035 section 2.3.4
	maxSigningKeyDays = 3650
)

// Algorithms are the signature algorithms of tokens that a pool can choose; the first is the default.
func Algorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

func validPoolID(id string) bool { return len(id) <= maxPoolID && poolIDPattern.MatchString(id) }

// ValidatePool returns everything that is wrong with a pool by itself.
func ValidatePool(p Pool) []Problem {
	return append(validatePoolFields(p), validateSchema(p.Schema)...)
}

// validatePoolFields checks all but the schema.
func validatePoolFields(p Pool) Problems {
	var ps Problems
	if !poolNamePattern.MatchString(p.Name) {
		ps.add("PoolName", `must have 1 to 128 characters of letters, digits, spaces and _+=,.@-`)
	}
	if !validPoolID(p.ID) {
		ps.add("Id", "must be like local_Example01: at most 55 characters, letters and digits only after the last underscore")
	}
	validateDomains(&ps, p)
	if !slices.Contains(Algorithms(), p.SigningAlgorithm) {
		ps.add("SigningAlgorithm", "must be RS256, ES256 or EdDSA")
	}
	if p.SigningKeyDays < 0 || p.SigningKeyDays > maxSigningKeyDays {
		ps.add("SigningKeyDays", "must be from 0 (never) to 3650")
	}
	ps = append(ps, validateTags(p.Tags)...)
	return append(ps, validateSettings(p)...)
}

// checkDomain accepts nothing, a prefix (one label) or a full domain name. Addresses are no
// domains: a pool must not answer for the host of the server itself.
func checkDomain(domain string) string {
	if domain == "" {
		return ""
	}
	if len(domain) > maxDomain || numericPattern.MatchString(domain) {
		return "must be a prefix or a domain name"
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !labelPattern.MatchString(label) {
			return "must be a prefix or a domain name of lower-case letters, digits and hyphens, each part at most 63 characters"
		}
	}
	return ""
}

// characters reports whether s has from lo to hi characters.
func characters(s string, lo, hi int) bool {
	n := utf8.RuneCountInString(s)
	return n >= lo && n <= hi
}
