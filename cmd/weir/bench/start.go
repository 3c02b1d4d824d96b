package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// start is one start of a server.
type start struct {
	ready  time.Duration // from exec to the first 200 of /readyz
	memory float64       // private memory then, in MB of 2^20 bytes; the map of the store's file is shared and not in it
}

const startLimit = 30 * time.Second

// starts serves the store in dir again and again, in a process of its own.
func (o Options) starts(ctx context.Context, dir string) ([]start, error) {
	operations, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "weir.yaml")
	conf := fmt.Sprintf("base_url: http://127.0.0.1:1\nlisten: 127.0.0.1:0\noperations_listen: %s\nstore: bolt:%s\nsealing_keys: {file: %s}\noutgoing: {allow_private: true}\n",
		operations, filepath.Join(dir, "weir.db"), filepath.Join(dir, "sealing.keys"))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	var out []start
	for range 5 {
		s, err := o.startOnce(ctx, file, operations)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (o Options) startOnce(ctx context.Context, file, operations string) (s start, err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, o.Serve[0], append(o.Serve[1:len(o.Serve):len(o.Serve)], file)...) //nolint:gosec // this program itself
	cmd.Stderr = &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	err = waitReady(ctx, "http://"+operations+"/readyz")
	s.ready = time.Since(begun)
	if err == nil {
		s.memory, err = privateMemory(cmd.Process.Pid)
	}
	err = errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
	if err != nil {
		err = fmt.Errorf("%w; the server said: %s", err, said.String())
	}
	return s, err
}

func waitReady(ctx context.Context, target string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			if err := resp.Body.Close(); err != nil {
				return err
			}
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// privateMemory is the anonymous resident memory of a process (Linux only).
func privateMemory(pid int) (float64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb / 1024, err
		}
	}
	return 0, errors.New("no RssAnon in the process's status")
}
