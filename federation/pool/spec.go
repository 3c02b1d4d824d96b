package pool

import "github.com/weir-id/weir/federation/secret"

// Spec is the desired content of a deployment, in the field names of the API model: the content of pool.yaml.
type Spec struct {
	UserPools []PoolSpec `yaml:"UserPools"`
}

// PoolSpec is one user pool with what is in it.
type PoolSpec struct {
	PoolName         string       `yaml:"PoolName"`
	ID               string       `yaml:"Id"`
	Domain           string       `yaml:"Domain"`
	CustomDomain     string       `yaml:"CustomDomain"`
	Schema           []SchemaSpec `yaml:"Schema"`
	SigningAlgorithm string       `yaml:"SigningAlgorithm"`
	SigningKeyDays   int          `yaml:"SigningKeyDays"`
	// What follows is kept as it is in the store where the file does not name it: see desiredSettings.
	DeletionProtection string            `yaml:"DeletionProtection"` // ACTIVE or INACTIVE
	UserPoolTags       map[string]string `yaml:"UserPoolTags"`
	UsernameAttributes []string          `yaml:"UsernameAttributes"`
	AliasAttributes    []string          `yaml:"AliasAttributes"`
	Settings           Settings          `yaml:",inline"`

	IdentityProviders []ProviderSpec `yaml:"IdentityProviders"`
	ResourceServers   []ServerSpec   `yaml:"ResourceServers"`
	Groups            []GroupSpec    `yaml:"Groups"`
	Clients           []ClientSpec   `yaml:"Clients"`
}

// GroupSpec is the input of CreateGroup.
type GroupSpec struct {
	GroupName   string `yaml:"GroupName"`
	Description string `yaml:"Description"`
	RoleArn     string `yaml:"RoleArn"`
	Precedence  *int   `yaml:"Precedence"`
}

// ServerSpec is the input of CreateResourceServer.
type ServerSpec struct {
	Identifier string      `yaml:"Identifier"`
	Name       string      `yaml:"Name"`
	Scopes     []ScopeSpec `yaml:"Scopes"`
}

// ScopeSpec is ResourceServerScopeType.
type ScopeSpec struct {
	ScopeName        string `yaml:"ScopeName"`
	ScopeDescription string `yaml:"ScopeDescription"`
}

// SchemaSpec is SchemaAttributeType. A custom attribute is named with or without its prefix.
type SchemaSpec struct {
	Name                       string            `yaml:"Name"`
	AttributeDataType          string            `yaml:"AttributeDataType"`
	DeveloperOnlyAttribute     bool              `yaml:"DeveloperOnlyAttribute"`
	Mutable                    *bool             `yaml:"Mutable"`
	Required                   bool              `yaml:"Required"`
	StringAttributeConstraints *StringConstraint `yaml:"StringAttributeConstraints"`
	NumberAttributeConstraints *NumberConstraint `yaml:"NumberAttributeConstraints"`
}

// StringConstraint is StringAttributeConstraintsType: decimal numbers as strings.
type StringConstraint struct {
	MinLength string `yaml:"MinLength"`
	MaxLength string `yaml:"MaxLength"`
}

// NumberConstraint is NumberAttributeConstraintsType: decimal numbers as strings.
type NumberConstraint struct {
	MinValue string `yaml:"MinValue"`
	MaxValue string `yaml:"MaxValue"`
}

// ProviderSpec is the input of CreateIdentityProvider.
type ProviderSpec struct {
	ProviderName     string                 `yaml:"ProviderName"`
	ProviderType     string                 `yaml:"ProviderType"`
	ProviderDetails  map[string]secret.Text `yaml:"ProviderDetails"`
	AttributeMapping map[string]string      `yaml:"AttributeMapping"`
	IdpIdentifiers   []string               `yaml:"IdpIdentifiers"`
}

// ClientSpec is the input of CreateUserPoolClient.
type ClientSpec struct {
	ClientName                      string             `yaml:"ClientName"`
	ClientID                        string             `yaml:"ClientId"`
	ClientSecret                    secret.Text        `yaml:"ClientSecret"`           // may be StoredSecret
	AdditionalClientSecret          secret.Text        `yaml:"AdditionalClientSecret"` // an older one that is valid too
	GenerateSecret                  bool               `yaml:"GenerateSecret"`
	CallbackURLs                    []string           `yaml:"CallbackURLs"`
	LogoutURLs                      []string           `yaml:"LogoutURLs"`
	DefaultRedirectURI              string             `yaml:"DefaultRedirectURI"`
	AllowedOAuthFlows               []string           `yaml:"AllowedOAuthFlows"`
	AllowedOAuthFlowsUserPoolClient *bool              `yaml:"AllowedOAuthFlowsUserPoolClient"`
	AllowedOAuthScopes              []string           `yaml:"AllowedOAuthScopes"`
	ExplicitAuthFlows               []string           `yaml:"ExplicitAuthFlows"`
	PreventUserExistenceErrors      string             `yaml:"PreventUserExistenceErrors"`
	PropagateUserContext            bool               `yaml:"EnablePropagateAdditionalUserContextData"`
	SupportedIdentityProviders      []string           `yaml:"SupportedIdentityProviders"`
	IDTokenValidity                 int                `yaml:"IdTokenValidity"`
	AccessTokenValidity             int                `yaml:"AccessTokenValidity"`
	RefreshTokenValidity            int                `yaml:"RefreshTokenValidity"`
	TokenValidityUnits              TokenValidityUnits `yaml:"TokenValidityUnits"`
	RefreshTokenRotation            *RefreshRotation   `yaml:"RefreshTokenRotation"`
	EnableTokenRevocation           *bool              `yaml:"EnableTokenRevocation"`
	AuthSessionValidity             int                `yaml:"AuthSessionValidity"` // minutes
	ReadAttributes                  []string           `yaml:"ReadAttributes"`
	WriteAttributes                 []string           `yaml:"WriteAttributes"`
}

// TokenValidityUnits is TokenValidityUnitsType: seconds, minutes, hours or days.
// Without it ID and access tokens count in hours, refresh tokens in days.
type TokenValidityUnits struct {
	IDToken      string `yaml:"IdToken"`
	AccessToken  string `yaml:"AccessToken"`
	RefreshToken string `yaml:"RefreshToken"`
}

// RefreshRotation is RefreshTokenRotationType.
type RefreshRotation struct {
	Feature                 string `yaml:"Feature"` // ENABLED or DISABLED
	RetryGracePeriodSeconds int    `yaml:"RetryGracePeriodSeconds"`
}
