package main_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	weir "github.com/weir-id/weir/cmd/weir"
)

// process is a command that runs within the test.
type process struct {
	t         *testing.T
	out, log  buffer
	interrupt context.CancelFunc
	ended     chan struct{}
	status    int // once ended is closed
}

// start runs a command line. It is interrupted when the test ends, at the latest.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.interrupt = cancel
	go func() {
		defer close(p.ended)
		p.status = weir.Run(ctx, args, &p.out, &p.log)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("weir %s\n%s%s", strings.Join(args, " "), p.out.String(), p.log.String())
		}
		p.interrupt()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Error("it does not end")
		}
	})
	return p
}

// run runs a command line to its end and returns its output.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	p := start(t, args...)
	p.wait()
	return p.status, p.out.String(), p.log.String()
}

func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it does not end\n%s%s", p.out.String(), p.log.String())
	}
}

// stop interrupts the process and wants it to end with 0.
func (p *process) stop() {
	p.t.Helper()
	p.interrupt()
	p.wait()
	if p.status != 0 {
		p.t.Fatalf("exit status %d\n%s%s", p.status, p.out.String(), p.log.String())
	}
}

// await waits until a stream of the process holds text.
func (p *process) await(b *buffer, text string) {
	p.t.Helper()
	late := time.After(patience)
	for {
		changed := b.changed()
		if strings.Contains(b.String(), text) {
			return
		}
		select {
		case <-changed:
		case <-p.ended:
			p.t.Fatalf("it ended with %d before it wrote %q\n%s%s", p.status, text, p.out.String(), p.log.String())
		case <-late:
			p.t.Fatalf("it does not write %q\n%s%s", text, p.out.String(), p.log.String())
		}
	}
}

// buffer is a stream that can be read while it is written.
type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	next chan struct{} // closed by the next write
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
	return b.b.Write(p)
}

func (b *buffer) changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
