package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// Authorization is a checked authorization request.
type Authorization struct {
	Pool    pool.Pool
	Client  pool.Client
	Request federation.Request
	// Wanted is the provider that the request names (identity_provider, idp_identifier, the
	// e-mail domain of login_hint) or that is the client's only one; nil leaves the choice to the person.
	Wanted *pool.IdentityProvider
	// Explicit: the application named the provider, so a session of another one will not do.
	Explicit bool

	hinted bool // there was an id_token_hint
}

// Parse checks an authorization request of which web.Params returned v and flaw. hostPool is the pool of the request's
// host, "" on the base host. Until client and redirect URI are known to belong together, errors are plain
// faults, which become a page; after it they are *web.RedirectError, which go to the application (RFC 6749 section 4.1.2.1).
func (s *Service) Parse(ctx context.Context, hostPool string, v url.Values, flaw error) (Authorization, error) {
	var a Authorization
	var err error
	if len(v["client_id"]) > 1 || len(v["redirect_uri"]) > 1 {
		return a, flaw
	}
	if a.Client, a.Pool, err = s.client(ctx, hostPool, v.Get("client_id")); err != nil {
		return a, err
	}
	if a.Request.RedirectURI, err = redirectURI(a.Client, v.Get("redirect_uri")); err != nil {
		return a, err
	}
	a.Request.ClientID = a.Client.ID
	refuse := func(code string, err error) (Authorization, error) { return a, s.refusal(a, code, err) }
	if len(v["state"]) == 1 {
		a.Request.State = v.Get("state")
	}
	if a.Request.ResponseMode, err = responseMode(v.Get("response_mode"), a.Request.RedirectURI); err != nil {
		return refuse("invalid_request", err)
	}
	if flaw != nil {
		return refuse("invalid_request", flaw)
	}
	if code, err := responseType(a.Client, v); err != nil {
		return refuse(code, err)
	}
	a.Request.ResponseType = "code"
	if a.Request.Scopes, err = scopes(a.Client, v.Get("scope")); err != nil {
		return refuse("invalid_scope", err)
	}
	if err := pkce(&a, v); err != nil {
		return refuse("invalid_request", err)
	}
	if err := hints(&a, v); err != nil {
		return refuse("invalid_request", err)
	}
	if err := s.idHint(ctx, &a, v.Get("id_token_hint")); err != nil {
		return refuse("", err)
	}
	if err := s.choose(ctx, &a, v); err != nil {
		return refuse("", err)
	}
	return a, nil
}

// refusal tells the application of a checked request what is wrong; an empty code is chosen by the fault's.
func (s *Service) refusal(a Authorization, code string, err error) error {
	return &web.RedirectError{Request: a.Request, Issuer: s.Issuer.URL(a.Pool.ID), Code: code, Err: err}
}

var responseModes = []string{"query", "form_post"}

func responseMode(asked, redirectURI string) (string, error) {
	switch {
	case asked != "" && !slices.Contains(responseModes, asked):
		return "", invalid("response_mode must be query or form_post.")
	case asked == "form_post" && !strings.HasPrefix(redirectURI, "https:") && !strings.HasPrefix(redirectURI, "http:"):
		return "", invalid("response_mode form_post needs a redirect_uri of the web.") // an app's own scheme takes no POST
	}
	return asked, nil
}

func invalid(public string) error { return fault.New(fault.Invalid, public, nil) }

// client finds the client by id, within the host's pool where the host names one.
func (s *Service) client(ctx context.Context, hostPool, id string) (pool.Client, pool.Pool, error) {
	if id == "" {
		return pool.Client{}, pool.Pool{}, invalid("The application's request names no client_id.")
	}
	c, err := s.Directory.Client(ctx, id)
	if err == nil && hostPool != "" && c.PoolID != hostPool {
		err = fault.New(fault.NotFound, "", fmt.Errorf("client %s is of pool %s, the host of pool %s", c.ID, c.PoolID, hostPool))
	}
	if fault.CodeOf(err) == fault.NotFound {
		return c, pool.Pool{}, fault.New(fault.Invalid, "The application that sent you here is not known: its client_id is wrong.", err)
	}
	if err != nil {
		return c, pool.Pool{}, err
	}
	p, err := s.Directory.Pool(ctx, c.PoolID)
	return c, p, err
}

