package mapping

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// A distinguished name as text is RFC 4514. White space around the separators is taken as insignificant, as RFC 2253 section 4 lets readers do;
// quotation marks and semicolons of older forms are not read.

// ava is an attribute type and its value within an RDN, as it is written.
type ava struct {
	kind    string
	raw     string
	escaped bool // the value has a backslash
	hex     bool // the value is #, and BER in hexadecimal
}

// nextAVA takes the first AVA off s. sep is what is behind it: '+', ',' or 0 at the end.
func nextAVA(s string) (a ava, rest string, sep byte, ok bool) {
	equals := strings.IndexByte(s, '=')
	if equals < 0 {
		return a, "", 0, false
	}
	if a.kind = strings.Trim(s[:equals], " "); !attributeType(a.kind) {
		return a, "", 0, false
	}
	s = strings.TrimLeft(s[equals+1:], " ")
	end, last := 0, 0 // last: behind the last character that is no insignificant space
scan:
	for ; end < len(s); end++ {
		switch c := s[end]; c {
		case ',', '+':
			sep = s[end]
			break scan
		case '"', ';', '<', '>', 0:
			return a, "", 0, false
		case '\\':
			n := escape(s[end+1:])
			if n == 0 {
				return a, "", 0, false
			}
			a.escaped = true
			end += n
			last = end + 1
		case ' ':
		default:
			last = end + 1
		}
	}
	a.raw, rest = s[:last], ""
	if sep != 0 {
		rest = s[end+1:]
	}
	if strings.HasPrefix(a.raw, "#") {
		_, err := hex.DecodeString(a.raw[1:])
		if a.hex = true; err != nil || len(a.raw) == 1 {
			return a, "", 0, false
		}
	}
	return a, rest, sep, true
}

// escape returns how many bytes behind a backslash belong to it, 0 for one that is not allowed.
func escape(s string) int {
	switch {
	case s == "":
		return 0
	case strings.IndexByte(`\"+,;<> #=`, s[0]) >= 0:
		return 1
	case len(s) > 1 && isHex(s[0]) && isHex(s[1]):
		return 2
	}
	return 0
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// attributeType reports whether s is a descr or a numericoid of RFC 4512 section 1.4.
func attributeType(s string) bool {
	if s == "" {
		return false
	}
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	for i := range len(s) {
		c := s[i]
		switch {
		case letter(s[0]) && (letter(c) || digit(c) || c == '-'):
		case digit(s[0]) && (digit(c) || c == '.' && i < len(s)-1 && s[i-1] != '.'):
		default:
			return false
		}
	}
	return true
}

// value is the value as text. ok is false where it is none: BER, or bytes that are not UTF-8 text.
func (a ava) value() (string, bool) {
	switch {
	case a.hex:
		return "", false
	case !a.escaped:
		return a.raw, utf8.ValidString(a.raw)
	}
	b := make([]byte, 0, len(a.raw))
	for i := 0; i < len(a.raw); i++ {
		c := a.raw[i]
		if c == '\\' {
			i++
			if c = a.raw[i]; isHex(c) {
				pair, _ := hex.DecodeString(a.raw[i : i+2]) // checked
				c = pair[0]
				i++
			}
		}
		b = append(b, c)
	}
	return string(b), utf8.Valid(b) && !slices.Contains(b, 0)
}

// shortNames are the attribute types of RFC 4514 section 3, by OID and by their other names (RFC 4519).
var shortNames = map[string]string{
	"2.5.4.3": "cn", "commonname": "cn", "2.5.4.7": "l", "localityname": "l", "2.5.4.8": "st", "stateorprovincename": "st", "2.5.4.10": "o",
	"organizationname": "o", "2.5.4.11": "ou", "organizationalunitname": "ou", "2.5.4.6": "c", "countryname": "c", "2.5.4.9": "street",
	"streetaddress": "street", "0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc", "0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
}

func (a ava) isCommonName() bool {
	return len(a.kind) == 2 && a.kind[0]|' ' == 'c' && a.kind[1]|' ' == 'n' || len(a.kind) > 2 && shortNames[lowerASCII(a.kind)] == "cn"
}

// commonName returns the common name in the first RDN of a DN, which is what the entry is called. ok is false for what is no DN from one end to
// the other, and for a first RDN without exactly one common name.
func commonName(dn string) (name string, ok bool) {
	first, found := true, 0
	for rest, more := dn, true; more; {
		a, left, sep, valid := nextAVA(rest)
		if !valid {
			return "", false
		}
		if first && a.isCommonName() {
			found++
			if name, ok = a.value(); !ok {
				return "", false
			}
		}
		if sep != '+' {
			first = false
		}
		rest, more = left, sep != 0
	}
	return name, found == 1 && name != ""
}

// canonicalRDNs returns the RDNs of a DN in a form in which equal ones are equal: small letters, since the attributes that directories name entries
// by are compared without case, known types by their short name, runs of spaces as one, and the AVAs of an RDN in order.
func canonicalRDNs(dn string) (rdns []string, ok bool) {
	var rdn []string
	for rest, more := dn, true; more; {
		a, left, sep, valid := nextAVA(rest)
		if !valid {
			return nil, false
		}
		value, ok := a.value()
		switch {
		case ok:
			value = foldCase(strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' }), " "))
		case a.hex:
			value = lowerASCII(a.raw)
		default:
			return nil, false
		}
		kind := lowerASCII(a.kind)
		if short, known := shortNames[kind]; known {
			kind = short
		}
		if strings.ContainsAny(value, `\+`) { // so that none looks like two
			value = strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), "+", `\+`)
		}
		rdn = append(rdn, kind+"="+value)
		if sep != '+' {
			slices.Sort(rdn)
			rdns, rdn = append(rdns, strings.Join(rdn, "+")), nil
		}
		rest, more = left, sep != 0
	}
	return rdns, true
}
