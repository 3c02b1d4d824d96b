package mongo_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

func roll(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err)
	}
	return int(i.Int64())
}

// TestStormOfWritersWhoFail lets many writers work on few documents and values, without patience, so that they fence each other all the time, with
// clocks that are half an hour apart while documents expire, and with calls that are not made or not answered. Whatever that does to each
// of them, no document may lose a claim or an entry, and nothing may be taken twice.
func TestStormOfWritersWhoFail(t *testing.T) {
	uri := mongotest.Database(t, mongotest.Options{OneConnection: true}) // the calls of all are mixed, each one is whole
	db := open(t, uri)
	db.SetPatience(0)
	var passed atomic.Int64 // of the time, in seconds
	db.SetNow(func() time.Time {
		return start.Add(time.Duration(passed.Add(1))*time.Second + time.Duration(roll(30))*time.Minute)
	})
	db.SetFault(func(string) (before, after error) {
		switch roll(60) {
		case 0:
			return errPulled, nil
		case 1:
			return nil, errPulled
		}
		return nil, nil
	})
	s := &storm{db: db, taken: map[string]int{}}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 60 {
				s.step(t)
			}
		})
	}
	writers.Go(func() { // a server with TTL indexes, which comes as early as no clock would let it
		for range 60 {
			if _, err := db.ServerRemoves(t.Context(), start.Add(time.Duration(passed.Load())*time.Second+24*time.Hour)); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Wait()
	for body, n := range s.taken {
		if n > 1 {
			t.Errorf("%s was taken %d times", body, n)
		}
	}
	if s.done.Load() < 50 || len(s.taken) == 0 {
		t.Errorf("%d writes and %d takes succeeded: that was no storm", s.done.Load(), len(s.taken))
	}
	calm := open(t, uri)
	calm.SetNow(func() time.Time { return start })
	o := audit(t, calm)
	claimable(t, calm, "k")
	audit(t, calm)
	t.Logf("%d writes and %d takes succeeded, %d were undecided; left over: %+v", s.done.Load(), len(s.taken), s.undecided.Load(), o)
}

type storm struct {
	db              *mongo.DB
	bodies          atomic.Int64
	done, undecided atomic.Int64

	mu    sync.Mutex
	taken map[string]int // by body, which no two writes share
}

// step makes one call.
func (s *storm) step(t *testing.T) {
	ctx := t.Context()
	key := fmt.Sprint("key", roll(5))
	var err error
	switch roll(8) {
	case 0:
		var d store.Doc
		if d, err = s.db.Take(ctx, "k", key); err == nil {
			s.mu.Lock()
			s.taken[string(d.Body)]++
			s.mu.Unlock()
		}
	case 1:
		err = s.db.Delete(ctx, "k", key)
	case 2:
		_, err = s.db.Sweep(ctx, start.Add(48*time.Hour))
	default:
		d := store.Doc{Key: key, Body: fmt.Append(nil, "body ", s.bodies.Add(1))}
		if old, err := s.db.Get(ctx, "k", key); err == nil {
			d.Version = old.Version
			d.Unique = slices.Clone(old.Unique[:len(old.Unique)/2]) // some are kept
		}
		for range roll(3) {
			d.Unique = append(d.Unique, fmt.Sprint("u", 1+roll(4)))
		}
		if roll(2) == 0 {
			d.Index = []string{fmt.Sprint("n:", roll(3))}
		}
		if roll(2) == 0 {
			d.Expires = start.Add(time.Duration(roll(60)) * time.Minute)
		}
		if _, err = s.db.Put(ctx, "k", d); err == nil {
			s.done.Add(1)
		}
	}
	switch {
	case errors.Is(err, store.ErrUnavailable):
		s.undecided.Add(1)
	case err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrTaken):
		t.Error(err)
	}
}
