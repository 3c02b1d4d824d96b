// Command weir is the identity federation broker: flags, wiring and subcommands. What it does is in the packages beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/federation/fault"
)

func main() {
	tuneCollector()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// tuneCollector lets garbage grow to four times what is in use, which is a few MB: at the runtime's own measure the collector would run
// every few sign-ins and take a fifth of their processor time (docs/benchmarks.md). GOGC and GOMEMLIMIT keep their meaning.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// run executes one command line and returns the exit status: 0, or 1 after a fault.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "weir:", explain(err))
		return 1
	}
	return 0
}

// explain is what the admin reads: a configuration fault's own sentence says what to change, everything else shows its cause.
func explain(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Config {
		return f.Public
	}
	return err.Error()
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Weir signs people in through any identity provider and issues one kind of token.",
		Long: `Weir is an identity federation broker. People come in through OpenID Connect, SAML or social
providers; applications get the ID, access and refresh tokens of a user pool.

Try it:   weir demo
Run it:   weir serve --config weir.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(), applyCommand(), demoCommand(), benchCommand(), backupCommand(), restoreCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "weir", version())
			return err
		},
	}
}

// release is set by the linker in released binaries.
var release string

func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}
