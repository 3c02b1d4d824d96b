package federation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lab"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/mapping"
)

// MappingTest asks what a provider's rules do with assertions.
type MappingTest struct {
	PoolID, Provider string
	// Rules are the attribute mapping that is tried in place of the live one, and Details those details of the provider that are rules
	// (pool.RuleDetails), all of them; nil tries the live ones.
	Rules   map[string]string
	Details pool.Details
	// Given is an assertion that is not a kept one; nil tries those that are kept.
	Given *GivenAssertion
	// Number is the only kept one to try; 0 is all.
	Number uint64
}

// GivenAssertion is what an administrator says that a provider says. Nothing about it has been proven: it is no Identity, and there is no way from here to
// a sign-in.
type GivenAssertion struct {
	Issuer, Subject string // "" where it is about nobody in particular
	Claims          mapping.Claims
	Checks          []api.TestCheckType
}

// TestMapping says what the rules do, and changes nothing. Errors: fault.NotFound for pool, provider and kept assertion, fault.Invalid with
// pool.Problems for rules that could not be saved.
func (b *Broker) TestMapping(ctx context.Context, t MappingTest) (api.TestAttributeMappingResponse, error) {
	p, live, err := b.configured(ctx, t.PoolID, t.Provider)
	if err != nil {
		return api.TestAttributeMappingResponse{}, err
	}
	trials, err := b.trials(ctx, live, t)
	if err != nil {
		return api.TestAttributeMappingResponse{}, err
	}
	kept := []assertion.Kept{}
	if t.Given != nil {
		kept = append(kept, assertion.Kept{PoolID: p.ID, Provider: live.Name, Issuer: t.Given.Issuer, Subject: t.Given.Subject, Claims: t.Given.Claims})
	} else if kept, err = b.KeptAssertions(ctx, p.ID, live.Name, t.Number); err != nil {
		return api.TestAttributeMappingResponse{}, err
	}
	all := make([]api.TestedAssertionType, len(kept))
	for i, a := range kept {
		trial := lab.Trial{Assertion: a, Kept: t.Given == nil}
		if t.Given != nil {
			trial.Checks = t.Given.Checks
		}
		if trial.Live, err = trials[0].of(ctx, p, a); err != nil {
			return api.TestAttributeMappingResponse{}, err
		}
		if len(trials) > 1 {
			o, err := trials[1].of(ctx, p, a)
			if err != nil {
				return api.TestAttributeMappingResponse{}, err
			}
			trial.Tested = &o
		}
		all[i] = lab.Compare(trial)
	}
	return lab.Report(p.ID, live.Name, all), nil
}

// rehearsed are the rules of a provider, compiled, and a directory to try them on. err says why they are none.
type rehearsed struct {
	on    *pool.Rehearsal
	idp   pool.IdentityProvider
	rules *mapping.Rules
	set   *groupRuleSet
	err   error
}

// trials returns the live rules, and those that are tried where the test has any. The latter have to be as good as to be saved.
func (b *Broker) trials(ctx context.Context, live pool.IdentityProvider, t MappingTest) ([]rehearsed, error) {
	providers := []pool.IdentityProvider{live}
	if t.Rules != nil || t.Details != nil {
		tested := live.WithRules(t.Rules, t.Details)
		if err := b.Directory.CheckRules(ctx, tested); err != nil {
			return nil, err
		}
		providers = append(providers, tested)
	}
	var out []rehearsed
	for _, idp := range providers {
		on, err := b.Directory.Rehearse(ctx, idp)
		if err != nil {
			return nil, err
		}
		r := rehearsed{on: on, idp: idp, set: &groupRuleSet{}}
		r.rules, r.err = new(ruleSet).of(idp) // the live ones may be of another release: those that are tried were checked
		out = append(out, r)
	}
	return out, nil
}

// of previews a sign-in.
func (r rehearsed) of(ctx context.Context, p pool.Pool, a assertion.Kept) (lab.Outcome, error) {
	id := Identity{Provider: r.idp.Name, ProviderType: r.idp.Type, Issuer: a.Issuer, Subject: a.Subject, Claims: a.Claims}
	if id.Subject == "" {
		id.Subject = NewID() // nobody has it
	}
	err := r.err
	var groups *mapping.GroupResult
	if err == nil {
		groups, err = r.set.evaluate(r.idp, id.Claims)
	}
	if err != nil {
		return lab.Outcome{Rules: r.rules, Groups: r.idp.GroupSource(), Preview: pool.Preview{Finds: pool.FindsNobody, Fault: err}}, nil
	}
	pv, err := r.on.Preview(ctx, p, signInOf(ctx, r.idp, id, r.rules, groups))
	return lab.Outcome{Rules: r.rules, Groups: r.idp.GroupSource(), Preview: pv}, err
}

