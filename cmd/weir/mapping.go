package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lab"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/control"
)

// wouldFail is the exit status of weir mapping test where a sign-in that works would fail under the rules that were tried.
const wouldFail = 3

// maxClaims bounds a file of claims, in bytes: a SAML response may have 256 KB, and some more in base64.
const maxClaims = 512 << 10

func mappingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mapping",
		Short: "Try an attribute mapping before it is live",
		Long: `Try an attribute mapping on what a provider has said of people, or on claims of your own, and see whose attributes and groups would
change, by which rule, and whose sign-in would fail. Nothing is written, and nobody is signed in. Where a process serves the store, that process does it.`,
		Args: cobra.NoArgs, // a word that is no command is a slip, and not a question for help
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(mappingTestCommand(), mappingListCommand())
	return cmd
}

// mappingFlags are those of all commands about a provider's mapping.
type mappingFlags struct {
	file, kept string
	json       bool
	ask        control.Mapping
}

func (f *mappingFlags) add(cmd *cobra.Command, kept string) {
	configFlag(cmd, &f.file)
	cmd.Flags().StringVar(&f.ask.Pool, "pool", "", "the id of the user pool (required)")
	cmd.Flags().StringVar(&f.ask.Provider, "provider", "", "the name of the identity provider (required)")
	_ = cmd.MarkFlagRequired("pool") // fails only for a flag that does not exist
	_ = cmd.MarkFlagRequired("provider")
	cmd.Flags().StringVar(&f.kept, "kept", "all", kept)
	cmd.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
}

func mappingTestCommand() *cobra.Command {
	var f mappingFlags
	var rules, claims string
	cmd := &cobra.Command{
		Use:   "test --config weir.yaml --pool ID --provider P [--rules new.yaml] [--claims FILE | --kept NUMBER]",
		Short: "Say what a mapping does with kept assertions, or with claims of your own",
		Long: `Say what a mapping does, for each attribute and group before and after, by which rule and why. Without --rules it is the live mapping, and before is
what is stored; with --rules before is what the live mapping would give. Without --claims it is tried on every assertion that is kept of the provider (its
detail keep_assertions).

FILE is a JSON object of claims, such as an ID token's payload, or an ID token, or a SAML response, as XML or in base64. Its signature and its conditions are
reported and need not hold: it may be an old one.

The exit status is 0, or 1 where it could not be tried, or 3 where a sign-in that works would fail under the rules.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd, rules, claims); err != nil {
				return err
			}
			var report api.TestAttributeMappingResponse
			if err := f.run(cmd, &report); err != nil {
				return err
			}
			return tried(cmd.OutOrStdout(), report, f.json)
		},
	}
	f.add(cmd, "the number of the only kept assertion to try, see weir mapping list")
	cmd.Flags().StringVar(&rules, "rules", "", "rules to try: a bare mapping, the keys AttributeMapping and ProviderDetails, or a whole pool file")
	cmd.Flags().StringVar(&claims, "claims", "", "claims to try it on; - reads standard input")
	cmd.MarkFlagsMutuallyExclusive("claims", "kept")
	_ = cmd.MarkFlagFilename("rules", "yaml", "yml")
	return cmd
}

func mappingListCommand() *cobra.Command {
	f := mappingFlags{}
	cmd := &cobra.Command{
		Use:   "list --config weir.yaml --pool ID --provider P [--kept NUMBER]",
		Short: "List the assertions that are kept of a provider, or show one",
		Long:  `List the assertions that are kept of a provider, the newest first. With --kept one of them is shown, with its claims.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(cmd, "", ""); err != nil {
				return err
			}
			var list api.ListKeptAssertionsResponse
			switch err := f.run(cmd, &list); {
			case err != nil:
				return err
			case f.json:
				return writeJSON(cmd.OutOrStdout(), list)
			}
			return lab.WriteList(cmd.OutOrStdout(), list)
		},
	}
	f.add(cmd, "the number of one assertion, to be shown with its claims")
	f.ask.Action = "list"
	return cmd
}

// read takes in what the flags name: faults of files are told here, before anything is asked.
func (f *mappingFlags) read(cmd *cobra.Command, rules, claims string) (err error) {
	if f.kept != "all" {
		if f.ask.Number, err = strconv.ParseUint(f.kept, 10, 63); err != nil || f.ask.Number == 0 {
			return fmt.Errorf("--kept %q: want the number of a kept assertion, as weir mapping list shows it, or all", f.kept)
		}
	}
	if rules != "" {
		r, err := config.LoadRules(rules, f.ask.Pool, f.ask.Provider, os.LookupEnv)
		if err != nil {
			return err
		}
		f.ask.Rules = r.AttributeMapping
		if r.Details != nil {
			f.ask.Details = map[string]string{}
		}
		for key, v := range r.Details {
			f.ask.Details[key] = v.Reveal() // rules, and no secret: see pool.RuleDetails
		}
	}
	if claims != "" {
		if f.ask.Claims, err = readClaims(cmd.InOrStdin(), claims); err != nil {
			return fmt.Errorf("--claims %s: %w", claims, err)
		}
	}
	if f.ask.Action == "" {
		f.ask.Action = "test"
	}
	return nil
}

