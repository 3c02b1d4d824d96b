package socialtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxAppleSecret is the longest life of a client secret: Apple's documented 15,777,000 seconds.
const maxAppleSecret = 15_777_000

// The registration at Apple.
const (
	AppleClient = "com.example.weir" // the Services ID
	AppleApp    = "com.example.app"  // the App ID that the Services ID belongs to
	AppleTeam   = "TEAM123456"
	AppleKeyID  = "KEY1234567"
)

// ApplePerson is an Apple Account that agreed to share this.
type ApplePerson struct {
	Subject, First, Last, Email string
	Relay                       bool // Email is an address of the private relay
}

// Apple is a stand-in for Sign in with Apple. Its fields but Server's are set before Start; Claims may change with Server.Change.
type Apple struct {
	Server
	People map[string]ApplePerson // by Server.Person
	// Claims changes the claims of ID tokens.
	Claims func(claims map[string]any)

	key     *ecdsa.PrivateKey // the developer's, of which Apple keeps the public half
	signing *rsa.PrivateKey   // Apple's own
	told    map[string]bool   // people whose name was said
	revoked []string
}

// StartApple serves until the test ends, for a client with that redirect URI.
func StartApple(t testing.TB, now func() time.Time, redirectURI string, people map[string]ApplePerson) *Apple {
	t.Helper()
	a := &Apple{People: people, told: map[string]bool{}}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatalf("socialtest: %v", err)
	}
	if a.signing, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatalf("socialtest: %v", err)
	}
	a.Server = Server{ //nolint:gosec // no credentials among them
		Now: now, ClientID: AppleClient, RedirectURIs: []string{redirectURI},
		AuthorizePath: "/auth/authorize", TokenPath: "/auth/token", PKCEOptional: true,
		Authorize: a.checkRequest, Authenticate: a.authenticate, Answer: a.answer, Token: a.issue,
		Cancelled: url.Values{"error": {"user_cancelled_authorize"}},
	}
	a.Start(t, func(mux *http.ServeMux) {
		mux.HandleFunc("GET /auth/keys", a.serveKeys)
		mux.HandleFunc("POST /auth/revoke", a.revoke)
	})
	return a
}

// Key is the .p8 file that the developer downloaded.
func (a *Apple) Key() string {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		panic(err) // a P-256 key always has that form
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Details are what an administrator has to give for this stand-in.
func (a *Apple) Details() map[string]string {
	return map[string]string{
		"client_id": AppleClient, "team_id": AppleTeam, "key_id": AppleKeyID, "private_key": a.Key(), "oidc_issuer": a.URL,
		"authorize_url": a.URL + "/auth/authorize", "token_url": a.URL + "/auth/token", "jwks_uri": a.URL + "/auth/keys",
	}
}

// Revoked are the tokens that were revoked, the first first.
func (a *Apple) Revoked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.revoked)
}

func (a *Apple) checkRequest(v url.Values) error {
	scopes := strings.Fields(v.Get("scope"))
	for name := range v {
		if !slices.Contains([]string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method"}, name) {
			return errors.New("the parameter " + name + " is not documented")
		}
	}
	switch {
	case slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains([]string{"name", "email", "openid"}, s) }):
		return errors.New("invalid_scope")
	case len(scopes) > 0 && v.Get("response_mode") != "form_post":
		return errors.New("response_mode must be form_post when name or email scope is requested")
	case v.Get("nonce") == "":
		return errors.New("no nonce")
	}
	return nil
}

// answer adds the parameter user, the first time of a person and never again.
func (a *Apple) answer(v url.Values, g *Grant) {
	if g == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.People[g.Person]
	if a.told[p.Subject] {
		return
	}
	a.told[p.Subject] = true
	user := map[string]any{}
	if slices.Contains(g.Scopes, "name") {
		user["name"] = map[string]string{"firstName": p.First, "lastName": p.Last}
	}
	if slices.Contains(g.Scopes, "email") {
		user["email"] = p.Email
	}
	if len(user) > 0 {
		body, _ := json.Marshal(user) // maps of text always have JSON
		v.Set("user", string(body))
	}
}

// authenticate takes the client secret in the body alone, and says as little as Apple does.
func (a *Apple) authenticate(r *http.Request) error {
	refused := &Failure{http.StatusBadRequest, map[string]string{"error": "invalid_client"}}
	if r.PostForm.Get("client_id") != AppleClient || r.Header.Get("Authorization") != "" {
		return refused
	}
	jws, err := jose.ParseSignedCompact(r.PostForm.Get("client_secret"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || jws.Signatures[0].Protected.KeyID != AppleKeyID {
		return refused
	}
	payload, err := jws.Verify(&a.key.PublicKey)
	if err != nil {
		return refused
	}
	var c struct {
		Iss, Sub, Aud string
		Iat, Exp      int64
	}
	now := a.Now().Unix()
	if json.Unmarshal(payload, &c) != nil || c.Iss != AppleTeam || c.Sub != AppleClient || c.Aud != a.URL ||
		c.Iat == 0 || c.Iat > now || c.Exp <= now || c.Exp-c.Iat > maxAppleSecret {
		return refused
	}
	return nil
}

func (a *Apple) issue(g Grant, body map[string]any) error {
	p, ok := a.People[g.Person]
	if !ok {
		return errors.New("socialtest: nobody is called " + g.Person)
	}
	access, _ := body["access_token"].(string)
	sum := sha256.Sum256([]byte(access))
	now := a.Now().Unix()
	claims := map[string]any{
		"iss": a.URL, "aud": AppleClient, "sub": p.Subject, "iat": now, "exp": now + 86400, "auth_time": now,
		"nonce": g.Nonce, "nonce_supported": true, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]), "real_user_status": 2,
	}
	if slices.Contains(g.Scopes, "email") && p.Email != "" {
		claims["email"], claims["email_verified"] = p.Email, "true"
		if p.Relay {
			claims["is_private_email"] = "true"
		}
	}
	a.mu.Lock()
	change := a.Claims
	a.mu.Unlock()
	if change != nil {
		change(claims)
	}
	raw, err := a.Sign(claims)
	body["id_token"], body["refresh_token"] = raw, rand.Text()
	return err
}

// Sign makes a JWT with Apple's key: an ID token, or the payload of a notification.
func (a *Apple) Sign(claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: a.signing, KeyID: "apple-1"}}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func (a *Apple) serveKeys(w http.ResponseWriter, _ *http.Request) {
	Send(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &a.signing.PublicKey, KeyID: "apple-1", Algorithm: "RS256", Use: "sig"}}})
}

// revoke makes a token unknown. As RFC 7009 has it, the answer to one that is unknown is the same.
func (a *Apple) revoke(w http.ResponseWriter, r *http.Request) {
	if err := a.authenticate(r); err != nil {
		Fail(w, err)
		return
	}
	token := r.PostForm.Get("token")
	if token == "" {
		Fail(w, Refuse(http.StatusBadRequest, "invalid_request", "no token"))
		return
	}
	a.Forget(token)
	a.mu.Lock()
	a.revoked = append(a.revoked, token)
	a.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// Signer is the developer's key, to sign client secrets with that Weir would not make.
func (a *Apple) Signer() *ecdsa.PrivateKey { return a.key }
