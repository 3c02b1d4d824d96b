package samlsp_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
)

const (
	poolID = "local_Example01"
	day    = 24 * time.Hour
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type clock struct{ ns atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

type world struct {
	clock  *clock
	engine store.Engine
	ring   *secret.Ring
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{clock: &clock{}}
	w.clock.ns.Store(epoch.UnixNano())
	db, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.Options{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.engine = db
	if w.ring, err = secret.ParseRing(strings.NewReader(secret.GenerateKey())); err != nil {
		t.Fatal(err)
	}
	return w
}

// node returns the keys as another process sees them.
func (w *world) node() *samlsp.Keys {
	return &samlsp.Keys{Engine: w.engine, Ring: w.ring, Now: w.clock.Now}
}

// state is what a node says at a time.
type state struct {
	signs     *x509.Certificate
	published samlsp.Published
	opens     []samlsp.Pair
}

func look(t *testing.T, k *samlsp.Keys) state {
	t.Helper()
	p, err := k.Signing(t.Context(), poolID)
	if err != nil {
		t.Fatal(err)
	}
	published, err := k.Published(t.Context(), poolID)
	if err != nil {
		t.Fatal(err)
	}
	opens, err := k.Decryption(t.Context(), poolID)
	if err != nil {
		t.Fatal(err)
	}
	return state{p.Certificate, published, opens}
}

func TestKeysAreMadeOnceAndSignAndDecrypt(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	certs := make([]*x509.Certificate, 8)
	for i := range certs {
		wg.Go(func() {
			p, err := w.node().Signing(t.Context(), poolID)
			if err != nil {
				t.Error(err)
				return
			}
			certs[i] = p.Certificate
		})
	}
	wg.Wait()
	for _, c := range certs {
		if c == nil || !c.Equal(certs[0]) {
			t.Fatal("nodes have different keys")
		}
	}
	k := w.node()
	p, err := k.Signing(t.Context(), poolID)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("message"))
	sig, err := p.Key().Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(p.Certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], sig); err != nil {
		t.Error(err)
	}
	s := look(t, k)
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, s.published.Encryption.PublicKey.(*rsa.PublicKey), []byte("key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := s.opens[0].Key().Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256}); err != nil || string(opened) != "key" {
		t.Errorf("got %q, %v", opened, err)
	}
	if s.published.Encryption.Equal(s.signs) || len(s.published.Signing) != 1 || !s.published.Changes.IsZero() {
		t.Errorf("got %+v", s.published)
	}
	if bits := s.signs.PublicKey.(*rsa.PublicKey).N.BitLen(); bits != 2048 || s.signs.NotAfter.Before(epoch.AddDate(9, 0, 0)) || !s.signs.NotBefore.Before(epoch) {
		t.Errorf("%d bits, from %s to %s", bits, s.signs.NotBefore, s.signs.NotAfter)
	}
}

func TestRotationAnnouncesSwitchesAndDrops(t *testing.T) {
	w := newWorld(t)
	k, other := w.node(), w.node()
	first := look(t, k)
	look(t, other)
	from, err := k.Rotate(t.Context(), poolID)
	if err != nil || !from.Equal(epoch.Add(30*day)) {
		t.Fatalf("got %s, %v", from, err)
	}
	if again, err := other.Rotate(t.Context(), poolID); err != nil || !again.Equal(from) {
		t.Errorf("a second call: %s, %v", again, err)
	}
	w.clock.Advance(5 * time.Second) // the other node's cache
	var second *x509.Certificate
	for _, step := range []struct {
		after                   time.Duration
		what                    string
		signing, opens          int
		firstSigns, oldEncrypts bool
	}{
		{5 * time.Second, "announced", 2, 2, true, true},
		{30*day - time.Second, "before the switch", 2, 2, true, true},
		{30 * day, "switched", 2, 2, false, false},
		{60*day - time.Second, "before the drop", 2, 2, false, false},
		{60 * day, "dropped", 1, 1, false, false},
	} {
		w.clock.Advance(epoch.Add(step.after).Sub(w.clock.Now()))
		for _, node := range []*samlsp.Keys{k, other} {
			if err := node.Maintain(t.Context(), poolID); err != nil {
				t.Fatal(err)
			}
			s := look(t, node)
			if len(s.published.Signing) != step.signing || len(s.opens) != step.opens ||
				s.signs.Equal(first.signs) != step.firstSigns || s.published.Encryption.Equal(first.published.Encryption) != step.oldEncrypts {
				t.Errorf("%s: %d signing certificates, %d pairs open, first signs %t", step.what, len(s.published.Signing), len(s.opens), s.signs.Equal(first.signs))
			}
			if !s.published.Signing[0].Equal(s.signs) || !s.opens[0].Certificate.Equal(s.published.Encryption) {
				t.Errorf("%s: what is in use is not first", step.what)
			}
			if !step.firstSigns {
				if second == nil {
					second = s.signs
				}
				if !second.Equal(s.signs) {
					t.Errorf("%s: nodes sign with different keys", step.what)
				}
			}
		}
	}
}

func TestMaintainReplacesKeysBeforeTheirCertificateEnds(t *testing.T) {
	w := newWorld(t)
	k := w.node()
	first := look(t, k)
	w.clock.Advance(first.signs.NotAfter.Sub(epoch) - 130*day)
	if err := k.Maintain(t.Context(), poolID); err != nil {
		t.Fatal(err)
	}
	if n := len(look(t, k).published.Signing); n != 1 {
		t.Errorf("%d certificates: too early", n)
	}
	w.clock.Advance(11 * day)
	if err := k.Maintain(t.Context(), poolID); err != nil {
		t.Fatal(err)
	}
	if p := look(t, k).published; len(p.Signing) != 2 || !p.Changes.Equal(w.clock.Now().Add(30*day)) {
		t.Errorf("got %+v", p)
	}
}

func TestStoredKeysAreSealedAndPrintNothing(t *testing.T) {
	w := newWorld(t)
	s := look(t, w.node())
	doc, err := w.engine.Get(t.Context(), "saml_keyset", poolID)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(doc.Body, s.signs.Raw[:40]) || bytes.Contains(doc.Body, []byte(poolID)) {
		t.Error("the document can be read")
	}
	d := s.opens[0].Key().D.String()
	if text := fmt.Sprintf("%v %+v %#v", s.opens, s.opens, s.opens); strings.Contains(text, d) {
		t.Error("a pair prints its key")
	}
	stranger := w.node()
	if stranger.Ring, err = secret.ParseRing(strings.NewReader(secret.GenerateKey())); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Signing(t.Context(), poolID); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("with another ring: %v", err)
	}
}

