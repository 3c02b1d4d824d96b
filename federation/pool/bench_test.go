package pool_test

import (
	"strconv"
	"testing"

	"github.com/weir-id/weir/federation/pool"
)

func BenchmarkSignInUnchanged(b *testing.B) {
	f := newFixture(b)
	p, ip := f.withPool(b)
	in := pool.SignIn{Provider: ip, Subject: "1", Attributes: attrs{"email": "jane@example.com", "email_verified": "true", "name": "Jane"}}
	if _, err := f.SignIn(b.Context(), p, in); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := f.SignIn(b.Context(), p, in); err != nil || r.Created {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignInFirst(b *testing.B) {
	f := newFixture(b)
	p, ip := f.withPool(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		in := pool.SignIn{Provider: ip, Subject: strconv.Itoa(n), Attributes: attrs{"email": "jane@example.com", "name": "Jane"}}
		if _, err := f.SignIn(b.Context(), p, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedReads(b *testing.B) {
	f := newFixture(b)
	f.withPool(b)
	c, err := f.CreateClient(b.Context(), goodClient())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err1 := f.Client(b.Context(), c.ID)
		_, err2 := f.Pool(b.Context(), c.PoolID)
		_, err3 := f.Provider(b.Context(), c.PoolID, "Corp")
		if err1 != nil || err2 != nil || err3 != nil {
			b.Fatal(err1, err2, err3)
		}
	}
}
