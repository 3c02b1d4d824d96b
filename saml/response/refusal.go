package response

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Check names what a response failed at. It is an error, so that errors.Is(err, CheckAudience) asks for one.
type Check string

// Error returns the stable name, which logs and the login trace carry.
func (c Check) Error() string { return string(c) }

// The checks, in about the order in which they are made.
const (
	CheckExpect          Check = "expect"           // our own configuration is incomplete
	CheckBase64          Check = "base64"           // not base64
	CheckLimits          Check = "limits"           // larger, deeper or longer than allowed
	CheckXML             Check = "xml"              // not acceptable XML
	CheckShape           Check = "shape"            // elements that SAML does not put there, or not there
	CheckAssertions      Check = "assertions"       // not exactly one assertion
	CheckIDs             Check = "ids"              // an identifier is missing or occurs twice
	CheckVersion         Check = "version"          // not SAML 2.0
	CheckDestination     Check = "destination"      // sent to another address
	CheckIssuer          Check = "issuer"           // from another identity provider
	CheckInResponseTo    Check = "in_response_to"   // an answer to another request, or to none, or unexpectedly to one
	CheckStatus          Check = "status"           // the identity provider reports a failure; Refusal.Status has it
	CheckUnsigned        Check = "unsigned"         // neither response nor assertion is signed
	CheckSignatureShape  Check = "signature_shape"  // a signature that could be ambiguous
	CheckAlgorithm       Check = "algorithm"        // a signature algorithm that is not accepted
	CheckSigningKey      Check = "signing_key"      // no known key made the signature: metadata may have changed
	CheckDigest          Check = "digest"           // changed after it was signed
	CheckUnencrypted     Check = "unencrypted"      // encryption is required
	CheckEncryption      Check = "encryption"       // an encryption algorithm or form that is not accepted
	CheckDecryption      Check = "decryption"       // cannot be decrypted
	CheckIssueInstant    Check = "issue_instant"    // missing, or in the future
	CheckStale           Check = "stale"            // unsolicited and too old
	CheckSubject         Check = "subject"          // no Subject
	CheckNameID          Check = "name_id"          // no usable NameID
	CheckConfirmation    Check = "confirmation"     // no bearer confirmation that could hold
	CheckRecipient       Check = "recipient"        // confirmed for another address
	CheckConditions      Check = "conditions"       // no Conditions, or an unknown one
	CheckAudience        Check = "audience"         // for another service provider
	CheckExpired         Check = "expired"          // too late
	CheckNotYetValid     Check = "not_yet_valid"    // too early
	CheckAuthnStatement  Check = "authn_statement"  // no statement of how the person signed in
	CheckForceAuthn      Check = "force_authn"      // signed in before we asked for it anew
	CheckAuthnContext    Check = "authn_context"    // signed in in another way than we asked for
	CheckAttributes      Check = "attributes"       // unusable attributes
	CheckEncryptedPieces Check = "encrypted_pieces" // EncryptedID or EncryptedAttribute
	CheckDefect          Check = "defect"           // a defect of ours, stopped
)

// Refusal says why a response was refused. It is for the log and the login trace, never for the public page: it tells
// an attacker which check to work on, and holds text from the message.
type Refusal struct {
	Check Check
	// Admin is one or two sentences for whoever set up the trust. Text from the message is quoted, cut to 200 bytes.
	Admin string
	// Status is what the identity provider reported, where Check is CheckStatus.
	Status *Status
	// Cause has details for developers; it may be nil.
	Cause error
}

// Status is a samlp:Status other than Success.
type Status struct {
	Codes   []string // outermost first, for example …:status:Responder, …:status:NoAuthnContext
	Message string   // as the identity provider wrote it, cut to 1,000 bytes; may be empty
}

func (r *Refusal) Error() string {
	s := "saml response refused (" + string(r.Check) + "): " + r.Admin
	if r.Cause != nil {
		s += " [" + r.Cause.Error() + "]"
	}
	return s
}

// Unwrap returns the Check and the Cause.
func (r *Refusal) Unwrap() []error {
	if r.Cause == nil {
		return []error{r.Check}
	}
	return []error{r.Check, r.Cause}
}

// Diagnosis yields what the login trace tells an administrator (package trace of federation, which knows it by this method alone).
func (r *Refusal) Diagnosis() iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		if !yield("check", string(r.Check)) || !yield("advice", r.Admin) {
			return
		}
		if r.Status != nil {
			for _, code := range r.Status.Codes {
				if !yield("status", code) {
					return
				}
			}
			if r.Status.Message != "" && !yield("status_message", r.Status.Message) {
				return
			}
		}
		if r.Cause != nil {
			yield("detail", r.Cause.Error())
		}
	}
}

// CheckOf returns the check that err says was failed, "" where err is no Refusal.
func CheckOf(err error) Check {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Check
	}
	return ""
}

func refuse(c Check, format string, args ...any) *Refusal {
	return &Refusal{Check: c, Admin: fmt.Sprintf(format, args...)}
}

func (r *Refusal) because(err error) *Refusal {
	r.Cause = err
	return r
}

// quote prepares text from a message for a sentence.
func quote(s string) string {
	return fmt.Sprintf("%q", cut(s, 200))
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
