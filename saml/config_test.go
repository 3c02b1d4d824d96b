package saml_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/saml"
	"github.com/weir-id/weir/server/servertest"
)

func details(pairs ...string) pool.Details {
	d := map[string]secret.Text{}
	for i := 0; i+1 < len(pairs); i += 2 {
		d[pairs[i]] = secret.New(pairs[i+1])
	}
	return d
}

func TestFaultsOfDetails(t *testing.T) {
	const at = "https://idp.example/metadata"
	for _, tt := range []struct {
		name  string
		pairs []string
		key   string // "" is none
		says  string
	}{
		{"an address is enough", nil, "", ""},
		{"every key", []string{"IDPInit", "true", "IDPSignout", "true", "EncryptedResponses", "true", "RequestSigningAlgorithm", "rsa-sha256",
			"SSORedirectBindingURI", "https://idp.example/sso", "SLORedirectBindingURI", "https://idp.example/slo", "ActiveEncryptionCertificate", "MIIC",
			"IDPEntityID", "urn:idp", "SPEntityID", "urn:sp", "RequestBinding", "POST", "NameIDFormat", "urn:f", "SubjectAttribute", "email", "ForceAuthn", "true",
			"RequestedAuthnContext", "urn:a urn:b", "AuthnContextComparison", "minimum", "ClockSkewSeconds", "600", "AllowSHA1", "true", "MaxElements", "10000",
			"MetadataSigningCertificate", certificate(0), "DefaultClientId", "c", "DefaultRedirectURI", "https://app.example/"}, "", ""},
		{"the model's spelling of the algorithm", []string{"RequestSigningAlgorithm", "RSA_SHA256"}, "", ""},
		{"an unknown key", []string{"MetadataUrl", at}, "MetadataUrl", "unknown key"},
		{"an address without https", []string{"MetadataURL", "http://idp.example/"}, "MetadataURL", "must begin with https://"},
		{"a private address", []string{"MetadataURL", "https://127.0.0.1/"}, "MetadataURL", "may not be called"},
		{"no address", []string{"MetadataURL", "idp"}, "MetadataURL", "must be an absolute URL"},
		{"a file beside the address", []string{"MetadataFile", "<x/>"}, "MetadataFile", "give either this or MetadataURL"},
		{"IDPInit", []string{"IDPInit", "yes"}, "IDPInit", "must be false or true"},
		{"IDPSignout", []string{"IDPSignout", "True"}, "IDPSignout", "must be false or true"},
		{"EncryptedResponses", []string{"EncryptedResponses", "1"}, "EncryptedResponses", "must be false or true"},
		{"ForceAuthn", []string{"ForceAuthn", "x"}, "ForceAuthn", "must be false or true"},
		{"AllowSHA1", []string{"AllowSHA1", "x"}, "AllowSHA1", "must be false or true"},
		{"RequestSigningAlgorithm", []string{"RequestSigningAlgorithm", "rsa-sha1"}, "RequestSigningAlgorithm", "must be rsa-sha256"},
		{"RequestBinding", []string{"RequestBinding", "redirect"}, "RequestBinding", "must be auto, Redirect or POST"},
		{"AuthnContextComparison", []string{"AuthnContextComparison", "best"}, "AuthnContextComparison", "must be exact, minimum, maximum or better"},
		{"ClockSkewSeconds of nothing", []string{"ClockSkewSeconds", "0"}, "ClockSkewSeconds", "from 1 to 600"},
		{"ClockSkewSeconds of hours", []string{"ClockSkewSeconds", "3600"}, "ClockSkewSeconds", "from 1 to 600"},
		{"MaxElements", []string{"MaxElements", "many"}, "MaxElements", "from 1000 to 10000"},
		{"MetadataSigningCertificate", []string{"MetadataSigningCertificate", "MIIC"}, "MetadataSigningCertificate", "certificate in PEM"},
		{"DefaultRedirectURI alone", []string{"DefaultRedirectURI", "https://app.example/"}, "DefaultRedirectURI", "needs DefaultClientId"},
		{"a subject that changes with every sign-in", []string{"SubjectAttribute", "SessionIndex"}, "SubjectAttribute", "must be an attribute of the assertion"},
		{"white space", []string{"SPEntityID", "urn:x "}, "SPEntityID", "white space"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults := saml.Validate(details(append([]string{"MetadataURL", at}, tt.pairs...)...), false)
			if tt.key == "" {
				if len(faults) != 0 {
					t.Errorf("got %v", faults)
				}
				return
			}
			if len(faults) != 1 || faults[0].Key != tt.key || !strings.Contains(faults[0].Problem, tt.says) {
				t.Errorf("got %v, want %s: %s", faults, tt.key, tt.says)
			}
		})
	}
	t.Run("all at once, and no value in any", func(t *testing.T) {
		faults := saml.Validate(details("IDPInit", "v4lue", "RequestBinding", "v4lue", "AllowSHA1", "v4lue", "v4lueKey", "v4lue"), false)
		var keys []string
		for _, f := range faults {
			keys = append(keys, f.Key)
			if strings.Contains(f.Problem, "v4lue") {
				t.Errorf("quotes a value: %v", f)
			}
		}
		if want := []string{"AllowSHA1", "IDPInit", "MetadataFile", "RequestBinding", "v4lueKey"}; !slices.Equal(keys, want) {
			t.Errorf("got %q, want %q", keys, want)
		}
		_, err := saml.New(pool.IdentityProvider{Name: "Corp", Type: "SAML", Details: details("IDPInit", "x")}, saml.Options{HTTP: http.DefaultClient})
		if f := (detail.Fault{}); !errors.As(err, &f) {
			t.Errorf("New: %v", err)
		}
	})
}

