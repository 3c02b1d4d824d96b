package poolapi_test

import (
	"context"
	"net"
	"regexp"
	"testing"

	"github.com/weir-id/weir/server/servertest"
)

// records answers for DNS.
type records map[string][]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if found, ok := r[name]; ok {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

var toPublish = regexp.MustCompile(`(_weir-domain\.proven\.example) TXT \\"(weir-domain=[0-9a-f]{40})\\"`)

// An administrator who saves a domain that has to be proven is told which record to publish, and has it saved when it is there. What is shown of the
// provider can be sent back.
func TestATrustedDomainIsProvenOverTheAPI(t *testing.T) {
	r := newRig(t)
	dns := records{}
	r.Directory.Resolver = dns
	in := r.newProvider("Partner")
	in["AttributeMapping"] = body{"email": "email", "email_verified": "email_verified"}
	detailed("link_users", "email")(r, in)
	detailed("trusted_domains", "proven.example/dns partner.example")(r, in)
	ans := r.call("CreateIdentityProvider", in)
	wantRefusal(t, "CreateIdentityProvider", ans, "InvalidParameterException", "Publish this one, and save again: _weir-domain.proven.example TXT")
	m := toPublish.FindStringSubmatch(string(ans.Body))
	if m == nil {
		t.Fatalf("%s", ans.Body)
	}
	dns[m[1]+"."] = []string{m[2]}
	r.must("CreateIdentityProvider", in)
	shown := r.provider("Partner")
	r.want(shown["ProviderDetails"], body{"link_users": "email", "trusted_domains": "proven.example/dns partner.example"})
	delete(dns, m[1]+".")
	r.must("UpdateIdentityProvider", inPool(body{"ProviderName": "Partner", "ProviderDetails": shown["ProviderDetails"]}))
	spec, _, err := r.Directory.Export(t.Context(), []string{servertest.PoolID}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range spec.UserPools[0].IdentityProviders {
		if d := ip.ProviderDetails; ip.ProviderName == "Partner" && (d["link_users"].Reveal() != "email" || d["trusted_domains"].Reveal() != "proven.example/dns partner.example") {
			t.Errorf("the file without secrets has %q and %q", d["link_users"].Reveal(), d["trusted_domains"].Reveal())
		}
	}
}
