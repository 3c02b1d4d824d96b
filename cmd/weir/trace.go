package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/server/control"
)

// How many traces are listed.
const (
	listedTraces = 20
	mostListed   = 1000
)

func traceCommand() *cobra.Command {
	var file string
	var ask control.Trace
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "trace --config weir.yaml [REFERENCE]",
		Short: "Say what became of a sign-in, by its reference",
		Long: fmt.Sprintf(`Say in plain words what became of a sign-in: each step, what the provider said of the person, what each check and each rule of the
mapping came to, what an administrator should change there or here, and what the person saw. REFERENCE is what the error page shows, or what the
application got in error_description, or the request_id or attempt of a line in the log; lower case and missing dashes do not matter. Without it the newest %d
are listed, and the flags say of which.

--redacted is for the administrator of the identity provider: no values of the person, no ids and names of ours.

Traces are kept for 7 days: those of failures, 10,000 at most, and those of sign-ins that succeeded, login_traces of them. Where a process serves
the store, that process reads the trace.`, listedTraces),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := traceAsked(&ask, args, since); err != nil {
				return err
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
	flags := cmd.Flags()
	flags.BoolVar(&ask.JSON, "json", false, "print the document, or the list of them, as JSON")
	flags.BoolVar(&ask.Redacted, "redacted", false, "print the form that may be sent to the provider's administrator")
	flags.StringVar(&ask.Pool, "pool", "", "list those of this user pool")
	flags.StringVar(&ask.User, "user", "", "list those of this user of --pool: a sub, a user name or an e-mail address")
	flags.StringVar(&ask.Provider, "provider", "", "list those of the provider of this name")
	flags.StringVar(&ask.Client, "client", "", "list those of the application with this client id")
	flags.BoolVar(&ask.Failed, "failed", false, "list failures alone")
	flags.DurationVar(&since, "since", 0, "list those of the last 90m, 24h, …")
	flags.IntVar(&ask.Most, "most", listedTraces, "how many to list")
	return cmd
}

// traceAsked reads the arguments and checks what goes together.
func traceAsked(ask *control.Trace, args []string, since time.Duration) error {
	switch {
	case ask.User != "" && ask.Pool == "":
		return errors.New("--user: name its pool with --pool")
	case since < 0:
		return errors.New("--since: want a time like 90m or 24h")
	case ask.Most < 1 || ask.Most > mostListed:
		return fmt.Errorf("--most: want 1 to %d", mostListed)
	case ask.Redacted && len(args) == 0:
		return errors.New("--redacted: name one trace by its reference")
	}
	if since > 0 {
		ask.Since = time.Now().Add(-since)
	}
	if len(args) == 0 {
		return nil
	}
	if ask.Pool != "" || ask.User != "" || ask.Provider != "" || ask.Client != "" || ask.Failed || since > 0 {
		return errors.New("a reference names one trace, and the other flags choose among all: give one or the other")
	}
	ref, err := trace.ParseName(args[0])
	ask.Reference = ref
	return err
}

// trace prints one trace, or the newest.
func (n *node) trace(ctx context.Context, ask control.Trace, out io.Writer) error {
	if ask.Reference != "" {
		t, err := n.traces.Get(ctx, ask.Reference)
		if err != nil {
			return err
		}
		return writeTrace(out, t, ask)
	}
	f := trace.Filter{Provider: ask.Provider, Client: ask.Client, Failed: ask.Failed, Since: ask.Since}
	if ask.Pool != "" {
		f.Pools = []string{ask.Pool}
	}
	if ask.User != "" {
		u, err := n.findUser(ctx, ask.Pool, ask.User, out)
		if err != nil {
			return err
		}
		f.Sub = u.Sub
	}
	if ask.Most < 1 || ask.Most > mostListed {
		ask.Most = listedTraces
	}
	list, err := n.traces.List(ctx, f, ask.Most)
	switch {
	case err != nil:
		return err
	case ask.JSON && list == nil:
		return writeJSON(out, []trace.Trace{})
	case ask.JSON:
		return writeJSON(out, list)
	}
	return trace.WriteList(out, list)
}

func writeTrace(out io.Writer, t trace.Trace, ask control.Trace) error {
	switch {
	case ask.Redacted && ask.JSON:
		return writeJSON(out, t.Redacted())
	case ask.Redacted:
		return t.Redacted().WriteText(out)
	case ask.JSON:
		return writeJSON(out, t)
	}
	return t.WriteText(out)
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
