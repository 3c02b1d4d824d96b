package saml

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/response"
)

// The keys of ProviderDetails. Those of the API model:
//
//	MetadataURL or MetadataFile  one of them is required: where the identity provider's metadata is, or its content
//	IDPInit                      true lets the provider start sign-ins; default false
//	IDPSignout                   true ends the session at the provider too; default false
//	EncryptedResponses           true refuses assertions that are not encrypted; default false, which takes both
//	RequestSigningAlgorithm      rsa-sha256 (default): requests are always signed
//	SSORedirectBindingURI, SLORedirectBindingURI, ActiveEncryptionCertificate
//	                             accepted and without effect, as the API model's Describe returns them
//
// Weir's own:
//
//	IDPEntityID                  which entity of the metadata, where it has several
//	SPEntityID                   our entity id; default urn:weir:sp:<poolId>
//	RequestBinding               Redirect, POST or auto (default): what the metadata has, Redirect first
//	NameIDFormat                 the format to ask for; default none, which every provider takes
//	SubjectAttribute             the attribute that identifies the person, in place of the NameID
//	ForceAuthn                   true asks for a fresh sign-in every time
//	RequestedAuthnContext        class references, separated by spaces
//	AuthnContextComparison       exact (default), minimum, maximum or better. With exact the answer has to name one of them
//	ClockSkewSeconds             1 to 600; default 180
//	AllowSHA1                    true takes signatures with SHA-1; default false
//	MaxElements                  of a response, for very many groups: 1,000 to 10,000; default 5,000. The size limit of 256 KB grows with it
//	MetadataSigningCertificate   PEM, base64 or a SHA-256 fingerprint: the metadata must be signed with this certificate
//	DefaultClientId, DefaultRedirectURI
//	                             where a sign-in that the provider starts leads, if its RelayState names nothing
const (
	keyURL          = "MetadataURL"
	keyFile         = "MetadataFile"
	keyIDPInit      = "IDPInit"
	keySignout      = "IDPSignout"
	keyEncrypted    = "EncryptedResponses"
	keyAlgorithm    = "RequestSigningAlgorithm"
	keySSO          = "SSORedirectBindingURI"
	keySLO          = "SLORedirectBindingURI"
	keyEncryption   = "ActiveEncryptionCertificate"
	keyIDPEntityID  = "IDPEntityID"
	keySPEntityID   = "SPEntityID"
	keyBinding      = "RequestBinding"
	keyNameIDFormat = "NameIDFormat"
	keySubject      = "SubjectAttribute"
	keyForceAuthn   = "ForceAuthn"
	keyContext      = "RequestedAuthnContext"
	keyComparison   = "AuthnContextComparison"
	keySkew         = "ClockSkewSeconds"
	keySHA1         = "AllowSHA1"
	keyElements     = "MaxElements"
	keyPin          = "MetadataSigningCertificate"
	keyClient       = "DefaultClientId"
	keyRedirect     = "DefaultRedirectURI"
)

// maxContexts bounds RequestedAuthnContext: it travels in federation.Challenge.Private, which has 1 KB.
const maxContexts = 600

// settings are the details, parsed.
type settings struct {
	file     []byte
	url      string
	metadata metadata.Options

	idpInit, idpSignout, encrypted, forceAuthn, allowSHA1 bool

	spEntityID   string // "" before New fills it in
	binding      string // "" is the preferred one
	nameIDFormat string
	subject      string
	authnContext []string
	comparison   string
	skew         time.Duration
	maxElements  int

	defaultClient, defaultRedirect string
}

// Validate returns what is wrong with the details of a SAML provider; nil if nothing is. allowPrivate is that of Options.
func Validate(d pool.Details, allowPrivate bool) []detail.Fault {
	_, faults := parse(d, allowPrivate)
	return faults
}

func parse(d pool.Details, allowPrivate bool) (settings, []detail.Fault) {
	r := detail.NewReader(d, allowPrivate)
	is := func(key string) bool { return r.OneOf(key, "false", "true") == "true" }
	s := settings{
		url: r.URL(keyURL), idpInit: is(keyIDPInit), idpSignout: is(keySignout), encrypted: is(keyEncrypted),
		forceAuthn: is(keyForceAuthn), allowSHA1: is(keySHA1), spEntityID: r.String(keySPEntityID),
		nameIDFormat: r.String(keyNameIDFormat), subject: r.String(keySubject),
		authnContext:  strings.Fields(r.String(keyContext)),
		comparison:    r.OneOf(keyComparison, binding.ComparisonExact, binding.ComparisonMinimum, binding.ComparisonMaximum, binding.ComparisonBetter),
		skew:          time.Duration(r.Int(keySkew, 180, 1, 600)) * time.Second,
		maxElements:   r.Int(keyElements, response.DefaultMaxElements, 1000, 10000),
		defaultClient: r.String(keyClient), defaultRedirect: r.String(keyRedirect),
	}
	if len(strings.Join(s.authnContext, " ")) > maxContexts {
		r.Fail(keyContext, fmt.Sprintf("must have %d characters at most", maxContexts))
	}
	r.OneOf(keyAlgorithm, "rsa-sha256", "RSA_SHA256")
	for _, key := range []string{keySSO, keySLO, keyEncryption} {
		r.Text(key)
	}
	switch r.OneOf(keyBinding, "auto", "Redirect", "POST") {
	case "Redirect":
		s.binding = binding.HTTPRedirect
	case "POST":
		s.binding = binding.HTTPPost
	}
	s.metadata.EntityID, s.metadata.AllowHTTP = r.String(keyIDPEntityID), allowPrivate
	s.metadata.Policy.AllowSHA1 = s.allowSHA1
	if pem := r.Text(keyPin); pem != "" {
		pin, err := metadata.ParsePin(pem)
		if err != nil {
			r.Fail(keyPin, "must be a certificate in PEM or base64, or its SHA-256 fingerprint")
		} else {
			s.metadata.Pins = []metadata.Pin{pin}
		}
	}
	readFile(r, &s, d.Get(keyURL) != "")
	if slices.Contains(ownClaims, s.subject) {
		r.Fail(keySubject, "must be an attribute of the assertion; without this key the NameID identifies the person")
	}
	if s.defaultRedirect != "" && s.defaultClient == "" {
		r.Fail(keyRedirect, "needs "+keyClient)
	}
	return s, r.Faults()
}

// readFile takes the one source of metadata there is. A file is read at once: a slip in it must not wait for the first sign-in.
func readFile(r *detail.Reader, s *settings, hasURL bool) {
	text := r.Text(keyFile)
	switch {
	case text == "" && !hasURL:
		r.Fail(keyFile, "required, or "+keyURL)
	case text != "" && hasURL:
		r.Fail(keyFile, "give either this or "+keyURL)
	case text != "":
		s.file = []byte(text)
		if _, err := metadata.Parse(s.file, s.metadata); err != nil {
			r.Fail(keyFile, fmt.Sprintf("cannot be used: %v", err))
		}
	}
}

// contextsOf are the class references in an application's acr_values: those of its values that are URIs.
func contextsOf(acrValues string) []string {
	var out []string
	for v := range strings.FieldsSeq(acrValues) {
		if strings.Contains(v, ":") {
			out = append(out, v)
		}
	}
	return out
}
