package federation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/erasure"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/mapping"
)

// Providers builds the Provider for a configuration. It is implemented by package providers.
type Providers interface {
	Provider(ctx context.Context, cfg pool.IdentityProvider) (Provider, error)
}

// Broker takes a person from an application's checked request to a code for a pool user.
//
// Nothing is stored before an upstream identity is proven. A returning user's login whose
// attributes did not change costs one write here (Grants.Start) and one at
// the token endpoint (Grants.Spend). Where the provider's tokens are kept there is one more (Upstream.Keep), and one beside where its assertions are.
type Broker struct {
	Directory *pool.Directory
	Providers Providers
	Grants    *token.Grants
	Once      *once.Memory     // of what providers say only once; needed where one of them does: see Identity.Once
	Upstream  *upstream.Keeper // of the tokens that providers issued
	Ring      *secret.Ring
	Replays   *replay.Messages // what Exchange and Notice were used for
	Erasures  *erasure.Requests
	Pending   *pending.SignIns // of people who are asked something; nil: nobody is, and Directory.AskPeople is false
	Outbox    Outbox           // nil: people are sent nothing
	Traces    *trace.Traces    // of sign-ins, which go with their user; nil: there are none
	Audit     audit.Recorder
	Now       func() time.Time
	// Forget removes what is kept for a pool that the Broker does not work with, when the pool is deleted: its keys.
	Forget []func(ctx context.Context, poolID string) error

	// Assertions keeps those that providers are configured to have kept; nil keeps none.
	Assertions *assertion.Keeper

	rules  ruleSet
	groups groupRuleSet
}

// Started is a sign-in that has begun: the browser gets the cookie and goes to the challenge.
type Started struct {
	Attempt   Attempt
	Challenge Challenge
	Sealed    string // for the cookie of this attempt
}

// Login is a finished sign-in.
type Login struct {
	Attempt Attempt // zero for a login from an existing session
	Request Request
	Code    string // for the application; 5 minutes, once; "" of Exchange
	Refresh string // of Exchange: the first refresh token
	User    pool.User
	Created bool
	Grant   token.Grant
	Sealed  string // the session for the cookie, for SessionLife; "" where the browser has it already

	// Carried: what Response.Carried brought was taken over, so that the browser need not hold it any longer.
	Carried bool
	// Kept comes with an error: what the provider said once is in the store already, so that the browser need not carry it.
	Kept bool
}

// Begin starts a sign-in at a provider of p. req has been checked against its client. callback is
// the absolute URL that the provider will answer to.
func (b *Broker) Begin(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, callback string) (Started, error) {
	return b.begin(ctx, p, idp, req, callback, "")
}

func (b *Broker) begin(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, callback, question string) (Started, error) {
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return Started{}, err
	}
	a := Attempt{
		ID:          NewID(),
		PoolID:      p.ID,
		Provider:    idp.Name,
		Started:     b.Now(),
		Request:     req,
		Nonce:       NewID(),
		Verifier:    randomText(32),
		CallbackURL: callback,
		Question:    question,
	}
	ch, err := prov.Begin(ctx, a)
	if err != nil {
		return Started{}, err
	}
	a.Private, a.Once = ch.Private, ch.Once
	sealed, err := sealAttempt(b.Ring, a)
	if err != nil {
		return Started{}, err
	}
	b.Audit.Record(ctx, audit.LoginStarted{Pool: p.ID, Client: req.ClientID, Provider: idp.Name, Attempt: a.ID})
	return Started{Attempt: a, Challenge: ch, Sealed: sealed}, nil
}

