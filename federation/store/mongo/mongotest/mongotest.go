// Package mongotest gives tests a database to keep a store in, on a real server over the wire.
//
// The server is the one of the environment variable WEIR_TEST_MONGO_URI, a connection string without a database, or where that
// is not set, FerretDB from the module in ../ferrettest, which is built on first use and lives as long as the test process. FerretDB
// 1.24 looks for a record, then changes it: two updates of one record at the same time may both hear that they matched.
// Tests in which calls race for one record ask for Options.OneConnection, which a whole server ignores.
package mongotest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weir-id/weir/federation/secret"
)

// Options of Database.
type Options struct {
	// OneConnection lets FerretDB see one call after the other.
	OneConnection bool
	// Ferret asks for FerretDB whatever the environment says: the test puts something between it and the engine.
	Ferret bool
}

// Variable names the environment variable with the server's connection string.
const Variable = "WEIR_TEST_MONGO_URI"

var server struct {
	sync.Mutex
	ferret string // the address of FerretDB, once it runs
	stdin  any    // of FerretDB, which ends when this process does
	opened int
}

// Database returns the connection string of an empty database, which is dropped when the test ends.
func Database(t testing.TB, o Options) secret.Text {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	base, whole := os.LookupEnv(Variable) //nolint:forbidigo // where the tests run is not the program's configuration
	if !whole || o.Ferret {
		if server.ferret == "" {
			if err := start(context.WithoutCancel(t.Context())); err != nil {
				t.Fatalf("no server: %v", err)
			}
		}
		base = server.ferret
		if o.OneConnection {
			base += "?maxPoolSize=1"
		}
	}
	server.opened++
	hosts, query, _ := strings.Cut(base, "?") // net/url does not know lists of hosts
	name := fmt.Sprintf("weirtest-%d-%d", os.Getpid(), server.opened)
	uri := strings.TrimSuffix(hosts, "/") + "/" + name + "?" + query
	t.Cleanup(func() { drop(t, uri, name) })
	return secret.New(uri)
}

// drop removes the database, so that neither server grows with the number of tests.
func drop(t testing.TB, uri, name string) {
	ctx := context.WithoutCancel(t.Context())
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	if err == nil {
		err = client.Database(name).RunCommand(ctx, bson.D{{Key: "dropDatabase", Value: 1}}).Err()
	}
	if err == nil {
		err = client.Disconnect(ctx)
	}
	if err != nil {
		t.Errorf("drop the test's database: %v", err)
	}
}

// start builds and starts FerretDB.
func start(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	// go run keeps what it has built and linked, so that only the first run on a machine takes long.
	cmd := exec.CommandContext(ctx, "go", "run", ".")
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "federation", "store", "mongo", "ferrettest")
	cmd.Stderr = os.Stderr
	if server.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ferrettest said nothing: %w", err)
	}
	server.ferret = strings.TrimSpace(line)
	return nil
}
