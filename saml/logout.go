package saml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/saml/binding"
	"github.com/weir-id/weir/saml/metadata"
	"github.com/weir-id/weir/saml/xmlsig"
)

// logoutLife is how long a logout request of ours may be on its way.
const logoutLife = 5 * time.Minute

// logoutData is Identity.Logout: what a LogoutRequest has to name, exactly as it was issued.
type logoutData struct {
	NameID  binding.NameID `json:"n"`
	Session string         `json:"s,omitempty"`
	// TooLong is the size in bytes of what could not be kept; the rest is empty then.
	TooLong int `json:"x,omitempty"`
}

// ErrLogoutTooLong: the sign-in's NameID was too long to be kept, so the provider cannot be asked to end its session.
var ErrLogoutTooLong = errors.New("saml: the NameID, its qualifiers and the SessionIndex are too long to be kept for the provider's logout")

// BeginLogout implements federation.LogoutProvider with a signed LogoutRequest (SAML profiles section 4.4.4.1).
func (p *Provider) BeginLogout(ctx context.Context, l federation.Logout) (federation.Challenge, error) {
	if !p.s.idpSignout || len(l.Upstream) == 0 {
		return federation.Challenge{}, federation.ErrNoLogout
	}
	var data logoutData
	if err := json.Unmarshal(l.Upstream, &data); err != nil {
		return federation.Challenge{}, fmt.Errorf("saml logout data: %w", err)
	}
	if data.TooLong > 0 {
		return federation.Challenge{}, fmt.Errorf("%w: %d bytes where %d are kept; have the identity provider send a shorter NameID or shorter qualifiers",
			ErrLogoutTooLong, data.TooLong, maxLogout)
	}
	md, err := p.known(ctx)
	if err != nil {
		return federation.Challenge{}, err
	}
	to, ok := md.Logout(p.s.binding)
	if !ok {
		if to, ok = md.Logout(""); !ok {
			return federation.Challenge{}, federation.ErrNoLogout
		}
	}
	now := p.o.Now()
	request := binding.LogoutRequest{
		ID: binding.NewID(), IssueInstant: now, NotOnOrAfter: now.Add(logoutLife), Destination: to.Location,
		Issuer: p.s.spEntityID, NameID: data.NameID,
	}
	if data.Session != "" {
		request.SessionIndexes = []string{data.Session}
	}
	ch, err := p.send(ctx, request, to.Binding, l.ID)
	ch.Private = []byte(request.ID)
	return ch, err
}

// ErrLogoutFailed: the provider says that it could not end its session.
var ErrLogoutFailed = errors.New("saml: the identity provider did not complete the logout")

// FinishLogout implements federation.LogoutProvider.
func (p *Provider) FinishLogout(ctx context.Context, l federation.Logout, r federation.Response) error {
	var answer binding.LogoutResponse
	err := p.receive(ctx, l.CallbackURL, func(v binding.Receiver) (err error) {
		answer, _, err = v.LogoutResponse(incoming(r), string(l.Private))
		return err
	})
	if err != nil {
		return err
	}
	if answer.Status != binding.StatusSuccess {
		return fmt.Errorf("%w: status %q %q: %.200q", ErrLogoutFailed, answer.Status, answer.SubStatus, answer.Message)
	}
	return nil
}

// notice is LogoutNotice.Private.
type notice struct {
	ID         string `json:"i"`
	Binding    string `json:"b"`
	RelayState string `json:"r,omitempty"`
}

// ReadLogout implements federation.LogoutListener.
func (p *Provider) ReadLogout(ctx context.Context, callback string, r federation.Response) (federation.LogoutNotice, error) {
	var request binding.LogoutRequest
	var receipt binding.Receipt
	err := p.receive(ctx, callback, func(v binding.Receiver) (err error) {
		request, receipt, err = v.LogoutRequest(incoming(r))
		return err
	})
	if err != nil {
		return federation.LogoutNotice{}, err
	}
	// A provider may be of several pools, and each of them has to act on the request.
	if err := p.o.Replays.Once(ctx, request.Issuer+"\x00"+p.cfg.PoolID+"/"+p.cfg.Name, request.ID, receipt.Expires); errors.Is(err, replay.ErrReplayed) {
		return federation.LogoutNotice{}, fault.New(fault.Invalid, publicRefused, err)
	} else if err != nil {
		return federation.LogoutNotice{}, fmt.Errorf("saml replay cache: %w", err)
	}
	back, err := json.Marshal(notice{ID: request.ID, Binding: receipt.Binding, RelayState: receipt.RelayState})
	if err != nil {
		return federation.LogoutNotice{}, err
	}
	return federation.LogoutNotice{
		PoolID: p.cfg.PoolID, Provider: p.cfg.Name, Principal: request.NameID.Value, Sessions: request.SessionIndexes, Private: back,
	}, nil
}

// AnswerLogout implements federation.LogoutListener with a signed LogoutResponse, over the binding of the request where the provider
// takes answers there.
func (p *Provider) AnswerLogout(ctx context.Context, n federation.LogoutNotice, done bool) (federation.Challenge, error) {
	var asked notice
	if err := json.Unmarshal(n.Private, &asked); err != nil {
		return federation.Challenge{}, fmt.Errorf("saml logout notice: %w", err)
	}
	md, err := p.known(ctx)
	if err != nil {
		return federation.Challenge{}, err
	}
	to, ok := md.Logout(asked.Binding)
	if !ok {
		if to, ok = md.Logout(""); !ok {
			return federation.Challenge{}, federation.ErrNoLogout
		}
	}
	answer := binding.LogoutResponse{
		ID: binding.NewID(), InResponseTo: asked.ID, IssueInstant: p.o.Now(), Destination: to.ResponseLocation, Issuer: p.s.spEntityID,
		Status: binding.StatusSuccess,
	}
	if !done {
		answer.Status = binding.StatusResponder
	}
	return p.send(ctx, answer, to.Binding, asked.RelayState)
}

// receive verifies a logout message with the keys that are known, and once more where the provider has announced others meanwhile.
func (p *Provider) receive(ctx context.Context, callback string, read func(binding.Receiver) error) error {
	md, err := p.known(ctx)
	if err != nil {
		return err
	}
	v := func(md *metadata.Metadata) binding.Receiver {
		return binding.Receiver{
			Issuer: md.EntityID, Destinations: []string{callback}, Keys: md.PublicKeys(),
			Policy: xmlsig.Policy{AllowSHA1: p.s.allowSHA1}, Skew: p.s.skew, Now: p.o.Now,
		}
	}
	err = read(v(md))
	if errors.Is(err, xmlsig.ErrUnknownKey) {
		if md, fresh, ferr := p.source.Refetch(ctx); ferr == nil && fresh {
			err = read(v(md))
		}
	}
	if err != nil {
		return fault.New(fault.Invalid, publicRefused, err)
	}
	return nil
}

func incoming(r federation.Response) binding.Incoming {
	return binding.Incoming{RawQuery: r.RawQuery, Form: r.Form}
}
