package federation

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
)

// AskLife is how long a person may take from the sign-in that is asked about to the answer, with the proof in between.
const AskLife = AttemptLife

// Asked comes, in the chain of Finish's error, where the person has to be asked before anybody is signed in: the browser gets the cookie and
// the page that asks. Whoever has no page refuses the sign-in, which is what the fault around it says.
type Asked struct {
	ID     string // random, 128 bits
	Sealed string // for the cookie of this question, for AskLife
}

// Error implements error.
func (a *Asked) Error() string { return "the person is asked whether they have a user already" }

// Question is what the page that asks shows. Nothing in it is of a user of the pool, but for Proof, whose user the person has proven to be.
type Question struct {
	ID       string
	Token    string // has to come with every answer: it shows that the page was read by the browser that has the cookie
	PoolID   string
	Client   pool.Client
	Provider string // where the person signed in
	Address  string // as which
	Proof    *Proven
}

// Proven is a user whom the person has just proven to be.
type Proven struct {
	ID       string // comes back with the confirmation
	Provider string // by which they did
	Address  string // of the user
}

// Answer is what a browser sends to a question.
type Answer struct{ ID, Sealed, Token string }

var (
	errForged   = errors.New("the answer to the question has no token of its page, or another one's")
	errStaleAsk = errors.New("since the person was asked, the provider's settings were changed")
)

// ErrProof: what is confirmed has not been proven, or is not so any more.
var ErrProof = errors.New("the proof is not, or not any more, one of what is confirmed")

func askContext(id string) string { return "ask\x00" + id }

// ask keeps a sign-in that only the person can decide. Nobody is signed in, and nothing of it can be read outside the store.
func (b *Broker) ask(ctx context.Context, a Attempt, idp pool.IdentityProvider, id Identity, n *pool.NeedsProof, cause error) error {
	if b.Pending == nil {
		return cause
	}
	binding := make([]byte, 32)
	_, _ = rand.Read(binding) // never fails (Go 1.24)
	sum := sha256.Sum256(binding)
	now := b.Now()
	data, err := question{
		PoolID: a.PoolID, Binding: sum[:], Attempt: a.ID, Began: a.Started, Asked: now, Config: idp.Modified, Request: a.Request,
		Identity: id.stored(idp), Address: n.Offer.Value, Candidates: n.Candidates,
	}.encode()
	if err != nil {
		return err
	}
	v := pending.SignIn{ID: NewID(), Until: now.Add(AskLife).UTC(), Data: data}
	if err := b.Pending.Keep(ctx, v); err != nil {
		return questionFault(err)
	}
	b.Audit.Record(ctx, audit.LinkAsked{Pool: a.PoolID, Client: a.Request.ClientID, Provider: idp.Name, Attempt: a.ID})
	asked := &Asked{ID: v.ID, Sealed: sealCookie(b.Ring, askContext(v.ID), binding)}
	return fault.New(fault.LoginRequired, fault.PublicOf(cause), errors.Join(asked, cause))
}

