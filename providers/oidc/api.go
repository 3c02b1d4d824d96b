package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

// API is a provider as the rules of a variant see it: its settings, and calls to its own interfaces under the bounds of the login.
type API struct {
	p  *Provider
	md *metadata
}

// ClientID is the client's id at the provider.
func (a *API) ClientID() string { return a.p.s.clientID }

// Secret is the client's secret: the configured one, or that of Rules.Secret.
func (a *API) Secret() (secret.Text, error) { return a.p.secret() }

// UserInfoURL is the detail attributes_url; "" where there is none.
func (a *API) UserInfoURL() string { return a.md.userInfoURL }

// Mapped are the claims that the provider's attribute mapping reads, by the name it begins at: the administrator's text, of any form.
func (a *API) Mapped() []string { return a.p.mapped() }

// Now is the clock.
func (a *API) Now() time.Time { return a.p.now() }

// Call is one request.
type Call struct {
	Method string // GET if empty, POST if empty with a body
	URL    string
	Query  url.Values  // added to the URL
	Form   url.Values  // the body
	JSON   any         // the body, in place of Form
	Bearer secret.Text // the access token of the header Authorization; zero leaves it out
	Header http.Header // further ones
	// Secrets are what else of the request must not be quoted from the answer, such as proofs and tokens in the query.
	Secrets []string
}

// Do makes a call and returns the body of an answer of status 200, or none of 204. Its errors are faults under ErrUserInfo that quote at most 200
// bytes of an answer, without the call's secrets.
func (a *API) Do(ctx context.Context, c Call) ([]byte, error) {
	req, err := c.request(ctx)
	if err != nil {
		return nil, misconfigured("%s", quote(err.Error(), c.secrets()...))
	}
	r, err := roundTrip(a.p.http, req)
	if err != nil {
		return nil, asFault(ErrUserInfo, withoutQuery(err))
	}
	if r.status != http.StatusOK && r.status != http.StatusNoContent {
		at := *req.URL
		at.RawQuery = ""
		return nil, badAnswer(ErrUserInfo, fmt.Errorf("status %d from %s: %s", r.status, quote(at.String()), quote(string(r.body), c.secrets()...)))
	}
	return r.body, nil
}

// withoutQuery takes the query, which may hold tokens, out of an error of the HTTP client.
func withoutQuery(err error) error {
	var transport *url.Error
	if errors.As(err, &transport) {
		transport.URL, _, _ = strings.Cut(transport.URL, "?")
	}
	return err
}

// Object is Do for an answer that is a JSON object. Numbers are json.Number.
func (a *API) Object(ctx context.Context, c Call) (mapping.Claims, error) {
	body, err := a.Do(ctx, c)
	if err != nil {
		return nil, err
	}
	claims, err := object(body)
	if err != nil {
		return nil, badAnswer(ErrUserInfo, brief{err})
	}
	return claims, nil
}

// Decode is Do for an answer that is JSON of the form of into.
func (a *API) Decode(ctx context.Context, c Call, into any) error {
	body, err := a.Do(ctx, c)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return badAnswer(ErrUserInfo, brief{err})
	}
	return nil
}

// Signed verifies a JWT of the provider's other than an ID token: its signature by one of the provider's keys, its issuer, its audience, and
// those of iat, nbf and exp that it has. It returns the claims. What else they have to say is the caller's to check. The audience is the
// client; others are further ones that will do, of a JWT for that one alone. Errors are faults.
func (a *API) Signed(ctx context.Context, raw string, others ...string) (mapping.Claims, error) {
	if a.md.keys == nil || len(raw) > maxIDToken {
		return nil, Refuse(ErrSignature, "no keys to verify %d bytes with", len(raw))
	}
	jws, err := jose.ParseSignedCompact(raw, a.md.algorithms)
	if err != nil {
		return nil, Refuse(ErrSignature, "%w", err)
	}
	payload, err := a.md.keys.verify(ctx, jws)
	if err != nil {
		return nil, asUnverified(err)
	}
	claims, err := object(payload)
	if err != nil {
		return nil, Refuse(ErrSignature, "payload: %w", err)
	}
	if iss, _ := claims["iss"].(string); iss != a.p.s.issuer {
		return nil, Refuse(ErrIssuer, "JWT is of %q", iss)
	}
	aud := stringsOf(claims["aud"])
	if len(aud) != 1 || claims["azp"] != nil || !slices.Contains(others, aud[0]) {
		if err := checkAudience(claims, []string{a.p.s.clientID}); err != nil {
			return nil, unverified(err)
		}
	}
	return claims, a.p.checkAge(claims)
}

// checkAge refuses a JWT that is not valid now, as far as it says so.
func (p *Provider) checkAge(claims mapping.Claims) error {
	now := p.now()
	for name, bad := range map[string]func(at time.Time) bool{
		"exp": func(at time.Time) bool { return !now.Before(at.Add(p.s.skew)) },
		"nbf": func(at time.Time) bool { return now.Add(p.s.skew).Before(at) },
		"iat": func(at time.Time) bool { return now.Add(p.s.skew).Before(at) },
	} {
		if claims[name] == nil {
			continue
		}
		if at, ok := timeOf(claims[name]); !ok || bad(at) {
			return Refuse(ErrExpired, "%s %v", name, claims[name])
		}
	}
	return nil
}

// Refuse is the fault of an answer that came, could be read, and does not prove what it has to: of another client, about somebody else.
func Refuse(sentinel error, format string, args ...any) *fault.Error {
	return unverified(fmt.Errorf("%w: %w", sentinel, brief{fmt.Errorf(format, args...)}))
}

func (c Call) request(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	if len(c.Query) > 0 {
		q := u.Query()
		for name, values := range c.Query {
			q[name] = values
		}
		u.RawQuery = q.Encode()
	}
	method, body, kind := c.Method, io.Reader(nil), ""
	switch {
	case c.JSON != nil:
		text, err := json.Marshal(c.JSON)
		if err != nil {
			return nil, err
		}
		body, kind = bytes.NewReader(text), "application/json"
	case c.Form != nil:
		body, kind = strings.NewReader(c.Form.Encode()), "application/x-www-form-urlencoded"
	}
	if method == "" && body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if !c.Bearer.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.Bearer.Reveal())
	}
	return req, nil
}

func (c Call) secrets() []string { return append([]string{c.Bearer.Reveal()}, c.Secrets...) }
