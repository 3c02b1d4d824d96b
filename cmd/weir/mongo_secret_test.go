package main_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// TestPasswordOfTheDatabase serves from a database that wants a password, which comes from a file or the environment as
// docs/operations.md says. Neither what works nor what fails, nor an outage, tells it to anybody.
func TestPasswordOfTheDatabase(t *testing.T) {
	const encoded = "hunter%402%2F%25" // hunter@2/%
	for source, set := range map[string]func(d *deployment, uri string) string{
		"a file": func(d *deployment, uri string) string { d.write("address", uri+"\n"); return "{file: address}" },
		"the environment": func(d *deployment, uri string) string {
			d.t.Setenv("WEIR_TEST_STORE", uri)
			return "{env: WEIR_TEST_STORE}"
		},
	} {
		t.Run(source, func(t *testing.T) {
			d := deploy(t, "log: {level: debug}")
			database := mongotest.Database(t, mongotest.Options{Ferret: true})
			front := mongotest.NewFront(t, database, nil, mongotest.Gate("weir", "hunter@2/%", ""))
			_, name, _ := strings.Cut(strings.TrimPrefix(database.Reveal(), "mongodb://"), "/")
			name, _, _ = strings.Cut(name, "?")
			address := func(password string) string {
				return "mongodb://weir:" + password + "@" + front.Addr().String() + "/" + name + "?authMechanism=SCRAM-SHA-256&authSource=admin&timeoutMS=3000"
			}
			config := d.read("weir.yaml")
			use := func(password string) {
				d.write("weir.yaml", strings.Replace(config, "store: bolt:weir.db", "store: "+set(d, address(password)), 1))
			}
			var said bytes.Buffer // all that anybody can read
			use(encoded + "wrong")
			status, stdout, stderr := run(t, "serve", "--config", d.path("weir.yaml"))
			if status == 0 || !strings.Contains(stderr, "user name, password, authSource and authMechanism in the connection string") {
				t.Errorf("with a wrong password: %d %s", status, stderr)
			}
			said.WriteString(stdout + stderr)
			use(encoded)
			status, stdout, stderr = run(t, "apply", "--config", d.path("weir.yaml"), "-f", d.path("pool.yaml"), "--dry-run")
			if status != 0 {
				t.Errorf("apply: %d %s", status, stderr)
			}
			said.WriteString(stdout + stderr)
			p := d.serve()
			d.signIn(newBrowser(t))
			read := func(address string) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(&said, res.Body); err != nil {
					t.Error(err)
				}
				_ = res.Body.Close()
			}
			read(d.ops + "/metrics")
			_ = front.Close() // the database is away
			front.Cut()
			d.awaitReady(http.StatusServiceUnavailable)
			read(d.ops + "/readyz")
			read(d.base + "/" + poolID + "/.well-known/openid-configuration")
			p.stop()
			said.WriteString(p.out.String() + p.log.String())
			if strings.Contains(said.String(), "hunter") {
				t.Errorf("the password is shown in %s", &said)
			}
			if !strings.Contains(said.String(), "store unavailable") && !strings.Contains(said.String(), "not ready") {
				t.Errorf("nobody was told of the outage, so there was nothing to hide: %s", &said)
			}
		})
	}
}
