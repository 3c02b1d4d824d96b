package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/web"
)

// relayParams are what the RelayState of a sign-in that a provider starts may name.
var relayParams = []string{"identity_provider", "idp_identifier", "client_id", "redirect_uri", "response_type", "scope", "state", "nonce"}

// errRelayState: the RelayState of an unsolicited response does not say where to go.
var errRelayState = errors.New("RelayState: want identity_provider, client_id, redirect_uri, response_type and scope, as in a query")

// unsolicited reports whether a SAML response without an attempt in the browser asks for the path of sign-ins that the
// provider starts: its RelayState is empty or a query. Any other is an answer to an attempt that this browser does not have.
func unsolicited(r *http.Request, relayState string) bool {
	return r.URL.Path == "/saml2/idpresponse" && (relayState == "" || strings.ContainsRune(relayState, '='))
}

// unsolicited finishes a sign-in that a SAML provider started. Where it leads is checked as an authorization request is. Its
// faults are pages: nobody at the application waits for an answer.
func (s *Service) unsolicited(c echo.Context, params url.Values) error {
	ctx := c.Request().Context()
	fail := func(a oauth.Authorization, err error) error {
		at := federation.Attempt{PoolID: a.Pool.ID, Request: a.Request}
		if a.Wanted != nil {
			at.Provider = a.Wanted.Name
		}
		if re := (*web.RedirectError)(nil); errors.As(err, &re) {
			err = re.Err
		}
		return s.OAuth.SignInFailed(c, at, err)
	}
	origin, err := s.Site.OriginOrBase(c)
	if err != nil {
		return err
	}
	r := answer(c.Request(), params)
	asked, err := s.relayed(c, origin, r, params.Get("RelayState"))
	if err != nil {
		return fail(oauth.Authorization{}, err)
	}
	a, err := s.OAuth.Parse(ctx, origin.PoolID, asked, nil)
	if err != nil {
		return fail(a, err)
	}
	if a.Wanted == nil || !a.Explicit {
		return fail(a, fault.New(fault.Invalid, "The sign-in that the identity provider started does not say where to go.", errRelayState))
	}
	login, err := s.OAuth.Broker.FinishUnsolicited(ctx, a.Pool, *a.Wanted, a.Request, origin.URL+"/saml2/idpresponse", r)
	if err != nil {
		return fail(a, err)
	}
	return s.OAuth.SignedIn(c, login, a.Pool.ID, a.Wanted.Name)
}

// relayed returns the authorization request that a RelayState names, or that the settings of the sender name where it is empty.
func (s *Service) relayed(c echo.Context, origin web.Origin, r federation.Response, relayState string) (url.Values, error) {
	refuse := func(err error) (url.Values, error) {
		return nil, fault.New(fault.Invalid, "The sign-in that the identity provider started does not say where to go.", err)
	}
	if relayState == "" {
		return s.defaults(c, origin, r)
	}
	v, err := url.ParseQuery(relayState)
	if err != nil {
		return refuse(errRelayState)
	}
	for name, values := range v {
		if !slices.Contains(relayParams, name) || len(values) != 1 {
			return refuse(fmt.Errorf("%w: %.64q is not among them or stands twice", errRelayState, name))
		}
	}
	return v, nil
}

