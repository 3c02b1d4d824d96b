package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-id/weir/saml/metadata"
)

// remote is a provider's server: an http.RoundTripper without a network.
type remote struct {
	mu      sync.Mutex
	body    string
	status  int
	err     error
	hang    chan struct{} // closed to let answers go
	fetches int
}

func (r *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.fetches++
	hang := r.hang
	r.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{StatusCode: r.status, Body: io.NopCloser(strings.NewReader(r.body)), Request: req}, nil
}

func (r *remote) set(body string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.body, r.status, r.err = body, http.StatusOK, err
}

func (r *remote) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetches
}

// kept is a Keeper in memory.
type kept struct {
	mu    sync.Mutex
	copy  *metadata.Copy
	err   error
	saves int
}

func (k *kept) Load(context.Context) (metadata.Copy, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.copy == nil || k.err != nil {
		return metadata.Copy{}, false, k.err
	}
	return *k.copy, true, nil
}

func (k *kept) Save(_ context.Context, c metadata.Copy) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.saves++
	k.copy = &c
	return k.err
}

// rig is a source with everything around it. Use it in a synctest bubble: the clock is the bubble's.
type rig struct {
	*metadata.Source
	remote  *remote
	keeper  *kept
	reports []metadata.Report
}

const address = "https://idp.example/metadata"

func newRig(body string) *rig {
	r := &rig{remote: &remote{body: body, status: http.StatusOK}, keeper: &kept{}}
	r.Source = &metadata.Source{
		URL: address, Client: &http.Client{Transport: r.remote}, Now: time.Now, Keeper: r.keeper,
		Report: func(_ context.Context, rep metadata.Report) { r.reports = append(r.reports, rep) },
	}
	return r
}

func (r *rig) keys(t *testing.T) int {
	t.Helper()
	m, err := r.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(m.SigningKeys)
}

func wantFetches(t *testing.T, r *rig, want int, when string) {
	t.Helper()
	synctest.Wait()
	if got := r.remote.count(); got != want {
		t.Errorf("%s: %d fetches, want %d", when, got, want)
	}
}

func TestSourceRenewsBehindTheBackOfWhoeverAsks(t *testing.T) {
	before, after := document(t, "adfs"), document(t, "adfs-rollover")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(before)
		for range 3 {
			if n := r.keys(t); n != 1 {
				t.Fatalf("got %d keys", n)
			}
		}
		wantFetches(t, r, 1, "at first")
		r.remote.set(after, nil)
		pass(6*time.Hour - time.Second)
		if n := r.keys(t); n != 1 {
			t.Errorf("got %d keys before the renewal was due", n)
		}
		wantFetches(t, r, 1, "before the renewal is due")
		pass(time.Second)
		if n := r.keys(t); n != 1 {
			t.Errorf("whoever asks first waited for the renewal")
		}
		wantFetches(t, r, 2, "when it is due")
		if n := r.keys(t); n != 2 {
			t.Errorf("got %d keys after the renewal", n)
		}
		if len(r.reports) != 2 || len(r.reports[1].Changes) != 1 || r.reports[1].Changes[0].What != "signing_certificate_added" || r.reports[1].URL != address {
			t.Errorf("got reports %+v", r.reports)
		}
		if r.keeper.saves != 2 || string(r.keeper.copy.Body) != after {
			t.Errorf("%d copies kept", r.keeper.saves)
		}
	})
}

func TestSourceKeepsTheLastGoodDocument(t *testing.T) {
	good := document(t, "adfs")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(good)
		r.keys(t)
		for i, bad := range []struct {
			body string
			err  error
		}{{"", errors.New("connection refused")}, {"<html/>", nil}, {strings.Repeat(" ", metadata.MaxBytes+2), nil}} {
			r.remote.set(bad.body, bad.err)
			pass(7 * time.Hour)
			if n := r.keys(t); n != 1 {
				t.Fatalf("got %d keys", n)
			}
			wantFetches(t, r, 2+2*i, "after a failure")
			r.keys(t)
			wantFetches(t, r, 2+2*i, "while the failure is fresh")
			if rep := r.reports[len(r.reports)-1]; rep.Err == nil || rep.New == nil {
				t.Errorf("the failure was not reported: %+v", rep)
			}
			pass(2 * time.Minute)
			r.keys(t)
			wantFetches(t, r, 3+2*i, "after the pause")
		}
		if r.keeper.saves != 1 {
			t.Errorf("%d copies kept, want the good one", r.keeper.saves)
		}
	})
}

func TestSourceStartsFromTheKeptCopyWhileTheProviderIsDown(t *testing.T) {
	good := document(t, "adfs")
	synctest.Test(t, func(t *testing.T) {
		r := newRig("")
		r.remote.hang = make(chan struct{})
		r.keeper.copy = &metadata.Copy{URL: address, Body: []byte(good), Fetched: time.Now().Add(-48 * time.Hour)}
		if n := r.keys(t); n != 1 {
			t.Errorf("got %d keys", n)
		}
		wantFetches(t, r, 1, "the copy is old, so it is renewed behind the back")
		r.remote.set(good, nil)
		close(r.remote.hang)
		synctest.Wait()
		if len(r.reports) != 0 || r.keeper.saves != 1 || !r.keeper.copy.Fetched.Equal(time.Now()) {
			t.Errorf("nothing changed but the copy's age: %+v, %d saves, of %s", r.reports, r.keeper.saves, r.keeper.copy.Fetched)
		}
	})
	for name, c := range map[string]metadata.Copy{
		"of another address": {URL: "https://old.example/metadata", Body: []byte(good)},
		"that is damaged":    {URL: address, Body: []byte("<x")},
		"that has expired":   {URL: address, Body: []byte(strings.Replace(good, "<EntityDescriptor ", `<EntityDescriptor validUntil="1999-01-01T00:00:00Z" `, 1))},
	} {
		t.Run("but not from one "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig("")
				r.remote.set("", errors.New("down"))
				r.keeper.copy = &c
				if m, err := r.Get(t.Context()); !errors.Is(err, metadata.ErrFetch) {
					t.Errorf("got %v, %v", m, err)
				}
			})
		})
	}
}

