package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// answer is what the application keeps of a token response.
type answer struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// login is a whole one, of a person chosen at random in a browser that nobody has signed in from.
func (c *crowd) login(ctx context.Context, o order, _ int) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := *c.http
	browser.Jar = jar
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	asked, err := c.visit(ctx, &browser, o.Base+"/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {o.Client}, "redirect_uri": {appCallback}, "scope": {"openid email profile"},
		"state": {rand.Text()}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		return err
	}
	who := subject(mathrand.IntN(SmallUsers) * o.Step) //nolint:gosec // no secret
	back, err := oidctest.SignIn(ctx, &browser, asked.String(), who, who)
	if err != nil {
		return err
	}
	done, err := c.visit(ctx, &browser, back.URL.String())
	if err != nil {
		return err
	}
	a, err := c.tokensFor(ctx, o, url.Values{"grant_type": {"authorization_code"}, "code": {done.Query().Get("code")},
		"redirect_uri": {appCallback}, "code_verifier": {verifier}})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[o.Base+o.Client] = append(c.tokens[o.Base+o.Client], a)
	return nil
}

func (c *crowd) refresh(ctx context.Context, o order, i int) error {
	_, err := c.tokensFor(ctx, o, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.kept(o, i).Refresh}})
	return err
}

func (c *crowd) userInfo(ctx context.Context, o order, i int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Base+"/oauth2/userInfo", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.kept(o, i).Access)
	var claims struct {
		Sub string `json:"sub"`
	}
	if err := c.json(req, &claims); err != nil || claims.Sub == "" {
		return fmt.Errorf("userInfo: sub %q: %w", claims.Sub, err)
	}
	return nil
}

func (c *crowd) kept(o order, i int) answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.tokens[o.Base+o.Client]
	if len(all) == 0 {
		return answer{}
	}
	return all[i%len(all)]
}

// visit follows a browser to one redirect and returns where it leads.
func (c *crowd) visit(ctx context.Context, browser *http.Client, target string) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := browser.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	to, err := resp.Location()
	if err != nil || to.Query().Has("error") {
		return nil, fmt.Errorf("%s: status %d, location %v: %.500s", req.URL.Path, resp.StatusCode, to, body)
	}
	return to, nil
}

func (c *crowd) tokensFor(ctx context.Context, o order, form url.Values) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Base+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(o.Client, appSecret)
	if err := c.json(req, &a); err != nil {
		return a, err
	}
	if a.ID == "" || a.Access == "" {
		return a, errors.New("token answer without tokens")
	}
	return a, nil
}

func (c *crowd) json(req *http.Request, to any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %.500s", req.URL.Path, resp.StatusCode, body)
	}
	return json.Unmarshal(body, to)
}
