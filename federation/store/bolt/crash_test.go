//go:build unix

package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

const (
	crashRounds  = 16
	crashWorkers = 8
)

// step is one write of a worker: each document is created, replaced, and every third one is taken.
type step struct{ worker, doc, phase int }

// The phases of a document.
const (
	absent = iota
	created
	replaced
	taken
)

func (s step) next() step {
	if s.phase == taken || s.phase == replaced && s.doc%3 != 0 {
		return step{s.worker, s.doc + 1, created}
	}
	s.phase++
	return s
}

func (s step) key(round string) string { return fmt.Sprintf("%s-%d-%06d", round, s.worker, s.doc) }

// document is what a document of that phase looks like.
func (s step) document(round string) store.Doc {
	key := s.key(round)
	return store.Doc{
		Key:     key,
		Unique:  []string{"u" + key, fmt.Sprint("v", s.phase, key)},
		Index:   []string{fmt.Sprintf("phase:%d", s.phase), "worker:" + fmt.Sprint(s.worker)},
		Expires: start.Add(time.Duration(s.phase) * time.Hour),
		Version: uint64(s.phase),
		Body:    make([]byte, 100+s.doc%7*500),
	}
}

func (s step) write(ctx context.Context, db *bolt.DB, round string) error {
	if s.phase == taken {
		_, err := db.Take(ctx, "k", s.key(round))
		return err
	}
	d := s.document(round)
	d.Version--
	_, err := db.Put(ctx, "k", d)
	return err
}

// loadRole writes until it is killed, and says of each write when it is acknowledged.
func loadRole(ctx context.Context, path, round string) error {
	db, err := bolt.Open(path, options())
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range crashWorkers {
		wg.Go(func() {
			for s := (step{w, 0, created}); ; s = s.next() {
				if err := s.write(ctx, db, round); err != nil {
					fmt.Println("failed:", err)
					os.Exit(1)
				}
				// One system call: the line is in the pipe, whatever happens to this process.
				if _, err := fmt.Fprintf(os.Stdout, "%d %d %d\n", s.worker, s.doc, s.phase); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// TestKilledProcessKeepsEveryAcknowledgedWrite kills a writing process again and again. It shows what a
// dying process leaves; the loss of power would need a machine to lose it.
func TestKilledProcessKeepsEveryAcknowledgedWrite(t *testing.T) {
	path := newPath(t)
	total := 0
	for round := range crashRounds {
		name := fmt.Sprint("r", round)
		p := play(t, "load", path, name)
		acked := map[int]step{}
		n := 0
		for line := p.line(t); line != ""; line = p.line(t) {
			var s step
			if _, err := fmt.Sscanf(line, "%d %d %d", &s.worker, &s.doc, &s.phase); err != nil {
				break // the last line may be cut off: it is no acknowledgement then
			}
			acked[s.worker] = s
			if n++; n == 40+round*31 {
				p.kill(t)
			}
		}
		p.ended(t)
		total += n
		db, err := bolt.Open(path, options())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for w := range crashWorkers {
			last, ok := acked[w]
			if !ok {
				last = step{w, -1, taken}
			}
			verifyWorker(t, db, name, last)
		}
		if err := db.CheckLinks(t.Context()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d acknowledged writes over %d kills", total, crashRounds)
}

// verifyWorker compares the store with what a worker had been told when it died. The write after the last
// acknowledged one may have happened or not.
func verifyWorker(t *testing.T, db *bolt.DB, round string, last step) {
	t.Helper()
	for doc := range last.doc + 2 {
		s := step{last.worker, doc, replaced}
		if doc%3 == 0 {
			s.phase = taken
		}
		switch {
		case doc == last.doc:
			s = last
		case doc > last.doc:
			s.phase = absent
		}
		got := phaseOf(t, db, round, s)
		inFlight := last.next()
		if got != s.phase && (doc != inFlight.doc || got != inFlight.phase) {
			t.Errorf("%s: found in phase %d, acknowledged was %d", s.key(round), got, s.phase)
		}
	}
}

// phaseOf reads a document in every way and returns its phase; a taken one and one that never was look alike.
func phaseOf(t *testing.T, db *bolt.DB, round string, s step) int {
	t.Helper()
	gone := absent
	if s.phase == taken || s.phase == replaced {
		gone = taken
	}
	d, err := db.Get(t.Context(), "k", s.key(round))
	if errors.Is(err, store.ErrNotFound) {
		if _, err := db.GetBy(t.Context(), "k", "u"+s.key(round)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s is gone, and found by its unique value: %v", s.key(round), err)
		}
		return gone
	}
	if err != nil {
		t.Errorf("%s: %v", s.key(round), err)
		return gone
	}
	s.phase = int(d.Version)
	want := s.document(round)
	if fmt.Sprint(d) != fmt.Sprint(want) {
		t.Errorf("%s is %+v, want %+v", s.key(round), d, want)
	}
	for _, u := range want.Unique {
		if by, err := db.GetBy(t.Context(), "k", u); err != nil || by.Key != d.Key {
			t.Errorf("%s is not found by %s: %v", s.key(round), u, err)
		}
	}
	return s.phase
}
