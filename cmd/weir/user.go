package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/server/control"
)

// listedUsers is how many users are listed where several have one e-mail address.
const listedUsers = 20

func userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Show, sign out, disable, enable, delete or merge a user",
		Long: `Show a user of a pool, or act on one. USER is a sub, a user name, or an e-mail address. Several people may have one e-mail address:
then they are listed and nothing is done. Where a process serves the store, that process does it, and its next request sees the result.

A JWT is good until it expires for whoever checks its signature only: see docs/tokens.md.`,
		Args: cobra.NoArgs, // a word that is no command is a slip, and not a question for help
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []struct{ action, short, long string }{
		{"show", "Show a user: state, attributes, identities, what is live", ""},
		{"sign-out", "End everything that a user's sign-ins gave until now",
			`End a user's sessions, refresh tokens and, where they are looked up, access tokens. What is kept of the tokens of identity providers is
removed and revoked there. The user may sign in again.`},
		{"disable", "Keep a user from signing in, and end what the sign-ins gave",
			`Keep a user from signing in, and end sessions, refresh tokens and, where they are looked up, access tokens. Enabling does not bring them
back.`},
		{"enable", "Let a disabled user sign in again", ""},
		{"delete", "Delete a user for good",
			`Delete a user for good: sessions and tokens end, what is kept of identity providers is revoked there, and the user is gone. Who
signs in with the same identity afterwards is a new user with another sub.`},
	} {
		cmd.AddCommand(userAction(c.action, c.short, c.long))
	}
	cmd.AddCommand(userMergeCommands()...)
	return cmd
}

func userAction(action, short, long string) *cobra.Command {
	var file string
	ask := control.User{Action: action}
	cmd := &cobra.Command{
		Use:   action + " --config weir.yaml --pool ID USER",
		Short: short,
		Long:  long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("want one argument, a sub, a user name or an e-mail address: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ask.User = args[0]
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			err = askServing(cmd.Context(), cfg, "user", ask, cmd.OutOrStdout())
			if !errors.Is(err, control.ErrNotServing) {
				return err
			}
			return onStopped(cmd, cfg, "users", func(n *node) error { return n.user(cmd.Context(), ask, cmd.OutOrStdout()) })
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&ask.Pool, "pool", "", "the id of the user pool (required)")
	_ = cmd.MarkFlagRequired("pool") // fails only for a flag that does not exist
	if action == "delete" {
		cmd.Use = action + " --config weir.yaml --pool ID --yes USER"
		cmd.Flags().BoolVar(&ask.Yes, "yes", false, "really delete; without it the user is shown")
	}
	return cmd
}

// user does what was asked about one user, and tells out.
func (n *node) user(ctx context.Context, ask control.User, out io.Writer) error {
	if ask.Action == "merge" || ask.Action == "unmerge" {
		return n.mergeUsers(ctx, ask, out)
	}
	u, err := n.findUser(ctx, ask.Pool, ask.User, out)
	if err != nil {
		return err
	}
	by := "weir user " + ask.Action
	did := ""
	grants := 0
	switch ask.Action {
	case "show":
		return n.showUser(ctx, u, out)
	case "sign-out":
		did = "signed out everywhere"
		grants, err = n.broker.SignOutEverywhere(ctx, u.PoolID, u.Sub, by)
	case "disable":
		did = "disabled"
		grants, err = n.broker.SetEnabled(ctx, u.PoolID, u.Sub, false, by)
	case "enable":
		if _, err = n.broker.SetEnabled(ctx, u.PoolID, u.Sub, true, by); err == nil {
			_, err = fmt.Fprintf(out, "%s: enabled\n", named(u))
		}
		return err
	case "delete":
		if !ask.Yes {
			return errors.Join(n.showUser(ctx, u, out), fault.New(fault.Config, "nothing was deleted: say --yes if this is the user.", nil))
		}
		did = "deleted"
		grants, err = n.broker.DeleteUser(ctx, u.PoolID, u.Sub, by)
	default:
		return fmt.Errorf("%q is nothing that can be done about a user", ask.Action)
	}
	if err != nil {
		return fmt.Errorf("%s: not done, or only in part; run it again: %w", named(u), err)
	}
	_, err = fmt.Fprintf(out, "%s: %s; %s ended\n", named(u), did, counted(grants, "grant", "grants"))
	return err
}

// findUser returns the one user who is meant. Whoever has that sub or user name is meant; an e-mail address is looked for too, and where more than one
// user comes of it all, they are listed and none is.
func (n *node) findUser(ctx context.Context, poolID, text string, out io.Writer) (pool.User, error) {
	if _, err := n.directory.Pool(ctx, poolID); err != nil {
		if fault.CodeOf(err) == fault.NotFound {
			return pool.User{}, fault.New(fault.Config, fmt.Sprintf("there is no user pool %q.", poolID), err)
		}
		return pool.User{}, err
	}
	var found []pool.User
	add := func(u pool.User) {
		if !slices.ContainsFunc(found, func(o pool.User) bool { return o.Sub == u.Sub }) {
			found = append(found, u)
		}
	}
	for _, look := range []func(context.Context, string, string) (pool.User, error){n.directory.User, n.directory.UserByUsername} {
		u, err := look(ctx, poolID, text)
		if err == nil {
			add(u)
		} else if fault.CodeOf(err) != fault.NotFound {
			return u, err
		}
	}
	for after := ""; strings.Contains(text, "@"); {
		page, next, err := n.directory.Users(ctx, poolID, "email="+text, after, 100)
		if err != nil {
			return pool.User{}, err
		}
		for _, u := range page { // the index goes by the beginning of an address
			if pool.FoldEmail(u.Attributes["email"]) == pool.FoldEmail(text) {
				add(u)
			}
		}
		if after = next; after == "" || len(found) > listedUsers {
			break
		}
	}
	switch len(found) {
	case 0:
		return pool.User{}, fault.New(fault.Config, fmt.Sprintf("there is no user %q in %s: want a sub, a whole user name or a whole e-mail address.", text, poolID), nil)
	case 1:
		return found[0], nil
	}
	for _, u := range found[:min(len(found), listedUsers)] {
		if _, err := fmt.Fprintf(out, "%s\n", named(u)); err != nil {
			return pool.User{}, err
		}
	}
	if len(found) > listedUsers {
		if _, err := fmt.Fprintln(out, "and more"); err != nil {
			return pool.User{}, err
		}
	}
	return pool.User{}, fault.New(fault.Config, fmt.Sprintf("%q is more than one user: nothing was done; give the sub of one.", text), nil)
}

const userTime = "2006-01-02 15:04:05 MST"

// showUser prints a user in plain words. It shows no token.
func (n *node) showUser(ctx context.Context, u pool.User, out io.Writer) error {
	state, err := n.broker.UserState(ctx, u.PoolID, u.Sub)
	if err != nil {
		return err
	}
	u = state.User
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder takes everything
	row := func(name, value string) { line("  %-14s %s", name, value) }
	line("%s", named(u))
	enabled := "yes"
	if !u.Enabled {
		enabled = "no: may not sign in"
	}
	row("pool", u.PoolID)
	row("status", string(u.Status))
	row("enabled", enabled)
	row("created", u.Created.UTC().Format(userTime))
	row("modified", u.Modified.UTC().Format(userTime))
	if !u.SignedOutAt.IsZero() {
		row("signed out", u.SignedOutAt.UTC().Format(userTime)+", everywhere")
	}
	row("live grants", fmt.Sprint(state.Grants))
	line("attributes")
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		row(printable(name), printable(u.Attributes[name])+sourceText(u.Sources[name]))
	}
	line("identities")
	for _, id := range u.Identities {
		if id.Via == "" {
			row(identityRow(id))
		}
	}
	for _, m := range u.Merged {
		line("merged: %s (%s), since %s, by %s", m.Sub, printable(m.Username), m.At.UTC().Format(userTime), printable(m.By))
		for _, id := range u.Identities {
			if id.Via == m.Sub {
				row(identityRow(id))
			}
		}
	}
	if len(u.Past) > 0 {
		line("identities that were taken away: no policy links them again")
		for _, l := range u.Past {
			row(printable(l.Provider), fmt.Sprintf("%s, until %s", printable(l.Subject), l.Ended.UTC().Format(userTime)))
		}
	}
	if len(u.Groups) > 0 {
		line("groups")
		if err := n.showGroups(ctx, u, row); err != nil {
			return err
		}
	}
	for _, m := range u.Merged {
		line("merged: %s (%s), since %s, by %s", m.Sub, printable(m.Username), m.At.UTC().Format(userTime), printable(m.By))
		for _, id := range u.Identities {
			if id.Via != m.Sub {
				continue
			}
			row(printable(id.Provider), fmt.Sprintf("%s (%s), since %s", printable(id.Subject), id.ProviderType, id.Created.UTC().Format(userTime)))
		}
	}
	line("kept tokens of identity providers")
	for _, k := range state.Kept {
		row(printable(k.Provider), keptText(k))
	}
	if len(state.Kept) == 0 {
		line("  none")
	}
	_, err = io.WriteString(out, b.String())
	return err
}

