package mongo_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", "a", "\x01", "\x02", "\x03", "\x02\x01", "ä", "\xff\xfe", "a\x01b"} {
		f.Add([]byte(s), []byte("a"+s))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if bytes.IndexByte(a, 0) >= 0 || bytes.IndexByte(b, 0) >= 0 {
			return
		}
		x, y := mongo.Encode(string(a)), mongo.Encode(string(b))
		if !utf8.ValidString(x) || strings.Contains(x, "\x01") {
			t.Fatalf("%q is written %q", a, x)
		}
		if mongo.Decode(x) != string(a) {
			t.Fatalf("%q is read %q", a, mongo.Decode(x))
		}
		if strings.Compare(x, y) != bytes.Compare(a, b) || strings.HasPrefix(x, y) != bytes.HasPrefix(a, b) {
			t.Fatalf("%q and %q are not to each other as %q and %q", x, y, a, b)
		}
		// The separator is below all that may follow a name.
		if bytes.Compare(a, b) < 0 && x+"\x01" > y+"\x01" {
			t.Fatalf("%q ends after %q", x, y)
		}
	})
}

func TestDatabaseOfAConnectionString(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://h":                             mongo.DefaultDatabase,
		"mongodb://h/":                            mongo.DefaultDatabase,
		"mongodb://h/?replicaSet=rs0":             mongo.DefaultDatabase,
		"mongodb://h1,h2:27018/ids?replicaSet=/x": "ids",
		"mongodb+srv://u:p%2Fq@h/ids":             "ids",
	} {
		if got := mongo.DatabaseOf(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String() // it accepts and does not speak
	t.Cleanup(func() { _ = l.Close() })
	for uri, unavailable := range map[string]bool{
		"mongodb://weir:hunter%402@" + address + "/weir?timeoutMS=200":                                                           true,
		"mongodb://weir:hunter%402@" + address + "/weir?replicaSet=a&timeoutMS=20":                                               true,
		"mongodb://weir:hunter%402:hunter@2@" + address:                                                                          false,
		"mongodb://weir:hunter%402@" + address + "/weir?authMechanism=hunter%402":                                                false,
		"mongodb://weir:hunter%402@" + address + "/weir?ssl=hunter%402":                                                          false,
		"mongodb://weir:hunter@2@[::1/weir":                                                                                      false,
		"mongodb://" + address + "/?tls=true&tlsCertificateKeyFile=/nowhere/hunter%402&tlsCertificateKeyFilePassword=hunter%402": false,
		"mongodb://" + address + "/?authMechanism=MONGODB-AWS&authMechanismProperties=hunter%402":                                false,
	} {
		_, err := mongo.Open(t.Context(), secret.New(uri), mongo.Options{Now: time.Now})
		if err == nil {
			t.Errorf("%s: opened", uri)
			continue
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: the error shows the password: %v", uri, err)
		}
		if errors.Is(err, store.ErrUnavailable) != unavailable {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for uri, text := range map[string]string{
		"mongodb://u:p%40w@h/x": "p%40w and p@w", "mongodb://h/x?tls=true&TLSCertificateKeyFilePassword=p%40w": "p@w and p%40w",
		"mongodb://h/?authMechanismProperties=a:b,c:d;sslClientCertificateKeyPassword=x": "a:b,c:d and x",
	} {
		if got := mongo.Scrub(uri, text); got != "[secret] and [secret]" {
			t.Errorf("%s: scrubbed: %s", uri, got)
		}
	}
	if got := mongo.Scrub("mongodb://h1,h2/x?replicaSet=r&appName=", "mongodb: h1 r"); got != "mongodb: h1 r" {
		t.Errorf("nothing is secret, scrubbed: %s", got)
	}
}

func TestSilentServerEndsWithTheTimeout(t *testing.T) {
	db := newStore(t)
	db.SetFault(func(string) (before, after error) { return nil, context.DeadlineExceeded })
	_, err := db.Get(t.Context(), "k", "a")
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the driver's own end of time: %v, want ErrUnavailable and not the caller's end", err)
	}
}

func TestDatabaseOfANewerReleaseIsLeftAlone(t *testing.T) {
	uri := mongotest.Database(t, mongotest.Options{})
	db := open(t, uri)
	if err := db.WriteFormat(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	again, err := mongo.Open(t.Context(), uri, mongo.Options{Now: time.Now})
	if err == nil {
		_ = again.Close()
	}
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("opened: %v", err)
	}
}

func TestRecordsThatWeirDidNotWrite(t *testing.T) {
	db := newStore(t)
	if _, err := db.Put(t.Context(), "k", store.Doc{Key: "a", Unique: []string{"u"}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Spoil(t.Context(), "k", "a"); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Get":   func() error { _, err := db.Get(t.Context(), "k", "a"); return err },
		"GetBy": func() error { _, err := db.GetBy(t.Context(), "k", "u"); return err },
		"Put":   func() error { _, err := db.Put(t.Context(), "k", store.Doc{Key: "a", Version: 1}); return err },
		"Take":  func() error { _, err := db.Take(t.Context(), "k", "a"); return err },
		"List":  func() error { _, err := db.List(t.Context(), "k", "", "", 1); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
