package federation

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

// keptTime is the longest that keeping an assertion may hold up the person whom it signs in.
const keptTime = 500 * time.Millisecond

// keptFaults are those of which the assertion is kept: where the rules, or what they make of the claims, may be to blame. Somebody who is disabled, or
// about to be deleted, leaves nothing behind.
var keptFaults = []fault.Code{fault.Invalid, fault.Conflict, fault.Config}

// keepAssertion keeps what a provider proved, where its configuration says so, and what became of it: u is the user, or err. It happens beside the rest of
// the sign-in, and has no error: what fails here must not change an answer, so it is in the audit stream. The caller calls done when everything
// else is done; that waits until it is kept, but not for longer than keptTime.
func (b *Broker) keepAssertion(ctx context.Context, idp pool.IdentityProvider, id Identity, u pool.User, err error) (done func()) {
	as := idp.KeepsAssertions()
	if b.Assertions == nil || as.Number == 0 || id.Subject == "" || err != nil && !slices.Contains(keptFaults, fault.CodeOf(err)) {
		return func() {}
	}
	a := assertion.Kept{PoolID: idp.PoolID, Provider: idp.Name, Issuer: id.Issuer, Subject: id.Subject, Sub: u.Sub, Claims: id.Claims}
	if err != nil {
		a.Fault, a.Why = fault.CodeOf(err).String(), fault.PublicOf(err)
	}
	a = b.Assertions.Prepare(a, as) // now: what comes next has the claims for itself
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keptTime)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		defer cancel()
		if err := b.putAssertion(ctx, a, as); err != nil {
			b.Audit.Record(ctx, audit.AssertionNotKept{Pool: idp.PoolID, Provider: idp.Name, Sub: a.Sub, Reason: err.Error()})
		}
	}()
	return func() {
		select {
		case <-kept:
		case <-ctx.Done():
		}
	}
}

func (b *Broker) putAssertion(ctx context.Context, a assertion.Kept, as pool.Keeping) error {
	if a.Sub == "" { // a failed sign-in: what it leaves goes with the user who has the identity
		u, err := b.Directory.UserByIdentity(ctx, a.PoolID, a.Provider, a.Subject)
		if err != nil && fault.CodeOf(err) != fault.NotFound {
			return fmt.Errorf("whose it is: %w", err)
		}
		a.Sub = u.Sub
	}
	return b.Assertions.Keep(ctx, a, as, func(ctx context.Context) (bool, error) { return b.mayStay(ctx, a, as) })
}

// mayStay reports whether what was just kept may stay: the provider is configured as it was, and the user is not deleted or about to be. Deletion disables
// first, and then removes what is kept.
func (b *Broker) mayStay(ctx context.Context, a assertion.Kept, as pool.Keeping) (bool, error) {
	ip, err := b.Directory.ProviderOf(ctx, a.PoolID, a.Provider)
	if err == nil && !reflect.DeepEqual(ip.KeepsAssertions(), as) {
		return false, nil
	}
	u := pool.User{Enabled: true}
	if err == nil && a.Sub != "" {
		u, err = b.Directory.User(ctx, a.PoolID, a.Sub)
	}
	if fault.CodeOf(err) == fault.NotFound && err != nil {
		return false, nil
	}
	return err == nil && u.Enabled, err
}