// owned returns the question for a browser that has its cookie, and the token of its page. Errors: fault.Expired.
func (b *Broker) owned(ctx context.Context, id, sealed string) (question, string, error) {
	binding, err := openCookie(b.Ring, askContext(id), sealed)
	if id == "" || sealed == "" || err != nil {
		return question{}, "", fault.New(fault.Expired, staleText, errors.Join(ErrAttemptForeign, err))
	}
	v, err := b.Pending.Get(ctx, id)
	if err != nil {
		return question{}, "", questionFault(err)
	}
	q, err := b.usable(v)
	if err != nil {
		return question{}, "", err
	}
	if sum := sha256.Sum256(binding); !hmac.Equal(sum[:], q.Binding) {
		return question{}, "", fault.New(fault.Expired, staleText, ErrAttemptForeign)
	}
	mac := hmac.New(sha256.New, binding)
	_, _ = mac.Write([]byte("answer\x00" + id)) // never returns an error
	return q, base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func (b *Broker) usable(v pending.SignIn) (question, error) {
	q, err := decodeQuestion(v)
	if err != nil {
		return q, err
	}
	if now := b.Now(); !now.Before(q.until) || q.Asked.Sub(now) > time.Minute {
		return question{}, fault.New(fault.Expired, staleText, ErrAttemptStale)
	}
	return q, nil
}

// answered is owned for an answer, which has to come from the page.
func (b *Broker) answered(ctx context.Context, a Answer) (question, error) {
	q, want, err := b.owned(ctx, a.ID, a.Sealed)
	if err == nil && !hmac.Equal([]byte(want), []byte(a.Token)) {
		err = fault.New(fault.Expired, staleText, errForged)
	}
	if err != nil {
		return question{}, err
	}
	trace.From(ctx).NoteAt(q.Asked, trace.StepAsked, "provider", q.Identity.Provider)
	return q, nil
}

// Question returns what the page shows to the browser with that cookie. Errors: fault.Expired where there is nothing to ask any more.
func (b *Broker) Question(ctx context.Context, id, sealed string) (Question, error) {
	q, tok, err := b.owned(ctx, id, sealed)
	if err != nil {
		return Question{}, err
	}
	c, err := b.application(ctx, q.attempt())
	if err != nil {
		return Question{}, err
	}
	out := Question{ID: id, Token: tok, PoolID: q.PoolID, Client: c, Provider: q.Identity.Provider, Address: q.Address}
	if p := q.Proof; p != nil {
		out.Proof = &Proven{ID: p.ID, Provider: p.Provider, Address: p.Address}
	}
	return out, nil
}

// ProveBy starts a sign-in by which the person shows which user they have already. It is an ordinary attempt at a provider of the application, which is
// asked to authenticate anew, and which signs nobody in: see FinishProof. No session of Weir's counts for it.
func (b *Broker) ProveBy(ctx context.Context, ans Answer, provider, origin string) (Started, error) {
	q, err := b.answered(ctx, ans)
	if err != nil {
		return Started{}, err
	}
	at := q.attempt()
	at.Provider = provider
	if _, err := b.application(ctx, at); err != nil {
		return Started{}, err
	}
	p, idp, err := b.provider(ctx, at)
	if err != nil {
		return Started{}, err
	}
	// Hints were about the one who has signed in already, and so was what the application wants to know of how. The rest is not needed on the way.
	req := Request{ClientID: q.Request.ClientID, RedirectURI: q.Request.RedirectURI, UILocales: q.Request.UILocales, Prompt: []string{"login"}}
	return b.begin(ctx, p, idp, req, origin+idp.CallbackPath(), q.id)
}

// FinishProof verifies the provider's answer to an attempt of ProveBy, and notes in the question who the person is if that is one of the candidates.
// Otherwise nothing is noted, and nobody is signed in: not as somebody whom the person may not have meant to be. Either way they go on at
// the page that asks.
func (b *Broker) FinishProof(ctx context.Context, a Attempt, r Response) (proven bool, err error) {
	if a.Question == "" {
		return false, fault.New(fault.Internal, "", errors.New("an attempt that proves nothing"))
	}
	_, idp, err := b.provider(ctx, a)
	if err != nil {
		return false, err
	}
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return false, err
	}
	id, err := prov.Finish(ctx, a, r)
	if err != nil {
		return false, err
	}
	if id.Subject == "" || id.Provider != idp.Name {
		return false, fault.New(fault.Upstream, "The identity provider did not say who signed in.", errors.New("an identity without a subject, or of another provider"))
	}
	u, err := b.Directory.UserByIdentity(ctx, a.PoolID, idp.Name, id.Subject)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return false, err
	}
	why := ""
	err = b.Pending.Change(ctx, a.Question, func(v pending.SignIn) (json.RawMessage, error) {
		q, err := b.usable(v)
		if err != nil {
			return nil, err
		}
		if q.PoolID != a.PoolID || q.Request.ClientID != a.Request.ClientID {
			return nil, fault.New(fault.Expired, staleText, ErrAttemptForeign)
		}
		q.Proof, why = nil, q.refuses(u) // an earlier proof is void, whoever this is
		if why == "" {
			q.Proof = &candidateProof{ID: NewID(), Provider: idp.Name, Subject: id.Subject, Sub: u.Sub, Address: u.Attributes["email"], At: b.Now().UTC()}
		}
		return q.encode()
	})
	if err != nil {
		return false, questionFault(err)
	}
	// What a provider says once would be lost: this is no sign-in that could use it.
	if len(id.Once) > 0 {
		err = b.Once.Keep(ctx, once.Person{PoolID: a.PoolID, Provider: idp.Name, Subject: id.Subject}, id.Once)
	}
	b.Audit.Record(ctx, audit.LinkProof{Pool: a.PoolID, Client: a.Request.ClientID, Provider: idp.Name, Attempt: a.ID, Sub: u.Sub, Proven: why == "", Reason: why})
	return why == "", err
}

