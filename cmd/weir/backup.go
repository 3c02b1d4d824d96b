package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/server/control"
)

func backupCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "backup --config weir.yaml FILE",
		Short: "Copy the store to a file, also while serving",
		Long: `Copy the store to a new file. Where a process serves the store, that process makes the copy and goes on serving.

The copy is sealed under the same sealing keys: keep those as well, in another place.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			if err := onlyFiles(cfg, "weir backup"); err != nil {
				return err
			}
			to, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			err = askServing(cmd.Context(), cfg, "backup", control.Backup{Path: to}, cmd.OutOrStdout())
			if !errors.Is(err, control.ErrNotServing) {
				return err
			}
			return backupFile(cmd, cfg, to)
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// backupFile copies a store that no process serves. It needs no sealing keys.
func backupFile(cmd *cobra.Command, cfg *config.Config, to string) error {
	exists, err := storeExists(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if !exists {
		return fault.New(fault.Config, "store: there is nothing to back up: "+cfg.Store.Path+" does not exist.", nil)
	}
	db, err := openFile(cfg, logger(cfg.Log, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	return errors.Join(backup(cmd.Context(), db, to, cmd.OutOrStdout()), db.Close())
}

func backup(ctx context.Context, db *bolt.DB, to string, out io.Writer) error {
	err := db.Backup(ctx, to)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Config, to+" exists already, and a backup replaces nothing: give another name.", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "backup written to", to)
	return err
}

// oneFile is the check of an only argument.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, the file of the backup: %s", cmd.UseLine())
	}
	return nil
}

func restoreCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "restore --config weir.yaml FILE",
		Short: "Put a backup in the place of a store that does not exist yet",
		Long: `Put a backup in the place that weir.yaml names under store. Nothing may be there: move an old store away first.
The whole backup is checked before it gets its name, and then whether the sealing keys open it.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			if err := onlyFiles(cfg, "weir restore"); err != nil {
				return err
			}
			return restore(cmd, cfg, args[0])
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func restore(cmd *cobra.Command, cfg *config.Config, from string) error {
	exists, err := storeExists(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if exists {
		return fault.New(fault.Config, "store: "+cfg.Store.Path+" exists, and a restore replaces nothing: stop weir and move it away first.", nil)
	}
	if err := bolt.Restore(cmd.Context(), from, cfg.Store.Path); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), "restored", cfg.Store.Path); err != nil {
		return err
	}
	n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
	if err != nil {
		return fmt.Errorf("the backup is in place, but cannot be served yet: %s", explain(err))
	}
	return n.close()
}
