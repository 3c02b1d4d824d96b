package audit

import "log/slog"

// GroupsChanged: a sign-in put a user into groups, or took the user out of groups, by a provider's group rules. Joined and Left are names, separated by
// spaces, which no name has.
type GroupsChanged struct {
	Pool, Sub, Provider, Joined, Left string
}

// Name implements Event.
func (GroupsChanged) Name() string { return "groups.changed" }

// Attrs implements Event.
func (e GroupsChanged) Attrs() []slog.Attr {
	return attrs("pool", e.Pool, "sub", e.Sub, "provider", e.Provider, "joined", e.Joined, "left", e.Left)
}
