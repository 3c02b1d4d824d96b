package metadata_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/saml/metadata"
)

func sha256Of(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

func TestNextRefresh(t *testing.T) {
	tests := []struct {
		name, attributes string
		want             time.Duration
	}{
		{"six hours where nothing is said", "", 6 * time.Hour},
		{"earlier by cacheDuration", `cacheDuration="PT1H30M"`, 90 * time.Minute},
		{"a long cacheDuration does not matter", `cacheDuration="P1Y2M3DT4H5M6.7S"`, 6 * time.Hour},
		{"a huge one neither", `cacheDuration="P99999999999999999999Y"`, 6 * time.Hour},
		{"a short one is bounded", `cacheDuration="PT1S"`, 5 * time.Minute},
		{"one that is none is passed over", `cacheDuration="often"`, 6 * time.Hour},
		{"a negative one too", `cacheDuration="-PT1H"`, 6 * time.Hour},
		{"half of what is left", `validUntil="2026-03-01T16:00:00Z"`, 2 * time.Hour},
		{"bounded at the end of its life", `validUntil="2026-03-01T12:00:10Z"`, 5 * time.Minute},
		{"the shorter of both", `validUntil="2026-03-01T16:00:00Z" cacheDuration="PT1H"`, time.Hour},
	}
	plain := minimal(encoded(sharedPair(t).Certificate), "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := metadata.Parse([]byte(strings.Replace(plain, `ID="_m"`, tt.attributes, 1)), metadata.Options{Now: epoch})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.NextRefresh(epoch).Sub(epoch); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func parsed(t *testing.T, doc string) *metadata.Metadata {
	t.Helper()
	m, err := metadata.Parse([]byte(doc), metadata.Options{Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDiffSaysWhatChanged(t *testing.T) {
	old, rolled := document(t, "adfs"), document(t, "adfs-rollover")
	moved := strings.ReplaceAll(old, `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sts.fabrikam.example/adfs/ls/"`,
		`<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sts.fabrikam.example/adfs/out/"`)
	tests := []struct {
		name, before, after string
		want                []string
		says                string
	}{
		{"nothing", old, old, nil, ""},
		{"a certificate comes", old, rolled, []string{"signing_certificate_added"}, "4826a762b3dc4a69"},
		{"a certificate goes", rolled, old, []string{"signing_certificate_removed"}, "CN=ADFS Signing - sts.fabrikam.example"},
		{"the logout moves", old, moved, []string{"logout_added", "logout_removed"}, "https://sts.fabrikam.example/adfs/out/ (HTTP-POST)"},
		{"it becomes another provider", old, strings.ReplaceAll(old, "/services/trust\"", "/services/new\""), []string{"entity_id_changed"}, "services/new"},
		{"requests have to be signed", old, strings.ReplaceAll(old, "<IDPSSODescriptor ", `<IDPSSODescriptor WantAuthnRequestsSigned="1" `), []string{"signed_requests_wanted"}, "demands"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			var text string
			for _, c := range metadata.Diff(parsed(t, tt.before), parsed(t, tt.after)) {
				got = append(got, c.What)
				text += c.String() + "\n"
			}
			if !slices.Equal(got, tt.want) || !strings.Contains(text, tt.says) {
				t.Errorf("got %q: %s", got, text)
			}
		})
	}
	if first := metadata.Diff(nil, parsed(t, old)); len(first) != 6 {
		t.Errorf("the first document brings %d things, want a signing and an encryption certificate and four addresses: %v", len(first), first)
	}
}
