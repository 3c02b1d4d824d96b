package pool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// between runs something right before the first write of a kind: what another process does at the worst time.
type between struct {
	store.Engine
	kind string
	run  func()
}

func (b *between) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if run := b.run; kind == b.kind && run != nil {
		b.run = nil
		run()
	}
	return b.Engine.Put(ctx, kind, d)
}

// empty fails where there is anything of a kind.
func empty(t *testing.T, e store.Engine, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		docs, err := e.List(t.Context(), kind, "", "", 10)
		if err != nil || len(docs) != 0 {
			t.Errorf("kind %s: %d documents without a pool, error %v", kind, len(docs), err)
		}
	}
}

func TestNothingIsCreatedInAPoolThatIsBeingDeleted(t *testing.T) {
	for kind, create := range map[string]func(*fixture, context.Context, pool.Pool, pool.IdentityProvider) error{
		"client": func(f *fixture, ctx context.Context, _ pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.CreateClient(ctx, goodClient())
			return err
		},
		"provider": func(f *fixture, ctx context.Context, p pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.CreateProvider(ctx, pool.IdentityProvider{PoolID: p.ID, Name: "Other", Type: "OIDC"})
			return err
		},
		"group": func(f *fixture, ctx context.Context, p pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.CreateGroup(ctx, pool.Group{PoolID: p.ID, Name: "staff"})
			return err
		},
		"resource_server": func(f *fixture, ctx context.Context, _ pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.CreateResourceServer(ctx, orders())
			return err
		},
		"look": func(f *fixture, ctx context.Context, p pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.SetLook(ctx, p.ID, pool.AllClients, ptr(".a{}"), nil)
			return err
		},
		"temporary_password": func(f *fixture, ctx context.Context, p pool.Pool, _ pool.IdentityProvider) error {
			_, err := f.CreateUser(ctx, p.ID, pool.NewUser{Username: "jane"})
			return err
		},
		"user": func(f *fixture, ctx context.Context, p pool.Pool, ip pool.IdentityProvider) error {
			_, err := f.SignIn(ctx, p, pool.SignIn{Provider: ip, Subject: "A1"})
			return err
		},
	} {
		t.Run(kind, func(t *testing.T) {
			f := newFixture(t)
			p, ip := f.withPool(t)
			other := f.node()
			f.Engine = &between{Engine: f.engine, kind: kind, run: func() {
				if err := other.DeletePool(t.Context(), p.ID); err != nil {
					t.Error(err)
				}
			}}
			wantCode(t, create(f, t.Context(), p, ip), fault.NotFound)
			empty(t, f.engine, "pool", "client", "provider", "group", "resource_server", "look", "user", "temporary_password")
		})
	}
}

func TestACallerThatHasGoneLeavesNothingBehind(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	other := f.node()
	ctx, cancel := context.WithCancel(t.Context())
	f.Engine = &afterPut{Engine: f.engine, kind: "client", run: func() {
		cancel()
		if err := other.DeletePool(t.Context(), p.ID); err != nil {
			t.Error(err)
		}
	}}
	_, err := f.CreateClient(ctx, goodClient())
	wantCode(t, err, fault.NotFound)
	empty(t, f.engine, "client")
}

// afterPut runs something right after the first write of a kind.
type afterPut struct {
	store.Engine
	kind string
	run  func()
}

func (a *afterPut) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	v, err := a.Engine.Put(ctx, kind, d)
	if run := a.run; kind == a.kind && run != nil {
		a.run = nil
		run()
	}
	return v, err
}

func TestAPoolThatIsBeingDeletedDoesNotExist(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	pulled := errors.New("another package's store is down")
	err := f.DeletePool(t.Context(), p.ID, func(context.Context, string) error { return pulled })
	if !errors.Is(err, pulled) || !errors.Is(err, pool.ErrUnfinished) {
		t.Fatalf("error %v", err)
	}
	_, byID := f.Pool(t.Context(), p.ID)
	_, byDomain := f.PoolByDomain(t.Context(), p.Domain)
	_, change := f.UpdatePool(t.Context(), p)
	_, client := f.CreateClient(t.Context(), goodClient())
	for what, err := range map[string]error{"by id": byID, "by domain": byDomain, "update": change, "create a client": client} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if all, _, err := f.Pools(t.Context(), "", 10); err != nil || len(all) != 0 {
		t.Errorf("listed: %d, error %v", len(all), err)
	}
	_, err = f.CreatePool(t.Context(), pool.Pool{ID: p.ID, Name: "again"})
	if !errors.Is(err, pool.ErrTaken) {
		t.Errorf("the id before the deletion is finished: error %v", err)
	}
	_, err = f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "again", ID: p.ID}}})
	if !errors.Is(err, pool.ErrTaken) {
		t.Errorf("a file with the id before the deletion is finished: error %v", err)
	}
	if _, err := f.CreatePool(t.Context(), pool.Pool{Name: "other", Domain: p.Domain}); err != nil {
		t.Errorf("the domain is free: error %v", err)
	}

	var finished []string
	n, err := f.FinishDeletions(t.Context(), func(_ context.Context, id string) error {
		finished = append(finished, id)
		return nil
	})
	if err != nil || n != 1 || len(finished) != 1 || finished[0] != p.ID {
		t.Errorf("finished %d, %v, error %v", n, finished, err)
	}
	if n, err := f.FinishDeletions(t.Context()); n != 0 || err != nil {
		t.Errorf("once more: %d, error %v", n, err)
	}
	if _, err := f.CreatePool(t.Context(), pool.Pool{ID: p.ID, Name: "again"}); err != nil {
		t.Errorf("the id afterwards: %v", err)
	}
}

func TestDeletionProtection(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	wantCode(t, f.DeleteProtected(t.Context(), p.ID), fault.Invalid) // it has a domain
	p.Domain, p.DeletionProtection = "", true
	p, err := f.UpdatePool(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.DeleteProtected(t.Context(), p.ID), fault.Invalid)
	if _, err := f.Pool(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	p.DeletionProtection = false
	if _, err = f.UpdatePool(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteProtected(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.DeleteProtected(t.Context(), p.ID), fault.NotFound)
	empty(t, f.engine, "pool", "client", "provider")
}

// Two nodes finish a deletion. One is stopped in the middle of it, and goes on when the other one has finished, and the pool was made anew.
func TestAFinisherThatComesLate(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	cut := errors.New("cut short")
	if err := f.DeletePool(t.Context(), p.ID, func(context.Context, string) error { return cut }); !errors.Is(err, pool.ErrUnfinished) {
		t.Fatal(err)
	}
	var after []string
	again := func(ctx context.Context, _ string) error {
		other := &pool.Directory{Engine: f.Engine, Ring: f.Ring, Now: f.Now}
		if n, err := other.FinishDeletions(ctx); n != 1 || err != nil {
			t.Errorf("the other node finished %d, %v", n, err)
		}
		if _, err := other.CreatePool(ctx, pool.Pool{ID: p.ID, Name: "again"}); err != nil {
			t.Error(err)
		}
		if _, err := other.CreateClient(ctx, pool.Client{PoolID: p.ID, Name: "again"}); err != nil {
			t.Error(err)
		}
		return nil
	}
	late := func(_ context.Context, id string) error {
		after = append(after, id)
		return nil
	}
	if n, err := f.FinishDeletions(t.Context(), again, late); n != 1 || err != nil {
		t.Errorf("the late node finished %d, %v", n, err)
	}
	if len(after) != 0 {
		t.Errorf("it went on with %v", after)
	}
	if got, err := f.Pool(t.Context(), p.ID); err != nil || got.Name != "again" {
		t.Errorf("the new pool: %q, %v", got.Name, err)
	}
	if all, err := f.Clients(t.Context(), p.ID); err != nil || len(all) != 1 {
		t.Errorf("the new pool has %d clients, %v", len(all), err)
	}
}