// Open returns the attempt of that id from the browser's cookie; sealed is "" where
// the browser has none. It looks up the attempt's application again, because an admin may have removed it, or
// its redirect URI, while the person was away. Errors: ErrAttemptMissing, ErrAttemptForeign, ErrAttemptStale,
// ErrAttemptWithdrawn under fault.Expired, and the directory's.
//
// After an error nobody vouches for the redirect URI: the answer is a page. After success it may be redirected to.
func (b *Broker) Open(ctx context.Context, id, sealed string) (Attempt, error) {
	if sealed == "" {
		return Attempt{}, fault.New(fault.Expired, staleText, ErrAttemptMissing)
	}
	a, err := openAttempt(b.Ring, id, sealed, b.Now())
	if err != nil {
		return Attempt{}, err
	}
	if _, err := b.application(ctx, a); err != nil {
		return Attempt{}, err
	}
	noteReturned(ctx, a, b.Now())
	return a, nil
}

// application returns the attempt's application as it is now. Errors: ErrAttemptWithdrawn under fault.Expired, and the directory's.
func (b *Broker) application(ctx context.Context, a Attempt) (pool.Client, error) {
	c, err := b.Directory.Client(ctx, a.Request.ClientID)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return c, fault.New(fault.Expired, staleText, errors.Join(ErrAttemptWithdrawn, err))
	case err != nil:
		return c, err
	case c.PoolID != a.PoolID, !slices.Contains(c.CallbackURLs, a.Request.RedirectURI):
		return c, fault.New(fault.Expired, staleText,
			fmt.Errorf("%w: client %s, %s", ErrAttemptWithdrawn, c.ID, a.Request.RedirectURI))
	}
	return c, nil
}

// Finish verifies the provider's answer to an attempt that Open returned, finds or creates the user, and starts a
// grant and a session in one write. After an error the browser should carry what Carry returns, unless Login.Kept. With Asked in the error's
// chain the person has to be asked first.
func (b *Broker) Finish(ctx context.Context, a Attempt, r Response) (Login, error) {
	if a.Question != "" {
		return Login{}, fault.New(fault.Internal, "", errors.New("an attempt of ProveBy signs nobody in"))
	}
	p, idp, err := b.provider(ctx, a)
	if err != nil {
		return Login{}, err
	}
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return Login{}, err
	}
	id, err := prov.Finish(ctx, a, r)
	if err != nil {
		return Login{}, err
	}
	login, err := b.signIn(ctx, p, idp, a.Request, id, b.grant)
	if n := (*pool.NeedsProof)(nil); errors.As(err, &n) {
		err = b.ask(ctx, a, idp, id, n, err)
	}
	if err != nil {
		return Login{Kept: login.Kept}, err
	}
	login.Attempt = a
	login.Carried = len(id.Once) > 0 && len(said(a, r)) == 0
	b.finished(ctx, a, login)
	return login, nil
}

func (b *Broker) finished(ctx context.Context, a Attempt, l Login) {
	b.Audit.Record(ctx, audit.LoginFinished{
		Pool: a.PoolID, Client: a.Request.ClientID, Provider: a.Provider, Attempt: a.ID, Sub: l.User.Sub,
		Grant: l.Grant.ID, Created: l.Created, Took: b.Now().Sub(a.Started),
	})
}

// granter writes the grant of a user who is known.
type granter func(ctx context.Context, req Request, u pool.User, g token.Grant) (Login, error)

