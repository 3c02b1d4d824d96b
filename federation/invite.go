package federation

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

// Outbox delivers messages to people.
type Outbox interface {
	// Deliver returns once the message is on its way. An error means that it may not arrive.
	Deliver(ctx context.Context, m notify.Message) error
}

// Invite says how a user is told the temporary password.
type Invite struct {
	// Media are the ways; none is e-mail where the user has an address, else SMS where there is a number. A way for which the user has
	// no address is passed over.
	Media []notify.Medium
	Text  notify.Invitation
}

// ErrNotDelivered: what was asked for is done, and the message about it did not get away.
var ErrNotDelivered = errors.New("message not delivered")

// CreateUser makes a local user for an administrator and invites the person; nil invites nobody. by says on whose word, for the audit stream.
// It is what AdminCreateUser does. Errors: those of Directory.CreateUser; ErrNotDelivered, after which the user is there and can be invited again.
func (b *Broker) CreateUser(ctx context.Context, poolID string, in pool.NewUser, how *Invite, by string) (pool.CreatedUser, error) {
	made, err := b.Directory.CreateUser(ctx, poolID, in)
	if err != nil {
		return made, err
	}
	b.Audit.Record(ctx, audit.UserCreated{Pool: poolID, Sub: made.User.Sub, By: by})
	return made, b.invite(ctx, made, how, by)
}

// InviteAgain gives a user who has not signed in yet another temporary password and tells it: AdminCreateUser with RESEND. Errors: those of
// Directory.RenewTemporaryPassword, and ErrNotDelivered.
func (b *Broker) InviteAgain(ctx context.Context, poolID, sub string, password secret.Text, policy pool.PasswordPolicy, how *Invite, by string) (pool.CreatedUser, error) {
	made, err := b.Directory.RenewTemporaryPassword(ctx, poolID, sub, password, policy)
	if err != nil {
		return made, err
	}
	return made, b.invite(ctx, made, how, by)
}

// invite tells a user the temporary password by every way that there is. Without an Outbox nobody is told, and the audit stream has no event.
func (b *Broker) invite(ctx context.Context, made pool.CreatedUser, how *Invite, by string) error {
	if how == nil || b.Outbox == nil {
		return nil
	}
	u := made.User
	to := map[notify.Medium]string{notify.Email: u.Attributes["email"], notify.SMS: u.Attributes["phone_number"]}
	media := how.Media
	if len(media) == 0 {
		media = []notify.Medium{notify.SMS}
		if to[notify.Email] != "" {
			media = []notify.Medium{notify.Email}
		}
	}
	for _, m := range media {
		if to[m] == "" {
			continue
		}
		// The name that people sign in with, which is not the user name where that is the sub.
		name := u.Username
		if name == u.Sub && len(u.Aliases) > 0 {
			name = u.Attributes[u.Aliases[0]]
		}
		subject, body, err := how.Text.Write(m, name, made.Password)
		if err == nil {
			err = b.Outbox.Deliver(ctx, notify.Message{PoolID: u.PoolID, Sub: u.Sub, Medium: m, To: to[m], Subject: subject, Body: body})
		}
		if err != nil {
			return fault.New(fault.Unavailable, "The user was created, and the invitation could not be delivered: send it again.",
				fmt.Errorf("%w: %s: %w", ErrNotDelivered, m, err))
		}
		b.Audit.Record(ctx, audit.UserInvited{Pool: u.PoolID, Sub: u.Sub, Medium: string(m), By: by})
	}
	return nil
}
