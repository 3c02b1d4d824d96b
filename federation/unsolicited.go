package federation

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// Unsolicited is implemented by providers that may start a sign-in themselves (IdP-initiated SAML). Optional for a
// Provider. It is a path of its own, because none of the checks that bind an answer to a request apply.
type Unsolicited interface {
	// FinishUnsolicited verifies an answer that nobody asked for. Errors as for Provider.Finish; fault.Denied
	// where the configuration does not allow it.
	FinishUnsolicited(ctx context.Context, callbackURL string, r Response) (Identity, error)
	// DefaultClient is where such a sign-in leads if the message does not say: a client id, and a redirect URI or "" for the
	// client's own; "" is nowhere.
	DefaultClient() (clientID, redirectURI string)
}

// Sender is implemented by providers whose messages say who sent them before anything is verified. Optional for a Provider.
type Sender interface {
	// EntityID is the provider's own name.
	EntityID(ctx context.Context) (string, error)
	// SenderOf reads the name out of any message of this kind of provider. It proves nothing.
	SenderOf(r Response) (string, error)
}

// Endpoints are the absolute URLs at which a provider reaches us.
type Endpoints struct {
	SignIn string // assertion consumer service
	Logout string // single logout service
}

// Described is implemented by providers to whom we describe ourselves in a document (SAML metadata). Optional for a Provider.
type Described interface {
	Describe(ctx context.Context, e Endpoints) (contentType string, document []byte, err error)
}

// ErrNotUnsolicited: the provider's kind knows no sign-in of its own accord.
var ErrNotUnsolicited = errors.New("this kind of provider cannot start a sign-in")

// FinishUnsolicited verifies an answer that no attempt of ours asked for and starts a grant. req has been checked against its client
// as an authorization request is.
func (b *Broker) FinishUnsolicited(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, callback string, r Response) (Login, error) {
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return Login{}, err
	}
	u, ok := prov.(Unsolicited)
	if !ok {
		return Login{}, fault.New(fault.Denied, "This identity provider may not start a sign-in. Start at the application.", ErrNotUnsolicited)
	}
	id, err := u.FinishUnsolicited(ctx, callback, r)
	if err != nil {
		return Login{}, err
	}
	login, err := b.signIn(ctx, p, idp, req, id, b.grant)
	if err != nil {
		return Login{}, err
	}
	b.Audit.Record(ctx, audit.LoginFinished{Pool: p.ID, Client: req.ClientID, Provider: idp.Name, Sub: login.User.Sub,
		Grant: login.Grant.ID, Created: login.Created, Unsolicited: true})
	return login, nil
}

// Senders returns the providers that a message may be from, by the name that it gives itself: those of one pool, or of all pools
// where poolID is "". Each of them has to verify the message.
func (b *Broker) Senders(ctx context.Context, poolID string, r Response) ([]pool.IdentityProvider, error) {
	pools := []pool.Pool{{ID: poolID}}
	if poolID == "" {
		pools = nil
		for after := ""; ; {
			page, next, err := b.Directory.Pools(ctx, after, 200)
			if err != nil {
				return nil, err
			}
			pools = append(pools, page...)
			if after = next; after == "" {
				break
			}
		}
	}
	var out []pool.IdentityProvider
	name := ""
	for _, p := range pools {
		idps, err := b.Directory.Providers(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, idp := range idps {
			prov, err := b.Providers.Provider(ctx, idp)
			if err != nil {
				continue // another provider's faulty settings are not this message's business
			}
			s, ok := prov.(Sender)
			if !ok {
				continue
			}
			if name == "" {
				if name, err = s.SenderOf(r); err != nil || name == "" {
					return nil, fault.New(fault.Invalid, "The message of the identity provider cannot be read.", fmt.Errorf("no sender: %w", err))
				}
			}
			if id, err := s.EntityID(ctx); err == nil && id == name {
				out = append(out, idp)
			}
		}
	}
	return out, nil
}
