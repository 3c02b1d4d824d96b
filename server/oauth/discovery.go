package oauth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/pool"
)

// metadata is the discovery document (OpenID Connect Discovery section 3, RFC 8414 section 2).
type metadata struct {
	Issuer               string   `json:"issuer"`
	Authorization        string   `json:"authorization_endpoint"`
	Token                string   `json:"token_endpoint"`
	UserInfo             string   `json:"userinfo_endpoint"`
	Revocation           string   `json:"revocation_endpoint"`
	Introspection        string   `json:"introspection_endpoint"`
	EndSession           string   `json:"end_session_endpoint"`
	JWKS                 string   `json:"jwks_uri"`
	ResponseTypes        []string `json:"response_types_supported"`
	ResponseModes        []string `json:"response_modes_supported"`
	GrantTypes           []string `json:"grant_types_supported"`
	SubjectTypes         []string `json:"subject_types_supported"`
	IDTokenAlgorithms    []string `json:"id_token_signing_alg_values_supported"`
	Scopes               []string `json:"scopes_supported"`
	Claims               []string `json:"claims_supported"`
	TokenAuth            []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth       []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth    []string `json:"introspection_endpoint_auth_methods_supported"`
	ChallengeMethods     []string `json:"code_challenge_methods_supported"`
	Prompts              []string `json:"prompt_values_supported"`
	IssuerInResponse     bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter      bool     `json:"claims_parameter_supported"`
	RequestParameter     bool     `json:"request_parameter_supported"`
	RequestURIParameter  bool     `json:"request_uri_parameter_supported"`
	RequireRequestURIReg bool     `json:"require_request_uri_registration"`
}

// Discovery serves GET /<poolId>/.well-known/openid-configuration. The endpoints are those of the host that was
// asked, where it is one of ours; the issuer is always under the base URL.
func (s *Service) Discovery(c echo.Context) error {
	p, err := s.Directory.Pool(c.Request().Context(), c.Param("pool"))
	if err != nil {
		return err
	}
	base := s.Site.BaseURL()
	if origin, err := s.Site.Origin(c); err == nil && origin.PoolID == p.ID {
		base = origin.URL
	}
	return cached(c, s.metadata(p, base), 5*time.Minute)
}

func (s *Service) metadata(p pool.Pool, base string) metadata {
	issuer := s.Issuer.URL(p.ID)
	secrets := []string{"client_secret_basic", "client_secret_post"}
	return metadata{
		Issuer:            issuer,
		Authorization:     base + "/oauth2/authorize",
		Token:             base + "/oauth2/token",
		UserInfo:          base + "/oauth2/userInfo",
		Revocation:        base + "/oauth2/revoke",
		Introspection:     base + "/oauth2/introspect",
		EndSession:        base + "/logout",
		JWKS:              issuer + "/.well-known/jwks.json",
		ResponseTypes:     []string{"code"},
		ResponseModes:     responseModes,
		GrantTypes:        slices.Sorted(maps.Keys(grantTypes)),
		SubjectTypes:      []string{"public"},
		IDTokenAlgorithms: []string{p.SigningAlgorithm},
		Scopes:            []string{"openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"},
		Claims:            claimsOf(p),
		TokenAuth:         append(slices.Clone(secrets), "none"),
		RevocationAuth:    append(slices.Clone(secrets), "none"),
		IntrospectionAuth: secrets,
		ChallengeMethods:  []string{"S256"},
		Prompts:           prompts,
		IssuerInResponse:  true,
	}
}

func claimsOf(p pool.Pool) []string {
	out := []string{"iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash"}
	for _, a := range p.Schema {
		if !a.DeveloperOnly {
			out = append(out, a.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// JWKS serves GET /<poolId>/.well-known/jwks.json (RFC 7517 section 5).
func (s *Service) JWKS(c echo.Context) error {
	p, err := s.Directory.Pool(c.Request().Context(), c.Param("pool"))
	if err != nil {
		return err
	}
	set, age, err := s.Keys.JWKS(c.Request().Context(), p)
	if err != nil {
		return err
	}
	return cached(c, set, age)
}

func cached(c echo.Context, v any, age time.Duration) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, fmt.Sprintf("public, max-age=%d", int(age/time.Second)))
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, body)
}
