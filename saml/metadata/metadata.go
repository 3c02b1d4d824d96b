// Package metadata reads the metadata of SAML identity providers and writes that of our service providers.
//
// It owns what a login needs to know of an identity provider (Parse, Metadata), how that knowledge ages and is
// renewed (Source), what changed between two documents (Diff), and the document that tells an identity provider
// about us (ServiceProvider). It does not own key pairs (federation/samlsp keeps them), the guard of
// outgoing fetches (federation/outgoing) or any message (package binding).
//
// Sources: SAML V2.0 Metadata (saml-metadata-2.0-os) and the SAML V2.0 Metadata Interoperability
// Profile: a certificate is a key that is pinned by being in the document. Its dates and its issuer mean
// nothing to the verification of a signature.
package metadata

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"
)

// What a document can be refused for. The sentence behind one tells an administrator what to do; it is not
// for the public.
var (
	ErrNotMetadata = errors.New("metadata: not SAML 2.0 metadata")
	ErrEntity      = errors.New("metadata: the entity is not there")
	ErrNoIDP       = errors.New("metadata: not of an identity provider")
	ErrNoKey       = errors.New("metadata: no usable signing certificate")
	ErrNoSSO       = errors.New("metadata: no usable single sign-on address")
	ErrExpired     = errors.New("metadata: expired")
	ErrPin         = errors.New("metadata: not signed by the pinned certificate")
)

// Namespace is that of SAML 2.0 metadata.
const Namespace = "urn:oasis:names:tc:SAML:2.0:metadata"

const protocolNS = "urn:oasis:names:tc:SAML:2.0:protocol"

// Names of the bindings that a browser can use.
const (
	HTTPRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	HTTPPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// Metadata is what there is to know of an identity provider. It is immutable once made.
type Metadata struct {
	EntityID string
	// SSO and SLO are where the browser is sent, Redirect before POST. SSO has at least one entry.
	SSO, SLO []Endpoint
	// SigningKeys verify the provider's signatures: every one of them, in the order of the document. There is at least one.
	SigningKeys []Key
	// EncryptionKeys are for what is sent to the provider; Weir encrypts nothing, so they are for display.
	EncryptionKeys []Key
	// WantSigned: the provider demands signed requests.
	WantSigned    bool
	NameIDFormats []string

	// ValidUntil is the earliest validUntil of the document's parts; zero is for ever.
	ValidUntil time.Time
	// CacheDuration is the shortest cacheDuration of the document's parts; zero is not said.
	CacheDuration time.Duration

	// Pinned: the document's own signature was verified with a pinned certificate.
	Pinned bool
	// Problems are parts that were left out because they cannot be used, each a sentence for the administrator.
	Problems []string
}

// Endpoint is an address of the provider's for one binding.
type Endpoint struct {
	Binding  string
	Location string
	// ResponseLocation is where answers go; the same as Location where the document does not say.
	ResponseLocation string
}

// find returns the first of the endpoints for that binding, or the first of all where binding is "".
func find(endpoints []Endpoint, binding string) (Endpoint, bool) {
	for _, e := range endpoints {
		if binding == "" || e.Binding == binding {
			return e, true
		}
	}
	return Endpoint{}, false
}

// SignOn returns where to send an AuthnRequest over that binding, or over the preferred one for "".
func (m *Metadata) SignOn(binding string) (Endpoint, bool) { return find(m.SSO, binding) }

// Logout returns where to send a LogoutRequest over that binding, or over the preferred one for "".
func (m *Metadata) Logout(binding string) (Endpoint, bool) { return find(m.SLO, binding) }

// PublicKeys returns the keys that verify the provider's signatures.
func (m *Metadata) PublicKeys() []crypto.PublicKey {
	out := make([]crypto.PublicKey, len(m.SigningKeys))
	for i, k := range m.SigningKeys {
		out[i] = k.PublicKey
	}
	return out
}

// Key is a key of the provider's, pinned by the document.
type Key struct {
	Certificate *x509.Certificate
	PublicKey   crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	NotAfter    time.Time        // for warnings only: a signature by a key with an old certificate is good
	Fingerprint string           // SHA-256 of the certificate, lower-case hex
}

// Ages of a document.
const (
	// DefaultRefresh is how long a document is used before it is fetched again. AD FS shows a new
	// token-signing certificate five days before it signs with it, others one day.
	DefaultRefresh = 6 * time.Hour
	// MinRefresh bounds the schedule from below, whatever the document says.
	MinRefresh = 5 * time.Minute
)

// NextRefresh returns when a document that was fetched at that time is to be fetched again: after DefaultRefresh, earlier where
// cacheDuration is shorter or where half of the time to validUntil is, and not before MinRefresh.
func (m *Metadata) NextRefresh(fetched time.Time) time.Time {
	wait := DefaultRefresh
	if m.CacheDuration > 0 {
		wait = min(wait, m.CacheDuration)
	}
	if !m.ValidUntil.IsZero() {
		wait = min(wait, m.ValidUntil.Sub(fetched)/2)
	}
	return fetched.Add(max(wait, MinRefresh))
}

// Expired reports whether the document may no longer be used.
func (m *Metadata) Expired(now time.Time) bool {
	return !m.ValidUntil.IsZero() && !now.Before(m.ValidUntil)
}
