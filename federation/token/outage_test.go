package token_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/token"
)

// down is an engine that cannot serve.
type down struct{ store.Engine }

func (down) Get(context.Context, string, string) (store.Doc, error) {
	return store.Doc{}, store.ErrUnavailable
}

func (down) Put(context.Context, string, store.Doc) (uint64, error) { return 0, store.ErrUnavailable }

func (down) List(context.Context, string, string, string, int) ([]store.Doc, error) {
	return nil, store.ErrUnavailable
}

// TestOutageIsNoRefusal: an application that hears invalid_grant throws its tokens away and sends the person to sign in
// again. So a store that cannot be asked must never sound like a refusal, nor like an answer.
func TestOutageIsNoRefusal(t *testing.T) {
	w := newWorld(t, "ES256")
	code, _ := w.start(t, w.request())
	g, refresh := w.login(t)
	access := w.mint(t, g).Access
	w.clock.Advance(5 * time.Second) // the cached keys are too old
	working := w.engine.Engine
	w.engine.Engine = down{}
	for name, call := range map[string]func() error{
		"JWKS":     func() error { _, _, err := w.keys.JWKS(t.Context(), w.pool); return err },
		"Ensure":   func() error { return w.keys.Ensure(t.Context(), w.pool) },
		"Rotate":   func() error { _, err := w.keys.Rotate(t.Context(), w.pool); return err },
		"Maintain": func() error { return w.keys.Maintain(t.Context(), w.pool) },
		"Mint": func() error {
			_, err := w.issuer.Mint(t.Context(), token.Mint{Pool: w.pool, Client: w.client, User: w.user, Grant: g})
			return err
		},
		"VerifyAccess": func() error { _, err := w.issuer.VerifyAccess(t.Context(), access); return err },
		"Start":        func() error { _, _, err := w.grants.Start(t.Context(), w.request(), token.Lifetimes{}); return err },
		"Spend":        func() error { _, _, err := w.grants.Spend(t.Context(), code, w.spend()); return err },
		"Refresh": func() error {
			_, _, err := w.grants.Refresh(t.Context(), refresh, token.Refresh{ClientID: w.client.ID})
			return err
		},
		"Revoke":     func() error { return second(w.grants.Revoke(t.Context(), refresh, w.client.ID)) },
		"Live":       func() error { _, err := w.grants.Live(t.Context(), g.ID); return err },
		"Session":    func() error { _, err := w.grants.Session(t.Context(), g.SessionID); return err },
		"EndSession": func() error { _, err := w.grants.EndSession(t.Context(), g.SessionID); return err },
		"EndUser":    func() error { _, err := w.grants.EndUser(t.Context(), g.PoolID, g.Sub); return err },
		"EndUpstream": func() error {
			_, err := w.grants.EndUpstream(t.Context(), g.PoolID, "Corp", "upstream-1", nil)
			return err
		},
	} {
		err := call()
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, token.ErrInvalidGrant) || fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: got %v, want store.ErrUnavailable and no refusal", name, err)
		}
	}
	w.engine.Engine = working
	if _, _, err := w.grants.Spend(t.Context(), code, w.spend()); err != nil {
		t.Errorf("the code after the outage: %v", err)
	}
	if _, err := w.issuer.VerifyAccess(t.Context(), access); err != nil {
		t.Errorf("the access token after the outage: %v", err)
	}
}
