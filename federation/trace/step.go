package trace

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/weir-id/weir/mapping"
)

// Outcome is what a step came to; "" is something that happened and was no check.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "passed"
	Refused Outcome = "failed"
	Skipped Outcome = "skipped" // there was nothing to check, or a setting says not to
)

// Step is one step of a sign-in. Its name is stable and stands in logs' company: names are added, and none changes its meaning.
type Step struct {
	// After is when it was, in milliseconds since the sign-in began, or since its answer came where nothing of ours began it.
	After   int64   `json:"ms"`
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome,omitempty"`
	Facts   []Fact  `json:"facts,omitempty"`
	Claims  []Claim `json:"claims,omitempty"` // of StepReceived
	Rules   []Rule  `json:"rules,omitempty"`  // of StepMapping

	at time.Time
}

// Rule is what became of one rule of the attribute mapping: see mapping.Step. It has no value.
type Rule struct {
	Attribute string `json:"attribute"`
	Source    string `json:"source"`
	Outcome   string `json:"outcome"`
	Note      string `json:"note,omitempty"`
}

// Names of steps that are not a check. Those of checks are their package's: oidc's begin with "oidc.", saml's with "saml.".
const (
	StepBegan    = "began"           // the browser was sent to the provider
	StepReturned = "returned"        // it came back with an answer
	StepReceived = "received"        // what the provider said of the person
	StepMapping  = "mapping"         // what the attribute mapping made of it
	StepUser     = "user"            // found, created or updated
	StepGroups   = "groups"          // what the provider's group rules changed
	StepTokens   = "upstream_tokens" // kept, or not
	StepGrant    = "grant"           // the application has something to redeem
	StepAsked    = "asked"           // the person was asked whether they have a user already
	StepProven   = "proven"          // they signed in as one whom the identity may belong to
	StepChosen   = "chosen"          // what they answered
)

// The bounds of what is recorded of one sign-in.
const (
	maxSteps = 64
	maxRules = 60
)

// Login collects the steps of one sign-in, of one request. It travels in the request's context (With), so that whatever takes part adds a
// step with one line:
//
//	trace.From(ctx).Note("groups", "added", "3")
//
// All methods do nothing on nil, which is what From returns outside a sign-in. It is safe for concurrent use.
type Login struct {
	now func() time.Time

	mu       sync.Mutex
	steps    []Step
	sub      string
	user     string
	identity string
}

type loginKey struct{}

// With returns ctx with a Login that collects the steps of the sign-in which this request is about.
func (s *Traces) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, loginKey{}, &Login{now: s.Now})
}

// From returns the Login of ctx, nil where there is none.
func From(ctx context.Context) *Login {
	l, _ := ctx.Value(loginKey{}).(*Login)
	return l
}

// Pass adds a check that was passed. facts are names and texts in turn; an empty text is left out.
//
// What a fact may be: ids, names, algorithms, times, addresses of servers. Secrets, tokens, codes and assertions never, values of a person's
// attributes only in Received. A fact is in the redacted form of a trace only where its name is among the shareable ones (redact.go).
func (l *Login) Pass(name string, facts ...string) { l.add(Step{Name: name, Outcome: Passed}, facts) }

// Fail adds a check that was failed. The sign-in ends with it: a second one, of somebody further out who knows less, adds nothing.
func (l *Login) Fail(name string, facts ...string) {
	if l != nil && !l.has(func(s *Step) bool { return s.Outcome == Refused }) {
		l.add(Step{Name: name, Outcome: Refused}, facts)
	}
}

// Skip adds a check that was not made, with the reason.
func (l *Login) Skip(name string, facts ...string) { l.add(Step{Name: name, Outcome: Skipped}, facts) }

// Note adds something that happened.
func (l *Login) Note(name string, facts ...string) { l.add(Step{Name: name}, facts) }

// NoteAt adds something that happened before this request.
func (l *Login) NoteAt(at time.Time, name string, facts ...string) {
	l.add(Step{Name: name, at: at}, facts)
}

// Received adds what the provider said of the person, once it is proven; a second call adds nothing. The values are bounded copies. Of claims that are
// secrets, or made to bind a message, the value is left out.
func (l *Login) Received(claims map[string]any) {
	if l == nil || l.has(func(s *Step) bool { return s.Name == StepReceived }) {
		return
	}
	said, more := received(claims)
	l.add(Step{Name: StepReceived, Claims: said}, more)
}

// Rules adds what the attribute mapping did. Where it is asked again, because another writer came between, the last time counts.
func (l *Login) Rules(steps []mapping.Step) {
	if l == nil {
		return
	}
	rules := make([]Rule, 0, min(len(steps), maxRules))
	for _, s := range steps[:min(len(steps), maxRules)] {
		rules = append(rules, Rule{Attribute: s.Attribute, Source: s.Claim, Outcome: string(s.Outcome), Note: s.Note})
	}
	l.mu.Lock()
	for i := range l.steps {
		if l.steps[i].Name == StepMapping {
			l.steps[i].Rules = rules
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	l.add(Step{Name: StepMapping, Rules: rules}, nil)
}

// Person says whose sign-in it is as soon as the provider has proven it, so that the trace goes when the user is deleted. subject is the
// provider's.
func (l *Login) Person(poolID, provider, subject string) {
	if l == nil {
		return
	}
	key := identityKey(poolID, provider, subject)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.identity = key
}

// User says which user it is.
func (l *Login) User(sub, username string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sub, l.user = sub, username
}

func (l *Login) has(such func(*Step) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.steps {
		if such(&l.steps[i]) {
			return true
		}
	}
	return false
}

func (l *Login) add(s Step, facts []string) {
	if l == nil {
		return
	}
	if n := len(facts) / 2; n > 0 {
		s.Facts = make([]Fact, 0, n)
		for i := 0; i+1 < len(facts); i += 2 {
			if facts[i+1] != "" {
				s.Facts = append(s.Facts, Fact{Name: facts[i], Text: facts[i+1]})
			}
		}
	}
	if s.at.IsZero() {
		s.at = l.now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.steps == nil {
		l.steps = make([]Step, 0, 24) // as many as most have
	}
	if len(l.steps) < maxSteps || s.Outcome == Refused && len(l.steps) < maxSteps+8 {
		l.steps = append(l.steps, s)
	}
}

// tell moves what was collected into a trace, whose Began is set.
func (l *Login) tell(t *Trace) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.steps) == 0 {
		return
	}
	t.Steps, l.steps = l.steps, nil
	t.Sub, t.Username, t.Identity = l.sub, l.user, l.identity
	zero := t.Began
	if zero.IsZero() {
		zero = t.Steps[0].at
	}
	for i := range t.Steps {
		if t.Steps[i].Claims != nil {
			t.Salt = rand.Text()
		}
		t.Steps[i].After = max(0, t.Steps[i].at.Sub(zero).Milliseconds())
		t.Steps[i].at = time.Time{}
	}
}
