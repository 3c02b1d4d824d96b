package federation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/token"
)

// TokenVerifier is implemented by providers whose signed tokens prove a person by themselves, so that an app that has such a token from the
// provider's own SDK can sign in with it. Optional for a Provider. It is a path of its own, because no attempt of ours binds the token to
// a browser or to a request.
type TokenVerifier interface {
	// VerifyToken returns who the token proves, and the proof, which the caller lets count once. nonce is what the app says
	// that it had asked for; "" is none. Errors: NotNative where the configuration does not allow it, fault.Invalid for a token that is refused,
	// fault.Denied for a person who is, fault.Upstream and fault.UpstreamTimeout where the provider's keys cannot be had.
	VerifyToken(ctx context.Context, raw secret.Text, nonce string) (Identity, Proof, error)
}

// Proof is a token that proves a person to whoever has it.
type Proof struct {
	ID    string    // the same for everything that would be accepted as this very token, and for no other
	Until time.Time // when it is not accepted any more by itself
}

// ErrNotNative: tokens of this provider may not be exchanged by this client.
var ErrNotNative = errors.New("native sign-in is not set up")

// NotNative is the fault of ErrNotNative. One sentence serves all reasons: a client learns nothing about providers that are not its own.
func NotNative(format string, args ...any) error {
	return fault.New(fault.Denied, "This application may not sign people in with tokens of this identity provider.",
		fmt.Errorf("%w: %s", ErrNotNative, fmt.Sprintf(format, args...)))
}

// Exchange signs a person in with a token that the provider's own SDK gave to an app. c has proven itself, as far as it has a
// secret; req has its ClientID and Scopes. There is neither a code nor a session of a browser: Login.Refresh is the first refresh token.
//
// The token is spent before anything else is written, so that of any number of callers with one token at most one is signed in.
func (b *Broker) Exchange(ctx context.Context, c pool.Client, provider string, req Request, raw secret.Text, nonce string) (Login, error) {
	p, idp, verifier, err := b.verifier(ctx, c, provider)
	if err != nil {
		return Login{}, err
	}
	id, proof, err := verifier.VerifyToken(ctx, raw, nonce)
	if err != nil {
		return Login{}, err
	}
	err = b.Replays.Once(ctx, "token exchange\x00"+id.Issuer, proof.ID, proof.Until)
	if errors.Is(err, replay.ErrReplayed) {
		return Login{}, fault.New(fault.Invalid, "The ID token was used before: sign in anew.", err)
	}
	if err != nil {
		return Login{}, err
	}
	login, err := b.signIn(ctx, p, idp, req, id, b.direct(c.RefreshTokenValidity))
	if err != nil {
		return Login{}, err
	}
	b.Audit.Record(ctx, audit.LoginFinished{Pool: p.ID, Client: c.ID, Provider: idp.Name, Sub: login.User.Sub,
		Grant: login.Grant.ID, Created: login.Created, Native: true})
	return login, nil
}

// verifier loads a provider that the client offers, of the client's own pool.
func (b *Broker) verifier(ctx context.Context, c pool.Client, provider string) (pool.Pool, pool.IdentityProvider, TokenVerifier, error) {
	p, err := b.Directory.Pool(ctx, c.PoolID)
	if err != nil {
		return p, pool.IdentityProvider{}, nil, err
	}
	if !slices.Contains(c.Providers, provider) {
		return p, pool.IdentityProvider{}, nil, NotNative("client %s does not offer provider %.64q", c.ID, provider)
	}
	idp, err := b.Directory.Provider(ctx, p.ID, provider)
	if fault.CodeOf(err) == fault.NotFound {
		return p, idp, nil, NotNative("provider %.64q was removed", provider)
	}
	if err != nil {
		return p, idp, nil, err
	}
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return p, idp, nil, err
	}
	v, ok := prov.(TokenVerifier)
	if !ok {
		return p, idp, nil, NotNative("providers of the type %s issue no such tokens", idp.Type)
	}
	return p, idp, v, nil
}

// direct writes a grant whose tokens are the answer to this very request.
func (b *Broker) direct(validity time.Duration) granter {
	return func(ctx context.Context, req Request, u pool.User, g token.Grant) (Login, error) {
		g.PoolID, g.ClientID, g.Sub, g.Scopes = u.PoolID, req.ClientID, u.Sub, req.Scopes
		g, refresh, err := b.Grants.Issue(ctx, g, validity)
		if err != nil {
			return Login{}, err
		}
		return Login{Request: req, User: u, Grant: g, Refresh: refresh}, nil
	}
}
