package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// A membership is the group's id in the user's document: it ends with the user, and tokens need no read for it. The group's document
// alone decides whether an id means anything.

// AddToGroup puts a user into a group; one who is in it stays, and from then on also where a provider gave it that gives it no more. Errors: fault.NotFound for either, fault.TooLarge with ErrLimit where the user is
// in MaxUserGroups.
func (d *Directory) AddToGroup(ctx context.Context, poolID, sub, name string) error {
	g, u, err := d.membership(ctx, poolID, sub, name)
	if err != nil {
		return err
	}
	var full error
	_, err = d.updateUser(ctx, poolID, u.Sub, func(u *User) error {
		if slices.Contains(u.Groups, g.GID) && u.administrators(g.GID) {
			return store.ErrUnchanged
		}
		if err := d.prune(ctx, u); err != nil {
			return err
		}
		if len(u.Groups) >= MaxUserGroups && !slices.Contains(u.Groups, g.GID) {
			full = fault.New(fault.TooLarge, "The user is in the largest number of groups: 100.", ErrLimit)
			return full
		}
		u.grant(g.GID, d.now())
		return nil
	})
	if full != nil {
		return full
	}
	if err != nil {
		return storeFault("add a user to a group", err, noUser)
	}
	// Whoever deletes the group removes its document first. If it is not there any more, the cleaning may have passed by this user.
	now, err := d.Group(ctx, poolID, name)
	if err == nil && now.GID == g.GID {
		return nil
	}
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return err
	}
	return errors.Join(absent(fmt.Sprintf("group %q was deleted meanwhile", name), noGroup), d.leave(ctx, poolID, u.Sub, g.GID))
}

// RemoveFromGroup takes a user out of a group, whoever gave it; one who is not in it is no error. A provider that gives it puts the user
// into it again at the next sign-in. Errors: fault.NotFound for either.
func (d *Directory) RemoveFromGroup(ctx context.Context, poolID, sub, name string) error {
	g, u, err := d.membership(ctx, poolID, sub, name)
	if err != nil {
		return err
	}
	return storeFault("remove a user from a group", d.leave(ctx, poolID, u.Sub, g.GID), noUser)
}

// membership reads both sides.
func (d *Directory) membership(ctx context.Context, poolID, sub, name string) (Group, User, error) {
	g, err := d.Group(ctx, poolID, name)
	if err != nil {
		return g, User{}, err
	}
	u, err := d.User(ctx, poolID, sub)
	return g, u, err
}

// leave takes a group's id out of a user, and with it those of groups that are gone.
func (d *Directory) leave(ctx context.Context, poolID, sub, gid string) error {
	_, err := d.updateUser(ctx, poolID, sub, func(u *User) error {
		if !slices.Contains(u.Groups, gid) {
			return store.ErrUnchanged
		}
		u.forget(func(g string) bool { return g == gid })
		return d.prune(ctx, u)
	})
	return err
}

// prune takes groups out of a user that were deleted. The user has been read before: see tableFor.
func (d *Directory) prune(ctx context.Context, u *User) error {
	t, err := d.tableFor(ctx, *u)
	if err == nil && t.complete {
		u.forget(func(gid string) bool { _, there := t.byID[gid]; return !there })
	}
	return err
}

// UsersInGroup returns a page of up to limit (1 to 1,000) users of a group in the order of their names, and the cursor of the next page,
// "" at the end. A page may be shorter than limit before the end. Errors: fault.NotFound, fault.Invalid for a limit or a cursor that is not valid.
func (d *Directory) UsersInGroup(ctx context.Context, poolID, name, after string, limit int) ([]User, string, error) {
	g, err := d.Group(ctx, poolID, name)
	if err != nil {
		return nil, "", err
	}
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	of := "users in group\x00" + poolID + "\x00" + g.GID
	after, err = d.openCursor(after, of)
	if err != nil {
		return nil, "", err
	}
	page, next, err := d.users().List(ctx, memberIndex(poolID, g.GID, ""), after, limit)
	if err != nil {
		return nil, "", storeFault("list users in a group", err, noGroup)
	}
	users := values(page)
	var lapsed map[string]bool
	users = slices.DeleteFunc(users, func(u User) bool {
		if err == nil {
			lapsed, err = d.lapsed(ctx, u)
		}
		return lapsed[g.GID]
	})
	return users, d.sealCursor(next, of), err
}
