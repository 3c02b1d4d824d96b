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
	"time"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/server/control"
)

// storeName is what to call the store before people. A connection string may hold a password.
func storeName(cfg *config.Config) string {
	if cfg.Store.Kind == config.StoreMongoDB {
		return "in MongoDB"
	}
	return cfg.Store.Path
}

// openStore opens the engine that the configuration names. db is the same where it is a file.
func openStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (engine store.Engine, db *bolt.DB, err error) {
	if cfg.Store.Kind == config.StoreMongoDB {
		e, err := mongo.Open(ctx, cfg.Store.URI, mongo.Options{Now: time.Now, Logger: log})
		if err != nil {
			return nil, nil, fmt.Errorf("store: %w", err)
		}
		return e, nil, nil
	}
	db, err = openFile(cfg, log)
	return db, db, err
}

func openFile(cfg *config.Config, log *slog.Logger) (*bolt.DB, error) {
	db, err := bolt.Open(cfg.Store.Path, bolt.Options{Now: time.Now, Logger: log})
	if errors.Is(err, bolt.ErrLocked) {
		return nil, fmt.Errorf("store: %w; a store belongs to one process: stop the other, or try again if it is just starting or stopping", err)
	}
	return db, err
}

// storeExists reports whether the store is there, and fails where it could not be: the directory of its file is missing, or
// MongoDB does not answer. A database is a store from when something was sealed in it.
func storeExists(ctx context.Context, cfg *config.Config) (bool, error) {
	if cfg.Store.Kind == config.StoreMongoDB {
		e, _, err := openStore(ctx, cfg, nil)
		if err != nil {
			return false, err
		}
		sealed, err := store.Sealed(ctx, e)
		return sealed, errors.Join(err, e.Close())
	}
	_, err := os.Stat(cfg.Store.Path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	dir := filepath.Dir(cfg.Store.Path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, fault.New(fault.Config, "store: the directory "+dir+" does not exist: create it for the user that weir runs as.", err)
	}
	return false, nil
}

// onlyFiles refuses a command that copies the store's file, where there is none.
func onlyFiles(cfg *config.Config, command string) error {
	if cfg.Store.Kind == config.StoreBolt {
		return nil
	}
	return fault.New(fault.Config, "store: "+command+" copies a store in a file (bolt:PATH), and this one is in MongoDB: use the server's own tools, such as "+
		"mongodump and mongorestore, and keep the sealing keys as well.", nil)
}

// askServing hands a command to the process that serves the store's file. A database may be used beside it, so there the answer is
// control.ErrNotServing.
func askServing(ctx context.Context, cfg *config.Config, command string, args any, out io.Writer) error {
	if cfg.Store.Kind != config.StoreBolt {
		return control.ErrNotServing
	}
	return control.Call(ctx, socketOf(cfg), command, args, out)
}
