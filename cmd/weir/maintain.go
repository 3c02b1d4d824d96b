package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/saml"
)

// certificateWarning is how long before the end of a provider's last certificate the log begins to say so.
const certificateWarning = 30 * 24 * time.Hour

// daily reports whether nothing was said of the subject for a day: maintenance runs every minute. Only maintenance calls it.
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

// maintainSAML renews the metadata of a pool's SAML providers, watches their certificates, and makes whatever step is due for our
// own keys. A pool without such providers gets no keys.
func (n *node) maintainSAML(ctx context.Context, p pool.Pool, failed func(string, error)) {
	idps, err := n.directory.Providers(ctx, p.ID)
	failed("list providers of "+p.ID, err)
	used := false
	for _, idp := range idps {
		prov, err := n.providers.Provider(ctx, idp)
		if err != nil {
			continue // whoever signs in through it is told, and the log with them
		}
		sp, ok := prov.(*saml.Provider)
		if !ok {
			continue
		}
		used = true
		// Each failed fetch is in the audit stream; an expired file, which nobody fetches, would be told by nothing else.
		if err := sp.Maintain(ctx); err != nil && n.daily("metadata "+p.ID+"/"+idp.Name) {
			failed("metadata of "+idp.Name+" in "+p.ID, err)
		}
		if end, err := sp.CertificateEnd(ctx); err == nil {
			n.metrics.ProviderCertificate(p.ID, idp.Name, end)
			if end.Sub(n.now()) < certificateWarning && n.daily("certificate "+p.ID+"/"+idp.Name) {
				n.log.LogAttrs(ctx, slog.LevelWarn, "the identity provider's last signing certificate ends",
					slog.String("pool", p.ID), slog.String("provider", idp.Name), slog.Time("end", end))
			}
		}
	}
	if used {
		failed("SAML keys of "+p.ID, n.samlKeys.Maintain(ctx, p.ID))
	}
}
