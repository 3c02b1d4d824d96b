package login

import (
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/login/page"
	"github.com/weir-id/weir/server/oauth"
	"github.com/weir-id/weir/server/web"
)

// AskPath is where a person is asked whether they have a user already (link_users: ask).
const AskPath = "/login/link"

// The parameters of the page. Which question it is stands in the address, and says nothing to a browser without its cookie.
const (
	askID     = "question"
	askNotice = "notice"
	askToken  = "token"
	askBy     = "identity_provider"
	askProof  = "proof"
	askChoice = "choice"
)

// errNotOurs: a browser says that the form was not on a page of ours.
var errNotOurs = errors.New("the form was not sent by a page of this origin")

// ask has the browser ask the person. A redirect, so that loading the page again does not send the provider's answer again.
func (s *Service) ask(c echo.Context, q *federation.Asked) error {
	s.Site.SetQuestion(c, q.ID, q.Sealed)
	return toQuestion(c, q.ID, "")
}

func toQuestion(c echo.Context, id string, notice page.AskNotice) error {
	v := url.Values{askID: {id}}
	if notice != "" {
		v.Set(askNotice, string(notice))
	}
	return c.Redirect(http.StatusSeeOther, AskPath+"?"+v.Encode())
}

// proved is the way back from a provider where the person was to show which user they have. It ends at the page that asks, whoever that was: there is
// neither a code nor a session in it.
func (s *Service) proved(c echo.Context, a federation.Attempt, ans federation.Response) error {
	proven, err := s.OAuth.Broker.FinishProof(c.Request().Context(), a, ans)
	switch code := fault.CodeOf(err); {
	case err == nil && proven:
		return toQuestion(c, a.Question, "")
	case err == nil:
		return toQuestion(c, a.Question, page.AskOther)
	case code == fault.Expired || code == fault.Internal:
		return s.OAuth.SignInFailed(c, a, err)
	}
	_ = s.OAuth.SignInFailed(c, a, err) // recorded; the person can choose again
	return toQuestion(c, a.Question, page.AskFailed)
}

// Question serves GET /login/link, the page that asks, or asks to confirm what was proven.
func (s *Service) Question(c echo.Context) error {
	origin, answered, err := s.Site.BrowserOrigin(c)
	if answered || err != nil {
		return err
	}
	v, err := web.Params(c)
	if err != nil {
		return err
	}
	ctx, id := c.Request().Context(), v.Get(askID)
	q, err := s.OAuth.Broker.Question(ctx, id, s.Site.Question(c, id))
	if err == nil && origin.PoolID != "" && origin.PoolID != q.PoolID {
		err = fault.New(fault.NotFound, "There is nothing at this address.", nil)
	}
	if err != nil {
		return err
	}
	view := page.Ask{Action: AskPath, ClientName: q.Client.Name, Provider: q.Provider, Address: q.Address, Notice: page.AskNotice(v.Get(askNotice)),
		Params: []page.Param{{Name: askID, Value: id}, {Name: askToken, Value: q.Token}}}
	if p := q.Proof; p != nil {
		view.Params = append(view.Params, page.Param{Name: askProof, Value: p.ID})
		view.By, view.Account = p.Provider, p.Address
		return write(c, page.KindConfirm, http.StatusOK, func(w io.Writer) error { return s.Renderer.Confirm(w, view) })
	}
	offered, err := s.offered(ctx, oauth.Authorization{Pool: pool.Pool{ID: q.PoolID}, Client: q.Client})
	if err != nil {
		return err
	}
	for _, idp := range offered {
		view.Providers = append(view.Providers, page.Provider{Name: idp.Name, Brand: page.Brand(idp.Brand())})
	}
	return write(c, page.KindAsk, http.StatusOK, func(w io.Writer) error { return s.Renderer.Ask(w, view) })
}

// AnswerQuestion serves POST /login/link. The cookie is Lax and the token of the page is needed, so nobody else's page can answer for the person.
func (s *Service) AnswerQuestion(c echo.Context) error {
	r := c.Request()
	c.SetRequest(r.WithContext(s.OAuth.Traces.With(r.Context())))
	origin, answered, err := s.Site.BrowserOrigin(c)
	if answered || err != nil {
		return err
	}
	v, err := web.Params(c)
	if err != nil {
		return err
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" { // Fetch Metadata
		return fault.New(fault.Expired, "This sign-in is no longer valid. Go back to the application and start again.", errNotOurs)
	}
	id := v.Get(askID)
	ans := federation.Answer{ID: id, Sealed: s.Site.Question(c, id), Token: v.Get(askToken)}
	ctx, broker := c.Request().Context(), s.OAuth.Broker
	var a federation.Attempt
	var login federation.Login
	switch choice := v.Get(askChoice); {
	case v.Has(askBy):
		return s.prove(c, origin, ans, v.Get(askBy))
	case choice == page.ChoiceNew:
		a, login, err = broker.Alone(ctx, ans)
	case choice == page.ChoiceLink:
		a, login, err = broker.Confirm(ctx, ans, v.Get(askProof))
		if errors.Is(err, federation.ErrProof) && a.ID == "" {
			return s.reconsider(c, ans, page.AskChanged)
		}
	case choice == page.ChoiceBack:
		return s.reconsider(c, ans, "")
	case choice == page.ChoiceCancel:
		a, err = broker.Cancel(ctx, ans)
	default:
		return fault.New(fault.Invalid, "The form says nothing that can be done.", nil)
	}
	if a.ID != "" {
		s.Site.DropQuestion(c, id)
	}
	switch {
	case err == nil:
		return s.OAuth.SignedIn(c, login, a.PoolID, a.Provider)
	case a.ID == "" || fault.CodeOf(err) == fault.Expired:
		return s.OAuth.SignInFailed(c, a, err)
	}
	return s.OAuth.SignInFailed(c, a, &web.RedirectError{Request: a.Request, Issuer: s.OAuth.Issuer.URL(a.PoolID), Err: err})
}

// prove sends the browser to the provider by which the person says that they can show who they are.
func (s *Service) prove(c echo.Context, origin web.Origin, ans federation.Answer, provider string) error {
	st, err := s.OAuth.Broker.ProveBy(c.Request().Context(), ans, provider, origin.URL)
	switch code := fault.CodeOf(err); {
	case err == nil:
		s.Site.SetAttempt(c, st.Attempt, st.Sealed)
		return s.OAuth.Challenge(c, st.Challenge)
	case code == fault.Expired || code == fault.Internal:
		return s.OAuth.SignInFailed(c, federation.Attempt{Provider: web.Clip(provider)}, err)
	}
	_ = s.OAuth.SignInFailed(c, federation.Attempt{Provider: web.Clip(provider)}, err) // recorded; the person can choose another one
	return toQuestion(c, ans.ID, page.AskFailed)
}

func (s *Service) reconsider(c echo.Context, ans federation.Answer, notice page.AskNotice) error {
	if err := s.OAuth.Broker.Reconsider(c.Request().Context(), ans); err != nil {
		return err
	}
	return toQuestion(c, ans.ID, notice)
}
