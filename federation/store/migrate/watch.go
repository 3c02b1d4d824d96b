package migrate

import (
	"context"
	"maps"
	"time"
)

// watch looks for signs of life of whoever serves the source.
type watch struct {
	*run
	timer    *time.Timer
	versions map[string]uint64 // of the documents of the kind Pulse
}

func (r *run) watch(ctx context.Context) (*watch, error) {
	w := &watch{run: r, timer: time.NewTimer(r.PulseTime)}
	var err error
	w.versions, err = w.look(ctx)
	return w, err
}

// wait returns when the watch has lasted for PulseTime, or at the first sign of life. Errors: ErrUnsteady.
func (w *watch) wait(ctx context.Context) error {
	if w.Pulse == "" {
		return nil
	}
	w.tell(Step{Kind: w.Pulse, Watching: true})
	look := time.NewTicker(max(w.PulseTime/25, time.Millisecond))
	defer look.Stop()
	for over := false; ; {
		if err := w.still(ctx); err != nil || over {
			return err
		}
		select {
		case <-look.C:
		case <-w.timer.C:
			over = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// still fails with ErrUnsteady where something was written since the watch began.
func (w *watch) still(ctx context.Context) error {
	now, err := w.look(ctx)
	if err == nil && !maps.Equal(now, w.versions) {
		err = ErrUnsteady
	}
	return err
}

func (w *watch) look(ctx context.Context) (map[string]uint64, error) {
	versions := map[string]uint64{}
	if w.Pulse == "" {
		return versions, nil
	}
	for at := (&walker{engine: w.From, kind: w.Pulse}); ; at.page = at.page[1:] {
		d, err := at.peek(ctx)
		if err != nil || d == nil {
			return versions, err
		}
		versions[d.Key] = d.Version
	}
}
