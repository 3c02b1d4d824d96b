package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/cmd/weir/bench"
	"github.com/weir-id/weir/config"
)

func benchCommand() *cobra.Command {
	o := bench.Options{}
	var quick, asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this build on this machine against its budgets",
		Long: `Measure whole sign-ins, refreshes and starts on this machine, on the loopback address only, and compare them with the
budgets of the project (docs/benchmarks.md). With a million users this takes some minutes and 3 GB below --dir; nothing is kept.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Users, o.Rounds, o.Logins = min(o.Users, 20_000), 3, 100
			}
			if o.Users < bench.SmallUsers {
				return fmt.Errorf("--users: at least %d", bench.SmallUsers)
			}
			return runBench(cmd, o, asJSON)
		},
	}
	cmd.Flags().IntVar(&o.Users, "users", 1_000_000, "users in the large store")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 9, "rounds, of which the median counts")
	cmd.Flags().IntVar(&o.Logins, "logins", 320, "logins of each kind in a round")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "directory for the stores (the system's temporary directory)")
	cmd.Flags().BoolVar(&quick, "quick", false, "a short run: 20000 users, 3 rounds of 100 logins")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagDirname("dir") // fails only for a flag that does not exist
	cmd.AddCommand(&cobra.Command{
		Use: "peers", Short: "The other side of the measurement; started by weir bench", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunPeers(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return cmd
}

func runBench(cmd *cobra.Command, o bench.Options, asJSON bool) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.Dir, err = os.MkdirTemp(o.Dir, "weir-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	// A log that costs what a log costs, its system calls included.
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	o.Peers, o.Serve = []string{self, "bench", "peers"}, []string{self, "serve", "--config"}
	o.Progress = cmd.ErrOrStderr()
	o.Open = func(ctx context.Context, dir, base string) (*bench.Node, error) {
		n, err := openNode(ctx, demoConfig(dir, base), logger(config.Log{Format: config.FormatJSON}, sink))
		if err != nil {
			return nil, err
		}
		srv, err := n.server()
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		behind, stop := context.WithCancel(ctx)
		var writing sync.WaitGroup
		writing.Go(func() { n.traces.Run(behind) })
		h, err := srv.Handler()
		return &bench.Node{Handler: h, Directory: n.directory, Stats: n.bolt.Stats, Close: func() error {
			stop()
			writing.Wait()
			return n.close()
		}}, err
	}
	rep, err := bench.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	if asJSON {
		return rep.JSON(cmd.OutOrStdout())
	}
	return rep.Table(cmd.OutOrStdout())
}
