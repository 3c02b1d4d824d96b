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
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/fault"
)

func main() {
	tuneCollector()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// tuneCollector lets garbage grow to four times what is in use, which is a few MB: at the runtime's own measure the collector would run
// every few sign-ins and take a fifth of their processor time (docs/benchmarks.md). GOGC and GOMEMLIMIT keep their meaning.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
}

// run executes one command line until it is done or ctx ends, and returns the exit status: 0, or 1 after a fault, or that of a statusError.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "weir:", explain(err))
		var s *statusError
		if errors.As(err, &s) {
			return s.status
		}
		return 1
	}
	return 0
}

// explain is what the admin reads. Faults of a file stand on lines of their own that begin with the file, for editors and for the eye; a
// configuration fault's own sentence says what to change; everything else shows its cause.
func explain(err error) string {
	var faults config.Faults
	if errors.As(err, &faults) && len(faults) > 1 {
		return fmt.Sprintf("%d faults:\n%s", len(faults), faults)
	}
	if len(faults) == 1 {
		return faults.Error()
	}
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
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serveCommand(), applyCommand(), exportCommand(), demoCommand(), benchCommand(), traceCommand(), userCommand(), mappingCommand(), backupCommand(), restoreCommand(), migrateCommand(), versionCommand())
	return root
}

// flagError says which flag was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	hint := fmt.Sprintf("; see %s --help", cmd.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		// Cobra finds similar names among commands only.
		flags := &cobra.Command{SuggestionsMinimumDistance: 2}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		if near := flags.SuggestionsFor(unknown.GetSpecifiedName()); len(near) > 0 {
			hint = "; did you mean --" + strings.Join(near, " or --") + "?"
		}
	}
	return fmt.Errorf("%w%s", err, hint)
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
