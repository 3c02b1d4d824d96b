package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// How a fetched document is renewed.
const (
	retryAfter = 10 * time.Second // a failed fetch is the answer for so long where there is nothing else
	retryStale = 2 * time.Minute  // the same where there is a good copy to go on with
	refetchGap = time.Minute      // between two fetches because of an unknown key: anybody can send a bad signature
	fetchLimit = 30 * time.Second // one fetch with its bookkeeping, by the wall clock
)

// ErrFetch: the metadata could not be fetched.
var ErrFetch = errors.New("metadata: could not be fetched")

// Copy is a document that was good when it was fetched.
type Copy struct {
	URL     string
	Body    []byte
	Fetched time.Time
}

// Keeper keeps the last good copy of one provider's metadata across restarts, so that a node that starts
// while the provider is down can still serve sign-ins. Implementations are safe for concurrent use.
type Keeper interface {
	// Load returns the kept copy; found is false where there is none.
	Load(ctx context.Context) (c Copy, found bool, err error)
	// Save replaces it unless a later one is kept already.
	Save(ctx context.Context, c Copy) error
}

// Report is what came of a fetch: a change, a failure or both. It is for the log, the audit stream and metrics.
type Report struct {
	URL     string
	Old     *Metadata // nil before the first good document
	New     *Metadata // the document in use from now on; nil if there is none
	Changes []Change  // of a good fetch
	// Err is why the fetch failed or the copy could not be kept. With a good document in New the provider is served on.
	Err error
}

// Source is one provider's metadata: a file's content, or a URL that is fetched when it is first needed, kept,
// and renewed. It is safe for concurrent use and must not be copied.
//
// There is one fetch at a time, whoever needs it, and it does not end with the request that began it. While there is
// a good document that has not expired nobody waits for a renewal, and a failed one changes nothing. Of several nodes with one Keeper the first one
// that finds a renewal due fetches, and the others take over its copy: see Adopt.
type Source struct {
	// File is a document's content. With it nothing is ever fetched.
	File []byte
	// URL is fetched with Client, which guards against private addresses and bounds sizes and times.
	URL    string
	Client *http.Client
	// Options are for Parse; Options.Now is not used.
	Options Options
	Now     func() time.Time
	// Keeper may be nil.
	Keeper Keeper
	// Report may be nil. It is called after a fetch that failed or changed something, by one goroutine at a time, and must not
	// call the Source, which waits for it.
	Report func(context.Context, Report)

	mu     sync.Mutex
	cur    *Metadata     // the good document; nil: none
	since  time.Time     // when it was fetched, here or on another node
	next   time.Time     // when it is to be renewed
	loaded bool          // Keeper was asked
	err    error         // of the last fetch; nil: it was good. With File: of Parse
	retry  time.Time     // no fetch before then, after a failure
	forced time.Time     // when Refetch fetched last
	flight chan struct{} // closed when what is under way ends; nil: nothing is
}

// Get returns the document: at once if there is a good one, or else after a fetch. Errors: ErrFetch and those of Parse.
func (s *Source) Get(ctx context.Context) (*Metadata, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.File != nil {
		return s.file()
	}
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if s.usable() {
		if !s.Now().Before(s.next) {
			s.begin(ctx, s.renew)
		}
		return s.cur, nil
	}
	return s.renewed(ctx, s.renew)
}

// Refetch is for a signature that matches no known key: it fetches the document once more and returns it. fresh is false
// where that was done a moment ago or failed; then the document is the one that is known already.
func (s *Source) Refetch(ctx context.Context) (m *Metadata, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.File != nil {
		m, err = s.file()
		return m, false, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, false, err
	}
	now := s.Now()
	if s.flight == nil {
		if s.usable() && !s.forced.IsZero() && now.Sub(s.forced) < refetchGap {
			return s.cur, false, nil
		}
		s.forced = now
	}
	if m, err = s.renewed(ctx, s.fetch); err == nil {
		return m, true, nil
	}
	if ctx.Err() == nil && s.usable() {
		return s.cur, false, nil // the provider is down: what is known stays good
	}
	return nil, false, err
}