func readClaims(stdin io.Reader, path string) (_ []byte, err error) {
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the admin names the file
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		stdin = f
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxClaims+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxClaims:
		return nil, fmt.Errorf("more than %d KiB", maxClaims/1024)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("there is nothing in it")
	}
	return data, nil
}

// run asks the serving process, or the store where none serves, and reads the answer into out.
func (f *mappingFlags) run(cmd *cobra.Command, out any) error {
	cfg, err := loadConfig(f.file)
	if err != nil {
		return err
	}
	var answer bytes.Buffer
	err = askServing(cmd.Context(), cfg, "mapping", f.ask, &answer)
	if errors.Is(err, control.ErrNotServing) {
		err = onStopped(cmd, cfg, "identity providers", func(n *node) error { return n.mapping(cmd.Context(), f.ask, &answer) })
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(answer.Bytes(), out)
}

// tried prints a report, and tells with the exit status whether anybody would be kept out.
func tried(out io.Writer, report api.TestAttributeMappingResponse, asJSON bool) error {
	write := func() error { return lab.WriteText(out, report) }
	if asJSON {
		write = func() error { return writeJSON(out, report) }
	}
	if err := write(); err != nil {
		return err
	}
	broken := slices.DeleteFunc(slices.Clone(report.Assertions), func(a api.TestedAssertionType) bool { return a.Result != lab.Broken })
	if len(broken) == 0 {
		return nil
	}
	return &statusError{status: wouldFail, error: fmt.Errorf("%s would fail", counted(len(broken), "sign-in that works", "sign-ins that work"))}
}

// mapping does what was asked about a provider's mapping. The answer is JSON.
func (n *node) mapping(ctx context.Context, ask control.Mapping, out io.Writer) error {
	if ask.Action == "list" {
		kept, err := n.broker.KeptAssertions(ctx, ask.Pool, ask.Provider, ask.Number)
		if err != nil {
			return mappingFault(ask, err)
		}
		return writeJSON(out, lab.List(kept, ask.Number != 0))
	}
	if ask.Action != "test" {
		return fmt.Errorf("%q is nothing that can be done about a mapping", ask.Action)
	}
	test := federation.MappingTest{PoolID: ask.Pool, Provider: ask.Provider, Rules: ask.Rules, Number: ask.Number}
	if ask.Details != nil {
		test.Details = pool.Details{}
	}
	for key, v := range ask.Details {
		test.Details[key] = secret.New(v)
	}
	if ask.Claims != nil {
		given, err := n.given(ctx, ask)
		if err != nil {
			return mappingFault(ask, err)
		}
		test.Given = given
	}
	report, err := n.broker.TestMapping(ctx, test)
	if err != nil {
		return mappingFault(ask, err)
	}
	return writeJSON(out, report)
}

// given reads claims in one of the forms that an administrator may have them in.
func (n *node) given(ctx context.Context, ask control.Mapping) (*federation.GivenAssertion, error) {
	text := bytes.TrimSpace(ask.Claims)
	if bytes.HasPrefix(text, []byte("{")) || bytes.Count(text, []byte(".")) == 2 && !bytes.HasPrefix(text, []byte("<")) {
		claims, checks, err := federation.ReadClaims(text)
		if err != nil {
			return nil, err
		}
		given := federation.GivenClaims(claims, "")
		given.Checks = checks
		return given, nil
	}
	ip, err := n.directory.ProviderOf(ctx, ask.Pool, ask.Provider)
	if err != nil {
		return nil, err
	}
	return n.broker.Examine(ctx, ask.Pool, ask.Provider, n.cfg.BaseURL+ip.CallbackPath(), text)
}

// mappingFault is an error for whoever asked: what is wrong with what they wrote is said, and a cause is not.
func mappingFault(ask control.Mapping, err error) error {
	switch fault.CodeOf(err) {
	case fault.NotFound:
		return fault.New(fault.Config, fmt.Sprintf("provider %q of user pool %q: %s", ask.Provider, ask.Pool, fault.PublicOf(err)), err)
	case fault.Invalid:
		return fault.New(fault.Config, fault.PublicOf(err), err)
	}
	return err
}
