package social

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
)

// personalTenant is the tenant of Microsoft's personal accounts.
const personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

var tenantID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// entraID is Microsoft Entra ID (Azure AD), version 2.0 of its endpoints. Beside the keys of package oidc it has
//
//	tenant           required: a tenant's id, or organizations, common, consumers
//	allowed_tenants  required for organizations and common: the ids of the tenants whose people may sign in, separated by spaces;
//	                 9188040d-6c67-4c5b-b112-36a304b66dad are personal accounts; * is everybody
//	authority_host   default https://login.microsoftonline.com; other clouds have their own
//	group_overage    off (default) or graph: where a token has too many groups to list, Microsoft Graph is asked. See readOverage
//	graph_url        Microsoft Graph; default that of the cloud of authority_host
//
// With organizations and common the discovery document has the literal {tenantid} in its issuer, and each ID token is of the
// issuer of the tenant in its claim tid. Anybody can have a tenant and make people in it, whatever addresses they are given: without
// allowed_tenants, nobody is kept out. A tenant is named by its id, since a domain name may come to belong to another.
//
// The claim email is what a tenant's administrator, or an invited person, has put there. Only xms_edov, an optional claim, vouches for it, so that
// email_verified is made of it and of nothing else; and since it speaks of the email in the same token, userinfo is never asked.
func entraID() oidc.Variant {
	return oidc.Variant{
		Defaults: map[string]string{"authorize_scopes": "openid email profile", "userinfo": "never"},
		Read:     readEntraID,
	}
}

func readEntraID(r *detail.Reader) oidc.Rules {
	tenant := strings.ToLower(r.Required("tenant"))
	several := tenant == "organizations" || tenant == "common"
	host := readAuthority(r)
	allowed := readTenants(r, several)
	if r.Has("oidc_issuer") {
		r.Fail("oidc_issuer", "follows from tenant and authority_host")
	}
	if r.String("userinfo") != "never" {
		r.Fail("userinfo", "must be never: it cannot vouch for an address")
	}
	rules := oidc.Rules{Claims: vouchByOwner, More: readOverage(r, host), Discovery: host + "/" + tenant + "/v2.0"}
	issuer := func(tid string) string { return host + "/" + tid + "/v2.0" }
	switch {
	case several:
		r.Default("oidc_issuer", issuer("{tenantid}"))
		rules.Issuer = func(claims mapping.Claims) string {
			tid, _ := claims["tid"].(string)
			if !tenantID.MatchString(tid) {
				return ""
			}
			return issuer(tid)
		}
		rules.Check = func(claims mapping.Claims) error {
			iss, _ := claims["iss"].(string)
			if !slices.ContainsFunc(allowed, func(tid string) bool { return tid == "*" || iss == issuer(tid) }) {
				return fmt.Errorf("tenant of %q is not in allowed_tenants", iss)
			}
			return nil
		}
	case tenant == "consumers":
		r.Default("oidc_issuer", issuer(personalTenant))
	default:
		if tenant != "" && !tenantID.MatchString(tenant) {
			r.Fail("tenant", "must be a tenant's id (Directory ID), organizations, common or consumers")
			tenant = ""
		}
		if tenant == "" {
			rules.Discovery, tenant = "", personalTenant // one fault is enough
		}
		r.Default("oidc_issuer", issuer(tenant))
	}
	return rules
}

// readAuthority reads authority_host.
func readAuthority(r *detail.Reader) string {
	r.Default("authority_host", "https://login.microsoftonline.com")
	host := r.URL("authority_host")
	if u, err := url.Parse(host); host != "" && (err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery) {
		r.Fail("authority_host", "must have no path and no slash at its end")
		host = ""
	}
	if host == "" {
		return "https://login.microsoftonline.com"
	}
	return host
}

// readTenants reads allowed_tenants.
func readTenants(r *detail.Reader, several bool) []string {
	allowed := strings.Fields(strings.ToLower(r.String("allowed_tenants")))
	switch {
	case !several && len(allowed) > 0:
		r.Fail("allowed_tenants", "is for the tenants organizations and common")
	case several && len(allowed) == 0:
		r.Fail("allowed_tenants", "required for organizations and common, whose people come from any tenant; * lets everybody in")
	case slices.Contains(allowed, "*") && len(allowed) == 1:
	case slices.ContainsFunc(allowed, func(tid string) bool { return !tenantID.MatchString(tid) }):
		r.Fail("allowed_tenants", "must be ids of tenants, separated by spaces, or * alone")
		return nil
	}
	return allowed
}

// vouchByOwner makes email_verified of xms_edov, which says that the domain of the address was proven by the tenant, or the address by
// its person. Its documentation has it as a boolean; it is seen as text and as a number too.
func vouchByOwner(claims mapping.Claims, _ federation.Response) {
	delete(claims, "email_verified")
	word := claims["xms_edov"]
	if word == nil {
		return
	}
	said := fmt.Sprint(word)
	claims["email_verified"] = said == "true" || said == "1"
}
