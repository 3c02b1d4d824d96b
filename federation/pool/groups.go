package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// Group is a named set of users of a pool (GroupType of the API model).
type Group struct {
	PoolID      string `json:"pool"`
	Name        string `json:"name"` // 1 to 128 characters, in exact case; unique in the pool
	Description string `json:"description,omitempty"`
	RoleArn     string `json:"role,omitempty"`
	// Precedence orders a user's groups: 0 to 2^31-1, the lowest first; nil comes last.
	Precedence *int `json:"precedence,omitempty"`
	// GID is what memberships refer to: random, never reused. A group that is made again under a name that was there has another one,
	// and so none of the members.
	GID      string    `json:"gid"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// GroupChange is what UpdateGroup changes; nil leaves a member as it is. An empty string takes one away.
type GroupChange struct {
	Description *string
	RoleArn     *string
	Precedence  *int
}

// The limits of groups: the quotas of the original, and PrecedenceType, DescriptionType and ArnType of its model.
const (
	MaxGroups       = 10_000 // of a pool
	MaxUserGroups   = 100    // of a user
	maxGroupName    = 128
	maxDescription  = 2048
	minRole         = 20
	maxRole         = 2048
	gidLength       = 16 // of 36 characters each: 82 bits
	memberIndexName = "group-"
)

var rolePattern = regexp.MustCompile(`^arn:[\w+=/,.@-]+:[\w+=/,.@-]+:([\w+=/,.@-]*)?:[0-9]+:[\w+=/,.@-]+(:[\w+=/,.@-]+)?(:[\w+=/,.@-]+)?$`) // ArnType

// What a refusal is about, for whoever has to tell it apart: errors.Is.
var (
	ErrGroupExists = errors.New("the group exists already")
	ErrLimit       = errors.New("a limit was reached")
)

func (d *Directory) groups() *store.Kind[Group] {
	return &store.Kind[Group]{Engine: d.Engine, Name: "group", KeysOf: func(g *Group) store.Keys {
		return store.Keys{Key: groupKey(g.PoolID, g.Name), Index: []string{indexPrefix("pool", g.PoolID, "")}}
	}}
}

// CreateGroup stores a new group without members and returns it as stored. Errors: fault.Invalid with every problem, fault.NotFound for the
// pool, fault.Conflict with ErrGroupExists, fault.TooLarge with ErrLimit where the pool has MaxGroups; of writers at the same time
// each may be the last one.
func (d *Directory) CreateGroup(ctx context.Context, g Group) (Group, error) {
	if _, err := d.storedPool(ctx, g.PoolID); err != nil {
		return Group{}, err
	}
	if err := validateGroup(g).fault(); err != nil {
		return Group{}, err
	}
	if err := d.roomForGroup(ctx, g.PoolID); err != nil {
		return Group{}, err
	}
	return g, d.putGroup(ctx, &g, store.Entry[Group]{})
}

// putGroup writes a group, a new one with an id of its own.
func (d *Directory) putGroup(ctx context.Context, g *Group, old store.Entry[Group]) error {
	g.Modified = d.now()
	if old.Version == 0 {
		g.GID, g.Created = random(lowerAlphanumerics, gidLength), g.Modified
	}
	_, err := d.groups().Replace(ctx, old, g)
	d.groupCache.clear()
	if errors.Is(err, store.ErrConflict) && old.Version == 0 {
		return fault.New(fault.Conflict, "A group with the name already exists.", fmt.Errorf("create group %q: %w", g.Name, errors.Join(ErrGroupExists, err)))
	}
	if err != nil || old.Version != 0 {
		return storeFault("put group", err, noGroup)
	}
	return d.created(ctx, g.PoolID, func(ctx context.Context) error { return d.groups().Delete(ctx, groupKey(g.PoolID, g.Name)) })
}

func (d *Directory) roomForGroup(ctx context.Context, poolID string) error {
	n := 0
	for after := ""; ; {
		page, next, err := d.groups().List(ctx, indexPrefix("pool", poolID, ""), after, store.MaxList)
		if err != nil {
			return storeFault("count groups", err, noPool)
		}
		if n += len(page); n >= MaxGroups {
			return fault.New(fault.TooLarge, "The user pool has the largest number of groups: 10,000.", ErrLimit)
		}
		if after = next; next == "" {
			return nil
		}
	}
}

func validateGroup(g Group) Problems {
	var ps Problems
	if !validGroupName(g.Name) {
		ps.add("GroupName", "must have 1 to 128 letters, digits, symbols or punctuation marks, and no space")
	}
	if !characters(g.Description, 0, maxDescription) || !storable(g.Description) {
		ps.add("Description", "must not be longer than 2048 characters")
	}
	if g.RoleArn != "" && (!characters(g.RoleArn, minRole, maxRole) || !rolePattern.MatchString(g.RoleArn)) {
		ps.add("RoleArn", "must be a role's ARN of 20 to 2048 characters")
	}
	if g.Precedence != nil && (*g.Precedence < 0 || *g.Precedence > math.MaxInt32) {
		ps.add("Precedence", "must be from 0 to 2147483647")
	}
	return ps
}

func validGroupName(name string) bool {
	return characters(name, 1, maxGroupName) && storable(name) && usernamePattern.MatchString(name)
}

// Group returns the group of that name, from the store. Errors: fault.NotFound.
func (d *Directory) Group(ctx context.Context, poolID, name string) (Group, error) {
	if !validPoolID(poolID) || !validGroupName(name) {
		return Group{}, absent("group: malformed name", noGroup)
	}
	e, err := d.groups().Get(ctx, groupKey(poolID, name))
	return e.Value, storeFault("group", err, noGroup)
}

// UpdateGroup changes a group. Errors: fault.Invalid with every problem, fault.NotFound.
func (d *Directory) UpdateGroup(ctx context.Context, poolID, name string, change GroupChange) (Group, error) {
	if !validPoolID(poolID) || !validGroupName(name) {
		return Group{}, absent("update group: malformed name", noGroup)
	}
	var invalid error
	e, err := d.groups().Update(ctx, groupKey(poolID, name), func(g *Group) error {
		if change.Description != nil {
			g.Description = *change.Description
		}
		if change.RoleArn != nil {
			g.RoleArn = *change.RoleArn
		}
		if change.Precedence != nil {
			g.Precedence = change.Precedence
		}
		g.Modified = d.now()
		invalid = validateGroup(*g).fault()
		return invalid
	})
	d.groupCache.clear()
	if invalid != nil {
		return Group{}, invalid
	}
	return e.Value, storeFault("update group", err, noGroup)
}

// DeleteGroup removes a group. From then on nobody has it; the memberships that are left are cleaned away after that, and those that an
// interrupted call left do nothing. Errors: fault.NotFound.
func (d *Directory) DeleteGroup(ctx context.Context, poolID, name string) error {
	if !validPoolID(poolID) || !validGroupName(name) {
		return absent("delete group: malformed name", noGroup)
	}
	e, err := d.groups().Take(ctx, groupKey(poolID, name))
	d.groupCache.clear()
	if err != nil {
		return storeFault("delete group", err, noGroup)
	}
	gid := e.Value.GID
	err = d.users().All(ctx, memberIndex(poolID, gid, ""), func(e store.Entry[User]) error {
		_, err := d.users().Update(ctx, userKey(poolID, e.Value.Sub), func(u *User) error {
			if !slices.Contains(u.Groups, gid) {
				return store.ErrUnchanged
			}
			u.forget(func(g string) bool { return g == gid })
			return nil
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil // the user is gone, and the membership with them
		}
		return err
	})
	return storeFault("clean the memberships of a deleted group", err, noGroup)
}

// Groups returns a page of up to limit (1 to 1,000) groups of a pool in the order of their names, and the cursor of the next page, ""
// at the end. Errors: fault.NotFound for the pool, fault.Invalid for a limit or a cursor that is not valid.
func (d *Directory) Groups(ctx context.Context, poolID, after string, limit int) ([]Group, string, error) {
	return pageOf(ctx, d, d.groups(), poolID, "groups", after, limit)
}

// GroupsOf returns the groups of a user in the order of precedence: the lowest number first, none last, then by name. A user without groups
// costs no read; otherwise the pool's groups are read through the cache. One that a provider gave which is not there any more does not count.
func (d *Directory) GroupsOf(ctx context.Context, u User) ([]Group, error) {
	if len(u.Groups) == 0 {
		return nil, nil
	}
	all, err := d.cachedGroups(ctx, u.PoolID)
	if err != nil {
		return nil, storeFault("groups of a user", err, noPool)
	}
	lapsed, err := d.lapsed(ctx, u)
	if err != nil {
		return nil, err
	}
	var out []Group
	for _, gid := range u.Groups {
		if g, ok := all.byID[gid]; ok && !lapsed[gid] {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// UserGroups is GroupsOf in pages of up to limit (1 to 1,000) groups, with the cursor of the next page, "" at the end.
// Errors: fault.Invalid for a limit or a cursor that is not valid.
func (d *Directory) UserGroups(ctx context.Context, u User, after string, limit int) ([]Group, string, error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	of := "groups of\x00" + userKey(u.PoolID, u.Sub)
	after, err := d.openCursor(after, of)
	if err != nil {
		return nil, "", err
	}
	all, err := d.GroupsOf(ctx, u)
	if err != nil {
		return nil, "", err
	}
	i, _ := slices.BinarySearchFunc(all, after, func(g Group, after string) int {
		return cmp.Compare(g.place(), after)
	})
	if i < len(all) && all[i].place() == after {
		i++
	}
	page := all[i:min(len(all), i+limit)]
	if i+limit >= len(all) {
		return page, "", nil
	}
	return page, d.sealCursor(page[len(page)-1].place(), of), nil
}

// place sorts as groups of a user are sorted.
func (g Group) place() string { return fmt.Sprintf("%019d%s", g.rank(), g.Name) }

// rank is the precedence as a number: none comes behind every one.
func (g Group) rank() int64 {
	if g.Precedence == nil {
		return math.MaxInt64
	}
	return int64(*g.Precedence)
}

// groupsByID reads every group of a pool.
func (d *Directory) groupsByID(ctx context.Context, poolID string) (map[string]Group, error) {
	out := map[string]Group{}
	err := d.groups().All(ctx, indexPrefix("pool", poolID, ""), func(e store.Entry[Group]) error {
		out[e.Value.GID] = e.Value
		return nil
	})
	return out, err
}

// Roles returns the roles of groups in the order given, each once, and the preferred one: that of the group with the lowest precedence
// among those that have a role, no number being the highest. Where two share it and have different roles there is none.
func Roles(groups []Group) (roles []string, preferred string) {
	first := int64(math.MaxInt64)
	candidates := map[string]bool{}
	for _, g := range groups {
		if g.RoleArn == "" {
			continue
		}
		if !slices.Contains(roles, g.RoleArn) {
			roles = append(roles, g.RoleArn)
		}
		switch rank := g.rank(); {
		case rank < first:
			first, candidates = rank, map[string]bool{g.RoleArn: true}
		case rank == first:
			candidates[g.RoleArn] = true
		}
	}
	if len(candidates) == 1 {
		for role := range maps.Keys(candidates) {
			preferred = role
		}
	}
	return roles, preferred
}
