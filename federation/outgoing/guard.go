package outgoing

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// reach is how far an address is.
type reach uint8

const (
	closed  reach = iota // never dialled
	private              // dialled where AllowPrivate is set
	public
)

// CheckAddr returns ErrPrivateAddress where a client with this allowPrivate would not dial a over TLS.
//
// With allowPrivate these open: 127.0.0.0/8 and ::1 (loopback), 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918),
// fc00::/7 (RFC 4193) and 100.64.0.0/10 (RFC 6598).
//
// Closed in any case: unspecified and "this network", link-local (169.254.0.0/16 and fe80::/10, where the clouds keep
// their metadata services), the metadata addresses outside of it, multicast, broadcast and the reserved and documentation
// ranges of the IANA special-purpose registries (RFC 6890); for IPv6 whatever is not global unicast
// (2000::/3). An address that carries an IPv4 address (mapped, compatible, NAT64 of RFC 6052, 6to4 of RFC 3056)
// is judged by what it carries; Teredo and the local NAT64 prefix (RFC 8215) are closed.
func CheckAddr(a netip.Addr, allowPrivate bool) error {
	if r := reachOf(a); r == public || r == private && allowPrivate {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrPrivateAddress, a)
}

// guard returns a net.Dialer.Control that refuses addresses before the connection is made. address is
// the one that was resolved and is about to be connected to.
func guard(allow func(reach) bool) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		if network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("%w: network %q", ErrPrivateAddress, network)
		}
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPrivateAddress, err)
		}
		if !allow(reachOf(ap.Addr())) {
			return fmt.Errorf("%w: %s", ErrPrivateAddress, ap.Addr())
		}
		return nil
	}
}

// rule is one range; the first that contains an address decides.
type rule struct {
	prefix netip.Prefix
	reach  reach
}

// rules4 and rules6 hold exceptions before the ranges around them. The metadata services named here
// answer outside of the link-local range: Alibaba Cloud, Azure, Oracle Cloud (in 192.0.0.0/24) and EC2 on IPv6.
var (
	rules4 = slices.Concat(
		ranges(closed, "100.100.100.200/32", "168.63.129.16/32"),
		ranges(private, "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
		ranges(closed, "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
			"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
		ranges(public, "0.0.0.0/0"),
	)
	rules6 = slices.Concat(
		ranges(closed, "fd00:ec2::254/128"),
		ranges(private, "::1/128", "fc00::/7"),
		ranges(closed, "2001::/23", "2001:db8::/32", "3fff::/20"),
		ranges(public, "2000::/3"), // closed is what no range contains
	)
	compatible = netip.MustParsePrefix("::/96")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour  = netip.MustParsePrefix("2002::/16")
)

func ranges(r reach, prefixes ...string) []rule {
	rules := make([]rule, 0, len(prefixes))
	for _, p := range prefixes {
		rules = append(rules, rule{netip.MustParsePrefix(p), r})
	}
	return rules
}

func reachOf(a netip.Addr) reach {
	a = embedded(a.Unmap().WithZone(""))
	rules := rules6
	if a.Is4() {
		rules = rules4
	}
	for _, r := range rules {
		if r.prefix.Contains(a) {
			return r.reach
		}
	}
	return closed
}

// embedded returns the IPv4 address inside a, or a itself.
func embedded(a netip.Addr) netip.Addr {
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}
