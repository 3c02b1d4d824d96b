package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/server/web"
)

// Logout serves GET and POST /logout. It ends the browser's session and every grant that came from it, then
// goes where the application wants: client_id with logout_uri, as the original has it;
// post_logout_redirect_uri with client_id or id_token_hint (OpenID Connect RP-Initiated Logout);
// or redirect_uri with response_type, which leads on to a new sign-in. Targets match registered ones exactly. Nobody is asked
// whether they mean it, as in the original.
func (s *Service) Logout(c echo.Context) error {
	ctx := c.Request().Context()
	origin, answered, err := s.Site.BrowserOrigin(c)
	if answered || err != nil {
		return err
	}
	v, err := web.Params(c)
	if err != nil {
		return err
	}
	id, err := s.logoutClient(c, v)
	if err != nil {
		return err
	}
	if id == "" && !slices.ContainsFunc(logoutTargets, v.Has) {
		return s.logoutAnybody(c, origin)
	}
	client, p, err := s.client(ctx, origin.PoolID, id)
	if err != nil {
		return err
	}
	to, err := logoutTarget(client, v, origin.URL)
	if err != nil {
		return err
	}
	if s.Site.Session(c, p.ID) == "" && c.Request().Method == http.MethodPost {
		v.Del("id_token_hint") // it has said what client it is of, and stays out of addresses
		v.Set("client_id", id)
		if asGet(v) {
			return redirect(c, origin.URL+"/logout?"+v.Encode())
		}
	}
	began, live, err := s.endSession(c, p.ID, client.ID)
	if err != nil {
		return err
	}
	if live {
		if done, err := s.upstreamLogout(c, began, origin, to); done || err != nil {
			return err
		}
	}
	return s.SignedOut(c, to)
}

// SignedOut ends a sign-out: at the application's checked address, or on a page of ours where to is "".
func (s *Service) SignedOut(c echo.Context, to string) error {
	if to == "" {
		return s.Pages.SignedOut(c)
	}
	return redirect(c, to)
}

// upstreamLogout sends the browser on to the provider, so that the session there ends too. It reports whether it
// answered: a provider that fails or has no logout does not keep a person from signing out here, which has happened already.
func (s *Service) upstreamLogout(c echo.Context, began token.Grant, origin web.Origin, to string) (bool, error) {
	ctx := c.Request().Context()
	st, err := s.Broker.BeginLogout(ctx, began, origin.URL+"/saml2/logout", to)
	if errors.Is(err, federation.ErrNoLogout) {
		return false, nil
	}
	if err != nil {
		s.SignOutFailed(c, SignOutFailure{PoolID: began.PoolID, Provider: began.Provider, Ours: true}, err)
		return false, nil
	}
	s.Site.SetLogout(c, st.Logout.ID, st.Sealed)
	return true, s.Challenge(c, st.Challenge)
}

// Challenge sends the browser to a provider.
func (s *Service) Challenge(c echo.Context, ch federation.Challenge) error {
	if ch.Form != nil {
		return s.Pages.Post(c, ch.URL, sorted(ch.Form))
	}
	return redirect(c, ch.URL)
}

// endSession ends the browser's session of a pool, if there is one, and returns the grant that began it where it was live.
func (s *Service) endSession(c echo.Context, poolID, clientID string) (began token.Grant, live bool, err error) {
	ctx := c.Request().Context()
	sealed := s.Site.Session(c, poolID)
	if sealed == "" {
		return began, false, nil
	}
	began, err = s.Broker.Session(ctx, poolID, sealed)
	if live = err == nil; !live && !errors.Is(err, federation.ErrNoSession) {
		return began, false, err
	}
	if err := s.Broker.SignOut(ctx, poolID, clientID, sealed); err != nil {
		return began, false, err
	}
	s.Site.DropSession(c, poolID)
	return began, live, nil
}

// logoutAnybody ends what sessions the browser has at this host: a sign-out need not
// say whose it is (OpenID Connect RP-Initiated Logout section 2), and then leads nowhere.
func (s *Service) logoutAnybody(c echo.Context, origin web.Origin) error {
	sessions := s.Site.Sessions(c)
	if len(sessions) == 0 && c.Request().Method == http.MethodPost {
		return redirect(c, origin.URL+"/logout")
	}
	for _, poolID := range sessions {
		if _, _, err := s.endSession(c, poolID, ""); err != nil {
			return err
		}
	}
	return s.Pages.SignedOut(c)
}

// logoutTargets are the parameters that say where to go afterwards.
var logoutTargets = []string{"logout_uri", "post_logout_redirect_uri", "redirect_uri"}

func (s *Service) logoutClient(c echo.Context, v url.Values) (string, error) {
	id, raw := v.Get("client_id"), v.Get("id_token_hint")
	if raw == "" {
		return id, nil
	}
	hint, err := s.Issuer.VerifyIDHint(c.Request().Context(), raw)
	if err != nil {
		return "", fault.New(fault.Invalid, "The id_token_hint of this sign-out is not valid.", err)
	}
	if id != "" && id != hint.ClientID {
		return "", invalid("The client_id of this sign-out is not the one of its id_token_hint.")
	}
	return hint.ClientID, nil
}

func logoutTarget(client pool.Client, v url.Values, origin string) (string, error) {
	switch {
	case v.Get("logout_uri") != "":
		if !slices.Contains(client.LogoutURLs, v.Get("logout_uri")) {
			return "", invalid("The application's logout_uri is not registered for it.")
		}
		return v.Get("logout_uri"), nil
	case v.Get("post_logout_redirect_uri") != "":
		if !slices.Contains(client.LogoutURLs, v.Get("post_logout_redirect_uri")) {
			return "", invalid("The application's post_logout_redirect_uri is not registered for it.")
		}
		if v.Get("state") == "" {
			return v.Get("post_logout_redirect_uri"), nil
		}
		return withQuery(v.Get("post_logout_redirect_uri"), url.Values{"state": {v.Get("state")}}), nil
	case v.Get("redirect_uri") != "":
		if _, err := redirectURI(client, v.Get("redirect_uri")); err != nil {
			return "", err
		}
		return origin + "/login?" + v.Encode(), nil
	}
	return "", nil
}
