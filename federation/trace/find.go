package trace

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/store"
)

// index are a document's entries: by its newest trace's time, and each by the names of its traces, those of one name by that time as well. Every entry costs
// an engine a write, so that traces of successes have none for their attempt: those are looked through, by an administrator, seldom.
func index(traces []Trace, attempts bool) []string {
	at := fmt.Sprintf("%019d", math.MaxInt64-traces[len(traces)-1].At.UnixNano()) // the newest first: List goes upwards
	out := append(make([]string, 0, 4*len(traces)+1), "at:"+at)
	seen := make(map[string]struct{}, 4*len(traces))
	for i := range traces {
		t := &traces[i]
		names := t.names()
		if attempts && isAttempt(t.Attempt) { // that of a failure may be anything
			names = append(names, attemptIndex(t.Attempt))
		}
		for _, name := range names {
			if _, twice := seen[name]; !twice {
				seen[name] = struct{}{}
				out = append(out, name+at)
			}
		}
	}
	return out
}

// names are the beginnings of the index entries by which a trace is found: by reference, and by user, or by identity where no user was known.
func (t *Trace) names() []string {
	out := append(make([]string, 0, 3), "ref-"+t.Reference+":")
	switch {
	case t.Sub != "":
		out = append(out, userIndex(t.Pool, t.Sub))
	case t.Identity != "":
		out = append(out, identityIndex(t.Identity))
	}
	return out
}

func attemptIndex(id string) string   { return "attempt-" + id + ":" }
func identityIndex(key string) string { return "identity-" + key + ":" }

// userIndex hashes: pool ids and subs are short, but no name of an index may have a colon in it.
func userIndex(poolID, sub string) string { return "user-" + hash(poolID, sub) + ":" }

