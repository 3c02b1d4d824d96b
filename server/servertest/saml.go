package servertest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/saml/samltest"
	"github.com/weir-id/weir/saml/xmlsig"
)

// StartSAML runs a Weir with the pool of Example and one SAML provider, Corp, which trusts it as an administrator's import of
// our metadata would have it: requests have to be signed, and assertions come encrypted. change alters the options
// before the start.
func StartSAML(t testing.TB, change ...func(*Options)) (*Weir, *samltest.Provider) {
	t.Helper()
	o := Options{Clock: NewClock()}
	up := SAML(t, o.Clock)
	o.Spec = Example(SAMLProvider("Corp", up))
	for _, c := range change {
		c(&o)
	}
	w := Start(t, o)
	w.Trust(up, PoolID, "Corp")
	return w, up
}

// SAML starts a SAML identity provider shaped like AD FS with three people: ada, bob and eve, whose passwords are their names.
// It trusts nobody yet: see Weir.Trust. change alters its configuration before the start.
func SAML(t testing.TB, clock *Clock, change ...func(*samltest.Config)) *samltest.Provider {
	t.Helper()
	person := func(name, email string) samltest.Person {
		return samltest.Person{Username: name, Password: name, Claims: map[string]any{
			samltest.ClaimUPN: name + "@ad.corp.example", samltest.ClaimEmail: email, samltest.ClaimName: "The " + name,
			samltest.ClaimGroup: []string{"CORP\\Engineers", "A & B"},
		}}
	}
	signers := SAMLSigners()
	cfg := samltest.Config{
		Now: clock.Now, Signer: &signers[0],
		People: []samltest.Person{person("ada", "ada@corp.example"), person("bob", "bob@corp.example"), person("eve", "eve@other.example")},
	}
	for _, c := range change {
		c(&cfg)
	}
	return samltest.Start(t, cfg)
}

// SAMLSigners are two token-signing keys, made once because that takes long: every provider of SAML signs with the first.
var SAMLSigners = sync.OnceValue(func() [2]xmlsig.Signer {
	var out [2]xmlsig.Signer
	for i := range out {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "ADFS Signing - test"},
			NotBefore: NewClock().Now().AddDate(0, -1, 0), NotAfter: NewClock().Now().AddDate(1, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		out[i] = xmlsig.Signer{Key: key, Certificate: cert}
	}
	return out
})

// SAMLProvider is the pool's side of a provider of SAML. pairs are details over the usual one, MetadataURL; an empty value takes
// one away.
func SAMLProvider(name string, up *samltest.Provider, pairs ...string) pool.ProviderSpec {
	d := map[string]secret.Text{"MetadataURL": secret.New(up.MetadataURL())}
	for i := 0; i+1 < len(pairs); i += 2 {
		d[pairs[i]] = secret.New(pairs[i+1])
		if pairs[i+1] == "" {
			delete(d, pairs[i])
		}
	}
	return pool.ProviderSpec{
		ProviderName: name, ProviderType: "SAML", ProviderDetails: d,
		AttributeMapping: map[string]string{"email": "email", "name": "name"},
	}
}

// MetadataAt is the address of our metadata for a provider.
func MetadataAt(poolID, provider string) string {
	return "/saml2/metadata?" + url.Values{"user_pool_id": {poolID}, "identity_provider": {provider}}.Encode()
}

// Trust makes up trust this Weir, from the metadata that Weir publishes, and returns the trust. change alters it, as an
// administrator might. Calling it again is importing anew.
func (w *Weir) Trust(up *samltest.Provider, poolID, provider string, change ...func(*samltest.ServiceProvider)) samltest.ServiceProvider {
	w.t.Helper()
	p := w.Browser().Get(MetadataAt(poolID, provider))
	if p.Status != http.StatusOK {
		w.t.Fatalf("servertest: our metadata: %d %s", p.Status, p.Body)
	}
	sp, err := samltest.FromMetadata([]byte(p.Body))
	w.must(err)
	for _, c := range change {
		c(&sp)
	}
	w.must(up.PutServiceProvider(sp))
	return sp
}

// Next is where an answer takes a browser by itself: the address of a redirect, or the action and the fields of a page that
// posts itself.
func (p *Page) Next() (target string, form url.Values) {
	if p.Location != nil {
		return p.Location.String(), nil
	}
	return p.Form()
}

// AsSAML signs in at a provider of SAML as that person, whose password is the user name. A browser that has a session there is not
// asked.
func AsSAML(username string) Upstream {
	return through(func(ctx context.Context, b *Browser, target string, form url.Values) (*samltest.Step, error) {
		return samltest.SignIn(ctx, b.Client, target, form, username, username)
	})
}

// CancelSAML presses Cancel at a provider of SAML.
var CancelSAML = through(func(ctx context.Context, b *Browser, target string, form url.Values) (*samltest.Step, error) {
	return samltest.Cancel(ctx, b.Client, target, form)
})

// VisitSAML takes a message to a provider of SAML that answers without a form.
var VisitSAML = through(func(ctx context.Context, b *Browser, target string, form url.Values) (*samltest.Step, error) {
	return samltest.Visit(ctx, b.Client, target, form)
})

func through(f func(ctx context.Context, b *Browser, target string, form url.Values) (*samltest.Step, error)) Upstream {
	return func(ctx context.Context, b *Browser, challenge *Page) (*http.Request, error) {
		target, form := challenge.Next()
		if target == "" {
			return nil, errors.New("servertest: not sent to a provider: " + challenge.Body)
		}
		step, err := f(ctx, b, target, form)
		if err != nil {
			return nil, err
		}
		return step.Request(ctx)
	}
}
