package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/cmd/weir/demo"
	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server"
)

// What the demonstration is made of. Its secrets guard nothing: all of it listens on the loopback address only.
const (
	demoPool         = "local_Demo00001"
	demoClient       = "demoharbourbooks0000000001"
	demoClientSecret = "demonstration_client_secret"
	demoUpstream     = "weir-demo"
	demoUpstreamKey  = "demonstration-upstream-secret"
	demoAdmin        = "WEIRDEMO"
	demoAdminKey     = "demonstration-admin-secret"
	riverbankPath    = "/riverbank"
	lighthousePath   = "/lighthouse"
)

func demoCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo [--data DIR]",
		Short: "Try it: broker, identity provider and application in one process",
		Long: `Run the broker, demonstration identity providers (OpenID Connect and SAML) with people in them, and a sample application, all on
this machine's loopback address. Nothing is kept, unless --data names a directory.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), dir, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&dir, "data", "", "keep the data in this directory")
	_ = cmd.MarkFlagDirname("data") // fails only for a flag that does not exist
	return cmd
}

func runDemo(ctx context.Context, dir string, stdout, stderr io.Writer) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weir-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var ls [3]net.Listener
	for i, port := range []string{"8080", "8081", "8082"} {
		if ls[i], err = demoListen(ctx, port); err != nil {
			return err
		}
		defer ls[i].Close() //nolint:errcheck // closed already where all went well
	}
	broker, upstream, shop := "http://"+ls[0].Addr().String(), "http://"+ls[1].Addr().String(), "http://"+ls[2].Addr().String()
	log := logger(config.Log{Format: config.FormatText, Level: slog.LevelWarn}, stderr)
	file, err := demoFile(dir, broker)
	if err != nil {
		return err
	}
	n, err := openNode(ctx, demoConfig(dir, broker), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	plan, err := n.directory.Plan(ctx, demoSpec(broker, upstream, shop))
	if err != nil {
		return err
	}
	if err := n.carryOut(ctx, plan, "weir demo"); err != nil {
		return err
	}
	shipyard, err := n.demoFederationService(ctx, upstream+shipyardPath)
	if err != nil {
		return err
	}
	providers, app, err := demoPeers(broker, upstream, shop, log)
	if err != nil {
		return err
	}
	providers.Handle(shipyardPath+"/", shipyard)
	peers := &doors{}
	peers.add("providers", server.HTTP(providers, log), ls[1])
	peers.add("application", server.HTTP(app, log), ls[2])
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, run := range []func() error{
		func() error { return peers.serve(ctx, log, drainTime) },
		func() error {
			return n.serve(ctx, ls[0], func() error { return demoLines(stdout, shop, broker, file) })
		},
	} {
		g.Go(func() error {
			defer stop() // one is of no use without the other
			return run()
		})
	}
	return g.Wait()
}

// demoLines are all that the demonstration prints: what to open, with whom to sign in, how to administer it and look into it, how to stop.
func demoLines(out io.Writer, shop, broker, file string) error {
	_, err := fmt.Fprintf(out, "Open %s in a browser and choose Sign in.\n"+
		"Sign in at Riverbank as alice (password alice) or bob (password bob).\n"+
		"Administer it, for example with the AWS CLI: AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s "+
		"aws cognito-idp list-user-pools --max-results 10 --endpoint-url %s --region local\n"+
		"See what a sign-in did: weir trace --config %s\n"+
		"Stop with Ctrl-C.\n", shop, demoAdmin, demoAdminKey, broker, file)
	return err
}

// demoListen prefers a port that is easy to remember.
func demoListen(ctx context.Context, port string) (net.Listener, error) {
	l, err := listen(ctx, "demo", "127.0.0.1:"+port)
	if err != nil {
		l, err = listen(ctx, "demo", "127.0.0.1:0")
	}
	return l, err
}

func demoConfig(dir, broker string) *config.Config {
	return &config.Config{
		BaseURL:     broker,
		Region:      "local",
		Outbox:      config.OutboxLog,
		LoginTraces: trace.DefaultSignIns,
		Store:       config.Store{Kind: config.StoreBolt, Path: filepath.Join(dir, "weir.db")},
		SealingKeys: config.SealingKeys{File: filepath.Join(dir, "sealing.keys"), Create: true},
		AdminKeys:   []config.AdminKey{{AccessKeyID: demoAdmin, SecretAccessKey: secret.New(demoAdminKey), Allow: []string{"*"}}},
		Outgoing:    config.Outgoing{AllowPrivate: true},
	}
}

func demoSpec(broker, upstream, shop string) pool.Spec {
	return pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: "demo", ID: demoPool,
		Schema: []pool.SchemaSpec{{Name: "faculty", AttributeDataType: "String"}, {Name: "groups", AttributeDataType: "String"}},
		Groups: []pool.GroupSpec{{GroupName: "scientists"}},
		IdentityProviders: []pool.ProviderSpec{
			demoProvider("Riverbank", upstream+riverbankPath, "riverbank.example"),
			demoProvider("Lighthouse", upstream+lighthousePath, "lighthouse.example"),
			demoSAMLProvider(upstream + shipyardPath),
		},
		Clients: []pool.ClientSpec{{
			ClientName: "Harbour Books", ClientID: demoClient, ClientSecret: secret.New(demoClientSecret),
			CallbackURLs: []string{shop + demo.CallbackPath}, LogoutURLs: []string{shop + "/"},
			AllowedOAuthFlows: []string{"code"}, AllowedOAuthScopes: []string{"openid", "email", "profile"},
			SupportedIdentityProviders: []string{"Riverbank", "Lighthouse", "Shipyard"},
		}},
	}}}
}

// demoFile writes the demonstration's settings as a configuration file into its directory, for the commands that look into it while it runs.
func demoFile(dir, broker string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "weir.yaml")
	text := "# Written by weir demo each time it starts, for weir trace, mapping, user, export and apply beside it.\n" +
		"base_url: " + broker + "\n" +
		"store: " + strconv.Quote("bolt:"+filepath.Join(dir, "weir.db")) + "\n" +
		"sealing_keys: {file: " + strconv.Quote(filepath.Join(dir, "sealing.keys")) + "}\n" +
		"outgoing: {allow_private: true}\n"
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func demoProvider(name, issuer, domain string) pool.ProviderSpec {
	return pool.ProviderSpec{
		ProviderName: name, ProviderType: "OIDC",
		ProviderDetails: map[string]secret.Text{
			"client_id": secret.New(demoUpstream), "client_secret": secret.New(demoUpstreamKey),
			"oidc_issuer": secret.New(issuer), "authorize_scopes": secret.New("openid email profile"),
			"group_claim": secret.New("faculty"), "group_rules": secret.New(`scientists <- exact "Hydrology" "Botany"`),
			"keep_assertions": secret.New("20"), // the people are made up
		},
		AttributeMapping: map[string]string{
			"email": "email", "email_verified": "email_verified", "name": "name",
			"given_name": "given_name", "family_name": "family_name", "custom:faculty": "faculty",
		},
		IdpIdentifiers: []string{domain},
	}
}

// demoPeers are the identity providers upstream and the application downstream.
func demoPeers(broker, upstream, shop string, log *slog.Logger) (providers *http.ServeMux, app http.Handler, err error) {
	riverbank, err := demoIdentityProvider(broker, upstream+riverbankPath, "Riverbank University",
		demoPerson("alice", "Alice", "Ångström", "riverbank.example", true, "Hydrology"),
		demoPerson("bob", "Bob", "O'Neil", "riverbank.example", false, "History"))
	if err != nil {
		return nil, nil, err
	}
	lighthouse, err := demoIdentityProvider(broker, upstream+lighthousePath, "Lighthouse Logistics",
		demoPerson("carol", "Carol", "Nakamura", "lighthouse.example", true, ""))
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(riverbankPath+"/", riverbank)
	mux.Handle(lighthousePath+"/", lighthouse)
	app, err = demo.NewApp(demo.AppConfig{
		Issuer: broker + "/" + demoPool, ClientID: demoClient, ClientSecret: demoClientSecret,
		BaseURL: shop, LogoutURL: broker + "/logout", Now: time.Now, Log: log,
	})
	return mux, app, err
}

func demoIdentityProvider(broker, issuer, name string, people ...oidctest.Person) (http.Handler, error) {
	return oidctest.New(oidctest.Config{
		Issuer: issuer, Name: name, Now: time.Now, ShowPeople: true, ConfirmSession: true, People: people,
		Clients: []oidctest.Client{{
			ID: demoUpstream, Name: "Weir", Secret: demoUpstreamKey, RedirectURIs: []string{broker + "/oauth2/idpresponse"},
		}},
	})
}

// demoPerson has the username as the password.
func demoPerson(username, given, family, domain string, verified bool, faculty string) oidctest.Person {
	claims := map[string]any{
		"name": given + " " + family, "given_name": given, "family_name": family,
		"email": username + "@" + domain, "email_verified": verified,
	}
	if faculty != "" {
		claims["faculty"] = faculty
	}
	return oidctest.Person{Username: username, Password: username, Subject: username + "-0001", Claims: claims}
}