// refuses says why u will not do as the one whom the person has proven to be, "" if it will. One that was merged since the question is who it was
// merged into.
func (q question) refuses(u pool.User) string {
	want := q.Request.Subject
	switch {
	case u.Sub == "":
		return "the identity has no user"
	case !slices.Contains(q.Candidates, u.Sub) && !slices.ContainsFunc(q.Candidates, u.Absorbed):
		return "the user is no candidate"
	case !u.Enabled:
		return "the user is disabled"
	case want != "" && want != u.Sub && !u.Absorbed(want):
		return "the application asked for another user"
	}
	return ""
}

// spend takes the question, so that whatever comes of the answer comes of it once, and loads what the sign-in goes on with. After an error of it or of
// what follows the person begins again.
func (b *Broker) spend(ctx context.Context, q question) (question, pool.Pool, pool.IdentityProvider, error) {
	fail := func(err error) (question, pool.Pool, pool.IdentityProvider, error) {
		return q, pool.Pool{}, pool.IdentityProvider{}, err
	}
	v, err := b.Pending.Take(ctx, q.id)
	if err != nil {
		return fail(questionFault(err))
	}
	taken, err := b.usable(v)
	if err != nil {
		return fail(err)
	}
	q = taken
	p, idp, err := b.provider(ctx, q.attempt())
	if err != nil {
		return fail(err)
	}
	now, err := b.Directory.ProviderOf(ctx, q.PoolID, idp.Name) // past the cache
	if err != nil {
		return fail(err)
	}
	if !now.Modified.Equal(q.Config) || !idp.Modified.Equal(q.Config) {
		return fail(fault.New(fault.Expired, staleText, fmt.Errorf("%w: %s", errStaleAsk, idp.Name)))
	}
	return q, p, idp, nil
}

// finder finds or makes the user of an identity: Directory.SignIn, or what stands in its place.
type finder func(ctx context.Context, p pool.Pool, in pool.SignIn) (pool.SignInResult, error)

// Alone finishes the sign-in with a user of its own, as the person has chosen. Where the identity has become known meanwhile, it is that user's. The
// attempt is the zero value where the question was not the browser's; otherwise its application may be told of an error.
func (b *Broker) Alone(ctx context.Context, ans Answer) (Attempt, Login, error) {
	q, err := b.answered(ctx, ans)
	if err == nil {
		_, err = b.application(ctx, q.attempt())
	}
	if err != nil {
		return Attempt{}, Login{}, err
	}
	trace.From(ctx).Note(trace.StepChosen, "chosen", "a user of their own")
	q, p, idp, err := b.spend(ctx, q)
	if err != nil {
		return q.attempt(), Login{}, err
	}
	return b.resume(ctx, q, p, idp, func(ctx context.Context, p pool.Pool, in pool.SignIn) (pool.SignInResult, error) {
		in.Alone = true
		return b.Directory.SignIn(ctx, p, in)
	})
}

