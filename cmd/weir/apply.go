package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

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

Where a process serves the store, that process applies the file, and its next request sees the result.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
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
	err = control.Call(cmd.Context(), socketOf(cfg), "apply", control.Apply{Path: path, Env: used, DryRun: dryRun}, cmd.OutOrStdout())
	if !errors.Is(err, control.ErrNotServing) {
		return err
	}
	n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	err = n.apply(cmd.Context(), path, os.LookupEnv, dryRun, cmd.OutOrStdout())
	return errors.Join(err, n.close())
}

// apply reads a pool file and brings the store in line with it, telling out what it does.
func (n *node) apply(ctx context.Context, path string, env func(string) (string, bool), dryRun bool, out io.Writer) error {
	spec, err := config.LoadPools(path, env)
	if err != nil {
		return err
	}
	return n.applySpec(ctx, spec, dryRun, path, out)
}

// applyAtStart is apply for the files that the configuration names. What it did goes to the audit log; a
// generated client secret does not: `weir apply` shows those.
func (n *node) applyAtStart(ctx context.Context, path string) error {
	return n.apply(ctx, path, os.LookupEnv, false, io.Discard)
}

func (n *node) applySpec(ctx context.Context, spec pool.Spec, dryRun bool, by string, out io.Writer) error {
	plan, err := n.directory.Plan(ctx, spec)
	if err != nil {
		return planError(err)
	}
	for _, w := range plan.Warnings {
		n.log.LogAttrs(ctx, slog.LevelWarn, "pool file", slog.String("warning", w.String()), slog.String("file", by))
	}
	if dryRun {
		return describe(plan, true, out)
	}
	if err := n.directory.Apply(ctx, plan); err != nil {
		return err
	}
	for _, c := range plan.Changes {
		if c.Action != pool.ActionUnchanged {
			n.audit.Record(ctx, audit.ConfigApplied{Action: string(c.Action), Path: c.Path, By: by})
		}
	}
	return describe(plan, false, out)
}

// planError shows every problem of a pool file on a line of its own.
func planError(err error) error {
	var ps pool.Problems
	if errors.As(err, &ps) {
		return fault.New(fault.Config, ps.Error(), err)
	}
	return err
}

// describe prints a plan: one line a change, below it the fields that differ. Secrets are shown as
// changed only; one that was generated is shown after it was stored, this one time.
func describe(plan *pool.Plan, dryRun bool, out io.Writer) error {
	count := map[pool.Action]int{}
	w := &printer{out: out}
	for _, wn := range plan.Warnings {
		w.printf("warning: %s\n", wn)
	}
	for _, c := range plan.Changes {
		count[c.Action]++
		if c.Action == pool.ActionUnchanged {
			continue
		}
		w.printf("%s %s (%s)\n", c.Action, c.Path, c.ID)
		for _, f := range c.Fields {
			w.printf("    %s: %s -> %s\n", f.Name, orNone(f.Old), orNone(f.New))
		}
		if !dryRun && !c.GeneratedSecret.IsZero() {
			w.printf("    ClientSecret, shown this once: %s\n", c.GeneratedSecret.Reveal())
		}
	}
	done := "applied"
	if dryRun {
		done = "dry run, nothing was changed"
	}
	w.printf("%s: %d to create, %d to update, %d unchanged\n", done, count[pool.ActionCreate], count[pool.ActionUpdate], count[pool.ActionUnchanged])
	return w.err
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// printer keeps the first error of many prints.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}