// admit turns a proven identity into a user, whom find finds, and a grant, which write writes.
func (b *Broker) admit(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, id Identity, write granter, find finder) (Login, error) {
	notePerson(ctx, p, idp, id)
	in, err := b.mapped(ctx, p, idp, id)
	var res pool.SignInResult
	if err == nil {
		res, err = find(ctx, p, in)
	}
	defer b.keepAssertion(ctx, idp, id, res.User, err)()
	if err != nil {
		return Login{}, err
	}
	noteUser(ctx, res)
	if res.Matched != "" {
		b.Audit.Record(ctx, audit.IdentityMatched{Pool: p.ID, Sub: res.User.Sub, Provider: idp.Name, Claim: res.Matched})
	}
	b.groupsChanged(ctx, idp, res)
	if res.Linked.Kind != "" {
		b.Audit.Record(ctx, audit.IdentityLinkedByPolicy{Pool: p.ID, Sub: res.User.Sub, Provider: idp.Name, Policy: string(res.Linked.Kind), Attribute: res.Linked.Attribute})
	}
	if want := req.Subject; want != "" && want != res.User.Sub && !res.User.Absorbed(want) {
		return Login{}, fault.New(fault.LoginRequired, "Somebody else signed in than the application asked for.",
			fmt.Errorf("user %s signed in, the id_token_hint was of %s", res.User.Sub, want))
	}
	if err := b.keep(ctx, idp, id, res.User); err != nil {
		return Login{}, err
	}
	authTime := b.Now()
	if !id.AuthTime.IsZero() && id.AuthTime.Before(authTime) {
		authTime = id.AuthTime // when the person really proved who they are, for max_age
	}
	login, err := write(ctx, req, res.User, token.Grant{
		Provider: idp.Name, Subject: id.Subject, SessionIndex: id.SessionIndex, Principal: id.Principal, Logout: id.Logout,
		AuthTime: authTime, AuthTimeSaid: !id.AuthTime.IsZero(),
	})
	login.Created = res.Created
	if err == nil {
		noteGrant(ctx, login.Grant)
	}
	return login, err
}

// provider loads the attempt's provider as it is now, if the application still offers it.
func (b *Broker) provider(ctx context.Context, a Attempt) (pool.Pool, pool.IdentityProvider, error) {
	p, err := b.Directory.Pool(ctx, a.PoolID)
	if err != nil {
		return p, pool.IdentityProvider{}, err
	}
	c, err := b.Directory.Client(ctx, a.Request.ClientID)
	if err != nil {
		return p, pool.IdentityProvider{}, err
	}
	if !slices.Contains(c.Providers, a.Provider) {
		return p, pool.IdentityProvider{}, fault.New(fault.Expired, staleText,
			fmt.Errorf("client %s no longer offers provider %s", c.ID, a.Provider))
	}
	idp, err := b.Directory.Provider(ctx, p.ID, a.Provider)
	return p, idp, err
}

func (b *Broker) mapped(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, id Identity) (pool.SignIn, error) {
	if id.Subject == "" || id.Provider != idp.Name {
		return pool.SignIn{}, fault.New(fault.Upstream, "The identity provider did not say who signed in.",
			fmt.Errorf("identity without a subject, or of provider %q instead of %q", id.Provider, idp.Name))
	}
	rules, err := b.rules.of(idp)
	if err != nil {
		return pool.SignIn{}, err
	}
	groups, err := b.groups.evaluate(idp, id.Claims)
	if err != nil {
		return pool.SignIn{}, err
	}
	return signInOf(ctx, idp, id, rules, groups), nil
}

// signInOf is what rules make of an identity.
func signInOf(ctx context.Context, idp pool.IdentityProvider, id Identity, rules *mapping.Rules, groups *mapping.GroupResult) pool.SignIn {
	return pool.SignIn{Provider: idp, Issuer: id.Issuer, Subject: id.Subject, Exact: rules.Texts(id.Claims), Groups: groups,
		Map: func(in mapping.Input) (mapping.Result, error) {
			in.Claims, in.Provider = id.Claims, mapping.Provider{Name: idp.Name, Type: idp.Type}
			res := rules.Evaluate(in)
			trace.From(ctx).Rules(res.Steps)
			if err := res.Err(); err != nil {
				return res, fault.New(fault.Invalid, "The identity provider sent an attribute that cannot be kept.", err)
			}
			return res, nil
		}}
}

// grant writes the code, and with it the session where g does not continue one.
func (b *Broker) grant(ctx context.Context, req Request, u pool.User, g token.Grant) (Login, error) {
	g.PoolID, g.ClientID, g.Sub = u.PoolID, req.ClientID, u.Sub
	g.RedirectURI, g.Scopes, g.Nonce, g.CodeChallenge = req.RedirectURI, req.Scopes, req.Nonce, req.CodeChallenge
	begins := g.SessionID == ""
	code, g, err := b.Grants.Start(ctx, g, token.Lifetimes{Session: SessionLife})
	if err != nil {
		return Login{}, fmt.Errorf("start grant: %w", err)
	}
	login := Login{Request: req, Code: code, User: u, Grant: g}
	if begins {
		login.Sealed = sealSession(b.Ring, u.PoolID, g.ID)
	}
	return login, nil
}

