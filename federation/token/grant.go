package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

const grantKind = "grant"

// Defaults of Lifetimes and Spend.
const (
	defaultSessionLife = time.Hour
	defaultCodeLife    = 5 * time.Minute
	defaultRefreshLife = 30 * 24 * time.Hour
)

// Public sentences of the refusals.
const (
	publicCode    = "The authorization code is not valid or has expired."
	publicRefresh = "The refresh token is not valid or has expired."
	publicAccess  = "The access token is no longer valid."
	publicSession = "This session has ended. Please sign in again."
)

// Grants keeps one document per authorization: the session that it may have begun, its one-time code and
// its family of refresh tokens. One document, because then each step is one atomic write. It is
// safe for concurrent use.
//
// Codes and refresh tokens are random handles that begin with the grant's id, so that each
// is found by key; only their SHA-256 is stored. The documents hold no secret and are
// not sealed. They do hold personal data: they expire with the last token.
type Grants struct {
	Engine store.Engine
	Ring   *secret.Ring
	Now    func() time.Time
}

// Grant is what a person granted to an application by one sign-in.
type Grant struct {
	// ID is a UUID that begins with the time of its making. It is no secret: tokens carry it as origin_jti.
	ID       string `json:"id"`
	PoolID   string `json:"pool"`
	ClientID string `json:"client"`
	Sub      string `json:"sub"`
	// SessionID is the id of the grant that began the browser's session, which may be this one. It is no
	// credential: who puts it into a cookie seals it.
	SessionID string `json:"session"`
	// The upstream sign-in, for logout there and from there: provider name, raw subject, SAML SessionIndex or OpenID sid.
	Provider     string `json:"provider,omitempty"`
	Subject      string `json:"subject,omitempty"`
	SessionIndex string `json:"session_index,omitempty"`
	// Principal is whom the provider's logout messages will name (a SAML NameID); empty where it sends none.
	Principal string `json:"principal,omitempty"`
	Logout    []byte `json:"logout,omitempty"` // what the provider's own logout needs

	RedirectURI   string    `json:"redirect"`
	Scopes        []string  `json:"scopes"`
	Nonce         string    `json:"nonce,omitempty"`     // the application's
	CodeChallenge string    `json:"challenge,omitempty"` // S256
	AuthTime      time.Time `json:"auth_time"`           // when the person last authenticated
	AuthTimeSaid  bool      `json:"auth_said,omitempty"` // by the provider; otherwise AuthTime is that of the sign-in here
	EventID       string    `json:"event"`               // of the sign-in, in tokens and the audit stream
	Created       time.Time `json:"created"`
}

// Lifetimes of what Start makes; zero values are the defaults.
type Lifetimes struct {
	Session time.Duration // 1 hour
	Code    time.Duration // 5 minutes
}

// record is the stored form of a Grant. Hashes are SHA-256.
type record struct {
	Grant
	SessionExpires time.Time `json:"session_expires,omitzero"` // only where the session began; zero: none or ended
	Code           []byte    `json:"code"`                     // hash
	CodeExpires    time.Time `json:"code_expires"`
	Spent          time.Time `json:"spent,omitzero"`

	Family         []byte    `json:"family,omitempty"`   // hash of what all refresh tokens of the grant share
	Current        []byte    `json:"current,omitempty"`  // hash of the refresh token that is valid
	Previous       []byte    `json:"previous,omitempty"` // hash of the one before
	Salt           []byte    `json:"salt,omitempty"`     // sealed; leads from the one before to the valid one
	GraceUntil     time.Time `json:"grace_until,omitzero"`
	RefreshExpires time.Time `json:"refresh_expires,omitzero"`

	Revoked time.Time `json:"revoked,omitzero"`
	Reason  string    `json:"reason,omitempty"` // of the revocation, for whoever reads the store
}

func (g *Grants) kind() *store.Kind[record] {
	return &store.Kind[record]{Engine: g.Engine, Name: grantKind, KeysOf: func(r *record) store.Keys {
		return store.Keys{Key: r.ID, Index: r.index(), Expires: r.expires()}
	}}
}

// over reports whether the grant gives nothing any more.
func (r *record) over() bool { return !r.Revoked.IsZero() && r.SessionExpires.IsZero() }

