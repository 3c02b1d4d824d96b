//go:build unix

package migrate_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/migrate"
)

// The test binary is run again as a migration that somebody kills.
const killVariable = "WEIR_MIGRATE_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(killVariable) == "" {
		os.Exit(m.Run())
	}
	if err := migrateFiles(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// migrateFiles says every step on a line, and that it is done.
func migrateFiles(ctx context.Context, from, to string) error {
	keys, err := secret.ParseRing(strings.NewReader(strings.Repeat("A", 43) + "="))
	if err != nil {
		return err
	}
	m := &migrate.Migration{FromName: from, ToName: to, Ring: keys, Now: time.Now, Progress: func(s migrate.Step) { fmt.Println(s) }}
	for path, s := range map[string]*migrate.Store{from: &m.From, to: &m.To} {
		db, err := bolt.Open(path, bolt.Options{Now: time.Now, LockWait: time.Minute})
		if err != nil {
			return err
		}
		defer db.Close() //nolint:errcheck // each write is on the disk when it is acknowledged
		*s = db
	}
	_, err = m.Run(ctx)
	if err == nil {
		fmt.Println("done")
	}
	return err
}

func TestAKilledMigrationIsCarriedOn(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.db"), filepath.Join(dir, "to.db")
	t.Run("fill", func(t *testing.T) {
		f := &fixture{T: t, clock: &clock{}, m: &migrate.Migration{From: boltAt(t, from, time.Now), Ring: ring(t, "A")}}
		f.fill(3000)
	})
	kills, done := 0, false
	for step := 2; !done; step += 3 {
		p := exec.CommandContext(t.Context(), exe, from, to)
		p.Env = append(os.Environ(), killVariable+"=1")
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "failed"):
				t.Error(line)
			case line == "done":
				done = true
			case n == step: // while its writers are at work
				if err := p.Process.Signal(syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				kills++
			}
		}
		if err := p.Wait(); (err == nil) != done {
			t.Fatalf("%v, done: %s", err, strconv.FormatBool(done))
		}
	}
	if kills < 3 {
		t.Errorf("killed %d times: the steps are too few", kills)
	}
	a, b := boltAt(t, from, time.Now), boltAt(t, to, time.Now)
	if err := migrate.Servable(t.Context(), b); err != nil {
		t.Error(err)
	}
	if had := content(t, b); !maps.Equal(content(t, a), had) || len(had) < 3000 {
		t.Errorf("the copy of %d documents is another", len(had))
	}
}
