package pool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/mapping"
)

// A membership has sources. What a provider gives stands with the identity that it was given to, so it goes when the identity goes; what
// an administrator gave stands in User.Granted. An id in User.Groups that has no source is an administrator's too, of before there were
// sources; a source of an id that is not in User.Groups means nothing.

// GivenGroup is a group that a provider gave at a sign-in.
type GivenGroup struct {
	GID  string    `json:"gid"`
	Rule string    `json:"rule,omitempty"` // as it was, its first 256 bytes
	At   time.Time `json:"at"`             // of the sign-in that gave it first
}

// GrantedGroup is a group that an administrator gave.
type GrantedGroup struct {
	GID string    `json:"gid"`
	At  time.Time `json:"at,omitzero"` // zero: by a release that did not write it down
}

// Membership is a group of a user, with who gave it. There is at least one source.
type Membership struct {
	GID     string
	Sources []ValueSource // FromAdmin and FromProvider, the administrator first
}

// Memberships returns what User.Groups has, in that order, with the sources.
func (u User) Memberships() []Membership {
	out := make([]Membership, 0, len(u.Groups))
	for _, gid := range u.Groups {
		m := Membership{GID: gid}
		if i := u.granted(gid); i >= 0 {
			m.Sources = append(m.Sources, ValueSource{Kind: FromAdmin, At: u.Granted[i].At})
		}
		for _, l := range u.Identities {
			if i := l.given(gid); i >= 0 {
				m.Sources = append(m.Sources, ValueSource{Kind: FromProvider, Provider: l.Provider, Rule: l.Groups[i].Rule, At: l.Groups[i].At})
			}
		}
		if m.Sources == nil {
			m.Sources = []ValueSource{{Kind: FromAdmin}}
		}
		out = append(out, m)
	}
	return out
}

func (u User) granted(gid string) int {
	return slices.IndexFunc(u.Granted, func(g GrantedGroup) bool { return g.GID == gid })
}

func (l LinkedIdentity) given(gid string) int {
	return slices.IndexFunc(l.Groups, func(g GivenGroup) bool { return g.GID == gid })
}

// givenBy reports whether a provider gave the group to one of the user's identities.
func (u User) givenBy(gid string) bool {
	return slices.ContainsFunc(u.Identities, func(l LinkedIdentity) bool { return l.given(gid) >= 0 })
}

// administrators reports whether the membership is an administrator's, whoever else gave it.
func (u User) administrators(gid string) bool { return u.granted(gid) >= 0 || !u.givenBy(gid) }

// grant puts the user into a group on the word of an administrator.
func (u *User) grant(gid string, at time.Time) {
	if !slices.Contains(u.Groups, gid) {
		u.Groups = append(slices.Clone(u.Groups), gid)
	}
	if u.granted(gid) < 0 {
		u.Granted = append(slices.Clone(u.Granted), GrantedGroup{GID: gid, At: at})
	}
}

// forget takes groups out of the user, whoever gave them.
func (u *User) forget(gone func(gid string) bool) {
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), gone)
	u.Granted = slices.DeleteFunc(slices.Clone(u.Granted), func(g GrantedGroup) bool { return gone(g.GID) })
	u.takeBack(func(_ LinkedIdentity, g GivenGroup) bool { return gone(g.GID) })
}

// takeBack takes away what providers gave. A group that nobody else gave goes with it.
func (u *User) takeBack(gone func(LinkedIdentity, GivenGroup) bool) {
	lost := map[string]bool{}
	u.Identities = slices.Clone(u.Identities)
	for i, l := range u.Identities {
		u.Identities[i].Groups = slices.DeleteFunc(slices.Clone(l.Groups), func(g GivenGroup) bool {
			if gone(l, g) {
				lost[g.GID] = true
			}
			return gone(l, g)
		})
		if len(u.Identities[i].Groups) == 0 {
			u.Identities[i].Groups = nil
		}
	}
	u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(gid string) bool {
		return lost[gid] && u.granted(gid) < 0 && !u.givenBy(gid)
	})
}

// unlink takes an identity away, and what its provider gave to it.
func (u *User) unlink(i int) {
	u.takeBack(func(l LinkedIdentity, _ GivenGroup) bool {
		return l.Provider == u.Identities[i].Provider && l.Subject == u.Identities[i].Subject
	})
	u.Identities = slices.Delete(u.Identities, i, i+1)
}

// GroupTable are the groups of a pool, to look up.
type GroupTable struct {
	byID   map[string]Group
	byName map[string]string
	// complete: the groups were read after the user, so that an id which is not among them is of a group that was deleted.
	complete bool
}

// NewGroupTable returns the table of groups that were read after the user.
func NewGroupTable(groups map[string]Group) GroupTable {
	t := GroupTable{byID: groups, byName: make(map[string]string, len(groups)), complete: true}
	for gid, g := range groups {
		t.byName[g.Name] = gid
	}
	return t
}

// GroupOutcome is what a sign-in did to a membership.
type GroupOutcome string

