package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/weir-id/weir/federation/fault"
)

// DomainSettings are what is said of one of a pool's domains.
type DomainSettings struct {
	ManagedLoginVersion int    `json:"login,omitempty"` // of the sign-in pages, 1 or 2; 0 counts as 1
	CertificateArn      string `json:"certificate,omitempty"`
	SecurityPolicy      string `json:"security_policy,omitempty"`
}

// String is all of it, for a difference.
func (s DomainSettings) String() string {
	return fmt.Sprintf("ManagedLoginVersion=%d CertificateArn=%s SecurityPolicy=%s", max(s.ManagedLoginVersion, 1), s.CertificateArn, s.SecurityPolicy)
}

// full reports whether a domain is a full domain name and no prefix.
func full(domain string) bool { return strings.Contains(domain, ".") }

// PrefixAndCustom returns the prefix and the full domain name under which a pool answers, each "" where it has none. In a pool's Domain
// can be either.
func (p Pool) PrefixAndCustom() (prefix, custom string) {
	if full(p.Domain) {
		return "", p.Domain
	}
	return p.Domain, p.CustomDomain
}

// hasDomain reports whether the domain is one of the pool's.
func (p Pool) hasDomain(domain string) bool {
	return domain != "" && (p.Domain == domain || p.CustomDomain == domain)
}

// ownDomains are the settings of the domains that the pool has.
func (p Pool) ownDomains() map[string]DomainSettings {
	out := maps.Clone(p.Domains)
	maps.DeleteFunc(out, func(domain string, s DomainSettings) bool { return !p.hasDomain(domain) || s == DomainSettings{} })
	return out
}

func validateDomains(ps *Problems, p Pool) {
	if m := checkDomain(p.Domain); m != "" {
		ps.add("Domain", m)
	}
	switch m := domainFault(p.CustomDomain); {
	case p.CustomDomain == "":
	case m != "":
		ps.add("CustomDomain", m)
	case full(p.Domain):
		ps.add("CustomDomain", "Domain is a full domain name already: one is possible, and a prefix beside it")
	}
	for domain, s := range p.Domains {
		if s.ManagedLoginVersion < 0 || s.ManagedLoginVersion > 2 {
			ps.add(entry("Domains", domain)+".ManagedLoginVersion", "must be 1 or 2")
		}
	}
}

// domainFault says why a full domain name is none, "" where it is one.
func domainFault(domain string) string {
	if checkDomain(domain) != "" || !full(domain) {
		return "must be a full domain name of lower-case letters, digits and hyphens"
	}
	return ""
}

// reserved are the words that the original does not let a prefix have.
var reserved = []string{"aws", "amazon", "cognito"}

// CreateDomain gives a pool a domain: a prefix, or a full domain name where the settings have a certificate. Errors: fault.Invalid, fault.NotFound,
// fault.Conflict with ErrTaken where the pool has one of that kind or another pool has this one.
func (d *Directory) CreateDomain(ctx context.Context, poolID, domain string, s DomainSettings) (Pool, error) {
	domain = domainKey(domain)
	var ps Problems
	switch {
	case s.CertificateArn != "" && domainFault(domain) != "":
		ps.add("", "Custom domain is not a valid subdomain: it must be a full domain name")
	case s.CertificateArn == "" && (domain == "" || full(domain) || checkDomain(domain) != ""):
		ps.add("", "The domain name contains an invalid character. Domain names can only contain lower-case letters, numbers, and hyphens")
	case s.CertificateArn == "":
		for _, word := range reserved {
			if strings.Contains(domain, word) {
				ps.add("", "Domain cannot contain reserved word: "+word)
			}
		}
	}
	if err := ps.fault(); err != nil {
		return Pool{}, err
	}
	return d.ChangePool(ctx, poolID, func(p *Pool) error {
		prefix, custom := p.PrefixAndCustom()
		if full(domain) && custom == "" {
			custom = domain
		} else if !full(domain) && prefix == "" {
			prefix = domain
		} else {
			return taken("Domain already exists.", "create domain", errors.New("the user pool has a domain of this kind"))
		}
		if p.Domain, p.CustomDomain = prefix, custom; prefix == "" {
			p.Domain, p.CustomDomain = custom, "" // the form that pool.yaml has for one domain
		}
		return p.setDomain(domain, s)
	})
}

// ErrNoDomain: the pool does not have that domain.
var ErrNoDomain = errors.New("no such domain")

func noDomain() error {
	return fault.New(fault.Invalid, "No such domain or user pool exists.", ErrNoDomain)
}

// UpdateDomain changes the settings of a pool's domain; what is zero in s stays. Errors: fault.Invalid, ErrNoDomain among them, fault.NotFound for
// the pool.
func (d *Directory) UpdateDomain(ctx context.Context, poolID, domain string, s DomainSettings) (Pool, error) {
	domain = domainKey(domain)
	return d.ChangePool(ctx, poolID, func(p *Pool) error {
		switch {
		case !p.hasDomain(domain):
			return noDomain()
		case s.CertificateArn != "" && !full(domain):
			return fault.New(fault.Invalid, "A domain prefix has no certificate of its own.", nil)
		}
		old := p.Domains[domain]
		return p.setDomain(domain, DomainSettings{
			ManagedLoginVersion: cmp.Or(s.ManagedLoginVersion, old.ManagedLoginVersion),
			CertificateArn:      cmp.Or(s.CertificateArn, old.CertificateArn),
			SecurityPolicy:      cmp.Or(s.SecurityPolicy, old.SecurityPolicy),
		})
	})
}

func (p *Pool) setDomain(domain string, s DomainSettings) error {
	p.Domains = maps.Clone(p.Domains)
	if p.Domains == nil {
		p.Domains = map[string]DomainSettings{}
	}
	p.Domains[domain] = s
	return nil
}

// DeleteDomain takes a domain from a pool. Errors: fault.Invalid with ErrNoDomain, fault.NotFound for the pool.
func (d *Directory) DeleteDomain(ctx context.Context, poolID, domain string) error {
	domain = domainKey(domain)
	_, err := d.ChangePool(ctx, poolID, func(p *Pool) error {
		switch {
		case !p.hasDomain(domain):
			return noDomain()
		case p.Domain == domain:
			p.Domain, p.CustomDomain = p.CustomDomain, ""
		default:
			p.CustomDomain = ""
		}
		return nil
	})
	return err
}