// configured returns a pool and a provider of it, past the cache: what is tried next to them has just been written, or is about to be.
func (b *Broker) configured(ctx context.Context, poolID, provider string) (pool.Pool, pool.IdentityProvider, error) {
	p, err := b.Directory.Pool(ctx, poolID)
	if err != nil {
		return p, pool.IdentityProvider{}, err
	}
	ip, err := b.Directory.ProviderOf(ctx, poolID, provider)
	return p, ip, err
}

// ErrNotKept: of the provider nothing, or not that, is kept.
var ErrNotKept = errors.New("not kept")

// KeptAssertions returns what is kept of a provider, the newest first, or the one of that number where it is not 0. Errors: fault.NotFound, with ErrNotKept
// where the provider is there.
func (b *Broker) KeptAssertions(ctx context.Context, poolID, provider string, number uint64) ([]assertion.Kept, error) {
	_, ip, err := b.configured(ctx, poolID, provider)
	if err != nil {
		return nil, err
	}
	as := ip.KeepsAssertions()
	if b.Assertions == nil || as.Number == 0 {
		return nil, fault.New(fault.NotFound, "No assertions of this identity provider are kept: its detail keep_assertions says how many are to be.", ErrNotKept)
	}
	all, err := b.Assertions.Newest(ctx, poolID, provider, as)
	if err != nil || number == 0 {
		return all, err
	}
	i := slices.IndexFunc(all, func(a assertion.Kept) bool { return a.Number == number })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "No assertion of that number is kept of this identity provider.", fmt.Errorf("%w: number %d of %d", ErrNotKept, number, len(all)))
	}
	return all[i : i+1], nil
}

// ReadClaims reads claims as an administrator has them: a JSON object, or the payload of a token in JWS Compact Serialization (RFC 7515 section 7.1), whose
// signature is not looked at. Errors: fault.Invalid.
func ReadClaims(text []byte) (mapping.Claims, []api.TestCheckType, error) {
	var checks []api.TestCheckType
	text = bytes.TrimSpace(text)
	if parts := bytes.Split(text, []byte(".")); len(parts) == 3 && !bytes.HasPrefix(text, []byte("{")) {
		payload, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
		if err != nil {
			return nil, nil, fault.New(fault.Invalid, "The claims look like a token, and its payload is not base64url.", err)
		}
		text = payload
		checks = append(checks, api.TestCheckType{Name: "signature", Outcome: "NOT_CHECKED", Message: "The token's payload is taken as it is."})
	}
	var claims mapping.Claims
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err := dec.Decode(&claims)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil || claims == nil {
		return nil, nil, fault.New(fault.Invalid, "The claims must be one JSON object.", err)
	}
	return claims, checks, nil
}

// subjectClaims say who somebody is, in the order of looking where the provider's type does not say it.
var subjectClaims = []string{"sub", "NameID", "id", "user_id"}

// GivenClaims makes an assertion of claims that an administrator wrote. subject is who it is about; "" reads it from the claims, as the provider's type has
// it, and where none says it, it is about nobody in particular.
func GivenClaims(claims mapping.Claims, subject string) *GivenAssertion {
	for _, name := range subjectClaims {
		if subject != "" {
			break
		}
		switch v := claims[name].(type) {
		case string:
			subject = v
		case json.Number:
			subject = v.String()
		}
	}
	issuer, _ := claims["iss"].(string)
	return &GivenAssertion{Issuer: issuer, Subject: subject, Claims: claims}
}

// Examiner is implemented by providers whose answers an administrator may have as a document, an old SAML Response. Optional for a Provider.
type Examiner interface {
	// Examine reads a document for TestMapping: what it says and which checks it passes, none of which need hold. callback is the address
	// that it should have been sent to. Errors: fault.Invalid for what cannot be read.
	Examine(ctx context.Context, callback string, document []byte) (*GivenAssertion, error)
}

// Examine reads such a document as the provider's. Errors: fault.Invalid also where the provider's type has none.
func (b *Broker) Examine(ctx context.Context, poolID, provider, callback string, document []byte) (*GivenAssertion, error) {
	_, ip, err := b.configured(ctx, poolID, provider)
	if err != nil {
		return nil, err
	}
	prov, err := b.Providers.Provider(ctx, ip)
	if err != nil {
		return nil, err
	}
	e, ok := prov.(Examiner)
	if !ok {
		return nil, fault.New(fault.Invalid, "Providers of this type send no such documents: give the claims as JSON.", fmt.Errorf("type %s", ip.Type))
	}
	return e.Examine(ctx, callback, document)
}
