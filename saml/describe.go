package saml

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/saml/metadata"
)

// How long an identity provider may keep our metadata (saml-metadata-2.0-os section 2.3.2). AD FS fetches daily.
const (
	metadataCache = 24 * time.Hour
	metadataLife  = 14 * 24 * time.Hour
)

// Describe implements federation.Described with our own signed metadata.
func (p *Provider) Describe(ctx context.Context, e federation.Endpoints) (string, []byte, error) {
	shown, err := p.o.Keys.Published(ctx, p.cfg.PoolID)
	if err != nil {
		return "", nil, fmt.Errorf("saml certificates: %w", err)
	}
	signer, err := p.signer(ctx)
	if err != nil {
		return "", nil, err
	}
	sp := metadata.ServiceProvider{
		EntityID: p.s.spEntityID, ACS: []string{e.SignIn}, Logout: e.Logout, AuthnRequestsSigned: true,
		Signing: shown.Signing, Encryption: []*x509.Certificate{shown.Encryption},
		ValidUntil: p.o.Now().Add(metadataLife), CacheDuration: metadataCache,
	}
	if p.s.nameIDFormat != "" {
		sp.NameIDFormats = []string{p.s.nameIDFormat}
	}
	document, err := sp.Document(signer)
	return metadata.ContentType, document, err
}
