package binding

import (
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/weir-id/weir/saml/xmlsig"
)

// sendPost is the POST binding (SAML bindings section 3.5.4). The signature stands behind Issuer, where
// the schema has it.
func sendPost(m Message, relayState string, s *xmlsig.Signer) (Outgoing, error) {
	el := m.Element()
	if s != nil {
		if err := xmlsig.Sign(el, *s, 1); err != nil {
			return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
		}
	}
	doc, err := xmlsig.Bytes(el)
	if err != nil {
		return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	form := url.Values{m.Parameter(): {base64.StdEncoding.EncodeToString(doc)}}
	if relayState != "" {
		form.Set(paramRelayState, relayState)
	}
	return Outgoing{URL: m.Target(), Form: form}, nil
}
