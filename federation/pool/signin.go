package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/mapping"
)

const (
	maxUsername = 128  // characters, UsernameType
	maxSubject  = 4096 // bytes; OpenID Connect allows 255, SAML sets no limit
)

var usernamePattern = regexp.MustCompile(`^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$`) // UsernameType

// SignIn is an upstream identity that a provider has proven, and what its claims mean for the user.
type SignIn struct {
	Provider IdentityProvider
	Issuer   string
	Subject  string // raw, exact case
	// Attributes are the mapped values. An empty value counts as absent: it keeps what is stored.
	// username is allowed, since mappings of the original name it, and without effect.
	Attributes map[string]string
	// Exact are, for mapped attributes, the claims that are one text, as the provider sent them: by these a link that an administrator
	// made may wait for the identity (Directory.LinkProvider).
	Exact map[string]string
	// Alone: the person was asked and wants a user of their own, whatever the provider's policy of linking.
	Alone bool
	// Clear names the attributes to remove, unless Attributes has a value for them.
	Clear []string
	// Map, where it is set, says what the identity's claims mean for the user as it is now, of whom it is told in Input, and what it returns is
	// taken for Attributes and Clear. It is asked in every round, since rules may look at what another writer has changed.
	Map func(mapping.Input) (mapping.Result, error)
	// Groups is what the provider's group rules made of the claims, without an error; nil where it has no rules, so that what it gave before goes.
	Groups *mapping.GroupResult

	seen *observed // of a preview
}

// onto returns the sign-in with what its claims mean for u. first: the identity has not signed in before.
func (in SignIn) onto(u User, first bool) (SignIn, error) {
	in.seen.round(u)
	if in.Map == nil {
		return in, nil
	}
	r, err := in.Map(mapping.Input{User: u.Attributes, First: first, Edited: u.Edited})
	in.seen.mapped(r)
	in.Attributes, in.Clear = r.Attributes, r.Clear
	return in, err
}

// SignInResult is the pool user of a SignIn.
type SignInResult struct {
	User    User
	Created bool       // this very call created the user
	Changed []string   // attributes whose value this call wrote, sorted
	Matched string     // the claim by which the identity was found to be the one that the user waited for; "" otherwise
	Linked  LinkPolicy // by which this very call linked the identity to a user who was there; the zero value otherwise
	Groups  GroupSettlement
}

// The retries of one sign-in. Each lost round means that another writer won one; a claim without a holder is waited for,
// a quarter of a second in all.
const (
	signInRounds = 64
	claimWaits   = 8
)

// SignIn finds the user that the identity is linked to, or creates it, and brings its mapped attributes up to date: one
// read where nothing changed, one read and one write otherwise. Of any number of first sign-ins of
// one person at the same time one creates the user and all get it. Users are found by provider and subject only, never by
// e-mail address; that an administrator may have named another claim of an identity that has not signed in yet is LinkProvider's.
//
// Errors: fault.Invalid names every missing, invalid or immutable attribute; fault.Denied where the user is
// disabled; fault.Conflict where the user name belongs to somebody else, more than one user waits for the identity (ErrAmbiguous), or
// other writers won every round.
func (d *Directory) SignIn(ctx context.Context, p Pool, in SignIn) (SignInResult, error) {
	if in.Provider.PoolID != p.ID || in.Provider.Name == "" {
		return SignInResult{}, fault.New(fault.Internal, "Something went wrong on our side.",
			fmt.Errorf("sign-in to user pool %q through provider %q of user pool %q", p.ID, in.Provider.Name, in.Provider.PoolID))
	}
	if !validSubject(in.Subject) {
		return SignInResult{}, fault.New(fault.Upstream, "The identity provider sent a user identifier that cannot be used.",
			fmt.Errorf("subject of %d bytes: empty, too long, not UTF-8 or with NUL", len(in.Subject)))
	}
	key := identityKey(p.ID, in.Provider.Name, in.Subject)
	waits := 0
	for range signInRounds {
		found, err := d.users().GetBy(ctx, key)
		var r SignInResult
		switch {
		case err == nil && found.Value.MergedInto != nil:
			r, err = d.returningMerged(ctx, p, in, found)
		case err == nil:
			r, err = d.returning(ctx, p, in, found)
		case errors.Is(err, store.ErrNotFound):
			r, err = d.unknown(ctx, p, in)
		}
		if err == nil {
			return r, nil
		}
		if errors.Is(err, errClaimed) && waits < claimWaits {
			err = store.Pause(ctx, time.Millisecond<<waits)
			waits++
		} else if errors.Is(err, errLost) {
			err = nil
		}
		if err != nil {
			return SignInResult{}, signInFault(err)
		}
	}
	return SignInResult{}, signInFault(errLost)
}

