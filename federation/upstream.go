package federation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/upstream"
)

// Refresher is implemented by providers whose access tokens can be renewed without the person. Optional for a Provider.
type Refresher interface {
	// Refresh uses t's refresh token, or whatever the provider has in its place, and returns all tokens as they are now. It is called by one
	// caller at a time. Errors: ErrRefreshRefused in the chain where the person has to sign in again, ErrNoRefresh.
	Refresh(ctx context.Context, t UpstreamTokens) (UpstreamTokens, error)
}

// Revoker is implemented by providers that can end what they gave. Optional for a Provider.
type Revoker interface {
	// Revoke ends t and, as far as the provider does so, everything that came from the same consent of the person with that subject. Errors:
	// ErrNoRevocation.
	Revoke(ctx context.Context, t UpstreamTokens, subject string) error
}

// What becomes of a refresh and a revocation.
var (
	// ErrRefreshRefused: the provider will not renew the tokens any more (invalid_grant, RFC 6749 section 5.2).
	ErrRefreshRefused = upstream.ErrRefused
	// ErrNoRefresh: there is nothing to renew the tokens with.
	ErrNoRefresh = upstream.ErrNoRefresh
	// ErrNoRevocation: the provider has no way to end tokens, or none that it told.
	ErrNoRevocation = errors.New("the provider has no revocation endpoint")
)

// revokeTime bounds all revocations for one user, by the wall clock: whoever signs out or is deleted does not wait for providers longer.
const revokeTime = 5 * time.Second

const publicNoUpstream = "There is no access to the identity provider for this user. The person has to sign in through it again."

// UpstreamToken returns what is kept of a user's tokens of a provider, with an access token that is good for at least
// upstream.Good, and whether it was refreshed for this. Whom it may be given to is the caller's to know.
//
// Errors: fault.LoginRequired where the person has to sign in again: nothing is kept, the configuration does not have it so any more, or
// the provider refused, after which nothing is kept; fault.NotFound for the user; those of the provider and the store.
func (b *Broker) UpstreamToken(ctx context.Context, poolID, sub, provider string) (upstream.Kept, bool, error) {
	none := func(cause error) (upstream.Kept, bool, error) {
		return upstream.Kept{}, false, fault.New(fault.LoginRequired, publicNoUpstream, cause)
	}
	u, err := b.Directory.User(ctx, poolID, sub)
	if err != nil {
		return upstream.Kept{}, false, err
	}
	idp, err := b.Directory.Provider(ctx, poolID, provider)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return none(err)
	case err != nil:
		return upstream.Kept{}, false, err
	case !u.Enabled:
		return none(errors.New("the user is disabled"))
	case !idp.KeepsTokens():
		return none(errors.New("the provider's configuration keeps no tokens"))
	}
	kept, err := b.linked(ctx, u, provider)
	if err != nil {
		return upstream.Kept{}, false, err
	}
	if kept.Provider == "" {
		return none(upstream.ErrNone)
	}
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return upstream.Kept{}, false, err
	}
	kept, refreshed, err := b.Upstream.Fresh(ctx, kept, b.source(prov))
	switch {
	case errors.Is(err, upstream.ErrRefused), errors.Is(err, upstream.ErrNone), errors.Is(err, upstream.ErrNoRefresh):
		return none(err)
	case errors.Is(err, upstream.ErrBusy):
		return kept, false, fault.New(fault.Unavailable, "The access is being renewed right now. Try again.", err)
	}
	return kept, refreshed, err
}

// linked returns what is kept of a user's identity at a provider, the newest where there are several. What is of no identity of
// the user any more is passed over.
func (b *Broker) linked(ctx context.Context, u pool.User, provider string) (upstream.Kept, error) {
	all, err := b.Upstream.Of(ctx, u.PoolID, u.Sub)
	if err != nil {
		return upstream.Kept{}, err
	}
	var found upstream.Kept
	for _, k := range all {
		if k.Provider == provider && u.HasIdentity(k.Provider, k.Subject) && !k.Obtained.Before(found.Obtained) {
			found = k
		}
	}
	return found, nil
}

