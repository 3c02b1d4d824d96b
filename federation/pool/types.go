// Package pool owns the directory: user pools, app clients, identity providers and users,
// the attribute schema, and the rules by which a proven identity becomes a user.
//
// It does not own tokens (federation/token), nor the way a login takes (federation), nor
// how documents are kept (federation/store).
package pool

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// Pool is a user pool: a directory with one schema, one issuer and its own keys.
type Pool struct {
	ID     string `json:"id"`   // <region>_<9 alphanumerics>
	Name   string `json:"name"` // 1 to 128 characters of [\w\s+=,.@-]
	Domain string `json:"domain,omitempty"`
	// Schema holds the standard attributes and the custom ones, in this order.
	Schema []SchemaAttribute `json:"schema"`
	// UsernameAttributes are what people sign up with in place of a user name: email, phone_number. AliasAttributes are what local users may be
	// named by besides it: email, phone_number, preferred_username. A pool has the one or the other.
	UsernameAttributes []string `json:"username_attrs,omitempty"`
	AliasAttributes    []string `json:"alias_attrs,omitempty"`
	// SigningAlgorithm signs this pool's tokens: RS256, ES256 or EdDSA.
	SigningAlgorithm string `json:"alg"`
	// SigningKeyDays is the age in days at which a signing key is replaced; 0 is never.
	SigningKeyDays int `json:"alg_days,omitempty"`
	// DeletionProtection refuses DeleteProtected.
	DeletionProtection bool `json:"protected,omitempty"`
	// CustomDomain is a full domain name beside a Domain that is a prefix.
	CustomDomain string `json:"custom_domain,omitempty"`
	// Domains holds what is said of each of the two.
	Domains  map[string]DomainSettings `json:"domains,omitempty"`
	Settings Settings                  `json:"settings,omitzero"`
	Tags     map[string]string         `json:"tags,omitempty"`
	Created  time.Time                 `json:"created"`
	Modified time.Time                 `json:"modified"`
	// Deleting is when the pool's deletion began: see DeletePool.
	Deleting time.Time `json:"deleting,omitzero"`
}

// SchemaAttribute declares one attribute (SchemaAttributeType of the API model).
type SchemaAttribute struct {
	Name          string             `json:"name"` // custom ones carry the prefix custom:
	DataType      string             `json:"type"` // String, Number, DateTime, Boolean
	Mutable       bool               `json:"mutable"`
	Required      bool               `json:"required,omitempty"`
	DeveloperOnly bool               `json:"developer_only,omitempty"`
	String        *StringConstraints `json:"string,omitempty"`
	Number        *NumberConstraints `json:"number,omitempty"`
}

// StringConstraints bound the length of a String, in characters; nil is no bound but the 2,048 of every value.
type StringConstraints struct {
	Min *int `json:"min,omitempty"`
	Max *int `json:"max,omitempty"`
}

// NumberConstraints bound a Number's value; nil is no bound.
type NumberConstraints struct {
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
}

// Client is an application that may ask for tokens (UserPoolClientType of the API model).
type Client struct {
	ID     string // 26 of [a-z0-9]; 1 to 128 of [\w+] when given by the admin
	PoolID string
	Name   string
	// Secrets are those that the client may prove itself with, the newest last: none of a public client, two while applications move
	// from one to the next. See SecretMatches.
	Secrets []ClientSecret

	CallbackURLs       []string
	LogoutURLs         []string
	DefaultRedirectURI string
	Flows              []string // AllowedOAuthFlows: code
	Scopes             []string // AllowedOAuthScopes
	Providers          []string // SupportedIdentityProviders, in the order of the sign-in page
	// OAuth lets the client use the OAuth endpoints (AllowedOAuthFlowsUserPoolClient). Without it flows, scopes and URLs are kept and
	// have no effect. See MayUse.
	OAuth bool

	// ExplicitAuthFlows are the ways of the JSON API to sign in, as given; nil is the default. See AuthFlows.
	ExplicitAuthFlows []string
	// PreventUserExistenceErrors is ENABLED, LEGACY or, where it was not given, "", which is LEGACY.
	PreventUserExistenceErrors string
	// PropagateUserContext lets the client say where its users are (EnablePropagateAdditionalUserContextData).
	PropagateUserContext bool

	// Lifetimes. Zero values are replaced by the defaults when a client is created.
	IDTokenValidity      time.Duration // 5 minutes to 1 day; 1 hour
	AccessTokenValidity  time.Duration // 5 minutes to 1 day; 1 hour
	RefreshTokenValidity time.Duration // 1 hour to 10 years; 30 days
	AuthSessionValidity  time.Duration // of a sign-in under way, 3 to 15 minutes; 3 minutes
	// Form is how the lifetimes were given, so that they are shown again in the same way.
	Form LifetimeForm

	// RotateRefreshTokens replaces the refresh token at every use; the one before
	// still works for RotationGrace (0 to 60 s), for clients that lost an answer.
	RotateRefreshTokens bool
	RotationGrace       time.Duration
	// RotationDisabled says that rotation was switched off in so many words, which is shown again. It means the same as nothing.
	RotationDisabled bool

	// EnableTokenRevocation puts origin_jti into tokens, by which they can be revoked. Default true.
	EnableTokenRevocation bool

	ReadAttributes  []string // nil: every attribute
	WriteAttributes []string // nil: every mutable attribute

	Created  time.Time
	Modified time.Time
}