// The outcomes.
const (
	GroupJoined GroupOutcome = "joined"  // the provider gives it, and the user was not in it
	GroupHeld   GroupOutcome = "held"    // the provider gives it, and the user was in it
	GroupLeft   GroupOutcome = "left"    // the provider gives it no more, and nobody else does
	GroupStays  GroupOutcome = "stays"   // the provider gives it no more; an administrator or another provider does
	GroupAbsent GroupOutcome = "unknown" // the pool has no group of the name
)

// GroupStep is the reason for one membership after a sign-in.
type GroupStep struct {
	Group   string
	Outcome GroupOutcome
	Line    int    // of the rule that gives it; 0 of one that none gives now
	Rule    string // as it is; that of the time when it was given, where it is given no more
	Value   string // the claim's, that the rule took
}

// maxGroupSteps bounds how many groups that the pool does not have are listed.
const maxGroupSteps = 100

// GroupSettlement is what a sign-in makes of a user's memberships.
type GroupSettlement struct {
	User    User // with Groups, Granted and Identities as they are then
	Changed bool // User is to be written
	Steps   []GroupStep
	Unknown int // groups that rules gave and the pool does not have; Steps has the first hundred
}

// Joined returns the names of the groups that the sign-in put the user into, Left of those that it took the user out of.
func (s GroupSettlement) Joined() []string { return s.Named(GroupJoined) }

// Left is with Joined.
func (s GroupSettlement) Left() []string { return s.Named(GroupLeft) }

// Named returns the names of the groups to which that was done.
func (s GroupSettlement) Named(o GroupOutcome) []string {
	var names []string
	for _, step := range s.Steps {
		if step.Outcome == o {
			names = append(names, step.Group)
		}
	}
	return names
}

// GroupSettling is what SettleGroups needs to know.
type GroupSettling struct {
	User     User
	Identity int                 // of User.Identities: which one signs in
	Result   mapping.GroupResult // without an error; the zero value where the provider has no rules
	Groups   GroupTable
	// Providers are when each provider was created whose identities have groups, the one that signs in among them. What a provider gave that is
	// not there any more, or not the same, is void.
	Providers map[string]time.Time
	Now       time.Time
}

// SettleGroups returns what a sign-in makes of a user's memberships. What the provider gives to the identity is as its claims say now; what an
// administrator gave, or a provider to another identity, stays. It changes nothing in its input and does no I/O.
// Errors: fault.TooLarge with ErrLimit where the user would be in more than MaxUserGroups.
func SettleGroups(in GroupSettling) (GroupSettlement, error) {
	s := GroupSettlement{User: in.User}
	if in.Result.Keep {
		return s, nil
	}
	u := &s.User
	before := in.User.Identities[in.Identity].Groups
	// A node of an older release may have taken the user out of a group and left its sources.
	u.forget(func(gid string) bool { return !slices.Contains(in.User.Groups, gid) })
	u.takeBack(func(l LinkedIdentity, g GivenGroup) bool { return in.void(l, g) })
	if in.Groups.complete {
		u.forget(func(gid string) bool { _, there := in.Groups.byID[gid]; return !there })
	}
	wanted := s.give(in)
	me := in.User.Identities[in.Identity]
	u.takeBack(func(l LinkedIdentity, g GivenGroup) bool {
		return l.Provider == me.Provider && l.Subject == me.Subject && !wanted[g.GID]
	})
	s.took(in, before)
	s.Changed = !slices.Equal(u.Groups, in.User.Groups) || !slices.Equal(u.Granted, in.User.Granted) ||
		!slices.EqualFunc(u.Identities, in.User.Identities, func(a, b LinkedIdentity) bool { return slices.Equal(a.Groups, b.Groups) })
	if s.Changed && len(u.Groups) > MaxUserGroups && len(u.Groups) > len(in.User.Groups) {
		return s, fault.New(fault.TooLarge, "The user would be in more groups than there may be: 100.",
			fmt.Errorf("%w: user %s would be in %d groups, %d of them by provider %q", ErrLimit, u.Sub, len(u.Groups), len(wanted), me.Provider))
	}
	return s, nil
}

// void reports whether what a provider gave counts for nothing.
func (in GroupSettling) void(l LinkedIdentity, g GivenGroup) bool {
	created, there := in.Providers[l.Provider]
	return !there || g.At.Before(created)
}

