package federation

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
)

// What the broker adds to the trace of a sign-in (package trace), where the context has one. None of it decides anything.

// noteReturned adds what is known of the way to the provider and back, from the attempt that the browser brought again.
func noteReturned(ctx context.Context, a Attempt, now time.Time) {
	l := trace.From(ctx)
	if l == nil {
		return
	}
	q := &a.Request
	age := ""
	if q.MaxAge != nil {
		age = strconv.Itoa(*q.MaxAge)
	}
	l.NoteAt(a.Started, trace.StepBegan, "scopes", strings.Join(q.Scopes, " "), "prompt", strings.Join(q.Prompt, " "), "max_age", age,
		"acr_values", q.ACRValues, "ui_locales", q.UILocales, "login_hint", q.LoginHint)
	l.Note(trace.StepReturned, "away", now.Sub(a.Started).Round(time.Millisecond).String())
}

// notePerson adds whom the provider has proven and what it said of them.
func notePerson(ctx context.Context, p pool.Pool, idp pool.IdentityProvider, id Identity) {
	l := trace.From(ctx)
	l.Person(p.ID, idp.Name, id.Subject)
	l.Received(id.Claims)
}

// noteUser adds which user it is, and what this sign-in changed.
func noteUser(ctx context.Context, r pool.SignInResult) {
	l := trace.From(ctx)
	l.User(r.User.Sub, r.User.Username)
	what := "found"
	switch {
	case r.Created:
		what = "created"
	case len(r.Changed) > 0:
		what = "updated"
	}
	l.Note(trace.StepUser, "user", what, "changed", strings.Join(r.Changed, ", "), "matched_by", r.Matched,
		"linked_by", string(r.Linked.Kind), "linked_on", r.Linked.Attribute, "sub", r.User.Sub)
	noteGroups(l, r.Groups)
}

// noteGroups adds what became of each membership, and which groups the pool does not have.
func noteGroups(l *trace.Login, s pool.GroupSettlement) {
	if l == nil || len(s.Steps) == 0 {
		return
	}
	var facts []string
	for _, outcome := range []pool.GroupOutcome{pool.GroupJoined, pool.GroupHeld, pool.GroupLeft, pool.GroupStays, pool.GroupAbsent} {
		facts = append(facts, string(outcome), strings.Join(s.Named(outcome), ", "))
	}
	l.Note(trace.StepGroups, facts...)
}

// noteGrant adds what the application can redeem.
func noteGrant(ctx context.Context, g token.Grant) {
	trace.From(ctx).Note(trace.StepGrant, "scopes", strings.Join(g.Scopes, " "), "grant", g.ID)
}

// forgetTraces removes what traces hold of a user who cannot sign in any more.
func (b *Broker) forgetTraces(ctx context.Context, u pool.User) error {
	if b.Traces == nil {
		return nil
	}
	var identities []trace.Person
	for _, l := range u.Identities {
		identities = append(identities, trace.Person{PoolID: u.PoolID, Provider: l.Provider, Subject: l.Subject})
	}
	return b.Traces.Forget(ctx, trace.Person{PoolID: u.PoolID, Sub: u.Sub}, identities...)
}
