package pool

import (
	"encoding/json"
	"time"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

var (
	_ store.Stored = (*Client)(nil)
	_ store.Stored = (*IdentityProvider)(nil)
)

// clientDoc is the stored form of a Client. It exists only between a Client and the sealed body.
type clientDoc struct {
	ID                 string    `json:"id"`
	PoolID             string    `json:"pool"`
	Name               string    `json:"name"`
	Credential         string    `json:"secret,omitempty"` // the newest
	CallbackURLs       []string  `json:"callbacks,omitempty"`
	LogoutURLs         []string  `json:"logouts,omitempty"`
	DefaultRedirectURI string    `json:"default_redirect,omitempty"`
	Flows              []string  `json:"flows,omitempty"`
	Scopes             []string  `json:"scopes,omitempty"`
	Providers          []string  `json:"providers,omitempty"`
	IDSeconds          int64     `json:"id_s"`
	AccessSeconds      int64     `json:"access_s"`
	RefreshSeconds     int64     `json:"refresh_s"`
	AuthSessionSeconds int64     `json:"auth_s"`
	Rotate             bool      `json:"rotate,omitempty"`
	GraceSeconds       int64     `json:"grace_s,omitempty"`
	Revocation         bool      `json:"revocation"`
	ReadAttributes     []string  `json:"read"`  // null: every attribute
	WriteAttributes    []string  `json:"write"` // null: every mutable attribute
	Created            time.Time `json:"created"`
	Modified           time.Time `json:"modified"`

	// What came later. Each is left out where the rest implies it, so that older documents and releases read the same.
	Secrets   []secretDoc   `json:"secrets,omitempty"`
	OAuth     *bool         `json:"oauth,omitempty"` // implied: whether there are flows
	Form      *LifetimeForm `json:"form,omitempty"`
	AuthFlows []string      `json:"auth_flows,omitempty"`
	Existence string        `json:"existence,omitempty"`
	Context   bool          `json:"user_context,omitempty"`
	NoRotate  bool          `json:"no_rotate,omitempty"`
}

// secretDoc is the stored form of a ClientSecret.
type secretDoc struct {
	ID         string    `json:"id"`
	Credential string    `json:"secret"`
	Created    time.Time `json:"created"`
}

// impliedSecrets is the only secret of a client that was created with it.
func (d *clientDoc) impliedSecrets() []ClientSecret {
	if d.Credential == "" {
		return nil
	}
	return []ClientSecret{{ID: secretID(d.ID, d.Created.UnixMilli()), Value: secret.New(d.Credential), Created: d.Created}}
}

// putLater fills in what came later.
func (d *clientDoc) putLater(c *Client) {
	implied := d.impliedSecrets()
	if len(c.Secrets) != len(implied) || len(implied) == 1 && c.Secrets[0].ID != implied[0].ID {
		for _, s := range c.Secrets {
			d.Secrets = append(d.Secrets, secretDoc{ID: s.ID, Credential: s.Value.Reveal(), Created: s.Created})
		}
	}
	if c.OAuth != (len(c.Flows) > 0) {
		d.OAuth = &c.OAuth
	}
	if c.Form != c.impliedForm() {
		d.Form = &c.Form
	}
	d.AuthFlows, d.Existence, d.Context, d.NoRotate = c.ExplicitAuthFlows, c.PreventUserExistenceErrors, c.PropagateUserContext, c.RotationDisabled
}

// getLater reads what came later.
func (d *clientDoc) getLater(c *Client) {
	c.Secrets = d.impliedSecrets()
	if d.Secrets != nil {
		c.Secrets = make([]ClientSecret, len(d.Secrets))
		for i, s := range d.Secrets {
			c.Secrets[i] = ClientSecret{ID: s.ID, Value: secret.New(s.Credential), Created: s.Created}
		}
	}
	if c.OAuth = len(d.Flows) > 0; d.OAuth != nil {
		c.OAuth = *d.OAuth
	}
	if c.Form = c.impliedForm(); d.Form != nil {
		c.Form = *d.Form
	}
	c.ExplicitAuthFlows, c.PreventUserExistenceErrors, c.PropagateUserContext, c.RotationDisabled = d.AuthFlows, d.Existence, d.Context,
		d.NoRotate || !d.Rotate && d.GraceSeconds > 0 // which only a file that says DISABLED can have brought about
}

// MarshalStored implements store.Stored. The result holds the client's secrets.
func (c *Client) MarshalStored() ([]byte, error) {
	d := clientDoc{
		ID: c.ID, PoolID: c.PoolID, Name: c.Name, Credential: c.Secret().Reveal(),
		CallbackURLs: c.CallbackURLs, LogoutURLs: c.LogoutURLs, DefaultRedirectURI: c.DefaultRedirectURI,
		Flows: c.Flows, Scopes: c.Scopes, Providers: c.Providers,
		IDSeconds: seconds(c.IDTokenValidity), AccessSeconds: seconds(c.AccessTokenValidity),
		RefreshSeconds: seconds(c.RefreshTokenValidity), AuthSessionSeconds: seconds(c.AuthSessionValidity),
		Rotate: c.RotateRefreshTokens, GraceSeconds: seconds(c.RotationGrace), Revocation: c.EnableTokenRevocation,
		ReadAttributes: c.ReadAttributes, WriteAttributes: c.WriteAttributes,
		Created: c.Created, Modified: c.Modified,
	}
	d.putLater(c)
	return json.Marshal(d) //nolint:gosec // the body is sealed before it is stored
}

// StoredForm implements store.Stored.
func (*Client) StoredForm() any { return clientDoc{} }

// UnmarshalStored implements store.Stored.
func (c *Client) UnmarshalStored(data []byte) error {
	var d clientDoc
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*c = Client{
		ID: d.ID, PoolID: d.PoolID, Name: d.Name,
		CallbackURLs: d.CallbackURLs, LogoutURLs: d.LogoutURLs, DefaultRedirectURI: d.DefaultRedirectURI,
		Flows: d.Flows, Scopes: d.Scopes, Providers: d.Providers,
		IDTokenValidity: duration(d.IDSeconds), AccessTokenValidity: duration(d.AccessSeconds),
		RefreshTokenValidity: duration(d.RefreshSeconds), AuthSessionValidity: duration(d.AuthSessionSeconds),
		RotateRefreshTokens: d.Rotate, RotationGrace: duration(d.GraceSeconds), EnableTokenRevocation: d.Revocation,
		ReadAttributes: d.ReadAttributes, WriteAttributes: d.WriteAttributes,
		Created: d.Created, Modified: d.Modified,
	}
	d.getLater(c)
	return nil
}

func seconds(d time.Duration) int64  { return int64(d / time.Second) }
func duration(s int64) time.Duration { return time.Duration(s) * time.Second }

// providerDoc is the stored form of an IdentityProvider. It exists only between that and the sealed body.
type providerDoc struct {
	PoolID           string            `json:"pool"`
	Name             string            `json:"name"`
	Type             string            `json:"type"`
	Details          map[string]string `json:"details,omitempty"`
	AttributeMapping map[string]string `json:"mapping,omitempty"`
	Identifiers      []string          `json:"identifiers,omitempty"`
	Created          time.Time         `json:"created"`
	Modified         time.Time         `json:"modified"`
}

// MarshalStored implements store.Stored. The result holds the provider's secrets.
func (p *IdentityProvider) MarshalStored() ([]byte, error) {
	d := providerDoc{
		PoolID: p.PoolID, Name: p.Name, Type: p.Type, AttributeMapping: p.AttributeMapping,
		Identifiers: p.Identifiers, Created: p.Created, Modified: p.Modified,
		Details: make(map[string]string, len(p.Details)),
	}
	for k, v := range p.Details {
		d.Details[k] = v.Reveal()
	}
	return json.Marshal(d)
}

// StoredForm implements store.Stored.
func (*IdentityProvider) StoredForm() any { return providerDoc{} }

// UnmarshalStored implements store.Stored.
func (p *IdentityProvider) UnmarshalStored(data []byte) error {
	var d providerDoc
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	*p = IdentityProvider{
		PoolID: d.PoolID, Name: d.Name, Type: d.Type, AttributeMapping: d.AttributeMapping,
		Identifiers: d.Identifiers, Created: d.Created, Modified: d.Modified,
		Details: make(Details, len(d.Details)),
	}
	for k, v := range d.Details {
		p.Details[k] = secret.New(v)
	}
	return nil
}