// give adds what the claims give, and returns the ids of those groups.
func (s *GroupSettlement) give(in GroupSettling) map[string]bool {
	u, wanted := &s.User, map[string]bool{}
	identity := &u.Identities[in.Identity] // a copy: takeBack has cloned
	at := in.Now
	if created := in.Providers[identity.Provider]; at.Before(created) {
		at = created // by the clock of another node
	}
	for _, g := range in.Result.Given {
		step := GroupStep{Group: g.Group, Line: g.Line, Rule: g.Rule, Value: g.Value, Outcome: GroupHeld}
		gid, there := in.Groups.byName[g.Group]
		switch {
		case !there:
			if s.Unknown++; s.Unknown > maxGroupSteps {
				continue
			}
			step.Outcome = GroupAbsent
		case !slices.Contains(u.Groups, gid):
			step.Outcome = GroupJoined
		}
		s.Steps = append(s.Steps, step)
		if !there {
			continue
		}
		wanted[gid] = true
		if slices.Contains(u.Groups, gid) {
			if u.administrators(gid) {
				u.grant(gid, time.Time{}) // in so many words, now that there is another source
			}
		} else {
			u.Groups = append(u.Groups, gid)
		}
		if identity.given(gid) < 0 {
			identity.Groups = append(identity.Groups, GivenGroup{GID: gid, Rule: keptRule(g.Rule), At: at})
		}
	}
	return wanted
}

// took notes what the identity had and has no more.
func (s *GroupSettlement) took(in GroupSettling, before []GivenGroup) {
	for _, g := range before {
		group, there := in.Groups.byID[g.GID]
		if !there || s.User.Identities[in.Identity].given(g.GID) >= 0 {
			continue
		}
		step := GroupStep{Group: group.Name, Outcome: GroupLeft, Rule: g.Rule}
		if slices.Contains(s.User.Groups, g.GID) {
			step.Outcome = GroupStays
		}
		s.Steps = append(s.Steps, step)
	}
}

// settle is SettleGroups for a sign-in of u, whose identity i is of in.Provider. u was read before, or is new.
func (d *Directory) settle(ctx context.Context, u User, i int, in SignIn) (GroupSettlement, error) {
	var result mapping.GroupResult
	if in.Groups != nil {
		result = *in.Groups
	}
	given := slices.ContainsFunc(u.Identities, func(l LinkedIdentity) bool { return len(l.Groups) > 0 })
	if i < 0 || result.Keep || len(result.Given) == 0 && !given { // i < 0: the document has not the identity that its key says
		return GroupSettlement{User: u}, nil
	}
	table, err := d.tableFor(ctx, u)
	if err != nil {
		return GroupSettlement{}, err
	}
	providers, err := d.givers(ctx, u)
	if err != nil {
		return GroupSettlement{}, err
	}
	providers[in.Provider.Name] = in.Provider.Created
	return SettleGroups(GroupSettling{User: u, Identity: i, Result: result, Groups: table, Providers: providers, Now: d.now()})
}

// tableFor returns the groups of the user's pool: from the cache, as long as that knows every group that the user is in. The cache may be older than
// a membership; what a list that is read after the user does not have was deleted.
func (d *Directory) tableFor(ctx context.Context, u User) (GroupTable, error) {
	t, err := d.cachedGroups(ctx, u.PoolID)
	if err != nil {
		return t, storeFault("groups of a user", err, noPool)
	}
	known := func(gid string) bool { _, there := t.byID[gid]; return there }
	unknown := slices.ContainsFunc(u.Groups, func(gid string) bool { return !known(gid) })
	for _, l := range u.Identities {
		unknown = unknown || slices.ContainsFunc(l.Groups, func(g GivenGroup) bool { return !known(g.GID) })
	}
	if !unknown && len(u.Groups) < MaxUserGroups {
		return t, nil
	}
	all, err := d.groupsByID(ctx, u.PoolID)
	return NewGroupTable(all), storeFault("groups of a user", err, noPool)
}

func (d *Directory) cachedGroups(ctx context.Context, poolID string) (GroupTable, error) {
	return d.groupCache.get(d.Now(), d.age(), poolID, func() (GroupTable, error) {
		all, err := d.groupsByID(ctx, poolID)
		t := NewGroupTable(all)
		t.complete = false
		return t, err
	})
}

// givers returns when each provider was created that gave the user a group and is there.
func (d *Directory) givers(ctx context.Context, u User) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for _, l := range u.Identities {
		if _, known := out[l.Provider]; known || len(l.Groups) == 0 {
			continue
		}
		ip, err := d.Provider(ctx, u.PoolID, l.Provider)
		switch {
		case err == nil:
			out[l.Provider] = ip.Created
		case fault.CodeOf(err) != fault.NotFound:
			return nil, err
		}
	}
	return out, nil
}

// lapsed returns the groups that nobody gives any more: a provider gave them that was removed. A user to whom no provider gave anything costs
// no read.
func (d *Directory) lapsed(ctx context.Context, u User) (map[string]bool, error) {
	var out map[string]bool
	var providers map[string]time.Time
	for _, gid := range u.Groups {
		if u.administrators(gid) {
			continue
		}
		if providers == nil {
			var err error
			if providers, err = d.givers(ctx, u); err != nil {
				return nil, err
			}
			out = map[string]bool{}
		}
		in := GroupSettling{Providers: providers}
		out[gid] = !slices.ContainsFunc(u.Identities, func(l LinkedIdentity) bool {
			i := l.given(gid)
			return i >= 0 && !in.void(l, l.Groups[i])
		})
	}
	return out, nil
}
