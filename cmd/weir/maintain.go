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
		failed("metadata of "+idp.Name+" in "+p.ID, sp.Maintain(ctx))
		if end, err := sp.CertificateEnd(ctx); err == nil {
			n.metrics.ProviderCertificate(p.ID, idp.Name, end)
			if left := end.Sub(n.now()); left < certificateWarning {
				n.log.LogAttrs(ctx, slog.LevelWarn, "the identity provider's last signing certificate ends",
					slog.String("pool", p.ID), slog.String("provider", idp.Name), slog.Time("end", end))
			}
		}
	}
	if used {
		failed("SAML keys of "+p.ID, n.samlKeys.Maintain(ctx, p.ID))
	}
}