func (s *Service) defaults(c echo.Context, origin web.Origin, r federation.Response) (url.Values, error) {
	ctx := c.Request().Context()
	senders, err := s.OAuth.Broker.Senders(ctx, origin.PoolID, r)
	if err != nil {
		return nil, err
	}
	var found []url.Values
	for _, idp := range senders {
		prov, err := s.OAuth.Broker.Providers.Provider(ctx, idp)
		if err != nil {
			continue // told when somebody signs in through it
		}
		u, ok := prov.(federation.Unsolicited)
		if !ok {
			continue
		}
		if client, redirect := u.DefaultClient(); client != "" {
			v := url.Values{"identity_provider": {idp.Name}, "client_id": {client}, "response_type": {"code"}}
			if redirect != "" {
				v.Set("redirect_uri", redirect)
			}
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		return nil, fault.New(fault.Invalid, "The sign-in that the identity provider started does not say where to go.",
			fmt.Errorf("%w; without one, exactly one provider of that entity id must have DefaultClientId, %d have", errRelayState, len(found)))
	}
	return found[0], nil
}

// UpstreamLogout serves GET and POST /saml2/logout: a provider's answer to a sign-out that went on there, or its request
// to end what has ended there.
func (s *Service) UpstreamLogout(c echo.Context) error {
	params, err := web.Params(c)
	if err != nil {
		return err
	}
	switch {
	case params.Has("SAMLRequest") == params.Has("SAMLResponse"):
		return fault.New(fault.Invalid, "This address takes sign-out messages of identity providers only.", nil)
	case params.Has("SAMLResponse"):
		return s.finishLogout(c, params)
	}
	return s.logoutAsked(c, params)
}

// finishLogout: whatever the provider says, the session here has ended and the person goes on.
func (s *Service) finishLogout(c echo.Context, params url.Values) error {
	ctx := c.Request().Context()
	id := params.Get("RelayState")
	sealed := s.Site.Logout(c, id)
	if sealed == "" {
		if s.mayRepost(c) {
			return s.repost(c, params)
		}
		return s.OAuth.SignedOut(c, "")
	}
	s.Site.DropLogout(c, id)
	l, err := s.OAuth.Broker.FinishLogout(ctx, id, sealed, answer(c.Request(), params))
	if err != nil {
		s.OAuth.SignOutFailed(c, oauth.SignOutFailure{PoolID: l.PoolID, Provider: l.Provider, Ours: l.PoolID != ""}, err)
	}
	return s.OAuth.SignedOut(c, l.Target)
}

// logoutAsked ends what a provider says has ended, and answers it.
func (s *Service) logoutAsked(c echo.Context, params url.Values) error {
	ctx := c.Request().Context()
	origin, err := s.Site.OriginOrBase(c)
	if err != nil {
		return err
	}
	r := answer(c.Request(), params)
	senders, err := s.OAuth.Broker.Senders(ctx, origin.PoolID, r)
	if err != nil {
		return err
	}
	var to *heard
	var refused []pool.IdentityProvider
	var causes []error
	refusal := error(fault.New(fault.Invalid, "The sign-out message is of no identity provider that is known here.", nil))
	for _, idp := range senders {
		h, err := s.endUpstream(c, origin, idp, r)
		if err != nil {
			refused, causes = append(refused, idp), append(causes, err)
			refusal = err
			continue
		}
		// Nothing in the message says for which pool it is, if several have the provider: the one that had the session answers.
		if to == nil || h.ended > to.ended {
			to = &h
		}
		if sealed := s.Site.Session(c, idp.PoolID); sealed != "" {
			if _, err := s.OAuth.Broker.Session(ctx, idp.PoolID, sealed); errors.Is(err, federation.ErrNoSession) {
				s.Site.DropSession(c, idp.PoolID)
			}
		}
	}
	for i, idp := range refused { // whether anybody is shown it is known only now
		s.OAuth.SignOutFailed(c, oauth.SignOutFailure{PoolID: idp.PoolID, Provider: idp.Name, Refused: to == nil}, causes[i])
	}
	if to == nil {
		return refusal
	}
	ch, err := to.listener.AnswerLogout(ctx, to.notice, to.done)
	if err != nil { // the sessions have ended all the same
		s.OAuth.SignOutFailed(c, oauth.SignOutFailure{PoolID: to.notice.PoolID, Provider: to.notice.Provider, Ours: true}, err)
		return s.OAuth.SignedOut(c, "")
	}
	return s.OAuth.Challenge(c, ch)
}

// heard is a provider's verified request and what came of it.
type heard struct {
	listener federation.LogoutListener
	notice   federation.LogoutNotice
	ended    int // grants
	done     bool
}

func (s *Service) endUpstream(c echo.Context, origin web.Origin, idp pool.IdentityProvider, r federation.Response) (heard, error) {
	ctx := c.Request().Context()
	prov, err := s.OAuth.Broker.Providers.Provider(ctx, idp)
	if err != nil {
		return heard{}, err
	}
	listener, ok := prov.(federation.LogoutListener)
	if !ok {
		return heard{}, federation.ErrNoLogout
	}
	notice, err := listener.ReadLogout(ctx, origin.URL+"/saml2/logout", r)
	if err != nil {
		return heard{}, err
	}
	ended, err := s.OAuth.Broker.EndUpstream(ctx, notice)
	if err != nil {
		s.OAuth.SignOutFailed(c, oauth.SignOutFailure{PoolID: idp.PoolID, Provider: idp.Name, Ours: true}, err)
	}
	return heard{listener: listener, notice: notice, ended: ended, done: err == nil}, nil
}

// Describe serves GET /saml2/metadata?user_pool_id=…&identity_provider=…: the document that a provider's administrator imports.
func (s *Service) Describe(c echo.Context) error {
	ctx := c.Request().Context()
	origin, err := s.Site.OriginOrBase(c)
	if err != nil {
		return err
	}
	v, err := web.Params(c)
	if err != nil {
		return err
	}
	poolID, name := v.Get("user_pool_id"), v.Get("identity_provider")
	if poolID == "" || name == "" {
		return fault.New(fault.Invalid, "Name user_pool_id and identity_provider in the address.", nil)
	}
	if origin.PoolID != "" && origin.PoolID != poolID {
		return fault.New(fault.NotFound, "There is no such user pool at this address.", nil)
	}
	idp, err := s.OAuth.Directory.Provider(ctx, poolID, name)
	if err != nil {
		return err
	}
	prov, err := s.OAuth.Broker.Providers.Provider(ctx, idp)
	if err != nil {
		return err
	}
	d, ok := prov.(federation.Described)
	if !ok {
		return fault.New(fault.NotFound, "This identity provider needs no metadata of ours.", nil)
	}
	contentType, document, err := d.Describe(ctx, federation.Endpoints{SignIn: origin.URL + "/saml2/idpresponse", Logout: origin.URL + "/saml2/logout"})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=300")
	return c.Blob(http.StatusOK, contentType, document)
}
