package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/token"
)

// BenchmarkTwoSignatures is what Mint cannot do without: the two bare signatures, over a digest.
func BenchmarkTwoSignatures(b *testing.B) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 1000)
	sum := sha256.Sum256(payload)
	for name, sign := range map[string]func() error{
		"RS256": func() error { _, err := rsa.SignPKCS1v15(nil, r, crypto.SHA256, sum[:]); return err },
		"ES256": func() error { _, err := ecdsa.SignASN1(rand.Reader, e, sum[:]); return err },
		"EdDSA": func() error { ed25519.Sign(ed, payload); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for range 2 {
					if err := sign(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkMintTwoTokens(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			w := newWorld(b, alg)
			g, _ := w.login(b)
			w.mint(b, g)
			b.ReportAllocs()
			for b.Loop() {
				w.mint(b, g)
			}
		})
	}
}

func BenchmarkVerifyAccess(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			w := newWorld(b, alg)
			g, _ := w.login(b)
			raw := w.mint(b, g).Access
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.issuer.VerifyAccess(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJWKS(b *testing.B) {
	w := newWorld(b, "RS256")
	jwks(b, w.keys, w.pool)
	for b.Loop() {
		jwks(b, w.keys, w.pool)
	}
}

// BenchmarkReloadKeys is what a node pays every few seconds per pool in use.
func BenchmarkReloadKeys(b *testing.B) {
	w := newWorld(b, "RS256")
	jwks(b, w.keys, w.pool)
	for b.Loop() {
		w.clock.Advance(5 * time.Second)
		jwks(b, w.keys, w.pool)
	}
}

func BenchmarkStart(b *testing.B) {
	w := newWorld(b, "ES256")
	b.ReportAllocs()
	for b.Loop() {
		w.start(b, w.request())
	}
}

func BenchmarkStartAndSpend(b *testing.B) {
	w := newWorld(b, "ES256")
	b.ReportAllocs()
	for b.Loop() {
		w.login(b)
	}
}

func BenchmarkRefresh(b *testing.B) {
	for name, rotate := range map[string]bool{"kept": false, "rotated": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, "ES256")
			_, refresh := w.login(b)
			b.ReportAllocs()
			for b.Loop() {
				_, next, err := w.grants.Refresh(b.Context(), refresh, token.Refresh{ClientID: w.client.ID, Rotate: rotate})
				if err != nil {
					b.Fatal(err)
				}
				if rotate {
					refresh = next
				}
			}
		})
	}
}

// BenchmarkRefreshAndMint is the token endpoint's part of a refresh that is this package's.
func BenchmarkRefreshAndMint(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			w := newWorld(b, alg)
			_, refresh := w.login(b)
			for b.Loop() {
				g, _, err := w.grants.Refresh(b.Context(), refresh, token.Refresh{ClientID: w.client.ID})
				if err != nil {
					b.Fatal(err)
				}
				w.mint(b, g)
			}
		})
	}
}
