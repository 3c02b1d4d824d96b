package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Resolver looks up DNS records. net.Resolver is one. An error for a name that has no such record is a *net.DNSError with IsNotFound; every
// other error says nothing about the name.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

const (
	proofSuffix = "/dns"
	proofLabel  = "_weir-domain."
	proofPrefix = "weir-domain="

	// maxTrusted leaves the label of the proof its place within a name (RFC 1035 section 2.3.4).
	maxTrusted = 253 - len(proofLabel)
	// proofTime bounds the look at a record, and proofAge is for how long one that was there is believed: a resolver does not say the record's TTL.
	// One that was missing is looked up again at once, or the administrator who has just published it would wait.
	proofTime = 3 * time.Second
	proofAge  = 5 * time.Minute
)

// trustedDomain is one entry of trusted_domains.
type trustedDomain struct {
	domain string // in lower-case ASCII (UTS 46)
	proven bool   // by a DNS record, and not only declared
}

// trustedDomains returns the domains that the provider may speak for. An entry that is no domain is none. A domain means itself only, and not what is below
// it: a part of it may be somebody else's, and that of two providers each has its own could not be told any more.
func (p IdentityProvider) trustedDomains() []trustedDomain {
	var out []trustedDomain
	for _, s := range strings.Fields(p.Details.Get(detailTrustedDomains)) {
		name, proven := strings.CutSuffix(s, proofSuffix)
		if domain := mailDomain(name); domain != "" {
			out = append(out, trustedDomain{domain: domain, proven: proven})
		}
	}
	return out
}

// trusted returns the entry of that domain.
func (p IdentityProvider) trusted(domain string) (trustedDomain, bool) {
	all := p.trustedDomains()
	i := slices.IndexFunc(all, func(t trustedDomain) bool { return t.domain == domain })
	if i < 0 {
		return trustedDomain{}, false
	}
	return all[i], true
}

// mailDomain returns a domain name in lower-case ASCII, "" for what is none. Unlike FoldDomain it takes no characters that would have to be
// turned into others first, such as full-width letters: who writes those wants to be taken for somebody else.
func mailDomain(s string) string {
	a, err := idna.Lookup.ToASCII(s)
	if err != nil || len(a) > maxTrusted || !strings.Contains(strings.Trim(a, "."), ".") || strings.HasSuffix(a, ".") {
		return ""
	}
	u, err := idna.Lookup.ToUnicode(a)
	if lower := strings.ToLower(s); err != nil || isASCII(s) && lower != a || !isASCII(s) && lower != u {
		return ""
	}
	return a
}

// splitAddress returns an address as linking compares it: the local part with ASCII letters in lower case and every other character as it is, and
// the domain as of mailDomain. ok is false for an address that links nobody.
//
// A search folds more: there strasse is straße, and K (KELVIN SIGN) is k. At a provider these may be two people.
func splitAddress(s string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return "", "", false
	}
	lower := func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}
	local, domain = strings.Map(lower, s[:at]), mailDomain(s[at+1:])
	return local, domain, domain != ""
}

// linkForm is the form of a value that has to be the same for two to be one person, "" for one that links nobody.
func linkForm(attribute, v string) string {
	if attribute != attrEmail {
		return v
	}
	local, domain, ok := splitAddress(v)
	if !ok {
		return ""
	}
	return local + "@" + domain
}

func checkTrustedDomains(ps, warn *Problems, ip IdentityProvider) int {
	path := entry("ProviderDetails", detailTrustedDomains)
	given := strings.Fields(ip.Details.Get(detailTrustedDomains))
	if len(given) > maxIdentifiers {
		ps.add(path, "at most 50 are possible")
	}
	seen := map[string]bool{}
	for _, s := range given {
		name, _ := strings.CutSuffix(s, proofSuffix)
		domain := mailDomain(name)
		switch {
		case strings.HasPrefix(name, "*."):
			ps.add(path, "a domain stands for itself only: name each subdomain that people have addresses in")
		case domain == "":
			ps.add(path, "must be e-mail domains, separated by spaces: example.com where you declare that the provider may speak for it, example.com/dns where a DNS record proves it")
		case seen[domain]:
			ps.add(path, "names a domain twice")
		default:
			warnOfDomain(warn, ip, domain)
		}
		seen[domain] = true
	}
	return len(given)
}

// proof returns the DNS record that proves that the provider may speak for the domain: a TXT record of that name with that content. It is
// made of pool, provider and domain, so that the record of another one does not fit; it is no secret.
func (p IdentityProvider) proof(domain string) (name, content string) {
	sum := sha256.Sum256(fmt.Appendf(nil, "weir domain 1\x00%s\x00%s\x00%s", p.PoolID, p.Name, domain))
	return proofLabel + domain, proofPrefix + hex.EncodeToString(sum[:20])
}

// toPublish says which record has to be published.
func (p IdentityProvider) toPublish(domain string) string {
	name, content := p.proof(domain)
	return fmt.Sprintf("%s TXT \"%s\"", name, content)
}

// errUnproven: the domain has no record that fits.
var errUnproven = fmt.Errorf("no such DNS record: %w", store.ErrNotFound)

// prove looks for the record of a domain. Errors: errUnproven where DNS says that it is not there, and everything else where it could not be asked.
func (d *Directory) prove(ctx context.Context, ip IdentityProvider, domain string, age time.Duration) error {
	name, content := ip.proof(domain)
	_, err := d.proofs.get(d.Now(), age, name+"\x00"+content, func() (struct{}, error) {
		if d.Resolver == nil {
			return struct{}{}, errors.New("no DNS resolver")
		}
		ctx, cancel := context.WithTimeout(ctx, proofTime)
		defer cancel()
		records, err := d.Resolver.LookupTXT(ctx, name+".") // the root at the end, so that no search domain comes in
		if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
			return struct{}{}, errUnproven
		}
		if err != nil {
			return struct{}{}, fmt.Errorf("look up TXT of %s: %w", name, err)
		}
		if !slices.Contains(records, content) {
			return struct{}{}, errUnproven
		}
		return struct{}{}, nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return errUnproven
	}
	return err
}

// proveSaved checks the domains that a DNS record has to prove when the provider is saved. before is the provider as it was: what was saved already is
// checked when it is used.
func (d *Directory) proveSaved(ctx context.Context, ip, before IdentityProvider) error {
	var ps Problems
	for _, t := range ip.trustedDomains() {
		if old, had := before.trusted(t.domain); !t.proven || had && old.proven {
			continue
		}
		err := d.prove(ctx, ip, t.domain, 0)
		switch {
		case errors.Is(err, errUnproven):
			ps.add(entry("ProviderDetails", detailTrustedDomains), "there is no DNS record that proves the domain yet. Publish this one, and save again: "+ip.toPublish(t.domain))
		case err != nil:
			return fault.New(fault.Unavailable, "The DNS records of a trusted domain cannot be looked up right now. Try again.", err)
		}
	}
	return ps.fault()
}

// warnOfProofs says in a plan, which asks no DNS, which records the new domains need.
func warnOfProofs(warn *Problems, ip, before IdentityProvider) {
	for _, t := range ip.trustedDomains() {
		if old, had := before.trusted(t.domain); t.proven && (!had || !old.proven) {
			warn.add(entry("ProviderDetails", detailTrustedDomains), "links nobody before this DNS record is published: "+ip.toPublish(t.domain))
		}
	}
}
