package audit

import "log/slog"

// UserCreated: an administrator made a user.
type UserCreated struct {
	Pool, Sub, By string
}

// Name implements Event.
func (UserCreated) Name() string { return "user.created" }

// Attrs implements Event.
func (e UserCreated) Attrs() []slog.Attr { return attrs("pool", e.Pool, "sub", e.Sub, "by", e.By) }

// UserInvited: a user was told a temporary password.
type UserInvited struct {
	Pool, Sub, Medium, By string
}

// Name implements Event.
func (UserInvited) Name() string { return "user.invited" }

// Attrs implements Event.
func (e UserInvited) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "medium", e.Medium, "by", e.By)
}

// IdentityLinked: an administrator let an identity of a provider sign in as a user. Claim is the claim that the identity will be known by,
// and empty where its subject was named. The value is in neither case part of the event.
type IdentityLinked struct {
	Pool, Sub, Provider, Claim, By string
}

// Name implements Event.
func (IdentityLinked) Name() string { return "identity.linked" }

// Attrs implements Event.
func (e IdentityLinked) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "claim", e.Claim, "by", e.By)
}

// IdentityUnlinked: an identity of a provider no longer signs in as the user.
type IdentityUnlinked struct {
	Pool, Sub, Provider, Claim, By string
	Grants                         int // that ended with it
}

// Name implements Event.
func (IdentityUnlinked) Name() string { return "identity.unlinked" }

// Attrs implements Event.
func (e IdentityUnlinked) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "claim", e.Claim, "by", e.By), slog.Int("grants", e.Grants))
}

// IdentityMatched: at its first sign-in an identity turned out to be the one that a link by a claim was waiting for.
type IdentityMatched struct {
	Pool, Sub, Provider, Claim string
}

// Name implements Event.
func (IdentityMatched) Name() string { return "identity.matched" }

// Attrs implements Event.
func (e IdentityMatched) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "claim", e.Claim)
}

// UsersMerged: two users are one from now on. Sub is the one that stays, Other leads to it.
type UsersMerged struct {
	Pool, Sub, Other, By string
	Grants               int // of the other one, that ended with it
}

// Name implements Event.
func (UsersMerged) Name() string { return "user.merged" }

// Attrs implements Event.
func (e UsersMerged) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "other", e.Other, "by", e.By), slog.Int("grants", e.Grants))
}

// UserUnmerged: a merge was undone, and Other is a user again.
type UserUnmerged struct {
	Pool, Sub, Other, By string
	Grants               int // that sign-ins with the other one's identities gave, and that ended with it
}

// Name implements Event.
func (UserUnmerged) Name() string { return "user.unmerged" }

// Attrs implements Event.
func (e UserUnmerged) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "sub", e.Sub, "other", e.Other, "by", e.By), slog.Int("grants", e.Grants))
}

// IdentityLinkedByPolicy: at its first sign-in an identity was linked to a user who was there, by the policy of its provider (link_users). The
// value is not part of the event.
type IdentityLinkedByPolicy struct {
	Pool, Sub, Provider, Policy, Attribute string
}

// Name implements Event.
func (IdentityLinkedByPolicy) Name() string { return "identity.linked_by_policy" }

// Attrs implements Event.
func (e IdentityLinkedByPolicy) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "policy", e.Policy, "attribute", e.Attribute)
}

// LinkAsked: at its first sign-in an identity may belong to a user who is there, and the person is asked (link_users: ask). Nobody is signed in yet.
type LinkAsked struct {
	Pool, Client, Provider, Attempt string
}

// Name implements Event.
func (LinkAsked) Name() string { return "link.asked" }

// Attrs implements Event.
func (e LinkAsked) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "attempt", e.Attempt)
}

// LinkProof: a person who was asked signed in at Provider to show which user they have. Sub is who that is, "" nobody; Reason says why it is not
// one whom the identity could be linked to.
type LinkProof struct {
	Pool, Client, Provider, Attempt, Sub string
	Proven                               bool
	Reason                               string
}

// Name implements Event.
func (LinkProof) Name() string { return "link.proof" }

// Attrs implements Event.
func (e LinkProof) Attrs() []slog.Attr {
	return append(attrs("pool", e.Pool, "client", e.Client, "provider", e.Provider, "attempt", e.Attempt, "sub", e.Sub, "reason", e.Reason),
		slog.Bool("proven", e.Proven))
}
