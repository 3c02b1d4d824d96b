package token

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/pool"
)

// Values of the claim token_use.
const (
	useID     = "id"
	useAccess = "access"
)

// accessVersion is the claim version of an access token.
const accessVersion = 2

// Issuer mints tokens under a pool's keys and verifies the access tokens among them. It is safe for concurrent use.
type Issuer struct {
	Keys    *Keys
	BaseURL string // of the deployment, without a slash at the end
	Now     func() time.Time
}

// Mint says for whom tokens are made. Pool, Client, User and Grant belong together, or nothing is minted.
//
// The scopes are always all of the grant's. A refresh cannot narrow them (RFC 6749 section 3.3 lets us ignore the
// wish): with openid alone an application sees more attributes than with openid and email, so fewer scopes could mean more data.
type Mint struct {
	Pool   pool.Pool
	Client pool.Client
	User   pool.User
	Grant  Grant
	Groups []pool.Group // the user's, the first in precedence first: Directory.GroupsOf
	// Nonce is the application's, and only for the answer to a code: after a refresh
	// there should be none (OpenID Connect Core section 12.2).
	Nonce string
}

// Tokens are what an application receives, in compact serialization.
type Tokens struct {
	ID        string // empty without the scope openid
	Access    string
	ExpiresIn time.Duration // of the access token
}

// URL is the issuer of a pool's tokens, below which its discovery document lies.
func (i *Issuer) URL(poolID string) string { return i.BaseURL + "/" + poolID }

// Mint makes the tokens. It checks the grant against the user first (Grant.Check), so that no token is
// made for a user who is disabled or has signed out since: such errors are ErrInvalidGrant. It does
// not check that the grant stands: Spend and Refresh have done that.
func (i *Issuer) Mint(ctx context.Context, in Mint) (Tokens, error) {
	err := in.Grant.Check(in.User)
	if err != nil && errors.Is(err, ErrMerged) {
		return Tokens{}, err // the user is another one, and that is nobody's mistake
	}
	if err := in.check(); err != nil {
		return Tokens{}, fmt.Errorf("mint tokens: %w", err)
	}
	if err != nil {
		return Tokens{}, err
	}
	keys, err := i.Keys.ensured(ctx, in.Pool)
	if err != nil {
		return Tokens{}, fmt.Errorf("mint tokens: %w", err)
	}
	now := i.Now()
	by := keys.signing(now)
	out := Tokens{ExpiresIn: in.Client.AccessTokenValidity}
	if out.Access, err = i.access(in, now, by.access); err != nil {
		return Tokens{}, fmt.Errorf("mint access token: %w", err)
	}
	if slices.Contains(in.Grant.Scopes, scopeOpenID) {
		if out.ID, err = i.id(in, now, by.id, out.Access); err != nil {
			return Tokens{}, fmt.Errorf("mint ID token: %w", err)
		}
	}
	return out, nil
}

// check refuses what would make a wrong token; each case is a defect of the caller.
func (in Mint) check() error {
	for _, life := range []time.Duration{in.Client.IDTokenValidity, in.Client.AccessTokenValidity} {
		if life <= 0 || life > MaxTokenLife {
			return fmt.Errorf("client %q: a token life of %v is not in (0, %v]", in.Client.ID, life, MaxTokenLife)
		}
	}
	id := in.Pool.ID
	switch {
	case id == "" || in.Client.PoolID != id || in.User.PoolID != id || in.Grant.PoolID != id:
		return errors.New("pool, client, user and grant are not of one pool")
	case in.Client.ID == "" || in.Grant.ClientID != in.Client.ID:
		return errors.New("the grant is another client's")
	case in.User.Sub == "" || in.Grant.Sub != in.User.Sub:
		return errors.New("the grant is another user's")
	}
	return nil
}

// accessClaims are the claims of an access token: all of them, and no aud.
type accessClaims struct {
	Sub       string   `json:"sub"`
	Groups    []string `json:"cognito:groups,omitempty"`
	Issuer    string   `json:"iss"`
	Version   int      `json:"version"`
	ClientID  string   `json:"client_id"`
	OriginJTI string   `json:"origin_jti,omitempty"`
	EventID   string   `json:"event_id,omitempty"`
	TokenUse  string   `json:"token_use"`
	Scope     string   `json:"scope"`
	AuthTime  int64    `json:"auth_time"`
	Expires   int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	JTI       string   `json:"jti"`
	Username  string   `json:"username"`
}

func (i *Issuer) access(in Mint, now time.Time, key *signingKey) (string, error) {
	c := accessClaims{
		Sub: in.User.Sub, Groups: groupNames(in.Groups), Issuer: i.URL(in.Pool.ID), Version: accessVersion,
		ClientID: in.Client.ID, EventID: in.Grant.EventID, TokenUse: useAccess, Scope: strings.Join(in.Grant.Scopes, " "),
		AuthTime: in.Grant.AuthTime.Unix(), IssuedAt: now.Unix(), Expires: now.Add(in.Client.AccessTokenValidity).Unix(),
		JTI: uuid.NewString(), Username: in.User.Username,
	}
	if in.Client.EnableTokenRevocation {
		c.OriginJTI = in.Grant.ID
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return key.sign(payload)
}

func (i *Issuer) id(in Mint, now time.Time, key *signingKey, access string) (string, error) {
	// The names that Claims can return and those set here are disjoint but for sub.
	c := Claims(in.User, in.Client, in.Grant.Scopes)
	c["iss"] = i.URL(in.Pool.ID)
	c["aud"] = in.Client.ID
	c["token_use"] = useID
	c["auth_time"] = in.Grant.AuthTime.Unix()
	c["iat"] = now.Unix()
	c["exp"] = now.Add(in.Client.IDTokenValidity).Unix()
	c["jti"] = uuid.NewString()
	c["at_hash"] = atHash(jose.SignatureAlgorithm(key.public.Algorithm), access)
	c["cognito:username"] = in.User.Username
	if in.Grant.EventID != "" {
		c["event_id"] = in.Grant.EventID
	}
	if in.Client.EnableTokenRevocation {
		c["origin_jti"] = in.Grant.ID
	}
	if in.Nonce != "" {
		c["nonce"] = in.Nonce
	}
	if len(in.Groups) > 0 {
		c["cognito:groups"] = groupNames(in.Groups)
	}
	roles, preferred := pool.Roles(in.Groups)
	if len(roles) > 0 {
		c["cognito:roles"] = roles
	}
	if preferred != "" {
		c["cognito:preferred_role"] = preferred
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return key.sign(payload)
}

func groupNames(groups []pool.Group) []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return names
}

// atHash is the left half of the access token's hash (OpenID Connect Core section 3.1.3.6), by the hash that the ID token's
// algorithm uses inside: SHA-512 for Ed25519 (RFC 8032 section 5.1).
func atHash(alg jose.SignatureAlgorithm, access string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(access))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
