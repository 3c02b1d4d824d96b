package oidc

import (
	"context"
	"sync"
	"time"
)

// How a fetched document ages. A key that the provider withdrew is believed for lateAfter at most, unless its key set cannot be had.
const (
	freshFor   = time.Hour        // used as it is; after that it is refreshed behind the back of whoever asks
	lateAfter  = 2 * time.Hour    // whoever asks waits for the refresh, and gets the last good copy if it fails
	usableFor  = 24 * time.Hour   // the last good copy is used no longer
	retryAfter = 5 * time.Second  // a failure is the answer for so long, so that a dead provider is left alone
	retryStale = time.Minute      // the same where there is a good copy to go on with
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
	now, kept := r.now(), r.value
	age := now.Sub(r.fetched)
	switch {
	case r.fetched.IsZero() || age >= usableFor:
		return r.wait(ctx)
	case age < freshFor, r.err != nil && now.Sub(r.failed) < retryStale:
	case age < lateAfter:
		r.start(ctx)
	default:
		if value, err := r.wait(ctx); err == nil {
			return value, nil
		}
		return kept, nil
	}
	r.mu.Unlock()
	return kept, nil
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
