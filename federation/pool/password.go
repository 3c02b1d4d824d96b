package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// PasswordPolicy is what passwords must have (PasswordPolicyType of the API model). The zero value stands for DefaultPasswordPolicy.
type PasswordPolicy struct {
	MinimumLength    int // characters, 6 to 99
	RequireUppercase bool
	RequireLowercase bool
	RequireNumbers   bool
	RequireSymbols   bool
	// TemporaryValidity is how long a temporary password is good for; 0 is 7 days.
	TemporaryValidity time.Duration
}

const (
	defaultTemporary  = defaultTempoDays * 24 * time.Hour
	maxPassword       = 256 // PasswordType
	generatedPassword = 16  // characters at least: over 90 bits
)

// ErrInvalidPassword is the cause of the faults of PasswordPolicy.Check.
var ErrInvalidPassword = errors.New("the password does not conform with the policy")

// ErrUserState: the user's status does not allow what was asked.
var ErrUserState = errors.New("the user's status does not allow this")

// DefaultPasswordPolicy is the policy of a pool that names none: eight characters, of each kind one.
func DefaultPasswordPolicy() PasswordPolicy {
	return PasswordPolicy{MinimumLength: defaultMinLength, RequireUppercase: true, RequireLowercase: true, RequireNumbers: true, RequireSymbols: true,
		TemporaryValidity: defaultTemporary}
}

func (p PasswordPolicy) withDefaults() PasswordPolicy {
	if p == (PasswordPolicy{}) {
		return DefaultPasswordPolicy()
	}
	if p.MinimumLength == 0 {
		p.MinimumLength = defaultMinLength
	}
	if p.TemporaryValidity <= 0 {
		p.TemporaryValidity = defaultTemporary
	}
	return p
}

// symbols are the characters that count as such in the original's documentation of password requirements.
const symbols = "^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+="

// The alphabets of generated passwords: without characters that people take for others, and without symbols that mail or a shell could change.
const (
	plainUpper   = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	plainLower   = "abcdefghijkmnopqrstuvwxyz"
	plainDigits  = "23456789"
	plainSymbols = "!?*+-_.=@"
)

// Check returns a fault.Invalid with ErrInvalidPassword that says in the original's words what the password lacks first, nil for nothing.
func (p PasswordPolicy) Check(password secret.Text) error {
	p = p.withDefaults()
	refuse := func(what string) error {
		return fault.New(fault.Invalid, "Password did not conform with policy: "+what, ErrInvalidPassword)
	}
	text := password.Reveal()
	has := func(of func(rune) bool) bool { return strings.IndexFunc(text, of) >= 0 }
	switch {
	case !characters(text, p.MinimumLength, maxPassword*4):
		return refuse("Password not long enough")
	case !characters(text, 0, maxPassword):
		return refuse("Password must not be longer than 256 characters")
	case !storable(text) || has(unicode.IsSpace):
		return refuse("Password must not have spaces")
	case p.RequireLowercase && !has(func(r rune) bool { return r >= 'a' && r <= 'z' }):
		return refuse("Password must have lowercase characters")
	case p.RequireUppercase && !has(func(r rune) bool { return r >= 'A' && r <= 'Z' }):
		return refuse("Password must have uppercase characters")
	case p.RequireNumbers && !has(func(r rune) bool { return r >= '0' && r <= '9' }):
		return refuse("Password must have numeric characters")
	case p.RequireSymbols && !has(func(r rune) bool { return strings.ContainsRune(symbols, r) }):
		return refuse("Password must have symbol characters")
	}
	return nil
}

// Generate returns a random password that conforms with the policy and has characters of all kinds. It is drawn anew until it does, so
// that each that conforms is as likely as any other.
func (p PasswordPolicy) Generate() secret.Text {
	p = p.withDefaults()
	p.RequireUppercase, p.RequireLowercase, p.RequireNumbers, p.RequireSymbols = true, true, true, true
	for {
		text := secret.New(random(plainUpper+plainLower+plainDigits+plainSymbols, max(p.MinimumLength, generatedPassword)))
		if p.Check(text) == nil {
			return text
		}
	}
}

// temporary is a password that an administrator set, for the user to change at the first sign-in. It exists in the clear only between this
// and the sealed body.
type temporary struct {
	PoolID, Sub  string
	Password     secret.Text
	Set, Expires time.Time
}

var _ store.Stored = (*temporary)(nil)

type temporaryDoc struct {
	PoolID   string    `json:"pool"`
	Sub      string    `json:"sub"`
	Password string    `json:"password"`
	Set      time.Time `json:"set"`
	Expires  time.Time `json:"expires"`
}

