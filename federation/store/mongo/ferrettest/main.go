// Command ferrettest serves FerretDB 1.24 over SQLite on the loopback interface, for the tests of package mongo: a server that
// speaks MongoDB's wire protocol and is built from Go modules alone. It has a module of its own, so that none of its dependencies
// come near the binary. See docs/decisions/0030-mongodb-engine.md for what it can and cannot show.
//
// It keeps its files in a directory of its own that goes with it, writes its URI as the first line of standard output, and ends with its
// standard input, so that it does not outlive the test that started it. (In memory, SQLite has one connection for all of
// FerretDB, and a call waits for ever for the one that an open cursor has.)
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if err := serve(os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "ferrettest:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out, log io.Writer) error {
	dir, err := os.MkdirTemp("", "ferrettest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/",
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	if _, err := fmt.Fprintln(out, db.MongoDBURI()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	cancel()
	return <-ended
}
