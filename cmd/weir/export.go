package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/server/control"
)

func exportCommand() *cobra.Command {
	var file, to string
	var ask control.Export
	cmd := &cobra.Command{
		Use:   "export --config weir.yaml [--pool ID]… [-o FILE] [--with-secrets]",
		Short: "Write what is configured as a pool file",
		Long: `Write user pools with their identity providers, resource servers and clients as a pool file, as weir apply reads it: what was made through the
API becomes a file, or a second installation. Applied to the same store the file changes nothing. What is at its default is left out.

Secrets are not in the file: {stored: true} stands for each, which means the one in the store. With --with-secrets they are in it in the clear, and
the file makes the same pools in an empty store; keep it like a key.

Users, and who is in which group, are not exported (weir backup copies everything). What only the API can configure is named at the head of the file. Where a
process serves the store, that process reads it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			if to == "" {
				return exportTo(cmd, cfg, ask, cmd.OutOrStdout())
			}
			var b bytes.Buffer
			if err := exportTo(cmd, cfg, ask, &b); err != nil {
				return err
			}
			return writePrivate(to, b.Bytes())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringArrayVar(&ask.Pools, "pool", nil, "the id of a user pool; may be repeated (default: all)")
	cmd.Flags().StringVarP(&to, "output", "o", "", "the file to write, readable by its owner alone (default: standard output)")
	cmd.Flags().BoolVar(&ask.Secrets, "with-secrets", false, "write secrets in the clear")
	_ = cmd.MarkFlagFilename("output", "yaml", "yml") // fails only for a flag that does not exist
	return cmd
}

func exportTo(cmd *cobra.Command, cfg *config.Config, ask control.Export, out io.Writer) error {
	err := askServing(cmd.Context(), cfg, "export", ask, out)
	if !errors.Is(err, control.ErrNotServing) {
		return err
	}
	return onStopped(cmd, cfg, "user pools", func(n *node) error { return n.export(cmd.Context(), ask, out) })
}

// export writes pools as a file.
func (n *node) export(ctx context.Context, ask control.Export, out io.Writer) error {
	spec, omitted, err := n.directory.Export(ctx, ask.Pools, ask.Secrets)
	if err != nil {
		return err
	}
	var head strings.Builder
	head.WriteString("# Written by weir export: to be applied with weir apply. {stored: true} means the secret that is in the store.\n")
	for _, o := range omitted {
		head.WriteString("# Not in this file: " + o.String() + ".\n")
	}
	if _, err := io.WriteString(out, head.String()); err != nil {
		return err
	}
	if ask.Secrets {
		for _, p := range spec.UserPools {
			n.audit.Record(ctx, audit.SecretsExported{Pool: p.ID, By: "weir export"})
		}
	}
	return config.WritePools(out, spec)
}

// writePrivate puts a file in its place in one piece, for nobody but its owner to read, whoever could read the one before.
func writePrivate(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".weir-export-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the error that led here says more
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}
