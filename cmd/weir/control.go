package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/server/control"
)

// socketOf is where a process that serves the store can be reached.
func socketOf(cfg *config.Config) string { return cfg.Store.Path + ".sock" }

// openControl adds the door for the command line. Without it serving goes on: only apply, export, backup, trace, user and mapping while serving need it.
// Beside a database nothing needs it.
func (n *node) openControl(ctx context.Context, ds *doors) {
	if n.bolt == nil {
		return
	}
	l, err := control.Listen(socketOf(n.cfg))
	if err != nil {
		n.log.LogAttrs(ctx, slog.LevelWarn, "no control socket: weir apply, weir export, weir backup, weir trace, weir user and weir mapping will not work while this process serves",
			slog.String("error", err.Error()))
		return
	}
	ds.add("control", n.handlers().Server(n.log), l)
}

func (n *node) handlers() control.Handlers {
	return control.Handlers{
		Apply: func(ctx context.Context, a control.Apply, out io.Writer) error {
			env := func(name string) (string, bool) { v, ok := a.Env[name]; return v, ok }
			return told(n.apply(ctx, a.Path, env, a.DryRun, out))
		},
		Export: func(ctx context.Context, e control.Export, out io.Writer) error {
			return told(n.export(ctx, e, out))
		},
		Backup: func(ctx context.Context, b control.Backup, out io.Writer) error {
			return told(backup(ctx, n.bolt, b.Path, out))
		},
		Trace: func(ctx context.Context, t control.Trace, out io.Writer) error {
			return told(n.trace(ctx, t, out))
		},
		User: func(ctx context.Context, u control.User, out io.Writer) error {
			return told(n.user(ctx, u, out))
		},
		Mapping: func(ctx context.Context, m control.Mapping, out io.Writer) error {
			return told(n.mapping(ctx, m, out))
		},
	}
}

// told makes an error one for the terminal of the one who asked: this process's user and its view of the file system may be others.
func told(err error) error {
	if err == nil {
		return nil
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		return fmt.Errorf("the serving process read the file and found %s", explain(err))
	}
	return fmt.Errorf("the serving process: %s", explain(err))
}
