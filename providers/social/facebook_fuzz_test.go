package social_test

import (
	cryptohmac "crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/social"
)

// FuzzFacebookNotice: nothing is believed that the app's secret did not sign, and of what it did sign only a recent notice about an id.
func FuzzFacebookNotice(f *testing.F) {
	p, err := social.Kinds()["Facebook"].New(pool.IdentityProvider{PoolID: "local_Example01", Name: "Facebook", Type: "Facebook", Details: pool.Details{
		"client_id": secret.New(facebookApp), "client_secret": secret.New(clientSecret),
	}}, oidc.Options{HTTP: &http.Client{}, Now: func() time.Time { return noon }})
	if err != nil {
		f.Fatal(err)
	}
	sum := func(payload string) string {
		mac := cryptohmac.New(sha256.New, []byte(clientSecret))
		mac.Write([]byte(payload))
		return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	good := `{"algorithm":"HMAC-SHA256","issued_at":` + strconv.FormatInt(noon.Unix(), 10) + `,"user_id":"10158123456789012"}`
	for _, body := range []string{good, strings.Replace(good, "HMAC-SHA256", "none", 1), strings.Replace(good, `"10`, `"x`, 1), "{}", "null", `{"user_id":[]}`, "", "{"} {
		f.Add("", body, true)
		f.Add(sum(base64.RawURLEncoding.EncodeToString([]byte(body))), body, false)
		f.Add("AAAA", body, false)
	}
	digits := regexp.MustCompile(`^[0-9]{1,32}$`)
	f.Fuzz(func(t *testing.T, signature, body string, signed bool) {
		payload := base64.RawURLEncoding.EncodeToString([]byte(body))
		if signed {
			signature = sum(payload)
		}
		n, err := p.ReadNotice(t.Context(), "deauthorize", asForm(signature+"."+payload))
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid || n != (federation.Notice{}) {
				t.Errorf("notice %+v, %v", n, err)
			}
			return
		}
		// Two bits of the last character mean nothing.
		if s := strings.TrimRight(signature, "="); len(s) != 43 || s[:42] != sum(payload)[:42] {
			t.Errorf("%q was believed under the signature %q", body, signature)
		}
		if age := noon.Sub(n.Issued); !digits.MatchString(n.Subject) || n.ID == "" || n.Kind != federation.ConsentRevoked || age > 24*time.Hour || age < -5*time.Minute {
			t.Errorf("notice %+v of %q", n, body)
		}
	})
}
