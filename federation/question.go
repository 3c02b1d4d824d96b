package federation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pending"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
)

// question is a first sign-in of which the person is asked whether they have a user already (link_users: ask), as it is kept for AskLife.
// All of it is sealed in the store; the browser has the id and a secret.
type question struct {
	PoolID     string          `json:"pool"`
	Binding    []byte          `json:"binding"` // SHA-256 of the secret in the browser's cookie
	Attempt    string          `json:"attempt"` // that led here
	Began      time.Time       `json:"began"`
	Asked      time.Time       `json:"asked"`
	Config     time.Time       `json:"config"` // the provider's last change: another configuration did not prove this identity
	Request    Request         `json:"request"`
	Identity   askedIdentity   `json:"identity"`
	Address    string          `json:"address"`
	Candidates []string        `json:"candidates"` // subs
	Proof      *candidateProof `json:"proof,omitempty"`

	id    string
	until time.Time
}

// candidateProof is a sign-in as one of the candidates, made for this question.
type candidateProof struct {
	ID       string    `json:"id"` // random: what the person confirms is this very proof
	Provider string    `json:"provider"`
	Subject  string    `json:"subject"`
	Sub      string    `json:"sub"`
	Address  string    `json:"address"`
	At       time.Time `json:"at"`
}

// askedIdentity is an Identity in the store. It exists between an Identity and the sealed body only: it holds tokens.
type askedIdentity struct {
	Provider     string         `json:"provider"`
	ProviderType string         `json:"type"`
	Issuer       string         `json:"issuer"`
	Subject      string         `json:"subject"`
	Claims       mapping.Claims `json:"claims"`
	AuthTime     time.Time      `json:"auth_time,omitzero"`
	SessionIndex string         `json:"session,omitempty"`
	Principal    string         `json:"principal,omitempty"`
	Logout       []byte         `json:"logout,omitempty"`
	Access       string         `json:"access,omitempty"`
	Refresh      string         `json:"refresh,omitempty"`
	ID           string         `json:"id,omitempty"`
	Scope        string         `json:"scope,omitempty"`
	Expires      time.Time      `json:"expires,omitzero"`
	Once         mapping.Claims `json:"once"` // nil and empty differ: see Identity.Once
}

// stored is the identity as it is kept, with tokens only where the configuration keeps them.
func (id Identity) stored(idp pool.IdentityProvider) askedIdentity {
	s := askedIdentity{
		Provider: id.Provider, ProviderType: id.ProviderType, Issuer: id.Issuer, Subject: id.Subject, Claims: id.Claims, AuthTime: id.AuthTime,
		SessionIndex: id.SessionIndex, Principal: id.Principal, Logout: id.Logout, Once: id.Once,
	}
	if idp.KeepsTokens() {
		t := id.Tokens
		s.Access, s.Refresh, s.ID, s.Scope, s.Expires = t.Access.Reveal(), t.Refresh.Reveal(), t.ID.Reveal(), t.Scope, t.Expires
	}
	return s
}

func (s askedIdentity) identity() Identity {
	return Identity{
		Provider: s.Provider, ProviderType: s.ProviderType, Issuer: s.Issuer, Subject: s.Subject, Claims: s.Claims, AuthTime: s.AuthTime,
		SessionIndex: s.SessionIndex, Principal: s.Principal, Logout: s.Logout, Once: s.Once,
		Tokens: UpstreamTokens{Access: secret.New(s.Access), Refresh: secret.New(s.Refresh), ID: secret.New(s.ID), Scope: s.Scope, Expires: s.Expires},
	}
}

// attempt is the attempt that led to the question, as far as it matters afterwards.
func (q question) attempt() Attempt {
	return Attempt{ID: q.Attempt, PoolID: q.PoolID, Provider: q.Identity.Provider, Started: q.Began, Request: q.Request}
}

func (q question) encode() (json.RawMessage, error) {
	data, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode a question: %w", err)
	}
	return data, nil
}

// decodeQuestion: numbers keep every digit, as in the claims that came.
func decodeQuestion(v pending.SignIn) (question, error) {
	q := question{id: v.ID, until: v.Until}
	dec := json.NewDecoder(bytes.NewReader(v.Data))
	dec.UseNumber()
	if err := dec.Decode(&q); err != nil {
		return question{}, fmt.Errorf("decode a question: %w", err)
	}
	return q, nil
}

// questionFault is what the person reads of an error of package pending.
func questionFault(err error) error {
	switch {
	case errors.Is(err, pending.ErrNone):
		return fault.New(fault.Expired, staleText, err)
	case errors.Is(err, pending.ErrTooLarge):
		return fault.New(fault.TooLarge, "The identity provider says more of this account than can be kept while you are asked. Please tell the administrator.", err)
	}
	return err
}
