package federation

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/pool"
)

// Some providers say things at a person's first sign-in and never again: Apple a name. If that sign-in fails, what was said would be lost.
// A person who was proven has it kept in the store. Of somebody who was not, nothing is stored: their browser carries it, sealed.

const (
	// CarryLife is how long a browser carries what a provider said once.
	CarryLife = 24 * time.Hour
	// maxCarried bounds it, in bytes before sealing, so that the cookie has its place beside those of attempts.
	maxCarried = 1 << 10
	// keepTimeout bounds the write for somebody who may have left: see signIn.
	keepTimeout = 5 * time.Second
)

// Carry is something for a cookie of the browser, for CarryLife. The zero value is nothing.
type Carry struct{ PoolID, Provider, Sealed string }

type carried struct {
	Since  time.Time  `json:"t"`
	Values url.Values `json:"v"`
}

func carryContext(poolID, provider string) string { return "once\x00" + poolID + "\x00" + provider }

// said are the parameters of an answer that are not sent again.
func said(a Attempt, r Response) url.Values {
	out := url.Values{}
	for _, name := range a.Once {
		if v := r.Values()[name]; len(v) > 0 {
			out[name] = v
		}
	}
	return out
}

// Carry returns what the browser should carry of an answer whose sign-in failed. It needs no store, and works where Open failed for want of
// one; the attempt has to be the browser's own, and young enough.
func (b *Broker) Carry(id, sealed string, r Response) Carry {
	a, err := openAttempt(b.Ring, id, sealed, b.Now())
	if err != nil {
		return Carry{}
	}
	v := said(a, r)
	if len(v) == 0 {
		return Carry{}
	}
	plain, err := json.Marshal(carried{Since: b.Now(), Values: v})
	if err != nil || len(plain) > maxCarried {
		return Carry{} // not what a provider sends
	}
	return Carry{PoolID: a.PoolID, Provider: a.Provider, Sealed: sealCookie(b.Ring, carryContext(a.PoolID, a.Provider), plain)}
}

// Carried returns what the browser's cookie carries for the provider of an attempt, for Response.Carried; nil if nothing.
func (b *Broker) Carried(a Attempt, sealed string) url.Values {
	if sealed == "" || len(a.Once) == 0 {
		return nil
	}
	var c carried
	plain, err := openCookie(b.Ring, carryContext(a.PoolID, a.Provider), sealed)
	if err != nil || json.Unmarshal(plain, &c) != nil {
		return nil
	}
	if age := b.Now().Sub(c.Since); age > CarryLife || age < -time.Minute {
		return nil
	}
	return c.Values
}

// signIn is admit with the memory of what the provider said once: a person of whom it said nothing this time gets what was kept, and
// if the sign-in fails, what it said this time is kept. That is tried also where the browser has gone away meanwhile.
func (b *Broker) signIn(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, id Identity, write granter) (Login, error) {
	return b.signInBy(ctx, p, idp, req, id, write, b.Directory.SignIn)
}

func (b *Broker) signInBy(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, req Request, id Identity, write granter, find finder) (Login, error) {
	if id.Once == nil {
		return b.admit(ctx, p, idp, req, id, write, find)
	}
	who := once.Person{PoolID: p.ID, Provider: idp.Name, Subject: id.Subject}
	kept, err := b.Once.Recall(ctx, who)
	var login Login
	if err == nil {
		if len(id.Once) == 0 {
			for name, value := range kept { // none replaces what the provider says now
				if id.Claims[name] == nil {
					id.Claims[name] = value
				}
			}
		}
		login, err = b.admit(ctx, p, idp, req, id, write, find)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	switch {
	case err == nil && kept != nil:
		_ = b.Once.Forget(after, who) // what stays in spite of it says the same once more, and ends by itself
	case err != nil && len(id.Once) > 0 && id.Subject != "" && id.Provider == idp.Name:
		lost := b.Once.Keep(after, who, id.Once)
		return Login{Kept: lost == nil}, errors.Join(err, lost)
	case err != nil:
		return Login{}, err
	}
	return login, nil
}