// IdentityProvider is the configuration of one upstream provider (IdentityProviderType of the API model).
type IdentityProvider struct {
	PoolID           string
	Name             string // 1 to 32 characters, no underscore
	Type             string // OIDC, SAML, Google, Facebook, SignInWithApple, LoginWithAmazon
	Details          Details
	AttributeMapping map[string]string // attribute -> claim
	Identifiers      []string          // IdpIdentifiers: e-mail domains and other names, up to 50
	Created          time.Time
	Modified         time.Time
}

// Details are a provider's ProviderDetails. Every value is kept as a secret, because several are:
// Get reveals one for use.
type Details map[string]secret.Text

// Get returns a detail for use, "" when it is absent.
func (d Details) Get(name string) string { return d[name].Reveal() }

// detailCallback is the key of ProviderDetails that says where the provider's answers come to: shared or own.
const detailCallback = "callback"

// CallbackPath is the path that the provider sends browsers back to. Of the shared one nothing tells which provider an
// answer is from, unless the answer says it (iss, RFC 9207). One of its own holds pool and name, so that an answer of another provider
// does not fit it (RFC 9700 section 4.4.2.2).
func (p IdentityProvider) CallbackPath() string {
	switch {
	case p.Type == "SAML":
		return "/saml2/idpresponse"
	case p.Details.Get(detailCallback) == "own":
		return "/oauth2/idpresponse/" + p.PoolID + "/" + url.PathEscape(p.Name)
	}
	return "/oauth2/idpresponse"
}

// NoticesPath is the path below which the provider reports what happens to people's accounts.
func (p IdentityProvider) NoticesPath() string {
	return "/oauth2/notices/" + p.PoolID + "/" + url.PathEscape(p.Name)
}

// detailDataDeletion is the key of ProviderDetails that says what becomes of a user whose deletion the provider asks for: record or delete.
const detailDataDeletion = "on_data_deletion"

// DeletesOnNotice reports whether a user who has no other identity is deleted when the provider says that the account there is gone, or
// asks for the deletion of the person's data. Otherwise that is only recorded, for an administrator to act on.
func (p IdentityProvider) DeletesOnNotice() bool {
	return p.Details.Get(detailDataDeletion) == "delete"
}

// MapsVerifiedEmail reports whether the provider vouches for the e-mail address of users and for its being theirs.
func (p IdentityProvider) MapsVerifiedEmail() bool {
	return p.AttributeMapping["email"] != "" && p.AttributeMapping["email_verified"] != ""
}

// detailPreset is the key of an OIDC provider's ProviderDetails that says which company's rules it follows.
const detailPreset = "preset"

// Brand is the company that people know the provider by, in that company's own spelling, or "" where the configuration names none. It
// decides nothing but how a sign-in page shows the provider: whom to trust is never read from it.
func (p IdentityProvider) Brand() string {
	switch p.Type {
	case "Google", "Facebook":
		return p.Type
	case "SignInWithApple":
		return "Apple"
	case "LoginWithAmazon":
		return "Amazon"
	case "OIDC":
		switch preset := p.Details.Get(detailPreset); preset {
		case "EntraID":
			return "Microsoft" // people are not to be shown the names Entra and Azure (Microsoft's branding guidelines)
		case "GitHub", "GitLab", "LinkedIn", "Okta", "Auth0":
			return preset
		}
	}
	return ""
}