// redirectURI: registered URIs match exactly, as strings (RFC 9700 section 2.1).
func redirectURI(c pool.Client, asked string) (string, error) {
	switch {
	case asked == "" && c.DefaultRedirectURI != "":
		return c.DefaultRedirectURI, nil
	case asked == "":
		return "", invalid("The application's request names no redirect_uri.")
	case !slices.Contains(c.CallbackURLs, asked):
		return "", fault.New(fault.Invalid, "The application's redirect_uri is not registered for it.",
			fmt.Errorf("client %s: redirect_uri %.200q is not one of its CallbackURLs", c.ID, asked))
	}
	return asked, nil
}

// needsOAuth says what a client lacks that may not use the OAuth endpoints.
const needsOAuth = "it needs code in its AllowedOAuthFlows, and AllowedOAuthFlowsUserPoolClient."

func responseType(c pool.Client, v url.Values) (string, error) {
	switch {
	case v.Has("request"):
		return "request_not_supported", invalid("Request objects are not supported.")
	case v.Has("request_uri"):
		return "request_uri_not_supported", invalid("Request objects are not supported.")
	case v.Has("registration"):
		return "registration_not_supported", invalid("Registration in the request is not supported.")
	case v.Get("response_type") == "":
		return "invalid_request", invalid("response_type is required: use code.")
	case v.Get("response_type") != "code":
		return "unsupported_response_type", invalid("response_type must be code.")
	case !c.MayUse("code"):
		return "unauthorized_client", invalid("This client may not use the authorization code flow: " + needsOAuth)
	}
	return "", nil
}

// scopes: without any, the client gets all that it may have, as in the original. offline_access is
// granted to whoever asks, because a refresh token is issued in any case (OpenID Connect Core section 11); clients that find it missing in
// the answer give up.
func scopes(c pool.Client, asked string) ([]string, error) {
	if strings.TrimSpace(asked) == "" {
		return c.Scopes, nil
	}
	var out []string
	for scope := range strings.FieldsSeq(asked) {
		switch {
		case slices.Contains(out, scope):
		case scope != offlineAccess && !slices.Contains(c.Scopes, scope):
			return nil, fault.New(fault.Invalid, "A scope is not allowed for this client.", fmt.Errorf("client %s: scope %.100q", c.ID, scope))
		default:
			out = append(out, scope)
		}
	}
	if len(out) == 1 && out[0] == offlineAccess {
		return nil, invalid("The request names no scope that this client may have.")
	}
	return out, nil
}

const offlineAccess = "offline_access"

// pkce: S256 only, and required of clients that have no secret (RFC 9700 section 2.1.1).
func pkce(a *Authorization, v url.Values) error {
	challenge, method := v.Get("code_challenge"), v.Get("code_challenge_method")
	switch {
	case challenge == "" && method != "":
		return invalid("code_challenge_method without code_challenge.")
	case challenge == "" && !a.Client.Confidential():
		return invalid("This client has no secret and must use PKCE: code_challenge is required.")
	case challenge == "":
		return nil
	case method != "S256":
		return invalid("code_challenge_method must be S256.")
	case !token.ValidChallenge(challenge):
		return invalid("code_challenge must be the base64url form of a SHA-256 value: 43 characters.")
	}
	a.Request.CodeChallenge = challenge
	return nil
}

// maxNonce bounds what of a request is stored and comes back in every ID token, in bytes.
const maxNonce = 1024

var prompts = []string{"none", "login", "consent", "select_account"}

