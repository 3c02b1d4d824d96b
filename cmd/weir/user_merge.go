package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/control"
)

func userMergeCommands() []*cobra.Command {
	merge := userPair("merge", "Make one user of two who are one person",
		`Merge OTHER into USER. USER keeps its sub, its name and every value that it has. From OTHER come the values that USER has none of (a verified
flag only with its address), the groups and the identities: who signs in with them is USER from then on. The name and the sub of OTHER
lead to USER. What the sign-ins of OTHER gave ends. It can be undone: weir user unmerge.

Only merge who is one person: whoever can sign in as OTHER can sign in as USER afterwards. All processes that share the store have to be of a release that knows merges.`)
	unmerge := userPair("unmerge", "Undo a merge of two users",
		`Undo the merge of OTHER, by its own sub or user name, not an e-mail address. OTHER is a user again as before. From the user that it was merged into goes what came
with it and was not changed since, and what sign-ins with its identities gave ends.`)
	return []*cobra.Command{merge, unmerge}
}

func userPair(action, short, long string) *cobra.Command {
	cmd, ask := userQuestion(action, "OTHER", "the user that is merged", short, long)
	cmd.Flags().BoolVar(&ask.DryRun, "dry-run", false, "say what would change and change nothing")
	cmd.Flags().BoolVar(&ask.JSON, "json", false, "say it in JSON")
	if action == "merge" {
		cmd.Use = action + " --config weir.yaml --pool ID --into USER OTHER"
		cmd.Flags().StringVar(&ask.Into, "into", "", "the user that stays: a sub, a user name or an e-mail address (required)")
		_ = cmd.MarkFlagRequired("into")
	}
	return cmd
}

// mergeReport is what a merge changes, or its undoing, as weir says it.
type mergeReport struct {
	Action     string           `json:"action"` // merge, unmerge
	DryRun     bool             `json:"dry_run"`
	Already    bool             `json:"already,omitempty"`
	Into       mergeParty       `json:"into"`
	Other      mergeParty       `json:"other"`
	Attributes []mergeAttribute `json:"attributes"`
	Groups     []string         `json:"groups"`
	Identities []mergeIdentity  `json:"identities"`
	Grants     int              `json:"grants_ended"`
	Disabled   bool             `json:"other_disabled,omitempty"` // after an undoing
}

type mergeParty struct {
	Sub      string `json:"sub"`
	Username string `json:"username"`
}

type mergeAttribute struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

type mergeIdentity struct {
	Provider string `json:"provider"`
	Type     string `json:"type"`
	Subject  string `json:"subject"`
}

// mergeUsers does or undoes a merge, or says what it would do.
func (n *node) mergeUsers(ctx context.Context, ask control.User, out io.Writer) error {
	var m federation.UserMerge
	by := "weir user " + ask.Action
	switch ask.Action {
	case "merge":
		into, err := n.findUser(ctx, ask.Pool, ask.Into, out)
		if err != nil {
			return fmt.Errorf("the user that stays: %w", err)
		}
		other, err := n.otherUser(ctx, ask, out)
		if err != nil {
			return fmt.Errorf("the user that is merged: %w", err)
		}
		if m, err = n.broker.MergeUsers(ctx, ask.Pool, into.Sub, other, by, ask.DryRun); err != nil {
			return fmt.Errorf("not merged, or only in part; run it again, or weir user unmerge: %w", err)
		}
	default:
		var err error
		if m, err = n.broker.UnmergeUser(ctx, ask.Pool, ask.User, by, ask.DryRun); err != nil {
			return fmt.Errorf("not undone, or only in part; run it again: %w", err)
		}
	}
	r, err := n.mergeReport(ctx, ask, m)
	if err != nil {
		return err
	}
	if ask.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	_, err = io.WriteString(out, r.text())
	return err
}

// otherUser returns a name of the user that is meant, not of whom it was merged into before. An e-mail address is looked for as everywhere.
func (n *node) otherUser(ctx context.Context, ask control.User, out io.Writer) (string, error) {
	u, err := n.findUser(ctx, ask.Pool, ask.User, out)
	if err != nil {
		return "", err
	}
	names := []string{u.Sub, u.Username}
	for _, m := range u.Merged {
		names = append(names, m.Sub, m.Username)
	}
	for _, name := range names {
		if pool.Fold(name) == pool.Fold(ask.User) {
			return ask.User, nil
		}
	}
	return u.Sub, nil
}

func (n *node) mergeReport(ctx context.Context, ask control.User, m federation.UserMerge) (mergeReport, error) {
	r := mergeReport{
		Action: ask.Action, DryRun: ask.DryRun, Already: m.Already, Grants: m.Grants,
		Into: mergeParty{m.Into.Sub, m.Into.Username}, Other: mergeParty{m.Other.Sub, m.Other.Username},
		Attributes: []mergeAttribute{}, Groups: []string{}, Identities: []mergeIdentity{},
		Disabled: ask.Action == "unmerge" && !m.OtherAfter.Enabled,
	}
	for _, c := range m.Changes() {
		r.Attributes = append(r.Attributes, mergeAttribute{c.Name, c.Before, c.After})
	}
	for _, id := range m.Identities() {
		r.Identities = append(r.Identities, mergeIdentity{id.Provider, id.ProviderType, id.Subject})
	}
	groups, err := n.directory.GroupsOf(ctx, pool.User{PoolID: ask.Pool, Groups: m.GroupIDs()})
	for _, g := range groups {
		r.Groups = append(r.Groups, g.Name)
	}
	return r, err
}

// text says the report in plain words.
func (r mergeReport) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder takes everything
	party := func(p mergeParty) string { return p.Sub + " (" + printable(p.Username) + ")" }
	into, other := party(r.Into), party(r.Other)
	head := map[bool]map[bool]string{
		true:  {true: "%s would be merged into %s", false: "%s is merged into %s"},
		false: {true: "%s would no longer be merged into %s", false: "%s is no longer merged into %s"},
	}[r.Action == "merge"][r.DryRun]
	if r.Already {
		head = "%s was merged into %s before: nothing changes"
	}
	line(head, other, into)
	if r.Already {
		return b.String()
	}
	if r.Action == "merge" {
		line("  sub            %s; %s leads to it, and so does the name %s", r.Into.Sub, r.Other.Sub, printable(r.Other.Username))
	} else {
		line("  sub            %s and %s, each with its own name", r.Into.Sub, r.Other.Sub)
	}
	value := func(s string) string {
		if s == "" {
			return "(none)"
		}
		return printable(s)
	}
	for _, a := range r.Attributes {
		line("  %-14s %s -> %s", printable(a.Name), value(a.Before), value(a.After))
	}
	if len(r.Attributes) == 0 {
		line("  attributes     stay as they are")
	}
	joins := map[bool]string{true: "joins", false: "leaves"}[r.Action == "merge"]
	for _, g := range r.Groups {
		line("  %-14s the group %s", joins, printable(g))
	}
	who := map[bool]string{true: r.Into.Sub, false: r.Other.Sub}[r.Action == "merge"]
	for _, id := range r.Identities {
		line("  %-14s %s (%s) signs in as %s", printable(id.Provider), printable(id.Subject), id.Type, who)
	}
	line("  grants         %s", counted(r.Grants, "ends", "end"))
	if r.Disabled {
		line("  disabled       %s stays kept out, as %s is", r.Other.Sub, r.Into.Sub)
	}
	return b.String()
}