// ErrNoSession: the browser has no session of the pool that would do for the request.
var ErrNoSession = errors.New("no usable session")

// Continue signs a person in from a session of the same browser, without asking anybody. acceptable decides
// whether the session would do for the request. It returns ErrNoSession
// where the person has to sign in: the session has ended, is of a provider that was removed or that the client does not offer, is
// older than max_age or of unknown age, the user was disabled or signed out everywhere, or prompt asks for a new sign-in.
func (b *Broker) Continue(ctx context.Context, c pool.Client, req Request, acceptable func(token.Grant) bool, sealed string) (Login, error) {
	if slices.ContainsFunc(req.Prompt, func(p string) bool { return p != "none" }) {
		return Login{}, ErrNoSession
	}
	anchor, err := b.Session(ctx, c.PoolID, sealed)
	if err != nil {
		return Login{}, err
	}
	switch {
	case !acceptable(anchor),
		!slices.Contains(c.Providers, anchor.Provider),
		// A provider that does not say when the person authenticated may have let in whoever sits there.
		req.MaxAge != nil && (!anchor.AuthTimeSaid || b.Now().Sub(anchor.AuthTime) > time.Duration(*req.MaxAge)*time.Second):
		return Login{}, ErrNoSession
	}
	// Clients may still list a provider that was removed.
	_, err = b.Directory.Provider(ctx, c.PoolID, anchor.Provider)
	var u pool.User
	if err == nil {
		u, err = b.Directory.User(ctx, c.PoolID, anchor.Sub)
	}
	if fault.CodeOf(err) == fault.NotFound {
		return Login{}, ErrNoSession
	} else if err != nil {
		return Login{}, err
	}
	if err := anchor.Check(u); err != nil {
		return Login{}, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	login, err := b.grant(ctx, req, u, token.Grant{
		SessionID: anchor.ID, Provider: anchor.Provider, Subject: anchor.Subject, SessionIndex: anchor.SessionIndex, Principal: anchor.Principal,
		AuthTime: anchor.AuthTime, AuthTimeSaid: anchor.AuthTimeSaid,
	})
	if err != nil {
		return Login{}, err
	}
	b.Audit.Record(ctx, audit.LoginFinished{Pool: c.PoolID, Client: c.ID, Provider: anchor.Provider, Sub: u.Sub, Grant: login.Grant.ID, SSO: true})
	return login, nil
}

// Session returns the grant that began the session in the cookie. Errors: ErrNoSession.
func (b *Broker) Session(ctx context.Context, poolID, sealed string) (token.Grant, error) {
	id, err := openSession(b.Ring, poolID, sealed)
	if err != nil {
		return token.Grant{}, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	anchor, err := b.Grants.Session(ctx, id)
	if errors.Is(err, token.ErrSessionEnded) {
		return token.Grant{}, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	if err != nil {
		return token.Grant{}, err
	}
	if anchor.PoolID != poolID {
		return token.Grant{}, ErrNoSession
	}
	return anchor, nil
}

// SignOut ends the session in the cookie with every grant that came from it.
// A cookie that names no live session is no error.
func (b *Broker) SignOut(ctx context.Context, poolID, clientID, sealed string) error {
	id, err := openSession(b.Ring, poolID, sealed)
	if err != nil {
		return nil //nolint:nilerr // a cookie that is not ours has nothing to end
	}
	ended, err := b.Grants.EndSession(ctx, id)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	if len(ended) > 0 {
		b.Audit.Record(ctx, audit.SessionEnded{Pool: poolID, Client: clientID, Session: id, Grants: len(ended)})
	}
	return nil
}
