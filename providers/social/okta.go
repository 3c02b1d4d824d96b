package social

import (
	"net/url"

	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// okta is an Okta organization. Beside the keys of package oidc it has
//
//	domain                required, unless oidc_issuer is given: example.okta.com, or the organization's own domain
//	authorization_server  the id of a custom authorization server (default: default), or org for the organization's own
func okta() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{"authorize_scopes": "openid email profile"},
		Read: func(r *detail.Reader) oidc.Rules {
			domain, server := readDomain(r), r.String("authorization_server")
			switch server {
			case "org":
				r.Default("oidc_issuer", "https://"+domain)
			case "":
				r.Default("oidc_issuer", "https://"+domain+"/oauth2/default")
			default:
				if url.PathEscape(server) != server {
					r.Fail("authorization_server", "must be the id of an authorization server, or org")
				}
				r.Default("oidc_issuer", "https://"+domain+"/oauth2/"+server)
			}
			return oidc.Rules{}
		},
	}
}

// readDomain reads the detail domain: a host, as the vendors' pages show it. A fault is noted under it; what follows from a
// faulty one must not be read as another fault.
func readDomain(r *detail.Reader) string {
	domain := r.String("domain")
	if domain == "" && !r.Has("oidc_issuer") {
		r.Fail("domain", "required, unless oidc_issuer is given")
	}
	if u, err := url.Parse("https://" + domain); domain != "" && (err != nil || u.Host != domain || u.Hostname() == "") {
		r.Fail("domain", "must be a host name, without https:// and without a path")
		domain = ""
	}
	if domain == "" {
		return "domain.invalid"
	}
	return domain
}