// identityRow is the row of an identity.
func identityRow(id pool.LinkedIdentity) (name, value string) {
	return printable(id.Provider), fmt.Sprintf("%s (%s), since %s", printable(id.Subject), id.ProviderType, id.Created.UTC().Format(userTime))
}

// showGroups prints the groups of a user, the one with the lowest precedence first, and who gave each.
func (n *node) showGroups(ctx context.Context, u pool.User, row func(name, value string)) error {
	groups, err := n.directory.GroupsOf(ctx, u)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, m := range u.Memberships() {
			for _, s := range m.Sources {
				if m.GID == g.GID {
					row(printable(g.Name), strings.TrimSpace(sourceText(s)))
				}
			}
		}
	}
	return nil
}

// sourceText says behind a value who wrote it, where that is known.
func sourceText(s pool.ValueSource) string {
	var by string
	switch s.Kind {
	case pool.FromProvider:
		if by = printable(s.Provider); s.Rule != "" {
			by += " by the rule " + strconv.Quote(s.Rule)
		}
	case pool.FromNotice:
		by = "a notice of " + printable(s.Provider)
	case pool.FromAdmin:
		by = "an administrator"
	case pool.FromPerson:
		by = "the person"
	default:
		return ""
	}
	if s.At.IsZero() { // of a membership of before it was written down
		return "   from " + by
	}
	return "   from " + by + ", " + s.At.UTC().Format(userTime)
}

// keptText is what can be told of tokens.
func keptText(k upstream.Kept) string {
	parts := []string{"access token without a known end"}
	if !k.Tokens.Expires.IsZero() {
		parts[0] = "access token until " + k.Tokens.Expires.UTC().Format(userTime)
	}
	refresh := "no refresh token"
	if !k.Tokens.Refresh.IsZero() {
		refresh = "refresh token"
	}
	parts = append(parts, refresh, "of "+k.Obtained.UTC().Format(userTime))
	if k.Tokens.Scope != "" {
		parts = append(parts, "scope "+printable(k.Tokens.Scope))
	}
	return strings.Join(parts, ", ")
}

// named is how a line begins that is about a user.
func named(u pool.User) string { return u.Sub + " (" + printable(u.Username) + ")" }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printable keeps what a provider sent from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