func TestCopiesAreKept(t *testing.T) {
	w := newWorld(t)
	c := &samlsp.Copies{Engine: w.engine}
	if _, found, err := c.Load(t.Context(), poolID, "Corp"); found || err != nil {
		t.Fatalf("found %t, %v", found, err)
	}
	in := samlsp.Copy{PoolID: poolID, Provider: "Corp", URL: "https://idp.example/md", Body: bytes.Repeat([]byte("<x/>"), 20000), Fetched: epoch}
	for _, url := range []string{in.URL, "https://idp.example/new"} {
		in.URL = url
		if err := c.Save(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		got, found, err := c.Load(t.Context(), poolID, "Corp")
		if err != nil || !found || got.URL != url || !bytes.Equal(got.Body, in.Body) || !got.Fetched.Equal(epoch) {
			t.Errorf("got %q, %d bytes, %t, %v", got.URL, len(got.Body), found, err)
		}
	}
	if _, found, err := c.Load(t.Context(), poolID, "Other"); found || err != nil {
		t.Errorf("another provider's copy: %t, %v", found, err)
	}
	if err := c.Delete(t.Context(), poolID, "Corp"); err != nil {
		t.Fatal(err)
	}
	if _, found, err := c.Load(t.Context(), poolID, "Corp"); found || err != nil {
		t.Errorf("after Delete: %t, %v", found, err)
	}
}

// A node that was stopped between the fetch and the write comes late.
func TestAnEarlierCopyReplacesNoLaterOne(t *testing.T) {
	w := newWorld(t)
	copies := &samlsp.Copies{Engine: w.engine}
	for _, c := range []struct {
		body, want string
		fetched    time.Duration
		url        string
	}{
		{"first", "first", time.Minute, "a"},
		{"late", "first", 0, "a"},
		{"another address", "another address", 0, "b"},
		{"of a clock that is wrong", "of a clock that is wrong", 100 * day, "b"},
		{"right again", "right again", time.Minute, "b"},
	} {
		err := copies.Save(t.Context(), samlsp.Copy{PoolID: poolID, Provider: "Corp", URL: c.url, Body: []byte(c.body), Fetched: epoch.Add(c.fetched)})
		if err != nil {
			t.Fatal(err)
		}
		if got, found, err := copies.Load(t.Context(), poolID, "Corp"); err != nil || !found || string(got.Body) != c.want {
			t.Errorf("after %q: %q, %t, %v", c.body, got.Body, found, err)
		}
	}
}
