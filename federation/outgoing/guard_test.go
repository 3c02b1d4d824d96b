package outgoing_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weir-id/weir/federation/outgoing"
)

func TestCheckAddr(t *testing.T) {
	const (
		closed  = iota // refused always
		private        // refused unless opened
		public
	)
	for name, c := range map[string]struct {
		addr string
		want int
	}{
		"public":                     {"93.184.215.14", public},
		"public v6":                  {"2606:2800:21f:cb07:6820:80da:af6b:8b2c", public},
		"loopback":                   {"127.0.0.1", private},
		"loopback, other":            {"127.255.255.254", private},
		"loopback v6":                {"::1", private},
		"rfc 1918 ten":               {"10.1.2.3", private},
		"rfc 1918 172 first":         {"172.16.0.1", private},
		"rfc 1918 172 last":          {"172.31.255.255", private},
		"172 outside of rfc 1918":    {"172.32.0.1", public},
		"rfc 1918 192":               {"192.168.1.1", private},
		"shared first":               {"100.64.0.1", private},
		"shared last":                {"100.127.255.255", private},
		"100 outside of shared":      {"100.128.0.1", public},
		"unique local":               {"fd12:3456::1", private},
		"unspecified":                {"0.0.0.0", closed},
		"this network":               {"0.1.2.3", closed},
		"unspecified v6":             {"::", closed},
		"link-local":                 {"169.254.1.1", closed},
		"metadata":                   {"169.254.169.254", closed},
		"metadata, EC2 v6":           {"fd00:ec2::254", closed},
		"metadata, Alibaba":          {"100.100.100.200", closed},
		"metadata, Azure":            {"168.63.129.16", closed},
		"metadata, Oracle":           {"192.0.0.192", closed},
		"link-local v6":              {"fe80::1", closed},
		"link-local v6 with zone":    {"fe80::1%eth0", closed},
		"site-local":                 {"fec0::1", closed},
		"multicast":                  {"224.0.0.251", closed},
		"multicast v6":               {"ff02::1", closed},
		"reserved":                   {"240.0.0.1", closed},
		"broadcast":                  {"255.255.255.255", closed},
		"documentation":              {"192.0.2.1", closed},
		"documentation v6":           {"2001:db8::1", closed},
		"benchmarking":               {"198.18.0.1", closed},
		"mapped loopback":            {"::ffff:127.0.0.1", private},
		"mapped metadata":            {"::ffff:169.254.169.254", closed},
		"mapped public":              {"::ffff:93.184.215.14", public},
		"compatible private":         {"::10.0.0.1", private},
		"compatible metadata":        {"::169.254.169.254", closed},
		"nat64 loopback":             {"64:ff9b::7f00:1", private},
		"nat64 metadata":             {"64:ff9b::a9fe:a9fe", closed},
		"nat64 public":               {"64:ff9b::5db8:d70e", public},
		"nat64 of local use":         {"64:ff9b:1::7f00:1", closed},
		"6to4 private":               {"2002:a00:1::1", private},
		"6to4 metadata":              {"2002:a9fe:a9fe::1", closed},
		"6to4 public":                {"2002:5db8:d70e::1", public},
		"teredo":                     {"2001:0:4136:e378:8000:63bf:3fff:fdd2", closed},
		"discard":                    {"100::1", closed},
		"outside of global unicast":  {"4000::1", closed},
		"loopback with a v6 zone":    {"::1%lo", private},
		"mapped link-local, by zone": {"::ffff:169.254.0.1%eth0", closed},
	} {
		t.Run(name, func(t *testing.T) {
			a := netip.MustParseAddr(c.addr)
			if err := outgoing.CheckAddr(a, false); (err == nil) != (c.want == public) {
				t.Errorf("guarded: CheckAddr(%s) = %v", a, err)
			} else if err != nil && !errors.Is(err, outgoing.ErrPrivateAddress) {
				t.Errorf("guarded: CheckAddr(%s) = %v, want ErrPrivateAddress", a, err)
			}
			if err := outgoing.CheckAddr(a, true); (err == nil) != (c.want != closed) {
				t.Errorf("opened: CheckAddr(%s) = %v", a, err)
			}
		})
	}
	t.Run("no address", func(t *testing.T) {
		if err := outgoing.CheckAddr(netip.Addr{}, true); !errors.Is(err, outgoing.ErrPrivateAddress) {
			t.Errorf("CheckAddr of the zero address = %v", err)
		}
	})
}