var (
	// errLost: another writer was faster, look again.
	errLost = fmt.Errorf("lost to another writer: %w", store.ErrConflict)
	// errClaimed: the user name or the identity is taken and nobody holds it. An engine may
	// claim unique values before the document can be read.
	errClaimed = fmt.Errorf("claimed by nobody: %w", store.ErrConflict)
)

func signInFault(err error) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return err
	}
	return storeFault("sign-in", err, noUser)
}

func validSubject(s string) bool { return s != "" && len(s) <= maxSubject && storable(s) }

// unknown is the first sign-in of an identity that nobody has: somebody may be waiting for it.
func (d *Directory) unknown(ctx context.Context, p Pool, in SignIn) (SignInResult, error) {
	e, links, err := d.awaited(ctx, p, in)
	switch {
	case err == nil:
		return d.arrived(ctx, p, in, e, links)
	case errors.Is(err, store.ErrNotFound):
		return d.byPolicy(ctx, p, in)
	}
	return SignInResult{}, err
}

// first creates the user of an identity that nobody has. keys are the attributes whose values it claims.
func (d *Directory) first(ctx context.Context, p Pool, in SignIn, keys []string) (SignInResult, error) {
	in, err := in.onto(User{}, true)
	if err != nil {
		return SignInResult{}, err
	}
	m, err := mergeAttributes(p.Schema, nil, in)
	if err != nil {
		return SignInResult{}, err
	}
	sub, err := uuid.NewRandom()
	if err != nil {
		return SignInResult{}, fmt.Errorf("generate a sub: %w", err)
	}
	now := d.now()
	u := User{
		PoolID: p.ID, Sub: sub.String(), Username: federatedUsername(in.Provider.Name, in.Subject),
		Status: StatusExternalProvider, Enabled: true, Attributes: m.attrs, LinkKeys: keys, Created: now, Modified: now,
		Identities: []LinkedIdentity{{
			Provider: in.Provider.Name, ProviderType: in.Provider.Type, Issuer: in.Issuer,
			Subject: in.Subject, Primary: true, Created: now,
		}},
	}
	u.setSources(m.changed, func(name string) ValueSource { return in.source(name, now) })
	settled, err := d.settle(ctx, u, 0, in)
	if err != nil {
		return SignInResult{}, err
	}
	u = settled.User
	_, err = d.users().Put(ctx, &u, 0)
	if err == nil {
		err = d.created(ctx, p.ID, func(ctx context.Context) error { return d.users().Delete(ctx, userKey(u.PoolID, u.Sub)) })
		return SignInResult{User: u, Created: true, Changed: m.changed, Groups: settled}, err
	}
	if !errors.Is(err, store.ErrTaken) && !errors.Is(err, store.ErrConflict) {
		return SignInResult{}, err
	}
	holder, err := d.users().GetBy(ctx, usernameKey(p.ID, u.Username))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return SignInResult{}, errClaimed
	case err != nil:
		return SignInResult{}, err
	case holder.Value.HasIdentity(in.Provider.Name, in.Subject):
		return SignInResult{}, errLost // the same person, a moment earlier
	}
	return SignInResult{}, fault.New(fault.Conflict, "Another user of the user pool has this user name already.",
		fmt.Errorf("user name %q belongs to user %s, who has another identity", u.Username, holder.Value.Sub))
}

// returning updates the user of a known identity.
func (d *Directory) returning(ctx context.Context, p Pool, in SignIn, e store.Entry[User]) (SignInResult, error) {
	u := e.Value
	if !u.Enabled {
		in.seen.round(u)
		return SignInResult{}, fault.New(fault.Denied, "User is disabled.", fmt.Errorf("user %s is disabled", u.Sub))
	}
	i := u.identity(in.Provider.Name, in.Subject)
	unsaid := i >= 0 && u.Identities[i].Issuer == "" && in.Issuer != "" // of one that was linked before it signed in
	in, err := in.onto(u, unsaid)
	if err != nil {
		return SignInResult{}, err
	}
	m, err := mergeAttributes(p.Schema, u.Attributes, in)
	if err != nil {
		return SignInResult{}, err
	}
	settled, err := d.settle(ctx, u, i, in)
	if err != nil {
		return SignInResult{}, err
	}
	u = settled.User
	if len(m.changed) == 0 && !unsaid && !settled.Changed {
		return SignInResult{User: u, Groups: settled}, nil
	}
	if unsaid {
		u.Identities = slices.Clone(u.Identities)
		u.Identities[i].Issuer = in.Issuer
	}
	if len(m.changed) > 0 || unsaid { // a membership is not the user's own data, and no modification
		d.write(&u, in, m)
	}
	err = d.putSignedIn(ctx, p, in, e, &u)
	return SignInResult{User: u, Changed: m.changed, Groups: settled}, err
}

