package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/weir-id/weir/federation/store"
)

var raceCases = []testCase{
	{"of many creators one wins", raceCreate},
	{"of many replacers one wins each version", raceReplace},
	{"of many takers one gets it", raceTake},
	{"of many claimants one gets the unique value", raceUnique},
	{"of many claimants of an expired value one gets it", raceExpired},
	{"no increment is lost", raceIncrement},
	{"take and replace do not both win", raceTakeReplace},
}

func raceCreate(f *fixture) {
	for round := range 10 {
		key := numbered("d", round)
		won := f.race(store.ErrConflict, func(i int) error {
			_, err := f.engine.Put(f.Context(), "k", store.Doc{Key: key, Body: []byte(fmt.Sprint(i))})
			return err
		})
		if won != 1 {
			f.Fatalf("%d creators won", won)
		}
	}
}

func raceReplace(f *fixture) {
	d := f.put("k", store.Doc{Key: "a"})
	for range 10 {
		var winner [racers]bool
		won := f.race(store.ErrConflict, func(i int) error {
			v, err := f.engine.Put(f.Context(), "k", store.Doc{Key: "a", Version: d.Version, Body: []byte(fmt.Sprint(i))})
			winner[i] = err == nil
			if err == nil && v != d.Version+1 {
				return fmt.Errorf("version %d after %d", v, d.Version)
			}
			return err
		})
		if won != 1 {
			f.Fatalf("%d replacers won version %d", won, d.Version)
		}
		got, err := f.engine.Get(f.Context(), "k", "a")
		f.wantError(err, nil)
		if i, err := strconv.Atoi(string(got.Body)); err != nil || got.Version != d.Version+1 || !winner[i] {
			f.Fatalf("version %d of racer %q is stored, who did not win", got.Version, got.Body)
		}
		d = got
	}
}

func raceTake(f *fixture) {
	for round := range 10 {
		key := numbered("d", round)
		d := f.put("k", store.Doc{Key: key, Unique: []string{key}, Body: []byte("once")})
		won := f.race(store.ErrNotFound, func(int) error {
			got, err := f.engine.Take(f.Context(), "k", key)
			if err == nil && (string(got.Body) != "once" || got.Version != d.Version) {
				return fmt.Errorf("took %+v", got)
			}
			return err
		})
		if won != 1 {
			f.Fatalf("%d takers won", won)
		}
		f.lacks("k", key)
		f.free("k", key)
	}
}

func raceUnique(f *fixture) {
	for round := range 10 {
		u := numbered("u", round)
		won := f.race(store.ErrTaken, func(i int) error {
			_, err := f.engine.Put(f.Context(), "k", store.Doc{Key: fmt.Sprint(u, "-", i), Unique: []string{u}, Index: []string{"n:" + u}})
			return err
		})
		if won != 1 {
			f.Fatalf("%d claimants won", won)
		}
		if n := len(f.keys("k", "n:"+u, 5)); n != 1 {
			f.Fatalf("%d documents of one unique value", n)
		}
		if _, err := f.engine.GetBy(f.Context(), "k", u); err != nil {
			f.Fatalf("the winner is not found: %v", err)
		}
	}
}

func raceExpired(f *fixture) {
	f.put("k", store.Doc{Key: "old", Unique: []string{"u"}, Expires: f.clock.Now().Add(hour)})
	f.clock.advance(hour)
	won := f.race(store.ErrTaken, func(i int) error {
		_, err := f.engine.Put(f.Context(), "k", store.Doc{Key: numbered("d", i), Unique: []string{"u"}})
		return err
	})
	if won != 1 {
		f.Fatalf("%d claimants won", won)
	}
	if n := len(f.keys("k", "", 5)); n != 1 {
		f.Fatalf("%d documents live", n)
	}
}

// raceIncrement counts with compare-and-swap.
func raceIncrement(f *fixture) {
	f.put("k", store.Doc{Key: "n", Body: make([]byte, 8)})
	const each = 5
	won := f.race(nil, func(int) error {
		for done := 0; done < each; {
			d, err := f.engine.Get(f.Context(), "k", "n")
			if err != nil {
				return err
			}
			d.Body = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(d.Body)+1)
			_, err = f.engine.Put(f.Context(), "k", d)
			switch {
			case err == nil:
				done++
			case !errors.Is(err, store.ErrConflict):
				return err
			}
		}
		return nil
	})
	d, err := f.engine.Get(f.Context(), "k", "n")
	f.wantError(err, nil)
	if n := binary.BigEndian.Uint64(d.Body); won != racers || n != racers*each || d.Version != n+1 {
		f.Errorf("%d racers counted to %d in version %d, want %d", won, n, d.Version, racers*each)
	}
}

func raceTakeReplace(f *fixture) {
	for round := range 10 {
		key := numbered("d", round)
		d := f.put("k", store.Doc{Key: key})
		var took, replaced [racers]bool
		f.race(errLost, func(i int) error {
			var err error
			if i%2 == 0 {
				_, err = f.engine.Take(f.Context(), "k", key)
				took[i] = err == nil
			} else {
				_, err = f.engine.Put(f.Context(), "k", d)
				replaced[i] = err == nil
			}
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
				return errLost
			}
			return err
		})
		takers, replacers := count(took), count(replaced)
		if takers != 1 || replacers > 1 {
			f.Fatalf("%d takers and %d replacers won", takers, replacers)
		}
		f.lacks("k", key)
	}
}

var errLost = errors.New("lost the race")

func count(list [racers]bool) int {
	n := 0
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}
