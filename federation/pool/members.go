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

// AddToGroup puts a user into a group; one who is in it stays. Errors: fault.NotFound for either, fault.TooLarge with ErrLimit where the user is
// in MaxUserGroups.
func (d *Directory) AddToGroup(ctx context.Context, poolID, sub, name string) error {
	g, u, err := d.membership(ctx, poolID, sub, name)
	if err != nil {
		return err
	}
	var full error
	_, err = d.updateUser(ctx, poolID, u.Sub, func(u *User) error {
		if slices.Contains(u.Groups, g.GID) {
			return store.ErrUnchanged
		}
		kept, err := d.live(ctx, *u)
		if err != nil {
			return err
		}
		if len(kept) >= MaxUserGroups {
			full = fault.New(fault.TooLarge, "The user is in the largest number of groups: 100.", ErrLimit)
			return full
		}
		u.Groups = append(kept, g.GID)
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

// RemoveFromGroup takes a user out of a group; one who is not in it is no error. Errors: fault.NotFound for either.
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
		i := slices.Index(u.Groups, gid)
		if i < 0 {
			return store.ErrUnchanged
		}
		u.Groups = slices.Delete(u.Groups, i, i+1)
		var err error
		u.Groups, err = d.live(ctx, *u)
		return err
	})
	return err
}

// live returns the ids of a user's groups without those of deleted groups. The user has been read before: a group that a list
// which is read after that does not have was there when the user joined it, so it was deleted. The cache may be older than the user and
// is asked only for what it knows.
func (d *Directory) live(ctx context.Context, u User) ([]string, error) {
	known, err := d.GroupsOf(ctx, u)
	if err != nil || len(known) == len(u.Groups) {
		return slices.Clone(u.Groups), err
	}
	all, err := d.groupsByID(ctx, u.PoolID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(u.Groups), func(gid string) bool {
		_, there := all[gid]
		return !there
	}), nil
}

// UsersInGroup returns a page of up to limit (1 to 1,000) users of a group in the order of their names, and the cursor of the next page,
// "" at the end. Errors: fault.NotFound, fault.Invalid for a limit or a cursor that is not valid.
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
	return values(page), d.sealCursor(next, of), nil
}
