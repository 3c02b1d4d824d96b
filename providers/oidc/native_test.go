package oidc_test

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/providers/oidc"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

const (
	appID    = "ios-app"
	serverID = "server-of-the-app"
)

// brought is the ID token that the provider's SDK gave to an app; pairs are claims over the usual ones, nil takes one away.
func (r *rig) brought(sign oidctest.Sign, pairs ...any) secret.Text {
	r.t.Helper()
	now := r.clock.Now()
	claims := map[string]any{
		"iss": r.op.Issuer(), "sub": subject, "aud": appID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"at_hash": "of-an-access-token-that-stays-with-the-app", "email": "jane@example.com", "email_verified": true,
	}
	for i := 0; i < len(pairs); i += 2 {
		claims[pairs[i].(string)] = pairs[i+1]
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := r.op.Token(claims, sign)
	if err != nil {
		r.t.Fatal(err)
	}
	return secret.New(raw)
}

// native is a rig whose provider has apps.
func native(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.configure("native_client_ids", appID+" "+serverID)
	return r
}

func TestVerifyToken(t *testing.T) {
	r := native(t)
	auth := r.clock.Now().Add(-time.Minute)
	id, proof, err := r.rp.VerifyToken(t.Context(), r.brought(nil, "auth_time", auth.Unix()), "")
	if err != nil {
		t.Fatal(err)
	}
	if id.Provider != "Corp" || id.ProviderType != "OIDC" || id.Issuer != r.op.Issuer() || id.Subject != subject {
		t.Errorf("identity %+v", id)
	}
	if id.Claims["email"] != "jane@example.com" || id.Claims["email_verified"] != true || !id.AuthTime.Equal(auth) {
		t.Errorf("claims %v, authenticated %s", id.Claims, id.AuthTime)
	}
	if !id.Tokens.ID.IsZero() || !id.Tokens.Access.IsZero() || !id.Tokens.Refresh.IsZero() {
		t.Error("there are no tokens to keep")
	}
	// Ten minutes of age, the skew, and a minute for clocks.
	if proof.ID == "" || !proof.Until.Equal(r.clock.Now().Add(12*time.Minute)) {
		t.Errorf("proof %+v", proof)
	}
	if n := len(r.op.Requests(oidctest.EndpointUserInfo)); n != 0 {
		t.Errorf("userinfo was asked %d times", n)
	}
}

func TestVerifyTokenRefusals(t *testing.T) {
	r := native(t)
	ago := func(d time.Duration) int64 { return r.clock.Now().Add(-d).Unix() }
	sum := sha256.Sum256([]byte(nonce))
	for name, c := range map[string]struct {
		sign  oidctest.Sign
		pairs []any
		nonce string
		want  error // nil accepts
	}{
		"the least":                           {},
		"the other of the apps":               {pairs: []any{"aud", serverID}},
		"one audience in a list":              {pairs: []any{"aud", []string{appID}}},
		"for the server, issued to the app":   {pairs: []any{"aud", serverID, "azp", appID}},
		"two audiences, issued to the app":    {pairs: []any{"aud", []string{appID, "x"}, "azp", appID}},
		"no audience":                         {pairs: []any{"aud", nil}, want: oidc.ErrAudience},
		"another audience":                    {pairs: []any{"aud", "another"}, want: oidc.ErrAudience},
		"the client of the browser's sign-in": {pairs: []any{"aud", clientID}, want: oidc.ErrAudience},
		"apps as one audience":                {pairs: []any{"aud", appID + " " + serverID}, want: oidc.ErrAudience},
		"issued to another app":               {pairs: []any{"azp", "another"}, want: oidc.ErrParty},
		"issued to the browser's client":      {pairs: []any{"azp", clientID}, want: oidc.ErrParty},
		"issued to a list":                    {pairs: []any{"azp", []string{appID}}, want: oidc.ErrParty},
		"two audiences":                       {pairs: []any{"aud", []string{appID, serverID}}, want: oidc.ErrParty},
		"another issuer":                      {pairs: []any{"iss", "https://evil.example"}, want: oidc.ErrIssuer},
		"no issuer":                           {pairs: []any{"iss", nil}, want: oidc.ErrIssuer},
		"expired":                             {pairs: []any{"exp", ago(2 * time.Minute)}, want: oidc.ErrExpired},
		"without an end":                      {pairs: []any{"exp", nil}, want: oidc.ErrExpired},
		"not valid yet":                       {pairs: []any{"nbf", ago(-2 * time.Minute)}, want: oidc.ErrNotYet},
		"ten minutes old":                     {pairs: []any{"iat", ago(11 * time.Minute)}},
		"older":                               {pairs: []any{"iat", ago(11*time.Minute + time.Second)}, want: oidc.ErrIssuedAt},
		"from the future":                     {pairs: []any{"iat", ago(-2 * time.Minute)}, want: oidc.ErrIssuedAt},
		"of no age":                           {pairs: []any{"iat", nil}, want: oidc.ErrIssuedAt},
		"nobody":                              {pairs: []any{"sub", nil}, want: oidc.ErrSubject},
		"its nonce":                           {pairs: []any{"nonce", nonce}, nonce: nonce},
		"the hash of its nonce":               {pairs: []any{"nonce", hex.EncodeToString(sum[:])}, nonce: nonce},
		"its nonce is not said":               {pairs: []any{"nonce", nonce}, want: oidc.ErrNonce},
		"another nonce":                       {pairs: []any{"nonce", nonce}, nonce: "another", want: oidc.ErrNonce},
		"a nonce that it has not":             {nonce: nonce, want: oidc.ErrNonce},
		"the hash for the nonce":              {pairs: []any{"nonce", nonce}, nonce: hex.EncodeToString(sum[:]), want: oidc.ErrNonce},
		"a nonce that is a number":            {pairs: []any{"nonce", 1}, nonce: "1", want: oidc.ErrNonce},
		"an empty nonce":                      {pairs: []any{"nonce", ""}, want: oidc.ErrNonce},
		"alg none":                            {sign: oidctest.SignWithNone, want: oidc.ErrSignature},
		"HS256 under the public key":          {sign: oidctest.SignWithPublicKeyAsSecret, want: oidc.ErrSignature},
		"another's key":                       {sign: oidctest.SignWithOtherKey, want: oidc.ErrSignature},
		"authenticated in the future":         {pairs: []any{"auth_time", ago(-2 * time.Minute)}, want: oidc.ErrAuthTime},
	} {
		t.Run(name, func(t *testing.T) {
			id, proof, err := r.rp.VerifyToken(t.Context(), r.brought(c.sign, c.pairs...), c.nonce)
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, fault.Invalid, c.want)
			if id.Subject != "" || proof.ID != "" {
				t.Errorf("refused, but %+v, %+v", id, proof)
			}
		})
	}
	for name, raw := range map[string]string{"nothing": "", "no token": "x", "an unsigned one": "e30.e30.", "a huge one": strings.Repeat("a", 300<<10)} {
		_, _, err := r.rp.VerifyToken(t.Context(), secret.New(raw), "")
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The ID token of a sign-in of ours is made for the client of the settings: no app can bring it.
func TestTokensOfTheBrowserAreNotExchanged(t *testing.T) {
	r := native(t)
	id := r.mustLogin()
	_, _, err := r.rp.VerifyToken(t.Context(), id.Tokens.ID, nonce)
	wantFault(t, err, fault.Invalid, oidc.ErrAudience)
}

func TestNativeIsOffByDefault(t *testing.T) {
	r := newRig(t)
	_, _, err := r.rp.VerifyToken(t.Context(), r.brought(nil, "aud", clientID), "")
	wantFault(t, err, fault.Denied, federation.ErrNotNative)
}

// Whoever has a token can write others that mean the same: the signature of another spelling, and the other of the two signatures that
// belong to each other in ECDSA. To the memory of used tokens they are one.
func TestProofIsOfWhatIsSigned(t *testing.T) {
	r := native(t)
	raw := r.brought(nil).Reveal()
	_, want, err := r.rp.VerifyToken(t.Context(), secret.New(raw), "")
	if err != nil {
		t.Fatal(err)
	}
	head, sig := raw[:strings.LastIndexByte(raw, '.')+1], raw[strings.LastIndexByte(raw, '.')+1:]
	b, err := base64.RawURLEncoding.DecodeString(sig)
	if err != nil || len(b) != 64 {
		t.Fatal(len(b), err)
	}
	s := new(big.Int).SetBytes(b[32:])
	new(big.Int).Sub(elliptic.P256().Params().N, s).FillBytes(b[32:])
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, sig[len(sig)-1])
	for name, twin := range map[string]string{
		"the other signature": head + base64.RawURLEncoding.EncodeToString(b),
		"another spelling":    head + sig[:len(sig)-1] + string(digits[last|1]),
	} {
		if twin == raw {
			t.Fatalf("%s is the same", name)
		}
		_, got, err := r.rp.VerifyToken(t.Context(), secret.New(twin), "")
		if err == nil && got.ID != want.ID {
			t.Errorf("%s: proof %q, want %q", name, got.ID, want.ID)
		}
		if err != nil && !errors.Is(err, oidc.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "the other signature" && err != nil {
			t.Errorf("%s is refused, so that this proves nothing: %v", name, err)
		}
	}
	r.clock.Advance(time.Second)
	if _, other, err := r.rp.VerifyToken(t.Context(), r.brought(nil), ""); err != nil || other.ID == want.ID {
		t.Errorf("another token: %+v, %v", other, err)
	}
}

func TestNativeUnderRules(t *testing.T) {
	r := ruled(t, oidc.Rules{
		Issuer: func(claims mapping.Claims) string { return "https://tenant.example/" + claims["tid"].(string) },
		NonceOptional: func(claims mapping.Claims) bool {
			return claims["nonce_supported"] == false
		},
		Claims: func(claims mapping.Claims, answer federation.Response) { claims["seen"] = len(answer.Values()) },
		Check: func(claims mapping.Claims) error {
			if claims["hd"] != "example.com" {
				return errors.New("of another domain")
			}
			return nil
		},
	}, "native_client_ids", appID)
	good := []any{"iss", "https://tenant.example/7", "tid", "7", "hd", "example.com"}
	with := func(pairs ...any) secret.Text { return r.brought(nil, append(append([]any{}, good...), pairs...)...) }
	id, _, err := r.rp.VerifyToken(t.Context(), with(), "")
	if err != nil || id.Issuer != "https://tenant.example/7" || id.Claims["seen"] != 0 {
		t.Errorf("identity %+v, %v", id, err)
	}
	_, _, err = r.rp.VerifyToken(t.Context(), with("iss", "https://tenant.example/8"), "")
	wantFault(t, err, fault.Invalid, oidc.ErrIssuer)
	_, _, err = r.rp.VerifyToken(t.Context(), with("hd", "evil.example"), "")
	wantFault(t, err, fault.Denied, oidc.ErrRestricted)
	if _, _, err = r.rp.VerifyToken(t.Context(), with("nonce_supported", false), nonce); err != nil {
		t.Errorf("where the provider has no nonces: %v", err)
	}
	_, _, err = r.rp.VerifyToken(t.Context(), with("nonce_supported", false, "nonce", "x"), nonce)
	wantFault(t, err, fault.Invalid, oidc.ErrNonce)
}

// A provider of plain OAuth 2.0 may still sign ID tokens for apps, as Facebook does in Limited Login.
func TestNativeOfAPlainVariant(t *testing.T) {
	r := plain(t)
	inner := r.variant.Read
	r.variant.Read = func(d *detail.Reader) oidc.Rules {
		rules := inner(d)
		rules.Subject = "id"
		return rules
	}
	r.configure("native_client_ids", appID, "jwks_uri", r.op.Issuer()+string(oidctest.EndpointJWKS))
	id, _, err := r.rp.VerifyToken(t.Context(), r.brought(nil, "email_verified", nil), "")
	if err != nil || id.Subject != subject || id.Claims["id"] != subject || id.Claims["email_verified"] != nil {
		t.Errorf("identity %+v, %v", id, err)
	}
	_, _, err = r.rp.VerifyToken(t.Context(), r.brought(oidctest.SignWithOtherKey), "")
	wantFault(t, err, fault.Invalid, oidc.ErrSignature)

	r.details["jwks_uri"] = ""
	delete(r.details, "jwks_uri")
	faults := r.variant.Validate(r.config().Details, true)
	if len(faults) != 1 || faults[0].Key != "jwks_uri" {
		t.Errorf("faults %v", faults)
	}
}

// What the provider cannot help is not the app's token's fault.
func TestNativeWithoutTheProvidersKeys(t *testing.T) {
	r := native(t)
	r.op.Set(oidctest.Faults{Endpoints: map[oidctest.Endpoint]func(http.Handler) http.Handler{
		oidctest.EndpointJWKS: oidctest.Reply(http.StatusInternalServerError, "text/plain", "no"),
	}})
	_, _, err := r.rp.VerifyToken(t.Context(), r.brought(nil), "")
	wantFault(t, err, fault.Upstream, oidc.ErrKeys)
}
