package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// NewUser is a local user that an administrator makes (AdminCreateUserRequest of the API model).
type NewUser struct {
	// Username is the user name; where the pool has UsernameAttributes it is an e-mail address or a phone number, and the user name is the sub.
	Username   string
	Attributes map[string]string // an empty value counts as absent
	// Incomplete lets required attributes be missing: the original has the person give them at the first sign-in.
	Incomplete bool
	// ForceAlias takes a verified address or number away from the user who has it as an alias.
	ForceAlias bool
	// Password is the temporary password; empty has one generated.
	Password secret.Text
	Policy   PasswordPolicy
}

// CreatedUser is a user with the temporary password, which nobody will be told again.
type CreatedUser struct {
	User     User
	Password secret.Text
	Expires  time.Time // of the password
}

// CreateUser stores a new local user, who has to change the temporary password at the first sign-in: FORCE_CHANGE_PASSWORD. An administrator
// may say that an address is verified, and set attributes that are immutable from then on; sub and identities are the pool's own.
//
// The password is kept first: a process that dies in between leaves one of nobody, which goes by itself.
//
// Errors: fault.NotFound for the pool; fault.Invalid with everything that is wrong, and with ErrInvalidPassword for the password;
// fault.Conflict with ErrUsernameExists or ErrAliasExists.
func (d *Directory) CreateUser(ctx context.Context, poolID string, in NewUser) (CreatedUser, error) {
	p, err := d.Pool(ctx, poolID)
	if err != nil {
		return CreatedUser{}, err
	}
	u, err := d.newUser(p, in)
	if err != nil {
		return CreatedUser{}, err
	}
	out := CreatedUser{}
	if out.Password, err = in.Policy.password(in.Password); err != nil {
		return CreatedUser{}, err
	}
	if err := d.namesFree(ctx, p, u); err != nil {
		return CreatedUser{}, err
	}
	if out.Expires, err = d.setTemporary(ctx, p.ID, u.Sub, out.Password, in.Policy.withDefaults().TemporaryValidity); err != nil {
		return CreatedUser{}, err
	}
	if err := d.putNew(ctx, p, u, in.ForceAlias); err != nil {
		return CreatedUser{}, errors.Join(err, d.temporaries().Delete(ctx, userKey(p.ID, u.Sub)))
	}
	out.User = u
	return out, nil
}

// newUser returns the user as it is to be stored.
func (d *Directory) newUser(p Pool, in NewUser) (User, error) {
	sub, err := uuid.NewRandom()
	if err != nil {
		return User{}, fmt.Errorf("generate a sub: %w", err)
	}
	now := d.now()
	u := User{PoolID: p.ID, Sub: sub.String(), Username: in.Username, Status: StatusForceChange, Enabled: true,
		Attributes: map[string]string{}, Created: now, Modified: now}
	maps.Copy(u.Attributes, in.Attributes)
	maps.DeleteFunc(u.Attributes, func(_, v string) bool { return v == "" })
	var before User // which has the name that the user is made with
	if len(p.UsernameAttributes) > 0 {
		name, err := p.usernameAttribute(in.Username)
		if err != nil {
			return User{}, err
		}
		if has := u.Attributes[name]; has != "" && foldIndexed(name, has) != foldIndexed(name, in.Username) {
			return User{}, badRequest("The user name and the attribute " + name + " are not the same.")
		}
		u.Username, u.Attributes[name], before.Aliases = u.Sub, in.Username, []string{name}
	} else if err := p.checkUsername(in.Username); err != nil {
		return User{}, err
	}
	invalid := checkValues(p.Schema, u.Attributes)
	for flag, of := range verifiedOf { // which nobody is given: what is not there counts as false, and Terraform would take it away again
		if u.Attributes[of] == "" && u.Attributes[flag] != "" {
			invalid[flag] = "The attribute needs " + of + "."
		}
	}
	if !in.Incomplete {
		for _, problem := range CheckAttributes(p.Schema, u.Attributes) {
			if invalid[problem.Name] == "" {
				invalid[problem.Name] = problem.Message
			}
		}
	}
	u.Edited = slices.Sorted(maps.Keys(u.Attributes))
	u.setSources(u.Edited, func(string) ValueSource { return ValueSource{Kind: FromAdmin, At: now} })
	p.settleAliases(before, &u, claimAll)
	return u, attributesFault(sorted(invalid), nil)
}