func identityKey(poolID, provider, subject string) string {
	return hash(poolID, strconv.Itoa(len(provider)), provider+subject)
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// isAttempt reports whether s has the form of an attempt's id: 128 bits in base64url.
func isAttempt(s string) bool {
	if len(s) != 22 {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}

// ParseName reads a reference as people write it, or an attempt's id. Errors: ErrReference.
func ParseName(s string) (string, error) {
	if s = strings.TrimSpace(s); isAttempt(s) {
		return s, nil
	}
	return ParseReference(s)
}

// Get returns the trace of a reference, which may be written as people do, or of an attempt, which is in the log. Errors: ErrReference, ErrUnknown.
func (s *Traces) Get(ctx context.Context, reference string) (Trace, error) {
	name, err := ParseName(reference)
	if err != nil {
		return Trace{}, err
	}
	entry := attemptIndex(name)
	if !isAttempt(name) {
		e, err := s.kind().GetBy(ctx, name) // by which those of an earlier release are found as well
		if err == nil {
			return e.Value.Trace, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return Trace{}, fmt.Errorf("read the trace %s: %w", name, err)
		}
		entry = "ref-" + name + ":"
	}
	s.Flush(ctx)
	all, err := s.under(ctx, entry, 1, func(t *Trace) bool { return t.Reference == name || t.Attempt == name })
	if err != nil {
		return Trace{}, fmt.Errorf("read the trace %s: %w", name, err)
	}
	if len(all) == 0 && isAttempt(name) {
		if err := newest(ctx, s.batches(), Filter{attempt: name}, 1, &all, ofBatch); err != nil {
			return Trace{}, fmt.Errorf("look for the trace of %s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return Trace{}, fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	return all[0], nil
}

// under returns up to n wanted traces under an index entry, the newest first.
func (s *Traces) under(ctx context.Context, entry string, n int, wanted func(*Trace) bool) ([]Trace, error) {
	var out []Trace
	for after := ""; len(out) < n; {
		page, next, err := s.kind().List(ctx, entry, after, listPage)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if wanted(&e.Value.Trace) {
				out = append(out, e.Value.Trace)
			}
		}
		if after = next; after == "" {
			break
		}
	}
	failures := len(out)
	for after := ""; len(out) < n+failures; {
		page, next, err := s.batches().List(ctx, entry, after, listPage)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			for i := range e.Value.Traces {
				if t := &e.Value.Traces[i]; wanted(t) {
					out = append(out, *t)
				}
			}
		}
		if after = next; after == "" {
			break
		}
	}
	slices.SortStableFunc(out, newestFirst)
	return out[:min(n, len(out))], nil
}

func newestFirst(a, b Trace) int { return b.At.Compare(a.At) }

// Filter says which traces are wanted. The zero value is all.
type Filter struct {
	Pools    []string // ids; nil is every pool, and the traces that name none
	Sub      string   // of a user of the one pool in Pools
	Provider string
	Client   string
	Failed   bool // failures alone
	Since    time.Time
	Before   time.Time // the traces of this very time are not wanted; zero is no bound

	attempt string
}

func (f *Filter) wants(t *Trace) bool {
	return (f.Pools == nil || slices.Contains(f.Pools, t.Pool)) && (f.Sub == "" || f.Sub == t.Sub) &&
		(f.attempt == "" || f.attempt == t.Attempt) && (f.Provider == "" || f.Provider == t.Provider) && (f.Client == "" || f.Client == t.Client) &&
		(!f.Failed || t.Outcome == Failed) && !t.At.Before(f.Since) && (f.Before.IsZero() || t.At.Before(f.Before))
}

// listPage is how many documents are read at a time.
const listPage = 50

// List returns up to n wanted traces, the newest first. It reads no more documents than it needs to be sure of them; with a filter that may be all.
func (s *Traces) List(ctx context.Context, f Filter, n int) ([]Trace, error) {
	s.Flush(ctx)
	if f.Sub != "" && len(f.Pools) == 1 {
		all, err := s.under(ctx, userIndex(f.Pools[0], f.Sub), n, f.wants)
		if err != nil {
			return nil, fmt.Errorf("list traces: %w", err)
		}
		return all, nil
	}
	var out []Trace
	failures := func(e store.Entry[stored]) (time.Time, []Trace) { return e.Value.At, []Trace{e.Value.Trace} }
	if err := newest(ctx, s.kind(), f, n, &out, failures); err != nil {
		return nil, fmt.Errorf("list traces: %w", err)
	}
	if !f.Failed {
		if err := newest(ctx, s.batches(), f, n, &out, ofBatch); err != nil {
			return nil, fmt.Errorf("list traces: %w", err)
		}
	}
	return out[:min(n, len(out))], nil
}

func ofBatch(e store.Entry[batch]) (newest time.Time, all []Trace) {
	return e.Value.Traces[len(e.Value.Traces)-1].At, e.Value.Traces
}

// newest adds to out what a kind has of the newest n of both. of returns the time of a document's newest trace, and its traces: documents come by that time, so
// that one which is older than the n-th trace so far ends the search.
func newest[T any](ctx context.Context, kind *store.Kind[T], f Filter, n int, out *[]Trace, of func(store.Entry[T]) (time.Time, []Trace)) error {
	for after := ""; ; {
		page, next, err := kind.List(ctx, "at:", after, listPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			at, traces := of(e)
			if at.Before(f.Since) || len(*out) >= n && at.Before((*out)[n-1].At) {
				return nil
			}
			for i := range traces {
				if f.wants(&traces[i]) {
					*out = append(*out, traces[i])
				}
			}
			if len(*out) >= n {
				slices.SortStableFunc(*out, newestFirst)
				*out = (*out)[:n]
			}
		}
		if after = next; after == "" {
			slices.SortStableFunc(*out, newestFirst)
			return nil
		}
	}
}

// Newest returns up to n traces of every kind, the newest first.
func (s *Traces) Newest(ctx context.Context, n int) ([]Trace, error) { return s.List(ctx, Filter{}, n) }
