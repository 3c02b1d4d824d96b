package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/migrate"
	"github.com/weir-id/weir/server/control"
)

// move is one call of weir migrate.
type move struct {
	cfg      *config.Config
	log      *slog.Logger
	from, to config.Store
	ahead    bool
	out      io.Writer
	terminal io.Writer // nil where nobody looks on
}

func migrateCommand() *cobra.Command {
	var file, from, to string
	var ahead, reopen bool
	cmd := &cobra.Command{
		Use:   "migrate --config weir.yaml [--from STORE] --to STORE [--ahead]",
		Short: "Move everything from one store to another",
		Long: `Copy a store into an empty one of the same or another kind, compare every document, and count every kind. STORE is bolt:PATH, mongodb://…, or
env:NAME or file:PATH for an address that holds a password. The sealing keys are those of weir.yaml, and stay the same.

Nobody may serve the source meanwhile. To be without service for seconds only, copy --ahead while it is served, stop weir, and run the same command
without --ahead: what changed in between is then copied. A run that was interrupted is carried on by the next one.

When it is done, the target is the store: name it in weir.yaml. The source keeps everything, but is not served any more, so that nothing can be
written to the wrong one. --reopen undoes that, and gives up what happened in the target.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			m := &move{cfg: cfg, log: logger(cfg.Log, cmd.ErrOrStderr()), ahead: ahead, from: cfg.Store, out: cmd.OutOrStdout(), terminal: terminal(cmd.ErrOrStderr())}
			if from != "" {
				if m.from, err = storeArgument("--from", from); err != nil {
					return err
				}
			}
			if reopen {
				return m.reopen(cmd.Context())
			}
			if m.to, err = storeArgument("--to", to); err != nil {
				return err
			}
			return m.run(cmd.Context())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&from, "from", "", "the store to move (default: that of weir.yaml)")
	cmd.Flags().StringVar(&to, "to", "", "the store to move it to")
	cmd.Flags().BoolVar(&ahead, "ahead", false, "copy while the source is served, so that less is left to do")
	cmd.Flags().BoolVar(&reopen, "reopen", false, "let a source be served again that was moved")
	cmd.MarkFlagsOneRequired("to", "reopen")
	cmd.MarkFlagsMutuallyExclusive("to", "reopen")
	cmd.MarkFlagsMutuallyExclusive("ahead", "reopen")
	return cmd
}

// storeArgument reads a store's address from the command line, which other users of the machine can see.
func storeArgument(flag, s string) (config.Store, error) {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if s = os.Getenv(name); s == "" {
			return config.Store{}, fault.New(fault.Config, flag+": the environment variable "+name+" is not set or empty.", nil)
		}
	} else if path, ok := strings.CutPrefix(s, "file:"); ok {
		body, err := os.ReadFile(path) //nolint:gosec // the path is the admin's
		if err != nil {
			return config.Store{}, fmt.Errorf("%s: %w", flag, err)
		}
		s = strings.TrimRight(string(body), "\r\n")
	}
	st, err := config.ParseStore(s)
	if err != nil {
		return st, fault.New(fault.Config, flag+": "+err.Error()+", env:NAME or file:PATH.", err)
	}
	if st.Kind == config.StoreBolt {
		st.Path, err = filepath.Abs(st.Path)
	}
	return st, err
}

// with is the configuration with another store.
func (m *move) with(s config.Store) *config.Config {
	cfg := *m.cfg
	cfg.Store = s
	return &cfg
}

// open opens a store, one that exists if it must.
func (m *move) open(ctx context.Context, s config.Store, must bool) (migrate.Store, error) {
	cfg := m.with(s)
	exists, err := storeExists(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if must && !exists {
		return nil, fault.New(fault.Config, "migrate: there is no store "+s.String()+".", nil)
	}
	e, _, err := openStore(ctx, cfg, m.log)
	if errors.Is(err, bolt.ErrLocked) {
		return nil, fault.New(fault.Config, "migrate: "+s.String()+" is open in another process: stop weir first. While it serves, weir migrate --ahead copies what there is.", err)
	}
	if err != nil {
		return nil, err
	}
	ms, ok := e.(migrate.Store)
	if !ok {
		return nil, errors.Join(fmt.Errorf("migrate: the engine of %s cannot say what is in it", s), e.Close())
	}
	return ms, nil
}

// signTime is how long a database is watched for signs of life of a node, which renews its leases. A node that dies is followed by another
// one before that.
const signTime = lease.Life + 2*lease.Look + 6*time.Second

func (m *move) run(ctx context.Context) (err error) {
	if m.from.String() == m.to.String() {
		return fault.New(fault.Config, "migrate: --from and --to are the same store.", nil)
	}
	keys := m.cfg.SealingKeys
	keys.Create = false // new ones could open nothing
	ring, _, err := keys.Open(os.LookupEnv)
	if err != nil {
		return err
	}
	from, clean, err := m.source(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close(), clean()) }()
	var absent bool
	if m.to.Kind == config.StoreBolt {
		_, stat := os.Stat(m.to.Path)
		absent = errors.Is(stat, fs.ErrNotExist)
	}
	to, err := m.open(ctx, m.to, false)
	if err != nil {
		return err
	}
	work := &migrate.Migration{From: from, To: to, FromName: m.from.String(), ToName: m.to.String(), Ring: ring, Now: time.Now, Progress: m.progress()}
	if m.from.Kind != config.StoreBolt {
		work.Pulse, work.PulseTime = lease.Kind, signTime
	}
	do := work.Run
	if m.ahead {
		do = work.Ahead
	}
	report, err := do(ctx)
	if m.terminal != nil {
		_, _ = fmt.Fprint(m.terminal, "\r\x1b[K")
	}
	told := m.tell(report, err)
	err = errors.Join(told, to.Close())
	if absent && migrate.Refused(told) {
		err = errors.Join(err, os.Remove(m.to.Path))
	}
	return err
}

// source opens the source, or with --ahead a copy of a file that a process serves, which clean removes.
func (m *move) source(ctx context.Context) (from migrate.Store, clean func() error, err error) {
	clean = func() error { return nil }
	if !m.ahead || m.from.Kind != config.StoreBolt {
		from, err = m.open(ctx, m.from, true)
		return from, clean, err
	}
	if _, err := storeExists(ctx, m.with(m.from)); err != nil {
		return nil, clean, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(m.from.Path), ".weir-migrate-*") // of mode 0700, and where the store has room
	if err != nil {
		return nil, clean, fmt.Errorf("migrate: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	backup, copied := filepath.Join(dir, "backup"), config.Store{Kind: config.StoreBolt, Path: filepath.Join(dir, "weir.db")}
	err = control.Call(ctx, socketOf(m.with(m.from)), "backup", control.Backup{Path: backup}, io.Discard)
	if errors.Is(err, control.ErrNotServing) {
		from, err = m.open(ctx, m.from, true)
		return from, func() error { return os.RemoveAll(dir) }, err
	}
	if err != nil {
		return nil, clean, err
	}
	if err = errors.Join(bolt.Restore(ctx, backup, copied.Path), os.Remove(backup)); err != nil {
		return nil, clean, err
	}
	from, err = m.open(ctx, copied, true)
	return from, func() error { return os.RemoveAll(dir) }, err
}

// advice is what to do about a migration that was refused or failed.
var advice = []struct {
	err  error
	text string
}{
	{migrate.ErrEmpty, "migrate: there is nothing in %[1]s. Nothing was changed."},
	{migrate.ErrInUse, "migrate: %[2]s is in use, and a migration adds to nothing: name an empty one. Nothing was changed."},
	{migrate.ErrOtherSource, "migrate: %[2]s is the unfinished copy of another store: finish that one, or name an empty one. Nothing was changed."},
	{migrate.ErrFinished, "migrate: %[2]s is a finished copy of %[1]s, which was reopened since. Which of them counts is yours to say: serve that one, or move it to an empty store. Nothing was changed."},
	{migrate.ErrMoved, "migrate: %[1]s was moved to another store before, and what happened since is there. Nothing was changed."},
	{migrate.ErrHalf, "migrate: %[1]s is itself an unfinished copy. Nothing was changed."},
	{migrate.ErrTakenOver, "migrate: another weir migrate has begun on %[2]s and goes on. This one has stopped."},
	{migrate.ErrUnsteady, "migrate: %[1]s changes: a process still serves it. Stop every weir that does, and run the same command again. %[1]s is as it was, and can be served."},
	{migrate.ErrDiffers, "migrate: %[2]s is not the same as %[1]s: a process still serves one of them. Stop it, and run the same command again. %[1]s is as it was, and can be served."},
	{store.ErrWrongRing, "sealing_keys: these keys do not open %[1]s, which was made with others: put those back. Nothing was changed."},
}

// tell writes what was done, and puts a failure into words.
func (m *move) tell(r migrate.Report, err error) error {
	if len(r.Kinds) > 0 {
		m.table(r, err)
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return fault.New(fault.Config, fmt.Sprintf(a.text, m.from, m.to), err)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("migrate: it is not done, and %s is as it was: run the same command again to carry on: %w", m.from, err)
	case !r.Before.IsZero():
		_, err = fmt.Fprintf(m.out, "%s was moved to %s at %s already. Nothing was changed.\n", m.from, m.to, r.Before.Format(time.RFC3339))
	case m.ahead:
		_, err = fmt.Fprintf(m.out, "Copied ahead. Now stop weir, and run the same command without --ahead.\n")
	default:
		_, err = fmt.Fprintf(m.out, "Every document was compared and is the same in both.\nDone. Name %s under store in weir.yaml. %s is kept, and is not served any more.\n", m.to, m.from)
	}
	return err
}

func (m *move) table(r migrate.Report, err error) {
	w := tabwriter.NewWriter(m.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	differ := errors.Is(err, migrate.ErrDiffers)
	row := func(c migrate.Count) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t", c.Kind, c.Documents, c.Created, c.Replaced, c.Removed) // a buffer
		if differ {
			_, _ = fmt.Fprintf(w, "%d\t", c.Differing)
		}
		_, _ = fmt.Fprintln(w)
	}
	head := "kind\tdocuments\tcreated\treplaced\tremoved\t"
	if differ {
		head += "differing\t"
	}
	_, _ = fmt.Fprintln(w, head)
	sum := migrate.Count{Kind: "total"}
	for _, c := range r.Kinds {
		row(c)
		sum.Documents, sum.Created, sum.Replaced = sum.Documents+c.Documents, sum.Created+c.Created, sum.Replaced+c.Replaced
		sum.Removed, sum.Differing = sum.Removed+c.Removed, sum.Differing+c.Differing
	}
	row(sum)
	_ = w.Flush() // what follows says it again if nothing can be written
}

// terminal returns w if a person looks on there.
func terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}

// progress writes a line that replaces itself.
func (m *move) progress() func(migrate.Step) {
	if m.terminal == nil {
		return nil
	}
	return func(s migrate.Step) {
		what := "copying"
		switch {
		case s.Watching:
			what = "watching " + m.from.String() + " for " + signTime.String() + ":"
		case s.Verifying:
			what = "comparing"
		}
		_, _ = fmt.Fprintf(m.terminal, "\r\x1b[K%s %s %d", what, s.Kind, s.Documents)
	}
}

// reopen lets a store be served that was moved.
func (m *move) reopen(ctx context.Context) error {
	e, err := m.open(ctx, m.from, true)
	if err != nil {
		return err
	}
	to, at, err := migrate.Reopen(ctx, e)
	if errors.Is(err, store.ErrNotFound) {
		err = fault.New(fault.Config, "migrate: "+m.from.String()+" was not moved. Nothing was changed.", err)
	}
	if err == nil {
		_, err = fmt.Fprintf(m.out, "%s can be served again. It does not have what happened in %s since %s.\n", m.from, to, at.Format(time.RFC3339))
	}
	return errors.Join(err, e.Close())
}