func TestSourceWithoutAGoodDocumentFailsAndRecovers(t *testing.T) {
	good := document(t, "adfs")
	synctest.Test(t, func(t *testing.T) {
		r := newRig("")
		r.keeper.err = errors.New("store is down")
		r.remote.status = http.StatusServiceUnavailable
		for range 3 {
			if _, err := r.Get(t.Context()); !errors.Is(err, metadata.ErrFetch) || !strings.Contains(err.Error(), "503") {
				t.Fatalf("got %v", err)
			}
		}
		wantFetches(t, r, 1, "a failure is the answer for a while")
		r.remote.set(good, nil)
		pass(10 * time.Second)
		if n := r.keys(t); n != 1 {
			t.Errorf("got %d keys", n)
		}
		if last := r.reports[len(r.reports)-1]; last.Err == nil || last.New == nil {
			t.Errorf("that the copy could not be kept was not reported: %+v", last)
		}
	})
}

func TestSourceRefetchesForAnUnknownKeyButNotForEveryBadSignature(t *testing.T) {
	before, after := document(t, "adfs"), document(t, "adfs-rollover")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(before)
		r.keys(t)
		pass(time.Second)
		r.remote.set(after, nil)
		m, fresh, err := r.Refetch(t.Context())
		if err != nil || !fresh || len(m.SigningKeys) != 2 {
			t.Fatalf("got %v, %t, %v", m, fresh, err)
		}
		for range 100 {
			if m, fresh, err := r.Refetch(t.Context()); err != nil || fresh || len(m.SigningKeys) != 2 {
				t.Fatalf("got %v, %t, %v", m, fresh, err)
			}
		}
		wantFetches(t, r, 2, "after a hundred bad signatures")
		pass(time.Minute)
		r.remote.set("", errors.New("down"))
		if m, fresh, err := r.Refetch(t.Context()); err != nil || fresh || len(m.SigningKeys) != 2 {
			t.Errorf("with the provider down: got %v, %t, %v", m, fresh, err)
		}
		wantFetches(t, r, 3, "a minute later")
	})
}

func TestSourceFetchesOnceForAllWhoWait(t *testing.T) {
	good := document(t, "adfs")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(good)
		r.remote.hang = make(chan struct{})
		first, cancel := context.WithCancel(t.Context())
		answers := make(chan error, 20)
		go func() {
			_, err := r.Get(first)
			answers <- err
		}()
		synctest.Wait()
		for range 19 {
			go func() {
				m, err := r.Get(t.Context())
				if err == nil && m == nil {
					err = fmt.Errorf("neither a document nor an error")
				}
				answers <- err
			}()
		}
		synctest.Wait()
		cancel() // the one who began it goes away; the others get their answer all the same
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
		close(r.remote.hang)
		for range 19 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		wantFetches(t, r, 1, "in all")
	})
}

func TestSourceNeverServesAnExpiredDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		doc := strings.Replace(minimal(encoded(sharedPair(t).Certificate), ""), ` ID="_m"`, ` validUntil="`+until+`"`, 1)
		r := newRig(doc)
		file := &metadata.Source{File: []byte(doc), Now: time.Now}
		r.keys(t)
		if _, err := file.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if m, err := r.Get(t.Context()); !errors.Is(err, metadata.ErrExpired) {
			t.Errorf("fetched: got %v, %v", m, err)
		}
		if m, err := file.Get(t.Context()); !errors.Is(err, metadata.ErrExpired) {
			t.Errorf("file: got %v, %v", m, err)
		}
	})
}

func TestSourceIsMaintainedWhereNobodySignsIn(t *testing.T) {
	good := document(t, "adfs")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(good)
		var at []time.Duration
		start := time.Now()
		for range 24 * 12 {
			n := r.remote.count()
			if err := r.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r.remote.count() > n {
				at = append(at, time.Since(start))
			}
			pass(5 * time.Minute)
		}
		if !slices.Equal(at, []time.Duration{0, 6 * time.Hour, 12 * time.Hour, 18 * time.Hour}) {
			t.Errorf("fetched at %v", at)
		}
	})
}

func TestSourceOfAFileNeverFetches(t *testing.T) {
	s := &metadata.Source{File: []byte(document(t, "adfs")), Now: func() time.Time { return epoch }}
	m, fresh, err := s.Refetch(t.Context())
	if err != nil || fresh || m.EntityID != "http://sts.fabrikam.example/adfs/services/trust" {
		t.Errorf("got %v, %t, %v", m, fresh, err)
	}
	if err := s.Maintain(t.Context()); err != nil {
		t.Error(err)
	}
	bad := &metadata.Source{File: []byte("<x/>"), Now: func() time.Time { return epoch }}
	if _, err := bad.Get(t.Context()); !errors.Is(err, metadata.ErrNotMetadata) {
		t.Errorf("got %v", err)
	}
}

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.NewTimer(d).C }