// Maintain renews the document if it is due, and waits for that. It is to be called every few minutes, so that new keys are
// seen where nobody signs in for a day.
func (s *Source) Maintain(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.File != nil {
		_, err := s.file()
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if s.usable() && s.Now().Before(s.next) {
		return nil
	}
	_, err := s.renewed(ctx, s.renew)
	return err
}

// usable reports whether there is a document that has not expired. The lock is held.
func (s *Source) usable() bool { return s.cur != nil && !s.cur.Expired(s.Now()) }

// file parses File once; whether it has expired is asked every time. The lock is held.
func (s *Source) file() (*Metadata, error) {
	if s.cur == nil && s.err == nil {
		s.cur, s.err = s.parse(s.File)
	}
	if s.err != nil {
		return nil, s.err
	}
	if s.cur.Expired(s.Now()) {
		return nil, expired(s.cur)
	}
	return s.cur, nil
}

// parse is Parse, and survives a defect in it: it runs in a goroutine of our own, where a panic would end the process.
func (s *Source) parse(body []byte) (m *Metadata, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("%w: reading it failed: %v", ErrNotMetadata, r)
		}
	}()
	o := s.Options
	o.Now = s.Now()
	return Parse(body, o)
}

// ready sees to it that Keeper was asked. The lock is held.
func (s *Source) ready(ctx context.Context) error {
	if s.loaded {
		return nil
	}
	s.begin(ctx, s.load)
	return s.await(ctx)
}

// renewed returns the document after f, which fetches it, or why that failed. The lock is held.
func (s *Source) renewed(ctx context.Context, f func(context.Context)) (*Metadata, error) {
	s.begin(ctx, f)
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case !s.usable():
		return nil, expired(s.cur)
	}
	return s.cur, nil
}

// begin starts f unless something is under way, or a fetch failed just now. The lock is held.
func (s *Source) begin(ctx context.Context, f func(context.Context)) {
	if s.flight != nil || s.err != nil && s.Now().Before(s.retry) {
		return
	}
	flight := make(chan struct{})
	s.flight = flight
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
	go func() {
		defer cancel()
		f(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		close(flight)
	}()
}

// await waits for what is under way. The lock is held, and released meanwhile.
func (s *Source) await(ctx context.Context) error {
	flight := s.flight
	if flight == nil {
		return nil
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrFetch, ctx.Err())
	case <-flight:
		return nil
	}
}

// fetch gets the document and takes it over if it is good.
func (s *Source) fetch(ctx context.Context) {
	body, err := s.download(ctx)
	var m *Metadata
	if err == nil {
		m, err = s.parse(body)
	}
	now := s.Now()
	s.mu.Lock()
	old := s.cur
	s.err = err
	if err != nil {
		s.retry = now.Add(retryAfter)
		if s.usable() {
			s.retry = now.Add(retryStale)
		}
		m = old
	} else {
		s.use(m, now)
	}
	s.mu.Unlock()
	if err != nil {
		s.report(ctx, Report{Old: old, New: m, Err: err})
		return
	}
	r := Report{Old: old, New: m, Changes: Diff(old, m)}
	if s.Keeper != nil { // an unchanged one too: its age tells the other nodes that it need not be fetched
		if err := s.Keeper.Save(ctx, Copy{URL: s.URL, Body: body, Fetched: now}); err != nil {
			r.Err = fmt.Errorf("keep the metadata: %w", err)
		}
	}
	if r.Err != nil || len(r.Changes) > 0 {
		s.report(ctx, r)
	}
}

func (s *Source) report(ctx context.Context, r Report) {
	if s.Report != nil {
		r.URL = s.URL
		s.Report(ctx, r)
	}
}

func (s *Source) download(ctx context.Context) (_ []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1")
	resp, err := s.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: the provider answered with status %d", ErrFetch, resp.StatusCode)
	}
	return body, nil
}

func expired(m *Metadata) error {
	return fmt.Errorf("%w: the metadata of %q was valid until %s; fetch or upload the present one", ErrExpired, m.EntityID, m.ValidUntil.Format(time.RFC3339))
}
