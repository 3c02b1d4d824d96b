package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"syscall"
	"time"
)

// processorTime is what this process has used so far, in user and system mode, without its children.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// signatures are keys like those of a pool, for the price of the bare signatures that no login can do without.
type signatures struct {
	rs  *rsa.PrivateKey
	es  *ecdsa.PrivateKey
	sum [sha256.Size]byte
}

func newSignatures() (*signatures, error) {
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &signatures{rs: rs, es: es, sum: sha256.Sum256([]byte("weir bench"))}, nil
}

// cost returns the processor milliseconds of two signatures of each kind.
func (s *signatures) cost() (map[string]float64, error) {
	out := map[string]float64{}
	for _, of := range []struct {
		kind  string
		pairs int
		sign  func() error
	}{
		{pairRS, 60, func() error { _, err := rsa.SignPKCS1v15(nil, s.rs, crypto.SHA256, s.sum[:]); return err }},
		{pairES, 600, func() error { _, err := ecdsa.SignASN1(rand.Reader, s.es, s.sum[:]); return err }},
	} {
		before, err := processorTime()
		if err != nil {
			return nil, err
		}
		for range 2 * of.pairs {
			if err := of.sign(); err != nil {
				return nil, err
			}
		}
		after, err := processorTime()
		if err != nil {
			return nil, err
		}
		out[of.kind] = milliseconds(after-before) / float64(of.pairs)
	}
	return out, nil
}
