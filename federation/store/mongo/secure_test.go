package mongo_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/mongo"
	"github.com/weir-id/weir/federation/store/mongo/mongotest"
)

// authority is a certificate authority of the test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM of its certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key, a.cert = a.sign(template, nil)
	a.file = a.write(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return a
}

func (a *authority) sign(template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Now().Add(-2*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) write(name string, content []byte) string {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), name+".pem")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// server returns a certificate for these hosts.
func (a *authority) server(ended bool, hosts ...string) tls.Certificate {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "db"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	if ended {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	key, cert := a.sign(template, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// client returns a file with a certificate and its key, as tlsCertificateKeyFile wants it.
func (a *authority) client(name string) string {
	key, cert := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...))
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

const (
	dbUser     = "weir"
	dbPassword = "hunter@2/%:x" // in the connection string it is percent-encoded
	dbEncoded  = "hunter%402%2F%25%3Ax"
)

// Whoever the server should take, and who it should not; what the administrator is told to change; and that nothing tells the password.
func TestTLSAndAuthentication(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	weir, eve, foreign := ours.client("weir"), ours.client("eve"), others.client("weir")
	open := func(bson.Raw, *mongotest.Peer) bson.D { return nil }
	gate := mongotest.Gate(dbUser, dbPassword, "CN=weir")
	secured := &tls.Config{Certificates: []tls.Certificate{ours.server(false, "127.0.0.1")}}
	mutual := secured.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ours.pool()
	elsewhere := &tls.Config{Certificates: []tls.Certificate{ours.server(false, "db.example.com")}}
	ended := &tls.Config{Certificates: []tls.Certificate{ours.server(true, "127.0.0.1")}}
	scramAuth, x509Auth := "&authMechanism=SCRAM-SHA-256&authSource=admin", "&authMechanism=MONGODB-X509&authSource=$external"
	ca := "&tls=true&tlsCAFile=" + ours.file
	for _, tt := range []struct {
		name   string
		config *tls.Config
		answer mongotest.Answer
		user   string // of the connection string, with the password
		query  string
		says   string // "": it opens
	}{
		{"TLS of a known authority", secured, open, "", ca, ""},
		{"TLS of another authority", secured, open, "", "&tls=true&tlsCAFile=" + others.file, "tlsCAFile has to name"},
		{"TLS of an authority that the system does not know", secured, open, "", "&tls=true", "tlsCAFile has to name"},
		{"a certificate for another host", elsewhere, open, "", ca, "the host in the connection string has to be"},
		{"a certificate that has ended", ended, open, "", ca, "has to be renewed"},
		{"TLS to a server without", nil, open, "", ca, "tls=true belongs into"},
		{"no TLS to a server with", secured, open, "", "", "tls=true belongs into"},
		{"a client certificate", mutual, open, "", ca + "&tlsCertificateKeyFile=" + weir, ""},
		{"no client certificate", mutual, open, "", ca, "tlsCertificateKeyFile has to name"},
		{"a client certificate of another authority", mutual, open, "", ca + "&tlsCertificateKeyFile=" + foreign, "tlsCertificateKeyFile has to name"},
		{"a password", secured, gate, dbUser + ":" + dbEncoded, ca + scramAuth, ""},
		{"a wrong password", secured, gate, dbUser + ":x" + dbEncoded, ca + scramAuth, "user name, password, authSource"},
		{"an unknown user", secured, gate, "eve:" + dbEncoded, ca + scramAuth, "user name, password, authSource"},
		{"no user", secured, gate, "", ca, "the connection string has to say who it is"},
		{"a password without TLS", nil, gate, dbUser + ":" + dbEncoded, scramAuth, ""},
		{"a certificate as the user", mutual, gate, "", ca + x509Auth + "&tlsCertificateKeyFile=" + weir, ""},
		{"a certificate of another user", mutual, gate, "", ca + x509Auth + "&tlsCertificateKeyFile=" + eve, "user name, password, authSource"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			database := mongotest.Database(t, mongotest.Options{Ferret: true})
			f := mongotest.NewFront(t, database, tt.config, tt.answer)
			at := ""
			if tt.user != "" {
				at = tt.user + "@"
			}
			_, path, _ := strings.Cut(strings.TrimPrefix(database.Reveal(), "mongodb://"), "/")
			path, _, _ = strings.Cut(path, "?")
			uri := secret.New(fmt.Sprintf("mongodb://%s%s/%s?timeoutMS=3000%s", at, f.Addr(), path, tt.query))
			var log bytes.Buffer
			db, err := mongo.Open(t.Context(), uri, mongo.Options{Now: func() time.Time { return start }, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			if err == nil {
				defer func() { _ = db.Close() }()
				err = works(t, db)
			}
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || !errors.Is(err, store.ErrUnavailable)):
				t.Errorf("%v, want it to say %q", err, tt.says)
			}
			if tt.says == "" {
				_ = f.Close() // what comes of a server that goes away, too
				f.Cut()
				_, err = db.Get(t.Context(), "k", "a")
				if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("without a server: %v", err)
				}
			}
			for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), log.String(), fmt.Sprint(uri)} {
				if strings.Contains(text, "hunter") {
					t.Errorf("the password is shown: %s", text)
				}
			}
		})
	}
}

// works reads and writes.
func works(t *testing.T, db *mongo.DB) error {
	t.Helper()
	_, err := db.Put(t.Context(), "k", store.Doc{Key: "a", Unique: []string{"u"}, Body: []byte("x")})
	if err != nil {
		return err
	}
	d, err := db.GetBy(t.Context(), "k", "u")
	if err == nil && string(d.Body) != "x" {
		t.Errorf("read %q", d.Body)
	}
	return err
}

// The example of RFC 7677 section 3: what the tests hold the driver against is itself held against the standard.
func TestScramOfTheTests(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	s := &mongotest.Scram{User: "user", Password: "pencil", Salt: string(salt), Nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", Iterations: 4096}
	if got := s.First("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"); got != "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" {
		t.Errorf("first: %s", got)
	}
	const without = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="
	if got := s.Last(without + "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="); got != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("last: %s", got)
	}
	if got := s.Last(without + "eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="); got != "" {
		t.Errorf("another proof: %s", got)
	}
}
