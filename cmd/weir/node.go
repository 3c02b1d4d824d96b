package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/erasure"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/samlsp"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/federation/store/bolt"
	"github.com/weir-id/weir/federation/store/migrate"
	"github.com/weir-id/weir/federation/token"
	"github.com/weir-id/weir/federation/trace"
	"github.com/weir-id/weir/federation/upstream"
	"github.com/weir-id/weir/providers"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/saml"
	"github.com/weir-id/weir/server"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/web"
)

// node is one process: everything it is made of, wired by name.
type node struct {
	cfg       *config.Config
	log       *slog.Logger
	now       func() time.Time
	engine    store.Engine
	bolt      *bolt.DB // the engine where it is a file, else nil
	ring      *secret.Ring
	metrics   *server.Metrics
	audit     audit.Recorder
	providers *providers.Set
	directory *pool.Directory
	keys      *token.Keys
	samlKeys  *samlsp.Keys
	issuer    *token.Issuer
	grants    *token.Grants
	broker    *federation.Broker
	traces    *trace.Traces
	leases    *lease.Leases
	said      map[string]time.Time // see daily
	remove    string               // a directory that goes with the node, if not empty
}

func logger(cfg config.Log, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	var h slog.Handler = slog.NewJSONHandler(w, opts)
	if cfg.Format == config.FormatText {
		h = slog.NewTextHandler(w, opts)
	}
	return slog.New(server.LogHandler{Handler: h})
}

// configFlag adds --config to a command that works on the store.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "", "the process's configuration, weir.yaml (required)")
	_ = cmd.MarkFlagRequired("config") // fails only for a flag that does not exist
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// loadConfig reads weir.yaml.
func loadConfig(file string) (*config.Config, error) { return config.Load(file, os.LookupEnv) }

// openNode opens the store and wires the process. A store that does not exist is created. The caller closes it.
func openNode(ctx context.Context, cfg *config.Config, log *slog.Logger) (*node, error) {
	n := &node{cfg: cfg, log: log, now: time.Now, metrics: server.NewMetrics(version())}
	ring, warnings, err := openRing(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, w := range append(cfg.Warnings, warnings...) {
		log.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.String("warning", w))
	}
	n.ring = ring
	if n.engine, n.bolt, err = openStore(ctx, cfg, log); err != nil {
		return nil, err
	}
	if err := n.admit(ctx); err != nil {
		_ = n.engine.Close() // the reason why it is closed says more
		return nil, err
	}
	n.wire()
	return n, nil
}

// admit refuses a store that was sealed under other keys, is half copied or has moved. The latter is asked twice: before anything is
// written, and then for a migration that has begun meanwhile, which would not have seen that this process is there.
func (n *node) admit(ctx context.Context) error {
	if err := migrate.Servable(ctx, n.engine); err != nil {
		return err
	}
	err := store.CheckRing(ctx, n.engine, n.ring)
	if errors.Is(err, store.ErrWrongRing) {
		return fault.New(fault.Config, "sealing_keys: these keys do not open the store "+storeName(n.cfg)+
			", which was made with others: put those back. Nothing was changed.", err)
	}
	if err != nil {
		return err
	}
	return migrate.Servable(ctx, n.engine)
}

// openRing reads the sealing keys, and makes new ones for a new store alone: beside an old one they would only
// hide that its own are lost.
func openRing(ctx context.Context, cfg *config.Config) (*secret.Ring, []string, error) {
	exists, err := storeExists(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	keys := cfg.SealingKeys
	if _, err := os.Stat(keys.File); exists && keys.Create && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.New(fault.Config, "sealing_keys: "+keys.File+" does not exist, but the store "+storeName(cfg)+
			" does, and no other keys can open it: bring the file back from its copy. Nothing was changed.", err)
	}
	return keys.Open(os.LookupEnv)
}

