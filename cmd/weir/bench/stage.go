package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server"
)

const (
	upstreamID     = "weir-bench"
	upstreamSecret = "bench-upstream-secret"
	appSecret      = "bench-application-secret" //nolint:gosec // guards nothing: all of it is made for one run
	appCallback    = "https://app.bench.example/callback"
	callbackPath   = "/oauth2/idpresponse"
	providerName   = "Bench"
)

func poolOf(alg string) string   { return "local_Bench" + alg }
func clientOf(alg string) string { return "bench" + strings.ToLower(alg) + "client0000000001" }

// stage is a node that serves, with a pool for each algorithm and users in it.
type stage struct {
	node   *Node
	base   string
	http   *http.Server
	served chan error
	once   sync.Once
	err    error
}

// stage opens a node in its directory, fills it and serves it.
func (o Options) stage(ctx context.Context, p *peers, name string, users int, algorithms ...string) (_ *stage, err error) {
	dir := filepath.Join(o.Dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := "http://" + l.Addr().String()
	node, err := o.Open(ctx, dir, base)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &stage{node: node, base: base, served: make(chan error, 1), http: server.HTTP(node.Handler, slog.New(slog.DiscardHandler))}
	go func() { s.served <- s.http.Serve(l) }()
	if err := o.fill(ctx, node.Directory, p.issuer, users, algorithms); err != nil {
		return nil, errors.Join(err, s.close())
	}
	debug.FreeOSMemory() // what the filling needed is none of the server's
	return s, p.do(ctx, order{Op: opRegister, Base: base, Step: users / SmallUsers})
}

// close stops serving and closes the node; a second call does nothing.
func (s *stage) close() error {
	s.once.Do(func() {
		s.err = s.http.Close()
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			s.err = errors.Join(s.err, err)
		}
		s.err = errors.Join(s.err, s.node.Close())
	})
	return s.err
}

// fill makes the pools, and users as if each had signed in once.
func (o Options) fill(ctx context.Context, d *pool.Directory, issuer string, users int, algorithms []string) error {
	plan, err := d.Plan(ctx, spec(issuer, algorithms))
	if err != nil {
		return err
	}
	if err := d.Apply(ctx, plan); err != nil {
		return err
	}
	for _, alg := range algorithms {
		p, err := d.Pool(ctx, poolOf(alg))
		if err != nil {
			return err
		}
		idp, err := d.Provider(ctx, p.ID, providerName)
		if err != nil {
			return err
		}
		if err := o.signInAll(ctx, d, p, idp, users); err != nil {
			return fmt.Errorf("fill pool %s: %w", p.ID, err)
		}
	}
	return nil
}

// writers is how many users are written at once: as many as fit one commit of the store.
const writers = 1024

func (o Options) signInAll(ctx context.Context, d *pool.Directory, p pool.Pool, idp pool.IdentityProvider, users int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for i := range users {
		if i > 0 && i%100_000 == 0 {
			o.say("wrote %d of %d users", i, users)
		}
		g.Go(func() error {
			_, err := d.SignIn(ctx, p, pool.SignIn{Provider: idp, Issuer: idp.Details.Get("oidc_issuer"), Subject: subject(i), Attributes: attributes(i)})
			return err
		})
		if ctx.Err() != nil {
			break
		}
	}
	return g.Wait()
}

// The people, in the store and at the provider alike, so that a sign-in changes nothing.
var (
	givenNames  = []string{"Alice", "Bob", "Carol", "Dmitri", "Esther", "Farid", "Grace", "Hiroshi", "Ingrid", "João"}
	familyNames = []string{"Ångström", "O'Neil", "Nakamura", "García", "Smith", "Okafor", "Müller", "Ivanova", "Rossi", "Khan", "Larsen"}
)

func subject(i int) string { return fmt.Sprintf("user-%08d", i) }

func attributes(i int) map[string]string {
	given, family := givenNames[i%len(givenNames)], familyNames[i%len(familyNames)]
	return map[string]string{"email": subject(i) + "@example.com", "email_verified": "true",
		"given_name": given, "family_name": family, "name": given + " " + family}
}

func spec(issuer string, algorithms []string) pool.Spec {
	var out pool.Spec
	for _, alg := range algorithms {
		out.UserPools = append(out.UserPools, pool.PoolSpec{
			PoolName: "bench " + alg, ID: poolOf(alg), SigningAlgorithm: alg,
			IdentityProviders: []pool.ProviderSpec{{
				ProviderName: providerName, ProviderType: "OIDC",
				ProviderDetails: map[string]secret.Text{
					"client_id": secret.New(upstreamID), "client_secret": secret.New(upstreamSecret),
					"oidc_issuer": secret.New(issuer), "authorize_scopes": secret.New("openid email profile"),
				},
				AttributeMapping: map[string]string{"email": "email", "email_verified": "email_verified",
					"name": "name", "given_name": "given_name", "family_name": "family_name"},
			}},
			Clients: []pool.ClientSpec{{
				ClientName: "bench", ClientID: clientOf(alg), ClientSecret: secret.New(appSecret), CallbackURLs: []string{appCallback},
				AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "profile"},
				SupportedIdentityProviders: []string{providerName},
			}},
		})
	}
	return out
}
