package pool

import (
	"slices"
	"strconv"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// ClientSecret is one secret of a client (ClientSecretDescriptorType of the API model).
type ClientSecret struct {
	ID      string // <client id>--<milliseconds since 1970>
	Value   secret.Text
	Created time.Time
}

// maxClientSecrets is the number of secrets that a client can have at a time.
const maxClientSecrets = 2

// Confidential reports whether the client has a secret.
func (c Client) Confidential() bool { return len(c.Secrets) > 0 }

// Secret returns the newest secret, the empty one of a public client.
func (c Client) Secret() secret.Text {
	if len(c.Secrets) == 0 {
		return secret.Text{}
	}
	return c.Secrets[len(c.Secrets)-1].Value
}

// older returns the secret beside the newest, the empty one where there is none.
func (c Client) older() secret.Text {
	if len(c.Secrets) < maxClientSecrets {
		return secret.Text{}
	}
	return c.Secrets[len(c.Secrets)-maxClientSecrets].Value
}

// SecretMatches reports whether given is one of the client's secrets, in time that depends on their number alone. Nothing
// matches a public client, the empty string included.
func (c Client) SecretMatches(given string) bool {
	found := false
	for _, s := range c.Secrets {
		if s.Value.Equal(given) {
			found = true
		}
	}
	return found
}

// named gives the secrets that have none an id and the time of their creation.
func (c *Client) named(now time.Time) {
	c.Secrets = slices.Clone(c.Secrets)
	for i, s := range c.Secrets {
		if s.ID == "" {
			c.Secrets[i].ID, c.Secrets[i].Created = c.newSecretID(now), now
		}
	}
}

// newSecretID returns an id that no secret of the client has.
func (c *Client) newSecretID(now time.Time) string {
	ms := now.UnixMilli()
	for {
		id := secretID(c.ID, ms)
		if !slices.ContainsFunc(c.Secrets, func(s ClientSecret) bool { return s.ID == id }) {
			return id
		}
		ms++
	}
}

// secretID is an id in the form of the API model, and of its length (ClientSecretIdType) whatever the client's.
func secretID(clientID string, ms int64) string {
	const most = 128 - len("--") - 13
	return clientID[:min(len(clientID), most)] + "--" + strconv.FormatInt(ms, 10)
}

// MayUse reports whether the client may use an OAuth flow, such as code.
func (c Client) MayUse(flow string) bool { return c.OAuth && slices.Contains(c.Flows, flow) }

// The ways of the JSON API to sign in (ExplicitAuthFlowsType), and those of before, which cannot stand beside them.
var (
	authFlows = []string{
		"ALLOW_USER_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_CUSTOM_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", allowRefresh,
	}
	legacyAuthFlows = map[string]string{
		"ADMIN_NO_SRP_AUTH": "ALLOW_ADMIN_USER_PASSWORD_AUTH", "CUSTOM_AUTH_FLOW_ONLY": "ALLOW_CUSTOM_AUTH", "USER_PASSWORD_AUTH": "ALLOW_USER_PASSWORD_AUTH",
	}
)

const allowRefresh = "ALLOW_REFRESH_TOKEN_AUTH"

// AuthFlows returns the ALLOW_… flows that the client has: those given, in the names of today, or the default of the API model. A client
// with older names has refresh tokens too, and SRP unless it is for custom flows only. REFRESH_TOKEN_AUTH is not for
// clients that rotate refresh tokens: those use GetTokensFromRefreshToken.
func (c Client) AuthFlows() []string {
	flows := slices.Clone(c.ExplicitAuthFlows)
	switch {
	case len(flows) == 0:
		flows = []string{allowRefresh, "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"}
	case legacyAuthFlows[flows[0]] != "":
		only := slices.Contains(flows, "CUSTOM_AUTH_FLOW_ONLY")
		for i, f := range flows {
			flows[i] = legacyAuthFlows[f]
		}
		if flows = append(flows, allowRefresh); !only {
			flows = append(flows, "ALLOW_USER_SRP_AUTH")
		}
	}
	if c.RotateRefreshTokens {
		flows = slices.DeleteFunc(flows, func(f string) bool { return f == allowRefresh })
	}
	return flows
}
