package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/weir-id/weir/federation/lease"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml"
)

// What is done from time to time. Each job is done by one node at a time, and by another one when that dies (package lease); they have leases
// of their own, so that none waits for another's slow provider. Each would do no harm if two nodes did it, or if one came late with a write:
// docs/decisions/0031-several-nodes.md says why of each.
const (
	maintenance = time.Minute      // between runs of a job
	jobTime     = 10 * time.Minute // for one run; what is left over is for the next
	// sweepAfter is how long expired documents stay, so that a node whose clock is ahead takes nothing away that another one still goes by: that a
	// message was used, for instance.
	sweepAfter = 5 * time.Minute
)

// certificateWarning is how long before the end of a provider's last certificate the log begins to say so.
const certificateWarning = 30 * 24 * time.Hour

// nodeName tells this process from all others, before and after it too.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return host + "/" + rand.Text()[:12]
}

// maintain does what is due from time to time until ctx ends, and returns when all of it has ended and the leases are given back.
func (n *node) maintain(ctx context.Context) {
	var all sync.WaitGroup
	for name, do := range map[string]func(context.Context) error{
		"sweep": n.sweep, "deletions": n.finishDeletions, "keys": n.maintainKeys, "metadata": n.maintainMetadata,
	} {
		all.Go(func() { n.leases.Run(ctx, lease.Job{Name: name, Every: maintenance, Limit: jobTime, Do: do}) })
	}
	all.Go(func() { n.watch(ctx) })
	all.Wait()
}

// failed logs what went wrong with one thing of many: the others are done all the same.
func (n *node) failed(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		n.log.LogAttrs(ctx, slog.LevelError, "maintenance failed", slog.String("what", what), slog.String("error", err.Error()))
	}
}

func (n *node) sweep(ctx context.Context) error {
	_, err := n.engine.Sweep(ctx, n.now().Add(-sweepAfter))
	return err
}

// finishDeletions finishes those of pools, and what other nodes still had to write of users who were deleted.
func (n *node) finishDeletions(ctx context.Context) error {
	n.failed(ctx, "traces of deleted users", n.traces.Maintain(ctx))
	finished, err := n.broker.FinishDeletions(ctx)
	if finished > 0 && err == nil {
		n.log.LogAttrs(ctx, slog.LevelInfo, "deletions of user pools finished", slog.Int("pools", finished), slog.Uint64("fence", lease.Fence(ctx)))
	}
	return err
}

// maintainKeys makes whatever step is due for each pool's keys. A pool without SAML providers gets no SAML keys.
func (n *node) maintainKeys(ctx context.Context) error {
	return n.eachPool(ctx, func(p pool.Pool) {
		n.failed(ctx, "keys of "+p.ID, n.keys.Maintain(ctx, p))
		if len(n.samlProviders(ctx, p)) > 0 {
			n.failed(ctx, "SAML keys of "+p.ID, n.samlKeys.Maintain(ctx, p.ID))
		}
	})
}

// maintainMetadata renews the metadata of SAML providers, and warns of certificates that end.
func (n *node) maintainMetadata(ctx context.Context) error {
	return n.eachPool(ctx, func(p pool.Pool) {
		for name, sp := range n.samlProviders(ctx, p) {
			// Each failed fetch is in the audit stream; an expired file, which nobody fetches, would be told by nothing else.
			if err := sp.Maintain(ctx); err != nil && n.daily("metadata "+p.ID+"/"+name) {
				n.failed(ctx, "metadata of "+name+" in "+p.ID, err)
			}
			end, err := sp.CertificateEnd(ctx)
			if err == nil && end.Sub(n.now()) < certificateWarning && n.daily("certificate "+p.ID+"/"+name) {
				n.log.LogAttrs(ctx, slog.LevelWarn, "the identity provider's last signing certificate ends",
					slog.String("pool", p.ID), slog.String("provider", name), slog.Time("end", end))
			}
		}
	})
}

// watch does on every node what is of this process alone: it takes over what another node renewed, and measures. It writes nothing.
func (n *node) watch(ctx context.Context) {
	tick := time.NewTicker(maintenance)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := n.eachPool(ctx, func(p pool.Pool) {
			for name, sp := range n.samlProviders(ctx, p) {
				n.failed(ctx, "metadata of "+name+" in "+p.ID, sp.Adopt(ctx))
				if end, err := sp.CertificateEnd(ctx); err == nil {
					n.metrics.ProviderCertificate(p.ID, name, end)
				}
			}
		})
		n.failed(ctx, "look at identity providers", err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// eachPool calls f for every pool.
func (n *node) eachPool(ctx context.Context, f func(pool.Pool)) error {
	for after := ""; ; {
		pools, next, err := n.directory.Pools(ctx, after, 100)
		if err != nil {
			return err
		}
		for _, p := range pools {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			f(p)
		}
		if after = next; after == "" {
			return nil
		}
	}
}

// samlProviders are a pool's SAML providers by name. One that cannot be made is left out: whoever signs in through it is told, and the log with them.
func (n *node) samlProviders(ctx context.Context, p pool.Pool) map[string]*saml.Provider {
	idps, err := n.directory.Providers(ctx, p.ID)
	n.failed(ctx, "list providers of "+p.ID, err)
	out := map[string]*saml.Provider{}
	for _, idp := range idps {
		prov, err := n.providers.Provider(ctx, idp)
		if sp, ok := prov.(*saml.Provider); ok && err == nil {
			out[idp.Name] = sp
		}
	}
	return out
}

// daily reports whether nothing was said of the subject for a day: maintenance runs every minute. Only maintainMetadata calls it.
func (n *node) daily(subject string) bool {
	if said, ok := n.said[subject]; ok && n.now().Sub(said) < 24*time.Hour {
		return false
	}
	if n.said == nil {
		n.said = map[string]time.Time{}
	}
	n.said[subject] = n.now()
	return true
}
