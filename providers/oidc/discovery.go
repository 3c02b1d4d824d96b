package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/providers/detail"
)

// discovered is what is read of a discovery document (OpenID Connect Discovery section 3, RFC 9207 section 3).
type discovered struct {
	Issuer      string   `json:"issuer"`
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	UserInfoURL string   `json:"userinfo_endpoint"`
	JWKSURL     string   `json:"jwks_uri"`
	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	Methods     []string `json:"token_endpoint_auth_methods_supported"`
	RevokeURL   string   `json:"revocation_endpoint"` // RFC 8414 section 2
	ResponseIss bool     `json:"authorization_response_iss_parameter_supported"`
}

// metadata is what a login needs to know of the provider: the configuration over what was discovered. It is not changed once made.
type metadata struct {
	authURL, tokenURL string
	userInfoURL       string // "" where it is not to be asked
	revokeURL         string // "" where the provider names none; checked where it is used, because no sign-in needs it
	method            string
	algorithms        []jose.SignatureAlgorithm
	responseIss       bool // the provider puts iss into every authorization response
	keys              *keySet
	verifier          *gooidc.Config
}

// discover fetches and checks the discovery document.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	at := cmp.Or(p.s.rules.Discovery, p.s.issuer)
	ctx = gooidc.ClientContext(ctx, p.http)
	if at != p.s.issuer {
		ctx = gooidc.InsecureIssuerURLContext(ctx, p.s.issuer) // leaves the check of the issuer to us
	}
	found, err := gooidc.NewProvider(ctx, at)
	if err != nil {
		var mismatch *gooidc.IssuerMismatchError
		var transport *url.Error
		switch {
		case errors.As(err, &mismatch):
			return nil, p.otherIssuer(mismatch.Discovered)
		case errors.As(err, &transport):
			return nil, asFault(ErrDiscovery, err)
		default:
			return nil, badAnswer(ErrDiscovery, brief{err})
		}
	}
	var d discovered
	if err := found.Claims(&d); err != nil {
		return nil, badAnswer(ErrDiscovery, brief{err})
	}
	if d.Issuer != p.s.issuer {
		return nil, p.otherIssuer(d.Issuer)
	}
	return p.metadata(d)
}

// otherIssuer is the fault of a discovery document of another issuer (OpenID Connect Discovery section 4.3).
func (p *Provider) otherIssuer(found string) *fault.Error {
	return fault.New(fault.Config, publicMisconfig, fmt.Errorf("%w: %w: expected %q, found %s", ErrDiscovery, ErrIssuer, p.s.issuer, quote(found)))
}

// metadata lays the configuration over d. Its errors are faults.
func (p *Provider) metadata(d discovered) (*metadata, error) {
	md := &metadata{
		authURL:     cmp.Or(p.s.authURL, d.AuthURL),
		tokenURL:    cmp.Or(p.s.tokenURL, d.TokenURL),
		userInfoURL: cmp.Or(p.s.userInfoURL, d.UserInfoURL),
		revokeURL:   cmp.Or(p.s.revokeURL, d.RevokeURL),
		method:      p.authMethod(d.Methods),
		responseIss: d.ResponseIss,
	}
	if p.s.userInfo == "never" {
		md.userInfoURL = ""
	}
	jwksURL := cmp.Or(p.s.jwksURL, d.JWKSURL)
	for _, e := range []struct {
		name, url string
		required  bool
	}{
		{"authorization_endpoint", md.authURL, true},
		{"token_endpoint", md.tokenURL, true},
		{"jwks_uri", jwksURL, !p.s.rules.plain()},
		{"userinfo_endpoint", md.userInfoURL, p.s.userInfo == "always"},
	} {
		if e.url == "" && !e.required {
			continue
		}
		// The browser is sent to the first of them, so its scheme is ours to check.
		if problem := detail.CheckURL(e.url, p.open); problem != "" {
			return nil, misconfigured("%s %s", e.name, problem)
		}
	}
	names := p.s.algorithms
	if len(names) == 0 {
		names = slices.Clone(algorithms)
		if len(d.Algorithms) > 0 {
			names = slices.DeleteFunc(names, func(alg string) bool { return !slices.Contains(d.Algorithms, alg) })
		}
	}
	if len(names) == 0 {
		return nil, misconfigured("id_token_signing_alg_values_supported has no algorithm that is allowed")
	}
	for _, alg := range names {
		md.algorithms = append(md.algorithms, jose.SignatureAlgorithm(alg))
	}
	if jwksURL != "" {
		md.keys = p.keySetFor(jwksURL)
	}
	md.verifier = &gooidc.Config{
		ClientID:             p.s.clientID,
		SupportedSigningAlgs: names,
		SkipIssuerCheck:      p.s.rules.Issuer != nil || p.s.rules.Aliases != nil, // by its own check alone: see check
		Now:                  func() time.Time { return p.now().Add(-p.s.skew) },
	}
	return md, nil
}

// authMethod returns how the client authenticates, from the methods that the provider says it supports.
func (p *Provider) authMethod(supported []string) string {
	if p.s.method != "" {
		return p.s.method
	}
	if slices.Contains(supported, methodPost) && !slices.Contains(supported, methodBasic) {
		return methodPost
	}
	return methodBasic // the default of OpenID Connect Discovery section 3
}

// keySetFor returns the key set in use if it is of this URL.
func (p *Provider) keySetFor(jwksURL string) *keySet {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || p.keys.url != jwksURL {
		p.keys = newKeySet(jwksURL, p.http, p.now)
	}
	return p.keys
}

// errMetadata: what the document says, or the configuration, cannot be used.
var errMetadata = errors.New("unusable metadata")

func misconfigured(format string, args ...any) *fault.Error {
	return fault.New(fault.Config, publicMisconfig, fmt.Errorf("%w: %w: %s", ErrDiscovery, errMetadata, fmt.Sprintf(format, args...)))
}

// badAnswer is the fault of an answer that came and was not usable.
func badAnswer(sentinel, err error) *fault.Error {
	return fault.New(fault.Upstream, publicBadAnswer, fmt.Errorf("%w: %w", sentinel, err))
}

// fetch makes one request and returns the body and content type of an answer of status 200. Its errors are faults
// under the sentinel.
func fetch(ctx context.Context, client *http.Client, sentinel error, method, url string, header http.Header) ([]byte, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", misconfigured("%s", quote(err.Error()))
	}
	if header != nil {
		req.Header = header
	}
	r, err := roundTrip(client, req)
	if err != nil {
		return nil, "", asFault(sentinel, err)
	}
	if r.status != http.StatusOK {
		return nil, "", badAnswer(sentinel, fmt.Errorf("status %d from %s", r.status, quote(url)))
	}
	return r.body, r.header.Get("Content-Type"), nil
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// roundTrip makes a request and reads the whole answer, whose size the client bounds.
func roundTrip(client *http.Client, req *http.Request) (reply, error) {
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body}, errors.Join(err, resp.Body.Close())
}
