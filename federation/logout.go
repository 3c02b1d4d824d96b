package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/token"
)

// ErrNoLogout: the provider has no logout of its own, or its configuration leaves it alone.
var ErrNoLogout = errors.New("the provider has no logout")

// LogoutProvider ends the person's session at the provider when it ends here. Optional for a Provider.
type LogoutProvider interface {
	// BeginLogout returns where to send the browser. Errors: ErrNoLogout.
	BeginLogout(ctx context.Context, l Logout) (Challenge, error)
	// FinishLogout verifies the provider's answer. Whatever it says, the session here has ended already.
	FinishLogout(ctx context.Context, l Logout, r Response) error
}

// LogoutListener hears from the provider that its session has ended. Optional for a Provider.
type LogoutListener interface {
	// ReadLogout verifies a request of the provider, which came to the callback URL, and says whose sessions end.
	ReadLogout(ctx context.Context, callbackURL string, r Response) (LogoutNotice, error)
	// AnswerLogout returns the answer to a verified request: done says whether the sessions have ended.
	AnswerLogout(ctx context.Context, n LogoutNotice, done bool) (Challenge, error)
}

// Logout is a sign-out that goes on to the provider. Like an Attempt it lives in a sealed cookie.
type Logout struct {
	ID          string `json:"id"` // random; the RelayState
	PoolID      string `json:"p"`
	Provider    string `json:"n"`
	CallbackURL string `json:"c"`           // where the provider answers to
	Upstream    []byte `json:"-"`           // Identity.Logout of the session; only for BeginLogout
	Private     []byte `json:"u,omitempty"` // Challenge.Private of BeginLogout; only for FinishLogout
	Target      string `json:"t,omitempty"` // where the browser goes in the end: checked; "" is a page of ours
}

// LogoutNotice is a provider's verified statement that a person's session there has ended.
type LogoutNotice struct {
	PoolID, Provider string
	Principal        string   // as in Identity
	Sessions         []string // as in Identity.SessionIndex; none means all of the principal's
	Private          []byte   // for AnswerLogout
}

// logoutProvider builds the provider of that name, if it has a logout. Errors: ErrNoLogout.
func (b *Broker) logoutProvider(ctx context.Context, poolID, name string) (LogoutProvider, error) {
	idp, err := b.Directory.Provider(ctx, poolID, name)
	if err != nil {
		return nil, err
	}
	p, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return nil, err
	}
	lp, ok := p.(LogoutProvider)
	if !ok {
		return nil, ErrNoLogout
	}
	return lp, nil
}

// StartedLogout is a sign-out that goes on at the provider.
type StartedLogout struct {
	Logout    Logout
	Challenge Challenge
	Sealed    string // for the cookie of this sign-out
}

// BeginLogout takes a sign-out, which has ended the session here, on to the provider that the session came from. target is
// where the browser goes in the end. Errors: ErrNoLogout where there is nothing to do there.
func (b *Broker) BeginLogout(ctx context.Context, session token.Grant, callback, target string) (StartedLogout, error) {
	lp, err := b.logoutProvider(ctx, session.PoolID, session.Provider)
	if err != nil {
		return StartedLogout{}, err
	}
	l := Logout{ID: NewID(), PoolID: session.PoolID, Provider: session.Provider, CallbackURL: callback, Upstream: session.Logout, Target: target}
	ch, err := lp.BeginLogout(ctx, l)
	if err != nil {
		return StartedLogout{}, err
	}
	l.Private = ch.Private
	plain, err := json.Marshal(l)
	if err != nil {
		return StartedLogout{}, err
	}
	sealed := sealCookie(b.Ring, "logout\x00"+l.ID, plain)
	if len(sealed) > MaxSealed {
		return StartedLogout{}, fmt.Errorf("logout of %d characters: %w", len(sealed), ErrNoLogout)
	}
	return StartedLogout{Logout: l, Challenge: ch, Sealed: sealed}, nil
}

// FinishLogout returns where the browser goes after the provider's answer. The error of a refused answer comes with
// the target all the same: nobody is left standing because another side failed. Without a target
// the cookie was not ours.
func (b *Broker) FinishLogout(ctx context.Context, id, sealed string, r Response) (Logout, error) {
	var l Logout
	plain, err := openCookie(b.Ring, "logout\x00"+id, sealed)
	if err != nil {
		return l, fault.New(fault.Expired, staleText, err)
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		return Logout{}, fault.New(fault.Expired, staleText, err)
	}
	lp, err := b.logoutProvider(ctx, l.PoolID, l.Provider)
	if err != nil {
		return l, err
	}
	return l, lp.FinishLogout(ctx, l, r)
}

// EndUpstream ends what a provider says has ended: the sessions that it names, or all that the person has through
// this provider. It returns how many grants ended.
func (b *Broker) EndUpstream(ctx context.Context, n LogoutNotice) (int, error) {
	gs, err := b.Grants.EndUpstream(ctx, n.PoolID, n.Provider, n.Principal, n.Sessions)
	ended := len(gs)
	if err != nil {
		return ended, fmt.Errorf("end upstream session: %w", err)
	}
	b.Audit.Record(ctx, audit.SessionEnded{Pool: n.PoolID, Provider: n.Provider, Grants: ended})
	return ended, nil
}
