// Package federation is one login from start to pool user.
//
// It owns the path of a login: the sealed Attempt, the Provider contract, the verified Identity and the
// Broker that puts them together. The directory's rules are in federation/pool, tokens
// and refresh families in federation/token, attribute rules in mapping; HTTP
// is in package server and what speaks to upstream providers in packages providers and saml.
package federation

import (
	"context"
	"net/url"
	"time"

	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/mapping"
)

// Provider speaks to one upstream identity provider of one pool.
//
// An implementation is safe for concurrent use and keeps no state about a login: what it needs
// later goes into Challenge.Private. Errors are *fault.Error with a public sentence: fault.Denied when
// the person or the provider declined, fault.Upstream or fault.UpstreamTimeout when
// the provider failed, fault.Config when an admin has to change something,
// fault.Invalid or fault.Expired when the browser brought something wrong.
type Provider interface {
	// Begin returns where to send the browser.
	Begin(ctx context.Context, a Attempt) (Challenge, error)
	// Finish verifies the provider's answer to this very attempt and returns who signed in.
	// Everything in the Identity has been proven by the provider.
	Finish(ctx context.Context, a Attempt, r Response) (Identity, error)
}

// Attempt is a sign-in under way. It lives in a sealed cookie of the browser that
// started it and nowhere else.
type Attempt struct {
	ID       string    `json:"id"` // random, 128 bits, base64url; also the upstream state or RelayState
	PoolID   string    `json:"p"`
	Provider string    `json:"n"` // provider name
	Started  time.Time `json:"t"`

	// What the application asked for, already checked.
	Request Request `json:"q"`

	// What belongs to the upstream leg.
	Nonce       string `json:"un,omitempty"` // upstream nonce, 128 bits
	Verifier    string `json:"uv,omitempty"` // upstream PKCE verifier (RFC 7636)
	CallbackURL string `json:"uc,omitempty"` // the absolute URL that the provider sends the browser back to
	Private     []byte `json:"up,omitempty"` // Challenge.Private of Begin

	Once []string `json:"uo,omitempty"` // Challenge.Once of Begin

	// Question, where it is not "", is the id of a question to the person that this attempt is a proof for. It signs nobody in: see Broker.FinishProof.
	Question string `json:"qu,omitempty"`
}

// Request is the application's authorization request after its checks (RFC 6749 section 4.1.1).
type Request struct {
	ClientID      string   `json:"c"`
	RedirectURI   string   `json:"r"`
	ResponseType  string   `json:"y,omitempty"` // code
	ResponseMode  string   `json:"m,omitempty"` // query (default) or form_post
	Scopes        []string `json:"s,omitempty"`
	State         string   `json:"x,omitempty"`
	Nonce         string   `json:"o,omitempty"`
	CodeChallenge string   `json:"k,omitempty"` // S256

	// Hints, forwarded upstream where the provider understands them (OpenID Connect Core section 3.1.2.1).
	Prompt    []string `json:"h,omitempty"`  // none, login, consent, select_account
	MaxAge    *int     `json:"g,omitempty"`  // seconds
	LoginHint string   `json:"l,omitempty"`  // forwarded as it is
	UILocales string   `json:"ul,omitempty"` // BCP 47 tags, separated by spaces
	ACRValues string   `json:"av,omitempty"` // separated by spaces

	// Subject is the only user who will do, by sub: the one of a valid id_token_hint; "" is anybody.
	Subject string `json:"sb,omitempty"`
}

// Challenge is where to send the browser.
type Challenge struct {
	// URL is the provider's address. Without Form the browser is redirected (303) to it.
	URL string
	// Form, where it is not nil, is posted to URL by a page of ours (SAML's POST binding).
	Form url.Values
	// Private comes back in Attempt.Private; at most 1 KB.
	Private []byte
	// Once names the parameters of the answer that the provider sends at a person's first sign-in and never again. Where the sign-in fails
	// before anybody is proven, they come back in Response.Carried of the browser's next one.
	Once []string
}

// Response is what the browser brought back from the provider.
type Response struct {
	Method   string     // GET or POST
	Query    url.Values // parsed RawQuery
	Form     url.Values // the body of a POST, nil otherwise
	RawQuery string     // as sent: SAML redirect signatures cover these bytes
	// Body is that of a notice that came by POST, as sent; at most 64 KB. Nil for an answer to a sign-in.
	Body []byte
	// Carried are the parameters Challenge.Once of an earlier answer that came to this browser from this provider, where that sign-in failed
	// before anybody was proven. Nothing says whom they are about: that they fit the person is for the provider to find out.
	Carried url.Values
}

// Values returns the answer's parameters: those of the body of a POST, else those of the query. A name
// in both places is not merged.
func (r Response) Values() url.Values {
	if r.Form != nil {
		return r.Form
	}
	return r.Query
}

// Identity is a person as a provider has proven them.
type Identity struct {
	Provider     string         // provider name
	ProviderType string         // the API model's type: OIDC, SAML, Google, …
	Issuer       string         // OpenID issuer or SAML entity id
	Subject      string         // raw, exact case; with Provider the key of the link
	Claims       mapping.Claims // typed, multi-valued
	AuthTime     time.Time      // when the person authenticated upstream; zero if not said
	SessionIndex string         // SAML SessionIndex or OpenID sid
	Principal    string         // whom the provider's logout messages will name (a SAML NameID); "" where it sends none
	Logout       []byte         // what the provider's own logout needs later; at most 1 KB, which the provider sees to
	Tokens       UpstreamTokens
	// Once are those of Claims that the provider says at the first sign-in only. Nil: it says nothing of the kind, ever. Empty: not this time, so
	// that those which were kept of an earlier sign-in count.
	Once mapping.Claims
}

// Annotated is implemented by providers of which the API shows more details than were given: those of the original that are true here. They
// stand over what was given.
type Annotated interface {
	Annotations(ctx context.Context) (map[string]string, error)
}

// UpstreamTokens are what an OAuth provider issued. They are kept only where the provider's configuration says so.
type UpstreamTokens = upstream.Tokens
