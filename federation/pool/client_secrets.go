package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

// The ways in which a change of secrets is refused, for errors.Is.
var (
	// ErrPublicClient: a client without a secret stays one.
	ErrPublicClient = errors.New("the client is a public one")
	// ErrUnknownSecret: the client has no secret of this id.
	ErrUnknownSecret = errors.New("no such secret")
	// ErrLastSecret: a client that has a secret keeps one.
	ErrLastSecret = errors.New("it is the client's last secret")
)

// unknownSecret is the public sentence for an id that no secret of the client has.
const unknownSecret = "The client has no secret of this id."

// AddClientSecret gives a client a second secret, so that its applications can move from the old one to it one after the other. The zero
// given is a generated one. It returns the new secret with its value. Errors: fault.NotFound; fault.Invalid for a public client
// (ErrPublicClient), for a value that cannot be one, and for one that it has; fault.TooLarge where it has two (ErrLimit).
func (d *Directory) AddClientSecret(ctx context.Context, poolID, clientID string, given secret.Text) (ClientSecret, error) {
	if given.IsZero() {
		given = GenerateClientSecret()
	}
	c, err := d.changeSecrets(ctx, poolID, clientID, func(c *Client) error {
		switch {
		case !c.Confidential():
			return fault.New(fault.Invalid, "A client secret can be added to a client that has one; this client is a public one.", ErrPublicClient)
		case len(c.Secrets) >= maxClientSecrets:
			return fault.New(fault.TooLarge, "The client has two secrets already: delete one first.", ErrLimit)
		case c.SecretMatches(given.Reveal()):
			return fault.New(fault.Invalid, "The client has this secret already.", nil)
		}
		c.Secrets = append(c.Secrets, ClientSecret{Value: given})
		var ps Problems
		validateSecrets(&ps, *c)
		c.named(d.now())
		return ps.fault()
	})
	if err != nil {
		return ClientSecret{}, err
	}
	return c.Secrets[len(c.Secrets)-1], nil
}

// ClientSecrets returns a client's secrets without their values. Errors: fault.NotFound.
func (d *Directory) ClientSecrets(ctx context.Context, poolID, clientID string) ([]ClientSecret, error) {
	c, err := d.ClientOf(ctx, poolID, clientID)
	if err != nil {
		return nil, err
	}
	for i := range c.Secrets {
		c.Secrets[i].Value = secret.Text{}
	}
	return c.Secrets, nil
}

// DeleteClientSecret takes a secret from a client that has another one; from the next request on it proves nothing, on other nodes after CacheAge.
// Errors: fault.NotFound, also for the secret; fault.Invalid for the last one (ErrLastSecret).
func (d *Directory) DeleteClientSecret(ctx context.Context, poolID, clientID, id string) error {
	_, err := d.changeSecrets(ctx, poolID, clientID, func(c *Client) error {
		var left []ClientSecret
		for _, s := range c.Secrets {
			if s.ID != id {
				left = append(left, s)
			}
		}
		switch {
		case len(left) == len(c.Secrets):
			return fault.New(fault.NotFound, unknownSecret, fmt.Errorf("app client %q: %w: %w", clientID, ErrUnknownSecret, store.ErrNotFound))
		case len(left) == 0:
			return fault.New(fault.Invalid, "The last secret of a client cannot be deleted: add another one first.", ErrLastSecret)
		}
		c.Secrets = left
		return nil
	})
	return err
}

// changeSecrets changes a client in steps of its own: a change of secrets goes together with any other change of the client that another writer makes.
func (d *Directory) changeSecrets(ctx context.Context, poolID, clientID string, change func(*Client) error) (Client, error) {
	if _, err := d.ClientOf(ctx, poolID, clientID); err != nil {
		return Client{}, err
	}
	var refused error
	e, err := d.clients().Update(ctx, clientID, func(c *Client) error {
		if refused = nil; c.PoolID != poolID {
			return store.ErrNotFound
		}
		refused = change(c)
		c.Modified = d.now()
		return refused
	})
	d.changed()
	if refused != nil {
		return Client{}, refused
	}
	return e.Value, storeFault(fmt.Sprintf("change secrets of app client %q", clientID), err, noClient)
}
