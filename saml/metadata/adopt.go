package metadata

import (
	"context"
	"fmt"
	"time"
)

// Adopt takes over the copy that Keeper has, where another node fetched it later than this one did. It fetches nothing, and reads
// nothing before the document was first needed here. It is to be called every minute, so that all nodes trust the same keys.
func (s *Source) Adopt(ctx context.Context) error {
	s.mu.Lock()
	known := s.loaded && s.Keeper != nil
	s.mu.Unlock()
	if !known {
		return nil
	}
	_, err := s.adopt(ctx)
	return err
}

// load asks Keeper for the first time.
func (s *Source) load(ctx context.Context) {
	var m *Metadata
	var err error
	if s.Keeper != nil {
		m, err = s.adopt(ctx) // an expired copy is as good as none
	}
	s.mu.Lock()
	s.loaded = true
	s.mu.Unlock()
	if err != nil {
		s.report(ctx, Report{New: m, Err: err})
	}
}

// renew takes over what another node fetched, or else fetches.
func (s *Source) renew(ctx context.Context) {
	if s.Keeper != nil {
		if m, err := s.adopt(ctx); err != nil {
			s.report(ctx, Report{New: m, Err: err})
		}
		s.mu.Lock()
		fresh := s.usable() && s.Now().Before(s.next)
		s.mu.Unlock()
		if fresh {
			return
		}
	}
	s.fetch(ctx)
}

// adopt takes over a later copy and returns the document in use. The node that fetched it has reported what changed.
func (s *Source) adopt(ctx context.Context) (*Metadata, error) {
	s.mu.Lock()
	m, since := s.cur, s.since
	s.mu.Unlock()
	c, found, err := s.Keeper.Load(ctx)
	if err != nil {
		return m, fmt.Errorf("load the kept metadata: %w", err)
	}
	if !found || c.URL != s.URL || !since.IsZero() && !c.Fetched.After(since) {
		return m, nil
	}
	adopted, err := s.parse(c.Body)
	if err != nil {
		return m, fmt.Errorf("load the kept metadata: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Fetched.After(s.since) { // no fetch came between
		s.use(adopted, c.Fetched)
		s.err = nil
	}
	return s.cur, nil
}

// use takes over a document that was fetched at that time. A time to come is that of a clock that was wrong. The lock is held.
func (s *Source) use(m *Metadata, fetched time.Time) {
	if now := s.Now(); fetched.After(now) {
		fetched = now
	}
	s.cur, s.since, s.next = m, fetched, m.NextRefresh(fetched)
}