// onStopped does something with a store that no process serves, or with one that many may use. things are what is looked for there. A store that does not exist is not made.
func onStopped(cmd *cobra.Command, cfg *config.Config, things string, do func(*node) error) error {
	exists, err := storeExists(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if !exists {
		return fault.New(fault.Config, "store: there are no "+things+": the store "+storeName(cfg)+" does not exist.", nil)
	}
	n, err := openNode(cmd.Context(), cfg, logger(cfg.Log, cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	return errors.Join(do(n), n.close())
}

func (n *node) wire() {
	limited := store.Limited{Engine: n.engine, Most: storeTime}
	n.leases = &lease.Leases{Engine: limited, Node: nodeName(), Now: n.now, Logger: n.log, Watch: n.metrics}
	n.engine = lease.Guard{Engine: limited}
	n.audit = audit.Recorders{audit.Log{Logger: n.log}, n.metrics}
	client := outgoing.New(outgoing.Options{AllowPrivate: n.cfg.Outgoing.AllowPrivate})
	n.samlKeys = &samlsp.Keys{Engine: n.engine, Ring: n.ring, Now: n.now}
	n.providers = providers.NewSet(providers.Options{HTTP: client, AllowPrivate: n.cfg.Outgoing.AllowPrivate, Now: n.now, More: map[string]providers.Kind{
		"SAML": {New: providers.Make(func(cfg pool.IdentityProvider) (*saml.Provider, error) {
			return saml.New(cfg, saml.Options{
				HTTP: client, AllowPrivate: n.cfg.Outgoing.AllowPrivate, Now: n.now, Audit: n.audit,
				Keys: n.samlKeys, Replays: &replay.Messages{Engine: n.engine}, Copies: &samlsp.Copies{Engine: n.engine},
			})
		}), Validate: saml.Validate, Probes: true},
	}})
	n.directory = &pool.Directory{Engine: n.engine, Ring: n.ring, Now: n.now, Region: n.cfg.Region, CheckProvider: n.checkProvider, ProbeProvider: n.probeProvider,
		Resolver: &net.Resolver{}, AskPeople: true}
	n.keys = &token.Keys{Engine: n.engine, Ring: n.ring, Now: n.now}
	n.issuer = &token.Issuer{Keys: n.keys, BaseURL: n.cfg.BaseURL, Now: n.now}
	n.grants = &token.Grants{Engine: n.engine, Ring: n.ring, Now: n.now}
	assertions := &assertion.Keeper{Engine: n.engine, Ring: n.ring, Now: n.now}
	n.directory.SettleProvider = assertions.Settle
	n.traces = &trace.Traces{Engine: n.engine, Ring: n.ring, Now: n.now, Logger: n.log, SignIns: n.cfg.LoginTraces, Watch: n.metrics}
	n.broker = &federation.Broker{Assertions: assertions, Traces: n.traces, Directory: n.directory, Providers: n.providers, Grants: n.grants, Ring: n.ring,
		Once: &once.Memory{Engine: n.engine, Ring: n.ring, Now: n.now}, Upstream: &upstream.Keeper{Engine: n.engine, Ring: n.ring, Now: n.now},
		Replays: &replay.Messages{Engine: n.engine}, Erasures: &erasure.Requests{Engine: n.engine, Ring: n.ring, Now: n.now}, Audit: n.audit, Now: n.now,
		Pending: &pending.SignIns{Engine: n.engine, Ring: n.ring},
		Forget:  []func(context.Context, string) error{n.keys.DeletePool, n.samlKeys.DeletePool, (&samlsp.Copies{Engine: n.engine}).DeletePool, n.traces.DeletePool}}
	if n.cfg.Outbox == config.OutboxLog {
		n.broker.Outbox = notify.Log{Logger: n.log}
	}
}

// checkProvider lets the directory refuse what a provider of that kind could not work with.
func (n *node) checkProvider(ip pool.IdentityProvider) []pool.Problem {
	return detailProblems(n.providers.Validate(ip))
}

// probeProvider lets the directory refuse details that lead to nothing.
func (n *node) probeProvider(ctx context.Context, ip pool.IdentityProvider) []pool.Problem {
	return detailProblems(n.providers.Probe(ctx, ip))
}

func detailProblems(faults []detail.Fault) []pool.Problem {
	var out []pool.Problem
	for _, f := range faults {
		path := "ProviderDetails." + f.Key
		if f.Key == "ProviderType" {
			path = f.Key
		}
		out = append(out, pool.Problem{Path: path, Message: f.Problem})
	}
	return out
}

func (n *node) server() (*server.Server, error) {
	base, err := url.Parse(n.cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	return &server.Server{
		Site:      &web.Site{Base: base, Directory: n.directory, TrustedProxies: n.cfg.TrustedProxies},
		Directory: n.directory, Broker: n.broker, Grants: n.grants, Issuer: n.issuer, Keys: n.keys, SAMLKeys: n.samlKeys,
		Audit: n.audit, Traces: n.traces, Logger: n.log, Metrics: n.metrics, Now: n.now,
		TrustedProxies: n.cfg.TrustedProxies, AdminKeys: adminKeys(n.cfg.AdminKeys), Region: n.cfg.Region,
	}, nil
}

func adminKeys(configured []config.AdminKey) []sigv4.Key {
	var out []sigv4.Key
	for _, k := range configured {
		out = append(out, sigv4.Key{ID: k.AccessKeyID, Name: k.Name, Secret: k.SecretAccessKey, Allow: k.Allow, Pools: k.Pools})
	}
	return out
}

func (n *node) close() error {
	err := n.engine.Close()
	if n.remove != "" {
		err = errors.Join(err, os.RemoveAll(n.remove))
	}
	return err
}
