package main_test

import (
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// TestServingFromMongoDB signs in through a process that keeps nothing on its own disk but the keys, uses the command line beside
// it, and goes on with another process that finds the same user and keys.
func TestServingFromMongoDB(t *testing.T) {
	d := deploy(t)
	uri := mongotest.Database(t, mongotest.Options{})
	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "store: bolt:weir.db", "store: "+uri.Reveal(), 1))
	config := d.path("weir.yaml")
	if status, stdout, stderr := run(t, "apply", "--config", config, "-f", d.path("pool.yaml"), "--dry-run"); status != 0 || !strings.Contains(stdout, "create UserPools[example]") {
		t.Fatalf("a dry run in an empty database: %d %s %s", status, stdout, stderr)
	}
	p := d.serve()
	before := d.signIn(newBrowser(t))

	if status, stdout, stderr := run(t, "user", "show", "--config", config, "--pool", poolID, before.Subject); status != 0 || !strings.Contains(stdout, "ada@example.com") {
		t.Errorf("weir user beside the serving process: %d %s %s", status, stdout, stderr)
	}
	if status, stdout, stderr := run(t, "apply", "--config", config, "-f", d.path("pool.yaml")); status != 0 || !strings.Contains(stdout, "nothing to change") {
		t.Errorf("the same file again: %d %s %s", status, stdout, stderr)
	}
	if status, stdout, stderr := run(t, "export", "--config", config); status != 0 || !strings.Contains(stdout, poolID) {
		t.Errorf("export: %d %s %s", status, stdout, stderr)
	}
	if status, _, stderr := run(t, "backup", "--config", config, d.path("copy")); status == 0 || !strings.Contains(stderr, "mongodump") {
		t.Errorf("backup: %d %s", status, stderr)
	}
	p.stop()
	if log := p.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("log: %s", log)
	}

	p = d.serve()
	if after := d.signIn(newBrowser(t)); after.Subject != before.Subject {
		t.Errorf("subject %s after the restart, %s before", after.Subject, before.Subject)
	}
	p.stop()

	// Without its keys the store is not taken for a new one.
	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "sealing.keys", "other.keys", 1))
	if status, _, stderr := run(t, "serve", "--config", config); status == 0 || !strings.Contains(stderr, "bring the file back from its copy") {
		t.Errorf("without its keys: %d %s", status, stderr)
	}
}