// A request that forbids interaction is passed on as such: the provider itself may answer it, where the application's
// own prompt=none is answered here.
func TestPassiveRequest(t *testing.T) {
	w, _ := start(t)
	p := corp(t, w)
	b := w.Browser()
	a := federation.Attempt{ID: "relay", PoolID: servertest.PoolID, Provider: "Corp", Started: w.Clock.Now(), CallbackURL: w.URL + "/saml2/idpresponse",
		Request: federation.Request{Prompt: []string{"none"}}}
	begin := func(t *testing.T) (url.Values, federation.Attempt) {
		t.Helper()
		ch, err := p.Begin(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		a := a
		a.Private = ch.Private
		if !json.Valid(ch.Private) || len(ch.Private) > 1024 {
			t.Errorf("private part %s", ch.Private)
		}
		_, fields := b.Get(ch.URL).Form()
		return fields, a
	}
	fields, attempt := begin(t)
	_, err := p.Finish(t.Context(), attempt, federation.Response{Method: http.MethodPost, Form: fields})
	if err == nil || !strings.Contains(err.Error(), "NoPassive") || !strings.HasPrefix(err.Error(), "login_required") {
		t.Errorf("nobody is signed in there: %v", err)
	}
	w.Web().Login(b, ada)
	w.Clock.Advance(time.Second)
	fields, attempt = begin(t)
	id, err := p.Finish(t.Context(), attempt, federation.Response{Method: http.MethodPost, Form: fields})
	if err != nil || id.Subject != "ada@ad.corp.example" || id.Provider != "Corp" || id.Issuer == "" || id.Principal != id.Subject || id.SessionIndex == "" {
		t.Errorf("got %+v, %v", id, err)
	}
}

// The details that the directory reads of every type of provider are known here.
func TestCommonDetailsAreKnown(t *testing.T) {
	for _, key := range pool.CommonDetails() {
		for _, f := range saml.Validate(pool.Details{key: secret.New("x")}, false) {
			if f.Key == key {
				t.Error(f)
			}
		}
	}
}