// MarshalStored implements store.Stored. The result holds the password.
func (t *temporary) MarshalStored() ([]byte, error) {
	return json.Marshal(temporaryDoc{PoolID: t.PoolID, Sub: t.Sub, Password: t.Password.Reveal(), Set: t.Set, Expires: t.Expires})
}

// StoredForm implements store.Stored.
func (*temporary) StoredForm() any { return temporaryDoc{} }

// UnmarshalStored implements store.Stored.
func (t *temporary) UnmarshalStored(data []byte) error {
	var d temporaryDoc
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*t = temporary{PoolID: d.PoolID, Sub: d.Sub, Password: secret.New(d.Password), Set: d.Set, Expires: d.Expires}
	return nil
}

func (d *Directory) temporaries() *store.Kind[temporary] {
	return &store.Kind[temporary]{Engine: d.Engine, Ring: d.Ring, Name: "temporary_password", KeysOf: func(t *temporary) store.Keys {
		return store.Keys{Key: userKey(t.PoolID, t.Sub), Index: []string{indexPrefix("pool", t.PoolID, "")}, Expires: t.Expires}
	}}
}

// setTemporary keeps a temporary password in place of the one before.
func (d *Directory) setTemporary(ctx context.Context, poolID, sub string, password secret.Text, validity time.Duration) (time.Time, error) {
	t := temporary{PoolID: poolID, Sub: sub, Password: password, Set: d.now()}
	t.Expires = t.Set.Add(validity)
	for range signInRounds {
		e, err := d.temporaries().Get(ctx, userKey(poolID, sub))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return t.Expires, storeFault("temporary password", err, noUser)
		}
		if _, err = d.temporaries().Put(ctx, &t, e.Version); !errors.Is(err, store.ErrConflict) {
			return t.Expires, storeFault("keep a temporary password", err, noUser)
		}
	}
	return t.Expires, storeFault("keep a temporary password", errLost, noUser)
}

// TemporaryPassword returns the temporary password that a user still has to change, and when it ends.
// Errors: fault.NotFound where there is none, or none any more.
func (d *Directory) TemporaryPassword(ctx context.Context, poolID, sub string) (secret.Text, time.Time, error) {
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return secret.Text{}, time.Time{}, err
	}
	e, err := d.temporaries().Get(ctx, userKey(poolID, u.Sub))
	return e.Value.Password, e.Value.Expires, storeFault("temporary password", err, "There is no temporary password.")
}

// RenewTemporaryPassword gives a user who has not yet changed the temporary password another one, with its full validity: the given one, or
// a new one where it is empty. It is what AdminCreateUser does with the MessageAction RESEND.
// Errors: fault.NotFound, fault.Conflict with ErrUserState, fault.Invalid with ErrInvalidPassword.
func (d *Directory) RenewTemporaryPassword(ctx context.Context, poolID, sub string, password secret.Text, policy PasswordPolicy) (CreatedUser, error) {
	u, err := d.User(ctx, poolID, sub)
	if err != nil {
		return CreatedUser{}, err
	}
	if u.Status != StatusForceChange {
		return CreatedUser{}, fault.New(fault.Conflict, "The invitation cannot be sent again: the user's status is not FORCE_CHANGE_PASSWORD.",
			fmt.Errorf("user %s is %s: %w", u.Sub, u.Status, ErrUserState))
	}
	if password, err = policy.password(password); err != nil {
		return CreatedUser{}, err
	}
	expires, err := d.setTemporary(ctx, poolID, u.Sub, password, policy.withDefaults().TemporaryValidity)
	return CreatedUser{User: u, Password: password, Expires: expires}, err
}

// password returns the given password if it conforms, or a new one.
func (p PasswordPolicy) password(given secret.Text) (secret.Text, error) {
	if given.IsZero() {
		return p.Generate(), nil
	}
	return given, p.Check(given)
}

// PasswordPolicy is the policy of the pool's Policies, with the defaults.
func (p Pool) PasswordPolicy() PasswordPolicy {
	s := p.Settings.withDefaults().Policies.PasswordPolicy
	out := PasswordPolicy{
		MinimumLength: valueOf(s.MinimumLength), RequireUppercase: valueOf(s.RequireUppercase), RequireLowercase: valueOf(s.RequireLowercase),
		RequireNumbers: valueOf(s.RequireNumbers), RequireSymbols: valueOf(s.RequireSymbols),
	}
	if days := valueOf(s.TemporaryPasswordValidityDays); days > 0 {
		out.TemporaryValidity = time.Duration(days) * 24 * time.Hour
	}
	return out.withDefaults()
}