// The keys of ProviderDetails about the tokens that a provider issues.
const (
	detailKeepTokens   = "keep_tokens"
	detailTokenClients = "token_clients"
)

// KeepsTokens reports whether the tokens that the provider issues at a sign-in are kept: see package federation/upstream.
func (p IdentityProvider) KeepsTokens() bool {
	return p.Type != "SAML" && p.Details.Get(detailKeepTokens) == "true"
}

// GivesTokensTo reports whether an app client may have the access tokens that are kept.
func (p IdentityProvider) GivesTokensTo(clientID string) bool {
	return p.KeepsTokens() && slices.Contains(p.tokenClients(), clientID)
}

func (p IdentityProvider) tokenClients() []string {
	return strings.Fields(p.Details.Get(detailTokenClients))
}

// UserStatus is the UserStatusType of the API model.
type UserStatus string

// The statuses that the model says are in use.
const (
	StatusUnconfirmed      UserStatus = "UNCONFIRMED"           // has signed up and has not confirmed it
	StatusConfirmed        UserStatus = "CONFIRMED"             // can sign in
	StatusForceChange      UserStatus = "FORCE_CHANGE_PASSWORD" // made by an administrator, with a temporary password
	StatusResetRequired    UserStatus = "RESET_REQUIRED"        // needs a new password before the next sign-in
	StatusExternalProvider UserStatus = "EXTERNAL_PROVIDER"     // made by a sign-in through an identity provider
)

// User is a person of a pool.
type User struct {
	PoolID     string            `json:"pool"`
	Sub        string            `json:"sub"`      // UUID, immutable, never reused
	Username   string            `json:"username"` // as displayed; its key is case-folded
	Status     UserStatus        `json:"status"`
	Enabled    bool              `json:"enabled"`
	Attributes map[string]string `json:"attrs"`
	Identities []LinkedIdentity  `json:"ids,omitempty"`
	Links      []PendingLink     `json:"links,omitempty"` // identities that have not signed in yet
	// Edited are the attributes that an administrator wrote or took away last, sorted: see write=unedited of package mapping.
	Edited []string `json:"edited,omitempty"`
	// Sources says of attributes who wrote their value. Of one that is not in it that is not known: it was written by an older release.
	Sources map[string]ValueSource `json:"sources,omitempty"`
	// Groups are the ids (Group.GID) of the groups that the user is in, in the order of joining. One that no group has is of a group
	// that was deleted, and counts for nothing: see Directory.GroupsOf.
	Groups []string `json:"groups,omitempty"`
	// Granted are those that an administrator gave: see User.Memberships.
	Granted []GrantedGroup `json:"granted,omitempty"`
	// Aliases are the attributes whose values are names of the user besides Username.
	Aliases []string `json:"aliases,omitempty"`
	// MergedInto: the user was merged into another one, and Merged: these users were merged into this one. See merged.go for what of it holds.
	MergedInto *MergedInto  `json:"merged_into,omitempty"`
	Merged     []MergedUser `json:"merged,omitempty"`
	// LinkKeys are the attributes whose values the document claims, so that first sign-ins that are linked by them make one user.
	LinkKeys []string `json:"link_keys,omitempty"`
	// Past are identities that an administrator took away: no policy links them to the user again.
	Past []PastIdentity `json:"past,omitempty"`
	// SignedOutAt: grants made before it are void (global sign-out).
	SignedOutAt time.Time `json:"signed_out,omitzero"`
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`
}

// LinkedIdentity is an upstream identity of a user: the entries of the attribute identities.
type LinkedIdentity struct {
	Provider     string    `json:"provider"`
	ProviderType string    `json:"type"`
	Issuer       string    `json:"issuer,omitempty"`
	Subject      string    `json:"subject"` // raw, exact case
	Primary      bool      `json:"primary,omitempty"`
	Created      time.Time `json:"created"`
	// Via is the sub of the user from whom the identity came by a merge: a copy, whose unique value that user's document holds.
	Via string `json:"via,omitempty"`
	// Groups are those that the provider gave at the identity's last sign-in: see User.Memberships.
	Groups []GivenGroup `json:"groups,omitempty"`
}