// index lets every grant that still gives anything be found by its user, and by a session that began
// before it. Each entry costs every sign-in, so there is none that nobody needs: only where the provider sends logout messages is a grant found by its upstream
// principal, the first grant of a session is found by key, and a client that was removed voids its grants by not being there.
func (r *record) index() []string {
	if r.over() {
		return nil
	}
	out := []string{userIndex(r.PoolID, r.Sub)}
	if r.SessionID != r.ID {
		out = append(out, sessionIndex(r.SessionID))
	}
	if r.Principal != "" {
		out = append(out, upstreamIndex(r.PoolID, r.Provider, r.Principal))
	}
	return out
}

func userIndex(poolID, sub string) string  { return "user:" + poolID + "/" + sub + "/" }
func sessionIndex(sessionID string) string { return "session:" + sessionID + "/" }

// upstreamIndex hashes the principal, which is the provider's to choose: of any length and any bytes.
func upstreamIndex(poolID, provider, principal string) string {
	sum := sha256.Sum256([]byte(poolID + "\x00" + provider + "\x00" + principal))
	return "upstream:" + base64.RawURLEncoding.EncodeToString(sum[:16]) + "/"
}

// expires is when nothing can ask for the document any more: the session is over, the code cannot be spent, and every
// token of the family has expired. The last access token may be minted just before the refresh token expires. A
// revoked grant stays as long as its access tokens, to say why they are refused.
func (r *record) expires() time.Time {
	latest := r.SessionExpires
	for _, t := range []time.Time{r.CodeExpires, r.tokensExpire()} {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

func (r *record) tokensExpire() time.Time {
	switch {
	case !r.Revoked.IsZero():
		return r.Revoked.Add(MaxTokenLife)
	case !r.RefreshExpires.IsZero():
		return r.RefreshExpires.Add(MaxTokenLife)
	}
	return time.Time{}
}

// revoke voids code and tokens. It does not end the session.
func (r *record) revoke(now time.Time, reason string) {
	if r.Revoked.IsZero() {
		r.Revoked, r.Reason = now, reason
	}
}

// newID names a grant by a UUID of version 7 (RFC 9562 section 5.7): the time in milliseconds, then 74 random bits. Grants of one
// time lie side by side in the store, so a commit writes fewer pages (docs/benchmarks.md). What the id tells of
// the time, the claims iat and auth_time beside it tell too; it is no secret and no handle rests on it.
func newID(now time.Time) uuid.UUID {
	id := uuid.New()
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	return id
}

// Start writes the grant in exactly one Put and returns its code, which the application gives to Spend. in brings
// everything but ID and Created; an empty EventID is filled in. With an empty SessionID the grant begins a session;
// otherwise it belongs to that session, which the caller has checked with Session.
func (g *Grants) Start(ctx context.Context, in Grant, life Lifetimes) (code string, out Grant, err error) {
	if in.RedirectURI == "" {
		return "", Grant{}, errors.New("start grant: redirect_uri is required")
	}
	if in.CodeChallenge != "" && !ValidChallenge(in.CodeChallenge) {
		return "", Grant{}, fault.New(fault.Invalid, "The code challenge is not valid.", errors.New("start grant: not an S256 code_challenge"))
	}
	r, id, err := g.made(in)
	if err != nil {
		return "", Grant{}, fmt.Errorf("start grant: %w", err)
	}
	r.CodeExpires = r.Created.Add(orDefault(life.Code, defaultCodeLife))
	if r.SessionID == "" {
		r.SessionID = r.ID
		r.SessionExpires = r.Created.Add(orDefault(life.Session, defaultSessionLife))
	}
	code, r.Code = newCode(id)
	if _, err := g.kind().Put(ctx, &r, 0); err != nil {
		return "", Grant{}, fmt.Errorf("start grant: %w", err)
	}
	return code, r.Grant, nil
}

// Issue writes a grant without a code in exactly one Put and returns its first refresh token: for an application that has proven the person in the
// very request that the tokens answer, and may therefore use them at once. in is as for Start, without RedirectURI, SessionID, Nonce and
// CodeChallenge. The grant begins no session: Session does not find it, EndSession and EndUpstream end it all the same. validity is that of the
// refresh token and all that replace it; 30 days if zero.
func (g *Grants) Issue(ctx context.Context, in Grant, validity time.Duration) (out Grant, refresh string, err error) {
	if in.RedirectURI != "" || in.SessionID != "" || in.CodeChallenge != "" {
		return Grant{}, "", errors.New("issue grant: there is neither a redirect nor a session nor a code")
	}
	r, id, err := g.made(in)
	if err != nil {
		return Grant{}, "", fmt.Errorf("issue grant: %w", err)
	}
	r.SessionID, r.Spent = r.ID, r.Created
	first := newRefresh(id)
	r.admit(first, r.Created, validity)
	if _, err := g.kind().Put(ctx, &r, 0); err != nil {
		return Grant{}, "", fmt.Errorf("issue grant: %w", err)
	}
	return r.Grant, first.token(), nil
}

// made is a new grant, not written yet.
func (g *Grants) made(in Grant) (record, uuid.UUID, error) {
	if in.PoolID == "" || in.ClientID == "" || in.Sub == "" || in.AuthTime.IsZero() {
		return record{}, uuid.UUID{}, errors.New("pool, client, sub and auth_time are required")
	}
	now := g.Now().UTC()
	id := newID(now)
	in.ID, in.Created = id.String(), now
	if in.EventID == "" {
		in.EventID = uuid.NewString()
	}
	return record{Grant: in}, id, nil
}

// admit makes h the valid refresh token, the first one.
func (r *record) admit(h handle, now time.Time, validity time.Duration) {
	r.Family, r.Current = h.family(), h.sum()
	r.RefreshExpires = now.Add(orDefault(validity, defaultRefreshLife))
}

// Live returns the grant if its tokens still stand. Whoever accepts an access token asks here, and then asks Grant.Check with the
// user, because a global sign-out is noted there. Errors: fault.Unauthenticated with ErrRevoked.
func (g *Grants) Live(ctx context.Context, grantID string) (Grant, error) {
	r, err := g.get(ctx, grantID)
	if err != nil {
		return Grant{}, fmt.Errorf("look up grant: %w", err)
	}
	if r == nil || !r.Revoked.IsZero() {
		return Grant{}, fault.New(fault.Unauthenticated, publicAccess, ErrRevoked)
	}
	return r.Grant, nil
}

// Session returns the grant that began the session, if it is not over: for sign-on without the provider.
// The caller checks pool and user (Grant.Check). Revoking tokens leaves the session. Errors: fault.Expired with ErrSessionEnded.
func (g *Grants) Session(ctx context.Context, sessionID string) (Grant, error) {
	r, err := g.get(ctx, sessionID)
	if err != nil {
		return Grant{}, fmt.Errorf("look up session: %w", err)
	}
	if r == nil || !g.Now().Before(r.SessionExpires) {
		return Grant{}, refuse(publicSession, ErrSessionEnded)
	}
	return r.Grant, nil
}

// get returns nil for a grant that is not there.
func (g *Grants) get(ctx context.Context, id string) (*record, error) {
	e, err := g.kind().Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &e.Value, nil
}

// Check reports whether the user's state leaves the grant standing: ErrUserDisabled, ErrSignedOut, ErrUnlinked, ErrMerged. Issuer.Mint
// asks by itself; userInfo, introspection and single sign-on have to.
func (g Grant) Check(u pool.User) error {
	since, linked := u.IdentitySince(g.Provider, g.Subject)
	switch {
	case u.PoolID == g.PoolID && u.Sub != g.Sub && u.Absorbed(g.Sub):
		return fault.New(fault.Unauthenticated, "This account was merged with another one. Please sign in again.", ErrMerged)
	case u.PoolID != g.PoolID || u.Sub != g.Sub:
		return errors.New("check grant: it is another user's")
	case !u.Enabled:
		return fault.New(fault.Unauthenticated, "This user is disabled.", ErrUserDisabled)
	case !u.SignedOutAt.IsZero() && !g.Created.After(u.SignedOutAt):
		return fault.New(fault.Unauthenticated, "You have signed out. Please sign in again.", ErrSignedOut)
	case g.Provider != "" && g.Provider != pool.LocalProvider && (!linked || g.Created.Before(since)):
		return fault.New(fault.Unauthenticated, "This account is not linked to the user any more. Please sign in again.", ErrUnlinked)
	}
	return nil
}
