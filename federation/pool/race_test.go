package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
)

const (
	racers = 50
	rounds = 50
)

// racer draws what to do next; each has its own sequence, and all of them are the same in every run.
type racer struct {
	*pool.Directory
	state uint32
	adds  int64 // acknowledged increments
}

func (r *racer) draw(n int) int {
	r.state = r.state*1664525 + 1013904223 // Numerical Recipes, section 7.1
	return int(r.state>>16) % n
}

// step does something to names that all racers share.
func (r *racer) step(ctx context.Context, counted string, last bool) error {
	id := fmt.Sprint("local_Race", r.draw(3))
	n := fmt.Sprint(r.draw(3))
	domain := "race" + n
	settings := pool.DomainSettings{}
	if r.draw(2) == 0 {
		domain, settings.CertificateArn = "race"+n+".example.com", "arn"
	}
	client := pool.Client{ID: "client" + n, PoolID: id, Name: "c"}
	provider := pool.IdentityProvider{PoolID: id, Name: "Corp" + n, Type: "OIDC", Identifiers: []string{"example.com"}}
	server := pool.ResourceServer{PoolID: id, Identifier: "api" + n, Name: "API", Scopes: []pool.Scope{{Name: "read", Description: "look"}}}
	all := []func() error{
		func() error { return second(r.CreatePool(ctx, pool.Pool{ID: id, Name: "race"})) },
		func() error { return second(r.CreatePool(ctx, pool.Pool{ID: id, Name: "race"})) },
		func() error { return r.DeletePool(ctx, id) },
		func() error { return second(r.CreateDomain(ctx, id, domain, settings)) },
		func() error { return r.DeleteDomain(ctx, id, domain) },
		func() error { return second(r.CreateClient(ctx, client)) },
		func() error { client.CallbackURLs = nil; return second(r.UpdateClient(ctx, client)) },
		func() error { return r.DeleteClient(ctx, id, client.ID) },
		func() error { return second(r.CreateProvider(ctx, provider)) },
		func() error { provider.Identifiers = nil; return second(r.UpdateProvider(ctx, provider)) },
		func() error { return r.DeleteProvider(ctx, id, provider.Name) },
		func() error {
			return second(r.SignIn(ctx, pool.Pool{ID: id, Schema: pool.StandardSchema()}, pool.SignIn{Provider: provider, Subject: n}))
		},
		func() error { return second(r.CreateUser(ctx, id, pool.NewUser{Username: "user" + n})) },
		func() error { return second(r.CreateGroup(ctx, pool.Group{PoolID: id, Name: "group" + n})) },
		func() error { return r.DeleteGroup(ctx, id, "group"+n) },
		func() error { return second(r.CreateResourceServer(ctx, server)) },
		func() error { server.Scopes = nil; return second(r.UpdateResourceServer(ctx, server)) },
		func() error { return r.DeleteResourceServer(ctx, id, server.Identifier) },
		func() error { return second(r.SetLook(ctx, id, client.ID, ptr(".a{}"), nil)) },
		func() error { return second(r.SetLook(ctx, id, pool.AllClients, ptr(".a{}"), nil)) },
		func() error { return r.Tag(ctx, id, map[string]string{"n": n}) },
		func() error { return r.increment(ctx, counted) },
	}
	if last { // pools that go now do not come back, so that what is left in them shows
		all = append(all[2:], all[2])
	}
	return all[r.draw(len(all))]()
}

// increment counts in a tag.
func (r *racer) increment(ctx context.Context, id string) error {
	_, err := r.ChangePool(ctx, id, func(p *pool.Pool) error {
		n, _ := strconv.Atoi(p.Tags["count"]) // absent is 0
		if p.Tags == nil {
			p.Tags = map[string]string{}
		}
		p.Tags["count"] = strconv.Itoa(n + 1)
		return nil
	})
	if err == nil {
		r.adds++
	}
	return err
}