func (b *Broker) source(p Provider) upstream.Source {
	return upstream.Source{
		Refresh: func(ctx context.Context, t UpstreamTokens) (UpstreamTokens, error) {
			r, ok := p.(Refresher)
			if !ok {
				return UpstreamTokens{}, ErrNoRefresh
			}
			return r.Refresh(ctx, t)
		},
		Drop: func(ctx context.Context, k upstream.Kept) { b.revoke(ctx, k) },
	}
}

// keep keeps the tokens of a sign-in where the configuration says so. They are not what the person came for: where they cannot be kept the
// sign-in goes on, and the audit stream says so. An application that asks for them is told to have the person sign in again.
//
// The one error is that the user is gone or disabled, or has the identity no more. Whoever deletes a user disables them first and then takes what is kept; a sign-in that
// was under way keeps first and then looks at the user. So one of the two sees what the other did.
func (b *Broker) keep(ctx context.Context, idp pool.IdentityProvider, id Identity, u pool.User) error {
	if !idp.KeepsTokens() || id.Tokens.Access.IsZero() {
		return nil
	}
	k := upstream.Kept{PoolID: u.PoolID, Sub: u.Sub, Provider: idp.Name, Subject: id.Subject, Tokens: id.Tokens}
	if err := b.Upstream.Keep(ctx, k); err != nil {
		b.Audit.Record(ctx, audit.UpstreamNotKept{Pool: u.PoolID, Sub: u.Sub, Provider: idp.Name, Reason: err.Error()})
		return nil //nolint:nilerr // recorded, and no reason to keep the person out
	}
	now, err := b.Directory.User(ctx, u.PoolID, u.Sub)
	linked := now.HasIdentity(idp.Name, id.Subject)
	if err == nil && now.Enabled && linked {
		return nil
	}
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return err
	}
	if err == nil && !linked {
		return fault.New(fault.Denied, "This account is not linked to the user any more.",
			fmt.Errorf("an identity of user %s was unlinked during the sign-in: %w", u.Sub, errors.Join(errDisabled, b.drop(ctx, k))))
	}
	return fault.New(fault.Denied, "User is disabled.",
		fmt.Errorf("user %s was disabled or deleted during the sign-in: %w", u.Sub, errors.Join(errDisabled, err, b.drop(ctx, k))))
}

var errDisabled = errors.New("disabled meanwhile")

// dropAll removes everything that is kept for a user and revokes it at the providers. What a provider did not confirm is gone here all the
// same, and in the audit stream: a store that held on to tokens of people who left would be the worse place for them.
func (b *Broker) dropAll(ctx context.Context, poolID, sub string) error {
	all, err := b.Upstream.Of(ctx, poolID, sub)
	if err != nil {
		return err
	}
	return b.drop(ctx, all...)
}

// drop takes tokens out of the store, all of them first, and then revokes them. What another caller has taken, that one revokes.
func (b *Broker) drop(ctx context.Context, all ...upstream.Kept) error {
	ctx = context.WithoutCancel(ctx) // what is taken has to be revoked
	var taken []upstream.Kept
	var errs []error
	for _, k := range all {
		t, err := b.Upstream.Take(ctx, k)
		switch {
		case err == nil:
			taken = append(taken, t)
		case !errors.Is(err, upstream.ErrNone):
			errs = append(errs, err)
		}
	}
	b.revoke(ctx, taken...)
	return errors.Join(errs...)
}

// revoke ends tokens at their providers, all at once and for revokeTime at the most: nobody's sign-out depends on a provider.
func (b *Broker) revoke(ctx context.Context, all ...upstream.Kept) {
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, k := range all {
		wg.Go(func() {
			if err := b.revokeAt(ctx, k); err != nil {
				b.Audit.Record(ctx, audit.UpstreamRevokeFailed{Pool: k.PoolID, Sub: k.Sub, Provider: k.Provider, Reason: err.Error()})
				return
			}
			b.Audit.Record(ctx, audit.UpstreamRevoked{Pool: k.PoolID, Sub: k.Sub, Provider: k.Provider})
		})
	}
	wg.Wait()
}

func (b *Broker) revokeAt(ctx context.Context, k upstream.Kept) error {
	idp, err := b.Directory.Provider(ctx, k.PoolID, k.Provider)
	if err != nil {
		return err
	}
	p, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return err
	}
	r, ok := p.(Revoker)
	if !ok {
		return ErrNoRevocation
	}
	return r.Revoke(ctx, k.Tokens, k.Subject)
}
