package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weir-id/weir/federation/secret"
)

func ring(t testing.TB, keys ...string) *secret.Ring {
	t.Helper()
	r, err := secret.ParseRing(strings.NewReader(strings.Join(keys, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealedDataComesBack(t *testing.T) {
	r := ring(t, secret.GenerateKey())
	for _, plain := range [][]byte{nil, {0}, []byte("text"), bytes.Repeat([]byte{7}, 1<<20)} {
		sealed := r.Seal(plain, "context")
		if len(sealed) != len(plain)+secret.Overhead {
			t.Errorf("%d bytes sealed in %d, want %d more", len(plain), len(sealed), secret.Overhead)
		}
		if got, err := r.Open(sealed, "context"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes come back as %d, %v", len(plain), len(got), err)
		}
		if len(plain) > 2 && bytes.Contains(sealed, plain) {
			t.Error("sealed data shows what is in it")
		}
	}
	if bytes.Equal(r.Seal([]byte("x"), ""), r.Seal([]byte("x"), "")) {
		t.Error("the same text is sealed alike twice")
	}
}

func TestSealedDataIsBoundToItsContext(t *testing.T) {
	r := ring(t, secret.GenerateKey())
	sealed := r.Seal([]byte("text"), "kind\x00key")
	for _, other := range []string{"", "kind", "kind\x00key2", "kind\x00ke", "\x00kind\x00key"} {
		if got, err := r.Open(sealed, other); !errors.Is(err, secret.ErrTampered) || got != nil {
			t.Errorf("opened under %q: %q, %v", other, got, err)
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	r := ring(t, secret.GenerateKey())
	sealed := r.Seal([]byte("some text"), "c")
	for i := range sealed {
		for bit := range 8 {
			b := bytes.Clone(sealed)
			b[i] ^= 1 << bit
			want := secret.ErrTampered
			if i >= 1 && i <= 4 { // the key's id
				want = secret.ErrUnknownKey
			}
			if got, err := r.Open(b, "c"); !errors.Is(err, want) || got != nil {
				t.Fatalf("byte %d, bit %d: %q, %v", i, bit, got, err)
			}
		}
	}
	for n := range sealed {
		if _, err := r.Open(sealed[:n], "c"); !errors.Is(err, secret.ErrTampered) {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
	if _, err := r.Open(append(sealed, 0), "c"); !errors.Is(err, secret.ErrTampered) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestOldKeysOpenAndTheNewOneSeals(t *testing.T) {
	oldKey, newKey := secret.GenerateKey(), secret.GenerateKey()
	before, after, without := ring(t, oldKey), ring(t, newKey, oldKey), ring(t, newKey)
	old := before.Seal([]byte("old"), "c")
	if got, err := after.Open(old, "c"); err != nil || string(got) != "old" {
		t.Errorf("the old key does not open: %q, %v", got, err)
	}
	fresh := after.Seal([]byte("new"), "c")
	if got, err := without.Open(fresh, "c"); err != nil || string(got) != "new" {
		t.Errorf("the first key did not seal: %q, %v", got, err)
	}
	if _, err := before.Open(fresh, "c"); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := without.Open(old, "c"); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("a key that was removed: %v", err)
	}
}

// The golden file was sealed by the first release. It must open for ever.
func TestSealFormatStays(t *testing.T) {
	r, sealed := golden(t)
	if got, err := r.Open(sealed, goldenContext); err != nil || string(got) != goldenText {
		t.Errorf("got %q, %v", got, err)
	}
}

const (
	goldenContext = "store\x00kind\x00key"
	goldenText    = `{"v":1,"d":{}}`
)

func golden(t testing.TB) (*secret.Ring, []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/seal-1.hex")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return ring(t, base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789ABCDEF"))), sealed
}

func TestParseRing(t *testing.T) {
	a, b := secret.GenerateKey(), secret.GenerateKey()
	for name, text := range map[string]string{
		"one key":             a,
		"with a newline":      a + "\n",
		"windows line ends":   a + "\r\n" + b + "\r\n",
		"comments and blanks": "# keys\n\n  " + a + "  \n\t\n#" + b,
	} {
		if _, err := secret.ParseRing(strings.NewReader(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	short := base64.StdEncoding.EncodeToString([]byte("not thirty-two bytes"))
	for name, c := range map[string]struct{ text, says string }{
		"nothing":          {"", "no sealing key"},
		"only comments":    {"# none\n\n", "no sealing key"},
		"no base64":        {a + "\n\nhunter2 hunter2!\n", "line 3"},
		"a short key":      {"# first\n" + short, "line 2: 20 bytes, want 32"},
		"a key twice":      {a + "\n" + b + "\n" + a, "line 3"},
		"a line too long":  {a + "\n" + strings.Repeat("x", 1<<16), ""},
		"url-safe base64":  {strings.Repeat("-_", 21) + "-=", "line 1"},
		"two keys in line": {a + " " + b, "line 1"},
	} {
		_, err := secret.ParseRing(strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want it to say %q", name, err, c.says)
			continue
		}
		for _, content := range []string{a, b, short, "hunter2", "not thirty", "xxx", "-_-_"} {
			if strings.Contains(err.Error(), content) {
				t.Errorf("%s: the error shows the content: %v", name, err)
			}
		}
	}
	broken := errors.New("the disk is gone")
	if _, err := secret.ParseRing(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestGeneratedKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		k := secret.GenerateKey()
		if raw, err := base64.StdEncoding.DecodeString(k); err != nil || len(raw) != 32 || seen[k] {
			t.Fatalf("key of %d bytes, %v, seen before: %v", len(raw), err, seen[k])
		}
		seen[k] = true
	}
}

func TestARingShowsNoKeys(t *testing.T) {
	raw := []byte("0123456789abcdef0123456789ABCDEF")
	key := base64.StdEncoding.EncodeToString(raw)
	r := ring(t, key)
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{r, *r, struct{ Ring *secret.Ring }{r}, struct{ ring secret.Ring }{*r}} {
			out := fmt.Sprintf(f, v)
			for _, trace := range []string{string(raw), key, hex.EncodeToString(raw), "48 49 50 51", "0x30, 0x31"} {
				if strings.Contains(out, trace) {
					t.Errorf("%s of %T shows the key: %s", f, v, out)
				}
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	r, sealed := golden(f)
	f.Add(sealed, goldenContext)
	f.Add(sealed, "")
	f.Add(sealed[:20], goldenContext)
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, context string) {
		got, err := r.Open(data, context)
		if bytes.Equal(data, sealed) && context == goldenContext {
			if err != nil || string(got) != goldenText {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		if err == nil {
			t.Fatalf("opened %x under %q", data, context)
		}
		if got != nil || !errors.Is(err, secret.ErrTampered) && !errors.Is(err, secret.ErrUnknownKey) {
			t.Fatalf("%q, %v", got, err)
		}
	})
}
