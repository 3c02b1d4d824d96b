package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/server/control"
)

// listedTraces is how many traces are listed.
const listedTraces = 20

func traceCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "trace --config weir.yaml [REFERENCE]",
		Short: "Say why a sign-in failed, by the reference that the person was shown",
		Long: fmt.Sprintf(`Say in plain words why a sign-in failed: what happened, at which provider and for which application, what an administrator should
change there or here, and what the person saw. REFERENCE is what the error page shows, or what the application got in error_description;
lower case and missing dashes do not matter. Without it the newest %d are listed.

Traces are kept for 7 days, and 10,000 of them; of a flood of failures most are left out. The log has every failure. Where a process serves
the store, that process reads the trace.`, listedTraces),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := control.Trace{JSON: asJSON}
			if len(args) == 1 {
				ref, err := trace.ParseReference(args[0])
				if err != nil {
					return err
				}
				ask.Reference = ref
			}
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			err = askServing(cmd.Context(), cfg, "trace", ask, cmd.OutOrStdout())
			if !errors.Is(err, control.ErrNotServing) {
				return err
			}
			return onStopped(cmd, cfg, "traces", func(n *node) error { return n.trace(cmd.Context(), ask, cmd.OutOrStdout()) })
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the document, or the list of them, as JSON")
	return cmd
}

// trace prints one trace, or the newest.
func (n *node) trace(ctx context.Context, ask control.Trace, out io.Writer) error {
	if ask.Reference != "" {
		t, err := n.traces.Get(ctx, ask.Reference)
		switch {
		case err != nil:
			return err
		case ask.JSON:
			return writeJSON(out, t)
		}
		return t.WriteText(out)
	}
	list, err := n.traces.Newest(ctx, listedTraces)
	switch {
	case err != nil:
		return err
	case ask.JSON:
		return writeJSON(out, list)
	}
	return trace.WriteList(out, list)
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
