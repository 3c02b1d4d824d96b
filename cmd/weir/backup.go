package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/server/control"
)

// socket is where a serving process of this store can be reached.
func (n *node) socket() string { return socketOf(n.cfg) }

func socketOf(cfg *config.Config) string { return cfg.Store.Path + ".sock" }

func (n *node) control() control.Handlers {
	return control.Handlers{
		Apply: func(ctx context.Context, a control.Apply, out io.Writer) error {
			env := func(name string) (string, bool) { v, ok := a.Env[name]; return v, ok }
			return n.apply(ctx, a.Path, env, a.DryRun, out)
		},
		Backup: func(ctx context.Context, b control.Backup, out io.Writer) error {
			return n.backup(ctx, b.Path, out)
		},
	}
}

func (n *node) backup(ctx context.Context, path string, out io.Writer) error {
	if err := n.bolt.Backup(ctx, path); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "backup written to", path)
	return err
}

func backupCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "backup --config weir.yaml FILE",
		Short: "Copy the store to a file, also while serving",
		Long: `Copy the store to a new file. Where a process serves the store, that process makes the copy and goes on serving.

The copy is sealed under the same sealing keys: keep those as well, in another place.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			to, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			err = control.Call(cmd.Context(), socketOf(cfg), "backup", control.Backup{Path: to}, cmd.OutOrStdout())
			if !errors.Is(err, control.ErrNotServing) {
				return err
			}
			n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return errors.Join(n.backup(cmd.Context(), to, cmd.OutOrStdout()), n.close())
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func restoreCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "restore --config weir.yaml FILE",
		Short: "Put a backup in the place of a store that does not exist yet",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := bolt.Restore(cmd.Context(), args[0], cfg.Store.Path); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "restored", cfg.Store.Path)
			return err
		},
	}
	configFlag(cmd, &file)
	return cmd
}