// Confirm links the identity to the user of that proof, and finishes the sign-in as that user. Who has the identity of the proof is looked up again.
// ErrProof, with nothing spent, where that is somebody else by now, or the person has proven to be another user in between. The attempt is as of Alone.
func (b *Broker) Confirm(ctx context.Context, ans Answer, proof string) (Attempt, Login, error) {
	q, err := b.answered(ctx, ans)
	if err == nil {
		_, err = b.application(ctx, q.attempt())
	}
	if err == nil {
		err = b.holds(ctx, q, proof)
	}
	if err != nil {
		return Attempt{}, Login{}, err
	}
	q, p, idp, err := b.spend(ctx, q)
	if err == nil && (q.Proof == nil || q.Proof.ID != proof) { // replaced in this very moment
		err = fault.New(fault.Expired, staleText, ErrProof)
	}
	if err != nil {
		return q.attempt(), Login{}, err
	}
	trace.From(ctx).NoteAt(q.Proof.At, trace.StepProven, "provider", q.Proof.Provider, "sub", q.Proof.Sub)
	trace.From(ctx).Note(trace.StepChosen, "chosen", "the user that was proven")
	return b.resume(ctx, q, p, idp, func(ctx context.Context, p pool.Pool, in pool.SignIn) (pool.SignInResult, error) {
		return b.Directory.SignInAs(ctx, p, in, q.Proof.Sub)
	})
}

// holds checks that the question has that proof, and that it still proves what the person was shown.
func (b *Broker) holds(ctx context.Context, q question, proof string) error {
	p := q.Proof
	if p == nil || p.ID != proof {
		return fault.New(fault.Expired, staleText, ErrProof)
	}
	u, err := b.Directory.UserByIdentity(ctx, q.PoolID, p.Provider, p.Subject)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return err
	}
	if why := q.refuses(u); why != "" || u.Sub != p.Sub {
		return fault.New(fault.Expired, staleText, fmt.Errorf("%w: user %s: %s", ErrProof, p.Sub, why))
	}
	return nil
}

// Reconsider takes the proof back: the person is asked again.
func (b *Broker) Reconsider(ctx context.Context, ans Answer) error {
	q, err := b.answered(ctx, ans)
	if err != nil {
		return err
	}
	return questionFault(b.Pending.Change(ctx, q.id, func(v pending.SignIn) (json.RawMessage, error) {
		q, err := b.usable(v)
		if err != nil {
			return nil, err
		}
		q.Proof = nil
		return q.encode()
	}))
}

// Cancel gives the sign-in up. Its application may be told the error that comes with the attempt.
func (b *Broker) Cancel(ctx context.Context, ans Answer) (Attempt, error) {
	q, err := b.answered(ctx, ans)
	if err == nil {
		_, err = b.application(ctx, q.attempt())
	}
	if err != nil {
		return Attempt{}, err
	}
	if _, err := b.Pending.Take(ctx, q.id); err != nil {
		return Attempt{}, questionFault(err)
	}
	trace.From(ctx).Note(trace.StepChosen, "chosen", "to cancel")
	return q.attempt(), fault.New(fault.Denied, "The sign-in was cancelled.", errors.New("the person was asked whether they have a user already, and cancelled"))
}

// resume is the rest of the sign-in that was asked about.
func (b *Broker) resume(ctx context.Context, q question, p pool.Pool, idp pool.IdentityProvider, find finder) (Attempt, Login, error) {
	a := q.attempt()
	login, err := b.signInBy(ctx, p, idp, a.Request, q.Identity.identity(), b.grantSince(q.Asked), find)
	if err != nil {
		return a, Login{}, err
	}
	login.Attempt = a
	b.finished(ctx, a, login)
	return a, login, nil
}

// grantSince is grant for somebody who was proven earlier: where the provider did not say when the person authenticated, it was then.
func (b *Broker) grantSince(at time.Time) granter {
	return func(ctx context.Context, req Request, u pool.User, g token.Grant) (Login, error) {
		if !g.AuthTimeSaid {
			g.AuthTime = at
		}
		return b.grant(ctx, req, u, g)
	}
}
