package saml

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/saml/response"
)

var _ federation.Examiner = (*Provider)(nil)

// Examine implements federation.Examiner: what an administrator has is an old Response. Its signature and its conditions are checked and need not hold. What
// comes of it is no Identity, no replay cache is asked or written, and nothing leads from here to a sign-in.
func (p *Provider) Examine(ctx context.Context, callback string, document []byte) (*federation.GivenAssertion, error) {
	e, err := p.expect(ctx, callback)
	if err != nil {
		return nil, err
	}
	form := string(document) // as the browser brings it
	if bytes.HasPrefix(bytes.TrimSpace(document), []byte("<")) {
		form = base64.StdEncoding.EncodeToString(bytes.TrimSpace(document))
	}
	in, err := response.Inspect(form, e)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The document is not a SAML response that can be read: "+told(err), err)
	}
	claims := claimsOf(&in.Said)
	out := &federation.GivenAssertion{Issuer: in.Said.Issuer, Claims: claims}
	for _, s := range in.Steps {
		out.Checks = append(out.Checks, checkOf(s))
	}
	if in.Answered != "" {
		out.Checks = append(out.Checks, api.TestCheckType{Name: "request", Outcome: "NOT_CHECKED", Message: "It answers a request that is not known any more."})
	}
	out.Checks = append(out.Checks, api.TestCheckType{Name: "replay", Outcome: "NOT_CHECKED", Message: "It may have been used before."})
	if in.Said.NameID != nil || p.s.subject != "" {
		if out.Subject, err = p.subject(&in.Said, claims); err != nil {
			out.Checks = append(out.Checks, api.TestCheckType{Name: "person", Outcome: "FAILED", Message: err.Error()})
		}
	}
	return out, nil
}

func checkOf(s response.Step) api.TestCheckType {
	if s.Refusal == nil {
		return api.TestCheckType{Name: s.Name, Outcome: "PASSED"}
	}
	return api.TestCheckType{Name: s.Name, Outcome: "FAILED", Message: fmt.Sprintf("%s (%s)", s.Refusal.Admin, s.Refusal.Check)}
}

// told is what a refusal says to an administrator.
func told(err error) string {
	var r *response.Refusal
	if errors.As(err, &r) {
		return r.Admin
	}
	return err.Error()
}
