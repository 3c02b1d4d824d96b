package main_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/migrate"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// TestMovingToMongoDBAndBack moves a file to a database while people have signed in, and back: they stay the same people.
func TestMovingToMongoDBAndBack(t *testing.T) {
	d := deploy(t)
	uri := mongotest.Database(t, mongotest.Options{OneConnection: true}).Reveal()
	moved := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := run(t, append([]string{"migrate", "--config", d.path("weir.yaml")}, args...)...)
		if status != 0 || !strings.Contains(stdout, "is the same in both") || strings.Contains(stdout+stderr, "maxPoolSize") {
			t.Fatalf("migrate %q: %d %s %s", args, status, stdout, stderr)
		}
		return stdout
	}
	p := d.serve()
	before := d.signIn(newBrowser(t))
	p.stop()
	d.write("address", uri+"\n")
	if out := moved("--to", "file:"+d.path("address")); !strings.Contains(out, "Name mongodb://") || !strings.Contains(out, " user ") {
		t.Error(out)
	}

	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "store: bolt:weir.db", "store: {file: address}", 1))
	p = d.serve()
	if after := d.signIn(newBrowser(t)); after.Subject != before.Subject {
		t.Errorf("subject %s in the database, %s in the file", after.Subject, before.Subject)
	}
	p.stop()

	moved("--to", "bolt:"+d.path("back.db"))
	if status, _, stderr := run(t, "serve", "--config", d.path("weir.yaml")); status == 0 || !strings.Contains(stderr, "this one was moved to bolt:") {
		t.Errorf("the database that was moved is served: %d %s", status, stderr)
	}
	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "store: {file: address}", "store: bolt:back.db", 1))
	p = d.serve()
	if after := d.signIn(newBrowser(t)); after.Subject != before.Subject {
		t.Errorf("subject %s after the way back, %s before", after.Subject, before.Subject)
	}
	p.stop()
}

// TestADatabaseThatIsServedIsNotMoved: its node gives signs of life. One that was cut off while its database was moved takes itself out of service.
func TestADatabaseThatIsServedIsNotMoved(t *testing.T) {
	d := deploy(t)
	uri := mongotest.Database(t, mongotest.Options{OneConnection: true})
	d.write("weir.yaml", strings.Replace(d.read("weir.yaml"), "store: bolt:weir.db", "store: "+uri.Reveal(), 1))
	p := d.serve()
	if status, _, stderr := run(t, "migrate", "--config", d.path("weir.yaml"), "--to", "bolt:"+d.path("refused.db")); status == 0 || !strings.Contains(stderr, "a process still serves") {
		t.Errorf("a database that is served is moved: %d %s", status, stderr)
	}
	from, err := mongo.Open(t.Context(), uri, mongo.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	to, err := bolt.Open(d.path("new.db"), bolt.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ring, _, err := config.SealingKeys{File: d.path("sealing.keys")}.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &migrate.Migration{From: from, To: to, FromName: "from", ToName: "to", Ring: ring, Now: time.Now}
	for tries := 0; ; tries++ { // the process writes now and then, which is noticed
		_, err := m.Run(t.Context())
		if err == nil {
			break
		}
		if !errors.Is(err, migrate.ErrDiffers) || tries == 10 {
			t.Fatal(err)
		}
	}
	d.awaitReady(http.StatusServiceUnavailable)
	p.stop()
	if err := from.Close(); err != nil {
		t.Error(err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
}
