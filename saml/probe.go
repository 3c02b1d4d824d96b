package saml

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/providers/detail"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
)

var _ federation.Annotated = (*Provider)(nil)

// probeTimeout bounds Probe.
const probeTimeout = 15 * time.Second

// Probe fetches the metadata that MetadataURL names, keeps nothing of it, and returns what makes it unusable. Its sentences are fixed but for the host,
// which the administrator gave: they tell nothing of what answered there. A MetadataFile has been read by Validate.
func (p *Provider) Probe(ctx context.Context) []detail.Fault {
	if p.s.url == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	source := &metadata.Source{URL: p.s.url, Client: p.o.HTTP, Options: p.s.metadata, Now: p.o.Now}
	_, err := source.Get(ctx)
	if err == nil {
		return nil
	}
	host := "the host"
	if u, bad := url.Parse(p.s.url); bad == nil {
		host = u.Hostname()
	}
	return []detail.Fault{{Key: keyURL, Problem: unusable(host, err)}}
}

// unusable says why the metadata of a host cannot be used.
func unusable(host string, err error) string {
	if errors.Is(err, metadata.ErrFetch) {
		if why := outgoing.Why(err); why != "" {
			return host + " " + why
		}
		return host + " does not answer with a document there"
	}
	for _, known := range []struct {
		err  error
		says string
	}{
		{metadata.ErrEntity, "has no such entity, or several: " + keyIDPEntityID + " names which"},
		{metadata.ErrNoIDP, "is not of an identity provider"},
		{metadata.ErrNoKey, "has no signing certificate that can be used"},
		{metadata.ErrNoSSO, "has no single sign-on address that can be used"},
		{metadata.ErrExpired, "has expired"},
		{metadata.ErrPin, "is not signed by " + keyPin},
	} {
		if errors.Is(err, known.err) {
			return "the metadata at " + host + " " + known.says
		}
	}
	return "what " + host + " answers there is no SAML 2.0 metadata"
}

// Annotations implements federation.Annotated: the certificate that the provider is to encrypt for, and, of a document that is in the details, where
// sign-ins go. What a MetadataURL leads to is not fetched for that.
func (p *Provider) Annotations(ctx context.Context) (map[string]string, error) {
	shown, err := p.o.Keys.Published(ctx, p.cfg.PoolID)
	if err != nil {
		return nil, fmt.Errorf("saml certificates: %w", err)
	}
	out := map[string]string{keyEncryption: bare(shown.Encryption)}
	if p.s.file == nil {
		return out, nil
	}
	md, err := p.source.Get(ctx)
	if err != nil {
		return out, nil //nolint:nilerr // a document that has expired has no address to show
	}
	if e, ok := md.SignOn(binding.HTTPRedirect); ok {
		out[keySSO] = e.Location
	}
	return out, nil
}

// bare is a certificate in base64 without lines.
func bare(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }
