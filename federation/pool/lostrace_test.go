package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// interrupted lets another writer in before the next put of a kind.
type interrupted struct {
	store.Engine
	kind string
	by   func()
}

func (i *interrupted) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if by := i.by; by != nil && kind == i.kind {
		i.by = nil
		by()
	}
	return i.Engine.Put(ctx, kind, d)
}

func TestALostRaceIsToldApart(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{ClientName: "web", GenerateSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	other := f.node()
	lost := func(t *testing.T, kind string, by func() error, mine func() error) {
		t.Helper()
		engine := f.Engine
		defer func() { f.Engine = engine }()
		f.Engine = &interrupted{Engine: engine, kind: kind, by: func() {
			if err := by(); err != nil {
				t.Error(err)
			}
		}}
		if err := mine(); !errors.Is(err, pool.ErrConcurrent) || errors.Is(err, pool.ErrTaken) || fault.CodeOf(err) != fault.Conflict {
			t.Errorf("error %v", err)
		}
	}
	t.Run("client", func(t *testing.T) {
		lost(t, "client", func() error {
			_, err := other.UpdateClientFrom(t.Context(), p.ID, c.ID, pool.ClientSpec{ClientName: "theirs"})
			return err
		}, func() error {
			_, err := f.UpdateClientFrom(t.Context(), p.ID, c.ID, pool.ClientSpec{ClientName: "mine"})
			return err
		})
		if got, err := other.ClientOf(t.Context(), p.ID, c.ID); err != nil || got.Name != "theirs" {
			t.Errorf("%+v, error %v", got, err)
		}
	})
	t.Run("client that gets a secret meanwhile", func(t *testing.T) {
		lost(t, "client", func() error {
			_, err := other.AddClientSecret(t.Context(), p.ID, c.ID, secret.Text{})
			return err
		}, func() error {
			_, err := f.UpdateClientFrom(t.Context(), p.ID, c.ID, pool.ClientSpec{ClientName: "mine"})
			return err
		})
		if got, err := other.ClientSecrets(t.Context(), p.ID, c.ID); err != nil || len(got) != 2 {
			t.Errorf("%d secrets, error %v", len(got), err)
		}
	})
	t.Run("provider", func(t *testing.T) {
		lost(t, "provider", func() error {
			_, err := other.ChangeProvider(t.Context(), p.ID, "Corp", pool.ProviderChange{Identifiers: []string{"theirs.example"}})
			return err
		}, func() error {
			_, err := f.ChangeProvider(t.Context(), p.ID, "Corp", pool.ProviderChange{Identifiers: []string{"mine.example"}})
			return err
		})
	})
}

// Of many who add a secret at once, one finds room.
func TestManyAddASecretAtOnce(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	c, err := f.CreateClientFrom(t.Context(), p.ID, pool.ClientSpec{ClientName: "web", GenerateSecret: true})
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 16)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = f.AddClientSecret(t.Context(), p.ID, c.ID, secret.Text{}) })
	}
	all.Wait()
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
		} else if !errors.Is(err, pool.ErrLimit) {
			t.Errorf("error %v", err)
		}
	}
	if got, err := f.ClientOf(t.Context(), p.ID, c.ID); err != nil || added != 1 || len(got.Secrets) != 2 {
		t.Errorf("%d added, %d secrets, error %v", added, len(got.Secrets), err)
	}
}