// federatedUsername is <ProviderName>_<subject>. A subject that cannot be part of a user name (UsernameType: at most 128
// characters, no spaces or control characters) is replaced by its SHA-256: the name is for
// display and for the API, the link goes by the raw subject.
func federatedUsername(provider, subject string) string {
	name := provider + "_" + subject
	if characters(name, 1, maxUsername) && usernamePattern.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(subject))
	return provider + "_" + hex.EncodeToString(sum[:])
}

// merged is the outcome of mergeAttributes.
type merged struct {
	attrs   map[string]string
	changed []string // sorted; values that differ from before, removed ones included
}

// verifiedOf are the attributes that say whether another one has been verified.
var verifiedOf = map[string]string{"email_verified": "email", "phone_number_verified": "phone_number"}

// mergeAttributes returns the attributes of a user after the sign-in, before being nil for a new one. An immutable
// attribute may be set while it has no value. Errors: fault.Invalid with everything that is wrong.
func mergeAttributes(schema []SchemaAttribute, before map[string]string, in SignIn) (merged, error) {
	given := mappedValues(in)
	after := maps.Clone(before)
	if after == nil {
		after = map[string]string{}
	}
	for _, name := range in.Clear {
		delete(after, name)
	}
	maps.Copy(after, given)
	for flag := range verifiedOf {
		settleVerified(before, after, in, given, flag)
	}

	var m merged
	touched := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		if before[name] != after[name] {
			m.changed = append(m.changed, name)
			if _, kept := after[name]; kept {
				touched[name] = after[name]
			}
		}
	}
	invalid := checkValues(schema, touched)
	var fixed []string
	for _, a := range schema {
		switch {
		case !a.Mutable && before[a.Name] != "" && before[a.Name] != after[a.Name]:
			fixed = append(fixed, a.Name)
		case a.Required && a.Name != attrSub && after[a.Name] == "":
			invalid[a.Name] = "The attribute is required."
		}
	}
	m.attrs = after
	in.seen.merged(after, invalid, fixed)
	return m, in.withRules(attributesFault(sorted(invalid), fixed), slices.Concat(slices.Collect(maps.Keys(invalid)), fixed))
}

// withRules adds to a fault of these attributes, for the log and the trace, which rules they come from.
func (in SignIn) withRules(err error, names []string) error {
	f := (*fault.Error)(nil)
	if !errors.As(err, &f) {
		return err
	}
	slices.Sort(names)
	said := make([]string, len(names))
	for i, name := range names {
		said[i] = fmt.Sprintf("attribute %q: no rule", name)
		if rule, ok := in.Provider.AttributeMapping[name]; ok {
			said[i] = fmt.Sprintf("attribute %q from %q", name, rule)
		}
	}
	return fault.New(f.Code, f.Public, errors.New(strings.Join(said, "; ")))
}

// without returns names without those of gone, and nil where none is left.
func without(names, gone []string) []string {
	var left []string
	for _, n := range names {
		if !slices.Contains(gone, n) {
			left = append(left, n)
		}
	}
	return left
}

// mappedValues returns the values that count: not empty ones, and not the user name, which is made of the subject.
func mappedValues(in SignIn) map[string]string {
	given := make(map[string]string, len(in.Attributes))
	for name, v := range in.Attributes {
		switch {
		case v == "" || name == mapUsername:
			continue
		case name == "phone_number":
			v = normalizePhone(v)
		case verifiedOf[name] != "" && v != "true":
			v = "false" // absent trust is false, and so is anything but true
		}
		given[name] = v
	}
	return given
}

// settleVerified decides a flag like email_verified. The provider speaks of the address that it sent in this very
// sign-in: without one, what it says cannot be about the stored address. A new address is not verified unless
// the provider says so with it.
func settleVerified(before, after map[string]string, in SignIn, given map[string]string, flag string) {
	of := verifiedOf[flag]
	_, sent := given[of]
	same := foldIndexed(of, before[of]) == foldIndexed(of, after[of])
	switch {
	case after[of] == "":
		delete(after, flag)
	case sent && given[flag] != "":
		after[flag] = given[flag]
	case same && before[flag] != "" && !slices.Contains(in.Clear, flag):
		after[flag] = before[flag]
	default:
		after[flag] = "false"
	}
}

func union(a, b map[string]string) map[string]string {
	u := maps.Clone(b)
	maps.Copy(u, a)
	return u
}
