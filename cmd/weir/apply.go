package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/control"
)

func applyCommand() *cobra.Command {
	var file, pools string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply --config weir.yaml -f pool.yaml [--dry-run]",
		Short: "Create or update user pools, clients and identity providers from a file",
		Long: `Make what is stored match a pool file. What the file names is created or updated, what it does not name is left
alone; applying the same file again changes nothing. Everything that is wrong in the file is reported at once, and then nothing is changed.

Where a process serves the store, that process reads and applies the file, and its next request sees the result.

A client secret that is generated (GenerateSecret: true) is printed once, when the client is created.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			path, err := filepath.Abs(pools)
			if err != nil {
				return err
			}
			return applyFile(cmd, cfg, path, dryRun)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVarP(&pools, "file", "f", "", "the pool file (required)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the difference and change nothing")
	_ = cmd.MarkFlagRequired("file") // fails only for a flag that does not exist
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	return cmd
}

func applyFile(cmd *cobra.Command, cfg *config.Config, path string, dryRun bool) error {
	// Read here first: faults are told without a store, and the file's variables are those of this shell.
	used := map[string]string{}
	_, err := config.LoadPools(path, func(name string) (string, bool) {
		v, ok := os.LookupEnv(name)
		if ok {
			used[name] = v
		}
		return v, ok
	})
	if err != nil {
		return err
	}
	err = askServing(cmd.Context(), cfg, "apply", control.Apply{Path: path, Env: used, DryRun: dryRun}, cmd.OutOrStdout())
	if !errors.Is(err, control.ErrNotServing) {
		return err
	}
	open := openNode
	if dryRun {
		open = openForDryRun
	}
	n, err := open(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	err = n.apply(cmd.Context(), path, os.LookupEnv, dryRun, cmd.OutOrStdout())
	return errors.Join(err, n.close())
}

// openForDryRun is openNode, but what does not exist yet is created elsewhere and gone when the node is closed.
func openForDryRun(ctx context.Context, cfg *config.Config, log *slog.Logger) (*node, error) {
	exists, err := storeExists(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if exists {
		return openNode(ctx, cfg, log)
	}
	dir, err := os.MkdirTemp("", "weir-dry-run-")
	if err != nil {
		return nil, err
	}
	empty := *cfg
	empty.Store = config.Store{Kind: config.StoreBolt, Path: filepath.Join(dir, "weir.db")}
	empty.SealingKeys = config.SealingKeys{File: filepath.Join(dir, "sealing.keys"), Create: true}
	n, err := openNode(ctx, &empty, log)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	n.remove = dir
	return n, nil
}

// apply reads a pool file and brings the store in line with it, telling out what it does.
func (n *node) apply(ctx context.Context, path string, env func(string) (string, bool), dryRun bool, out io.Writer) error {
	plan, err := n.plan(ctx, path, env)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := n.carryOut(ctx, plan, "weir apply "+path); err != nil {
			return err
		}
	}
	return describe(plan, dryRun, out)
}

// applyAtStart is apply for the files that the configuration names. There is nobody to show a generated secret to, so
// a client that needs one stops the start before anything is changed.
func (n *node) applyAtStart(ctx context.Context, path string) error {
	plan, err := n.plan(ctx, path, os.LookupEnv)
	if err != nil {
		return err
	}
	var lines []string
	for _, c := range plan.Changes {
		if !c.GeneratedSecret.IsZero() {
			lines = append(lines, path+": "+c.Path+": GenerateSecret would make a secret that nobody sees")
		}
	}
	if len(lines) > 0 {
		lines = append(lines, "Run weir apply with this file once, which shows each secret, or give ClientSecret. Nothing was changed.")
		return fault.New(fault.Config, strings.Join(lines, "\n"), nil)
	}
	for _, w := range plan.Warnings {
		n.log.LogAttrs(ctx, slog.LevelWarn, "pool file", slog.String("warning", w.String()), slog.String("file", path))
	}
	return n.carryOut(ctx, plan, "weir serve "+path)
}

// plan reads a pool file and compares it with the store.
func (n *node) plan(ctx context.Context, path string, env func(string) (string, bool)) (*pool.Plan, error) {
	spec, err := config.LoadPools(path, env)
	if err != nil {
		return nil, err
	}
	plan, err := n.directory.Plan(ctx, spec)
	var ps pool.Problems
	if errors.As(err, &ps) {
		faults := make(config.Faults, len(ps))
		for i, p := range ps {
			faults[i] = config.Fault{File: path, Path: p.Path, Message: p.Message}
		}
		return nil, faults
	}
	return plan, err
}

// carryOut applies a plan and records what was changed. by says on whose word.
func (n *node) carryOut(ctx context.Context, plan *pool.Plan, by string) error {
	if err := n.directory.Apply(ctx, plan); err != nil {
		return fmt.Errorf("apply: %w; some of it may be done, run it again", err)
	}
	for _, c := range plan.Changes {
		if c.Action != pool.ActionUnchanged {
			n.audit.Record(ctx, audit.ConfigApplied{Action: string(c.Action), Path: c.Path, By: by})
		}
	}
	return nil
}

// describe prints a plan: one line a change, below it the fields that differ. Secrets are shown as
// changed only; one that was generated is shown after it was stored, this one time.
func describe(plan *pool.Plan, dryRun bool, out io.Writer) error {
	count := map[pool.Action]int{}
	var b strings.Builder
	printf := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format, args...) } // a Builder takes everything
	for _, wn := range plan.Warnings {
		printf("warning: %s\n", wn)
	}
	for _, c := range plan.Changes {
		count[c.Action]++
		if c.Action == pool.ActionUnchanged {
			continue
		}
		printf("%s %s (%s)\n", c.Action, c.Path, c.ID)
		for _, f := range c.Fields {
			printf("    %s: %s -> %s\n", f.Name, orNone(f.Old), orNone(f.New))
		}
		if !dryRun && !c.GeneratedSecret.IsZero() {
			printf("    ClientSecret, shown this once: %s\n", c.GeneratedSecret.Reveal())
		}
	}
	create, update, same := count[pool.ActionCreate], count[pool.ActionUpdate], count[pool.ActionUnchanged]
	switch {
	case create+update == 0:
		printf("nothing to change: %d unchanged\n", same)
	case dryRun:
		printf("dry run, nothing was changed: %d to create, %d to update, %d unchanged\n", create, update, same)
	default:
		printf("applied: %d created, %d updated, %d unchanged\n", create, update, same)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
