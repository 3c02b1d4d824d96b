package pool

import (
	"errors"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/store"
)

const (
	defaultCacheAge = 5 * time.Second
	maxMissingAge   = time.Second
	maxCached       = 10_000
	maxMissing      = 1_000
)

// cache keeps answers of the store for a bounded time. Its zero value is ready. What is known to be missing is
// kept apart, for less time and in a smaller number, because anybody can ask for names that do not exist.
type cache[T any] struct {
	mu      sync.Mutex
	epoch   uint64 // counts the calls of clear
	known   map[string]cached[T]
	missing map[string]time.Time
}

type cached[T any] struct {
	value T
	since time.Time
}

// get returns the answer for key that is younger than age, else what load returns. Errors other
// than store.ErrNotFound are not kept. age <= 0 keeps nothing.
func (c *cache[T]) get(now time.Time, age time.Duration, key string, load func() (T, error)) (T, error) {
	c.mu.Lock()
	if e, ok := c.known[key]; ok && young(e.since, now, age) {
		c.mu.Unlock()
		return e.value, nil
	}
	if since, ok := c.missing[key]; ok && young(since, now, min(age, maxMissingAge)) {
		c.mu.Unlock()
		var zero T
		return zero, store.ErrNotFound
	}
	epoch := c.epoch
	c.mu.Unlock()

	v, err := load()
	if age <= 0 || (err != nil && !errors.Is(err, store.ErrNotFound)) {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// An answer that was read before a write of this process must not outlive it.
	if epoch != c.epoch {
		return v, err
	}
	if err != nil {
		delete(c.known, key)
		c.missing = room(c.missing, maxMissing)
		c.missing[key] = now
		return v, err
	}
	delete(c.missing, key)
	c.known = room(c.known, maxCached)
	c.known[key] = cached[T]{value: v, since: now}
	return v, nil
}

// young reports whether less than age has passed. Both readings of a clock count: the monotonic one stands still while a machine sleeps, and
// the other one can be set back.
func young(since, now time.Time, age time.Duration) bool {
	passed := max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
	return passed >= 0 && passed < age
}

// clear forgets everything. It is called after every write of this process, which are few.
func (c *cache[T]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.known)
	clear(c.missing)
}

// room returns m with room for one more entry: some are dropped where it is full.
func room[V any](m map[string]V, limit int) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	if len(m) >= limit {
		drop := limit / 4
		for k := range m {
			delete(m, k)
			if drop--; drop <= 0 {
				break
			}
		}
	}
	return m
}