// usernameAttribute returns which attribute the user name is, in a pool whose people sign up with their address or number.
func (p Pool) usernameAttribute(name string) (string, error) {
	email, phone := slices.Contains(p.UsernameAttributes, "email"), slices.Contains(p.UsernameAttributes, "phone_number")
	switch {
	case email && validEmail(name) && characters(name, 1, maxUsername):
		return "email", nil
	case phone && phonePattern.MatchString(name):
		return "phone_number", nil
	case email && phone:
		return "", badRequest("Username should be either an email or a phone number.")
	case phone:
		return "", badRequest("Username should be a phone number.")
	}
	return "", badRequest("Username should be an email.")
}

// checkUsername refuses what is no user name, and what could be taken for somebody's alias.
func (p Pool) checkUsername(name string) error {
	if !characters(name, 1, maxUsername) || !storable(name) || !usernamePattern.MatchString(name) {
		return badRequest("The user name must have 1 to 128 letters, digits, symbols or punctuation marks, and no space.")
	}
	return p.checkAliasForm("Username", name)
}

// checkAliasForm refuses a name that has the form of an alias which has to be verified: nobody verifies the name.
func (p Pool) checkAliasForm(what, name string) error {
	switch {
	case slices.Contains(p.AliasAttributes, "email") && validEmail(name):
		return badRequest(what + " cannot be of email format, since user pool is configured for email alias.")
	case slices.Contains(p.AliasAttributes, "phone_number") && phonePattern.MatchString(name):
		return badRequest(what + " cannot be of phone number format, since user pool is configured for phone number alias.")
	}
	return nil
}

// namesFree refuses a user name that leads to another user as an alias or a sub, and an alias that is a user name: FindUser would then find
// whoever came later. That is a rule among documents, which no engine keeps: of two at the same time both may go through, and
// user names win.
func (d *Directory) namesFree(ctx context.Context, p Pool, u User) error {
	if u.Username != u.Sub {
		_, err := d.FindUser(ctx, p.ID, u.Username)
		if err == nil {
			return fault.New(fault.Conflict, "User account already exists", ErrUsernameExists)
		}
		if fault.CodeOf(err) != fault.NotFound {
			return err
		}
	}
	return d.aliasFree(ctx, p, u)
}

// aliasFree refuses a preferred_username that is somebody else's user name or sub, or that could be somebody's address or number.
func (d *Directory) aliasFree(ctx context.Context, p Pool, u User) error {
	if !slices.Contains(u.Aliases, attrPreferred) {
		return nil
	}
	name := u.Attributes[attrPreferred]
	if err := p.checkAliasForm(attrPreferred, name); err != nil {
		return err
	}
	e, err := d.users().GetBy(ctx, usernameKey(p.ID, name))
	if sub := Fold(name); errors.Is(err, store.ErrNotFound) && characters(sub, 1, maxUsername) {
		e, err = d.users().Get(ctx, userKey(p.ID, sub))
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && e.Value.Sub == u.Sub {
		return nil
	}
	if err != nil {
		return storeFault("user by alias", err, noUser)
	}
	return aliasFault([]string{attrPreferred}, ErrAliasExists, errors.New("it is a user name or a sub"))
}

// putNew writes the document, and moves aliases where that was asked for.
func (d *Directory) putNew(ctx context.Context, p Pool, u User, force bool) error {
	for range signInRounds {
		_, err := d.users().Put(ctx, &u, 0)
		if err == nil {
			return d.created(ctx, p.ID, func(ctx context.Context) error { return d.users().Delete(ctx, userKey(p.ID, u.Sub)) })
		}
		if !errors.Is(err, store.ErrTaken) {
			return storeFault("create user", err, noUser)
		}
		switch _, at := d.users().GetBy(ctx, usernameKey(p.ID, u.Username)); {
		case at == nil:
			return fault.New(fault.Conflict, "User account already exists", fmt.Errorf("create user: %w: %w", ErrUsernameExists, err))
		case !errors.Is(at, store.ErrNotFound):
			return storeFault("create user", at, noUser)
		case len(u.Aliases) == 0: // whoever had the user name is gone by now
			continue
		case len(p.UsernameAttributes) > 0: // it is the name that the user was to sign in with
			return aliasFault(u.Aliases, ErrUsernameExists, err)
		case !force || slices.Equal(u.Aliases, []string{attrPreferred}):
			return aliasFault(u.Aliases, ErrAliasExists, err)
		}
		if err := d.moveAliases(ctx, p, u); err != nil {
			return err
		}
	}
	return storeFault("create user", errLost, noUser)
}