func hints(a *Authorization, v url.Values) error {
	r := &a.Request
	r.Nonce, r.LoginHint, r.ACRValues = v.Get("nonce"), v.Get("login_hint"), v.Get("acr_values")
	if r.UILocales = v.Get("ui_locales"); r.UILocales == "" {
		r.UILocales = v.Get("lang") // the original's name
	}
	if len(r.Nonce) > maxNonce {
		return invalid("nonce is too long.")
	}
	for p := range strings.FieldsSeq(v.Get("prompt")) {
		if !slices.Contains(prompts, p) {
			return invalid("prompt must be none, login, consent or select_account.")
		}
		r.Prompt = append(r.Prompt, p)
	}
	if slices.Contains(r.Prompt, "none") && len(r.Prompt) > 1 {
		return invalid("prompt=none cannot be combined with another value.")
	}
	if age := v.Get("max_age"); age != "" {
		n, err := strconv.Atoi(age)
		if err != nil || n < 0 || n > 1<<31-1 {
			return invalid("max_age must be a number of seconds, 0 or more.")
		}
		r.MaxAge = &n
	}
	return nil
}

// idHint: id_token_hint names the person whom the application expects (OpenID Connect Core section 3.1.2.1). A hint
// that is not an ID token of this pool names nobody: no session will do then, and whoever signs in is welcome.
func (s *Service) idHint(ctx context.Context, a *Authorization, raw string) error {
	if a.hinted = raw != ""; !a.hinted {
		return nil
	}
	hint, err := s.Issuer.VerifyIDHint(ctx, raw)
	if fault.CodeOf(err) == fault.Unauthenticated {
		return nil
	}
	if err == nil && hint.PoolID == a.Pool.ID {
		a.Request.Subject = hint.Sub
	}
	return err
}

var errProviderNotOffered = errors.New("provider not in the client's SupportedIdentityProviders")

// choose finds the provider that the request leads to.
func (s *Service) choose(ctx context.Context, a *Authorization, v url.Values) error {
	// Amplify sends COGNITO where the application named no provider: of a client without local accounts it says nothing.
	if name := v.Get("identity_provider"); name != "" && (name != pool.LocalProvider || slices.Contains(a.Client.Providers, name)) {
		a.Explicit = true
		return s.want(ctx, a, name)
	}
	if id := v.Get("idp_identifier"); id != "" {
		idp, err := s.Directory.ProviderByIdentifier(ctx, a.Pool.ID, id)
		if fault.CodeOf(err) == fault.NotFound {
			return fault.New(fault.Invalid, "The request's idp_identifier is not known.", err)
		}
		if err != nil {
			return err
		}
		a.Explicit = true
		return s.want(ctx, a, idp.Name)
	}
	if idp, err := s.ByEmail(ctx, *a, a.Request.LoginHint); err != nil || idp != nil {
		a.Wanted = idp
		return err
	}
	if len(a.Client.Providers) == 1 {
		return s.want(ctx, a, a.Client.Providers[0])
	}
	return nil
}

func (s *Service) want(ctx context.Context, a *Authorization, name string) error {
	if !slices.Contains(a.Client.Providers, name) {
		return fault.New(fault.Invalid, "This application does not offer the requested identity provider.",
			fmt.Errorf("client %s, provider %.64q: %w", a.Client.ID, name, errProviderNotOffered))
	}
	if name == pool.LocalProvider { // local accounts have the page
		return nil
	}
	idp, err := s.Directory.Provider(ctx, a.Pool.ID, name)
	if err != nil {
		return err
	}
	a.Wanted = &idp
	return nil
}

// ByEmail returns the client's provider that has the domain of an e-mail address among its identifiers, nil where there is none.
func (s *Service) ByEmail(ctx context.Context, a Authorization, email string) (*pool.IdentityProvider, error) {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 {
		return nil, nil
	}
	idp, err := s.Directory.ProviderByIdentifier(ctx, a.Pool.ID, email[at+1:])
	if fault.CodeOf(err) == fault.NotFound || err == nil && !slices.Contains(a.Client.Providers, idp.Name) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &idp, nil
}
