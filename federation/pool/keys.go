package pool

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/weir-id/weir/federation/pool/confusable"
	"github.com/weir-id/weir/federation/store"
)

// How values become keys. These functions are part of the stored form: a change to any of
// them orphans documents, so it needs a migration.
//
// Every key below begins with the pool id, which contains no slash, and a slash: no value of one
// pool can name a document of another.

// maxIndexValue bounds the value part of an index entry in bytes; longer values are cut there.
const maxIndexValue = 256

// Fold returns the form under which names that differ only in case or in Unicode composition
// are the same: canonical caseless matching (The Unicode Standard, section 3.13, D145), recomposed.
func Fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(s)))
}

// FoldEmail is Fold for an e-mail address: its domain becomes lower-case ASCII (UTS 46) where it is a valid one.
func FoldEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Fold(s)
	}
	return Fold(s[:at]) + "@" + FoldDomain(s[at+1:])
}

// FoldDomain returns a domain name in lower-case ASCII (UTS 46, so that bücher.example and its
// xn-- form are the same), and Fold of anything that is no domain name.
func FoldDomain(s string) string {
	if a, err := idna.Lookup.ToASCII(s); err == nil {
		return a
	}
	return Fold(s)
}

// foldName is the key of provider names. It folds compatibility characters as well, so that a
// second provider cannot look the same with, say, full-width letters.
func foldName(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKD.String(s)))
}

// lookName is what names have in common that people take for each other in a list of providers (Unicode Technical Standard 39), whatever
// their case. A newer table may give another one: it is a unique value of the document, written with it, and nothing is looked up by it
// but who stands in the way.
func lookName(s string) string { return foldName(confusable.Skeleton(s)) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// storable reports whether s can be kept and compared without loss: JSON and regular expressions
// replace invalid UTF-8 with U+FFFD, which is a symbol to a pattern, and engines refuse NUL.
func storable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// bounded joins a one-letter space, a pool and a value into a unique key. A value that makes the key
// longer than an engine takes is replaced by its SHA-256 in the upper-case space,
// which holds nothing else, so the two forms never meet.
func bounded(space byte, poolID, value string) string {
	key := string(space) + ":" + poolID + "/" + value
	if len(key) <= store.MaxKey {
		return key
	}
	sum := sha256.Sum256([]byte(value))
	return string(space-'a'+'A') + ":" + poolID + "/" + hex.EncodeToString(sum[:])
}

func usernameKey(poolID, username string) string { return bounded('u', poolID, Fold(username)) }

// identityKey is the key of the link between an upstream identity and a user: the raw subject in its
// exact case. The provider's length stands in front, so that no two pairs give the same key
// whatever characters they hold.
func identityKey(poolID, provider, subject string) string {
	return bounded('i', poolID, strconv.Itoa(len(provider))+":"+provider+subject)
}

func providerKey(poolID, name string) string        { return poolID + "/" + name }
func providerNameKey(poolID, name string) string    { return bounded('n', poolID, foldName(name)) }
func providerLookKey(poolID, name string) string    { return bounded('v', poolID, lookName(name)) }
func providerIdentKey(poolID, ident string) string  { return bounded('i', poolID, FoldDomain(ident)) }
func userKey(poolID, sub string) string             { return poolID + "/" + sub }
func groupKey(poolID, name string) string           { return poolID + "/" + name }
func domainKey(domain string) string                { return strings.ToLower(domain) }
func indexPrefix(name, poolID, value string) string { return name + ":" + poolID + "/" + cut(value) }

// memberIndex is the entry of a user in a group: a name of its own for each group, since a document has one entry of a name.
func memberIndex(poolID, gid, folded string) string {
	return indexPrefix(memberIndexName+gid, poolID, folded)
}

// cut shortens s to maxIndexValue bytes at a character's boundary.
func cut(s string) string {
	if len(s) <= maxIndexValue {
		return s
	}
	n := maxIndexValue
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
