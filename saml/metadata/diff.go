package metadata

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is one thing that differs between two documents.
type Change struct {
	// What is a stable name for logs and the audit stream: "signing_certificate_added", ….
	What string
	// Text says it in plain words.
	Text string
}

// String implements fmt.Stringer.
func (c Change) String() string { return c.Text }

// Diff says what changed from before to after, in plain words; nil if nothing that matters to a login did. before may be nil.
func Diff(before, after *Metadata) []Change {
	if before == nil {
		before = &Metadata{EntityID: after.EntityID, WantSigned: after.WantSigned}
	}
	var out []Change
	add := func(what, format string, args ...any) {
		out = append(out, Change{What: what, Text: fmt.Sprintf(format, args...)})
	}
	if before.EntityID != after.EntityID {
		add("entity_id_changed", "The entity id was %q and is now %q.", before.EntityID, after.EntityID)
	}
	keys := func(use string, was, is []Key) {
		for _, k := range is {
			if !holds(was, k) {
				add(use+"_certificate_added", "The %s certificate %s was added.", use, describe(k))
			}
		}
		for _, k := range was {
			if !holds(is, k) {
				add(use+"_certificate_removed", "The %s certificate %s was removed.", use, describe(k))
			}
		}
	}
	keys("signing", before.SigningKeys, after.SigningKeys)
	keys("encryption", before.EncryptionKeys, after.EncryptionKeys)
	endpoints := func(what, name string, was, is []Endpoint) {
		for _, e := range is {
			if !slices.Contains(was, e) {
				add(what+"_added", "The %s address %s was added.", name, e)
			}
		}
		for _, e := range was {
			if !slices.Contains(is, e) {
				add(what+"_removed", "The %s address %s was removed.", name, e)
			}
		}
	}
	endpoints("sign_on", "single sign-on", before.SSO, after.SSO)
	endpoints("logout", "single logout", before.SLO, after.SLO)
	if before.WantSigned != after.WantSigned {
		if after.WantSigned {
			add("signed_requests_wanted", "The provider now demands signed requests.")
		} else {
			add("signed_requests_not_wanted", "The provider no longer demands signed requests.")
		}
	}
	return out
}

func holds(keys []Key, k Key) bool {
	return slices.ContainsFunc(keys, func(have Key) bool { return have.Fingerprint == k.Fingerprint })
}

func describe(k Key) string {
	return fmt.Sprintf("%q (valid until %s, SHA-256 %s)", short(k.Certificate.Subject.String()), k.NotAfter.UTC().Format(time.DateOnly), k.Fingerprint)
}

// String returns the address with its binding.
func (e Endpoint) String() string {
	s := e.Location
	if e.ResponseLocation != "" && e.ResponseLocation != e.Location {
		s += ", answers to " + e.ResponseLocation
	}
	return s + " (" + strings.TrimPrefix(e.Binding, "urn:oasis:names:tc:SAML:2.0:bindings:") + ")"
}
