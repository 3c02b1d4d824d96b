package oidc

import (
	"context"
	"sync"
	"time"
)

// How a fetched document ages.
const (
	freshFor   = time.Hour        // used as it is; later it is refreshed behind the back of whoever asks
	usableFor  = 24 * time.Hour   // the last good copy serves this long while refreshing fails
	retryAfter = 5 * time.Second  // a failure is the answer for so long, so that a dead provider is left alone
	fetchLimit = 10 * time.Second // one fetch, by the wall clock
)

// remote is a document of the provider's, fetched when it is first needed and kept.
//
// There is one fetch at a time, whoever needs it. It runs apart from the request that started it:
// that request may be given up without failing the others that wait for the same fetch.
type remote[T any] struct {
	fetch func(context.Context) (T, error)
	now   func() time.Time

	mu      sync.Mutex
	value   T
	fetched time.Time // zero: there is no value
	err     error     // of the last fetch
	failed  time.Time
	flight  chan struct{} // closed when the fetch under way ends; nil if there is none
}

func newRemote[T any](now func() time.Time, fetch func(context.Context) (T, error)) *remote[T] {
	return &remote[T]{fetch: fetch, now: now}
}

// get returns the document: the kept one, or after waiting for a fetch.
func (r *remote[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	age := r.now().Sub(r.fetched)
	if r.fetched.IsZero() || age >= usableFor {
		return r.wait(ctx)
	}
	defer r.mu.Unlock()
	if age >= freshFor {
		r.start(ctx)
	}
	return r.value, nil
}

// refresh fetches the document again and returns the new one. The caller sees to it that this is not done too often.
func (r *remote[T]) refresh(ctx context.Context) (T, error) {
	r.mu.Lock()
	return r.wait(ctx)
}

// wait is called with the lock held, which it releases.
func (r *remote[T]) wait(ctx context.Context) (T, error) {
	r.start(ctx)
	flight, err := r.flight, r.err
	r.mu.Unlock()
	var none T
	if flight == nil {
		return none, err
	}
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case <-flight:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return none, r.err
	}
	return r.value, nil
}

// start begins a fetch unless there is one or the last one failed just now. The lock is held.
func (r *remote[T]) start(ctx context.Context) {
	if r.flight != nil || r.err != nil && r.now().Sub(r.failed) < retryAfter {
		return
	}
	flight := make(chan struct{})
	r.flight = flight
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
	go func() {
		defer cancel()
		value, err := r.fetch(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err = err; err != nil {
			r.failed = r.now()
		} else {
			r.value, r.fetched = value, r.now()
		}
		r.flight = nil
		close(flight)
	}()
}