// Many writers on two nodes create, change and delete things of overlapping names. Whatever wins: nothing is without its pool, nothing
// there twice, and no acknowledged change lost.
func TestRacingWriters(t *testing.T) {
	f := newFixture(t)
	counted, err := f.CreatePool(t.Context(), pool.Pool{ID: "local_Counted", Name: "counted"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var adds, refused atomic.Int64
	for i := range racers {
		d := f.node()
		d.CacheAge = -1
		wg.Go(func() {
			r := &racer{Directory: d, state: uint32(i)}
			add := func() error {
				return second(r.AddAttributes(t.Context(), counted.ID, []pool.SchemaSpec{{Name: fmt.Sprint("a", i)}}))
			}
			err := add()
			for errors.Is(err, pool.ErrConcurrent) { // not acknowledged: lost every round to others
				err = add()
			}
			if err != nil {
				t.Errorf("attribute %d: %v", i, err)
			}
			for n := range rounds {
				err := r.step(t.Context(), counted.ID, n > rounds/2)
				if err == nil {
					continue
				}
				switch fault.CodeOf(err) {
				case fault.Conflict, fault.NotFound, fault.Invalid:
					refused.Add(1)
				default:
					t.Errorf("racer %d: %v", i, err)
				}
			}
			adds.Add(r.adds)
		})
	}
	wg.Wait()
	if n := refused.Load(); n == 0 || n == racers*rounds {
		t.Errorf("%d of %d steps were refused: nobody met anybody", n, racers*rounds)
	}
	n := f.node()
	p, err := n.Pool(t.Context(), counted.ID)
	if err != nil || p.Tags["count"] != strconv.FormatInt(adds.Load(), 10) {
		t.Errorf("counted to %s, acknowledged %d, error %v", p.Tags["count"], adds.Load(), err)
	}
	for i := range racers {
		if _, there := p.Attribute(fmt.Sprint("custom:a", i)); !there {
			t.Errorf("attribute %d was acknowledged and is not there", i)
		}
	}
	nothingTwice(t, n)
	nothingWithoutItsPool(t, f)
}

func nothingTwice(t *testing.T, d *pool.Directory) {
	t.Helper()
	pools, next, err := d.Pools(t.Context(), "", 100)
	if err != nil || next != "" {
		t.Fatalf("next %q, error %v", next, err)
	}
	domains := map[string]string{}
	for _, p := range pools {
		for _, domain := range []string{p.Domain, p.CustomDomain} {
			if other := domains[domain]; domain != "" && other != "" {
				t.Errorf("domain %s is that of %s and %s", domain, other, p.ID)
			}
			domains[domain] = p.ID
			if got, err := d.PoolByDomain(t.Context(), domain); domain != "" && (err != nil || got.ID != p.ID) {
				t.Errorf("domain %s of %s leads to %s, error %v", domain, p.ID, got.ID, err)
			}
		}
		providers, err := d.Providers(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		var idents []string
		for _, ip := range providers {
			idents = append(idents, ip.Identifiers...)
		}
		if slices.Sort(idents); len(slices.Compact(slices.Clone(idents))) != len(idents) {
			t.Errorf("pool %s: identifiers %v", p.ID, idents)
		}
	}
}

// nothingWithoutItsPool looks at every document there is.
func nothingWithoutItsPool(t *testing.T, f *fixture) {
	t.Helper()
	d := f.node()
	for _, kind := range []string{"client", "provider", "user", "temporary_password", "group", "resource_server", "look"} {
		docs, err := f.engine.List(t.Context(), kind, "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			_, of, _ := strings.Cut(doc.Index[0], ":")
			id, _, _ := strings.Cut(of, "/")
			if _, err := d.Pool(t.Context(), id); err != nil {
				t.Errorf("%s %s is in the pool %q: %v", kind, doc.Key, id, err)
			}
			if kind == "look" {
				_, client, _ := strings.Cut(doc.Key, "/")
				if _, err := d.LookOf(t.Context(), id, client); err != nil {
					t.Errorf("look %s is of a client that is not there: %v", doc.Key, err)
				}
			}
		}
	}
	if left, err := f.FinishDeletions(t.Context()); left != 0 || err != nil {
		t.Errorf("%d deletions are not finished, error %v", left, err)
	}
}
