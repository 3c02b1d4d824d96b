package poolapi

import (
	"context"
	"errors"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

// What MessageAction says (MessageActionType).
const (
	messageResend   = "RESEND"
	messageSuppress = "SUPPRESS"
)

// adminCreateUser makes a local user, or invites one again. As in the original, required attributes may be missing: the person gives them at
// the first sign-in.
func (s *Service) adminCreateUser(ctx context.Context, by Caller, in *api.AdminCreateUserRequest) (*api.AdminCreateUserResponse, error) {
	attrs, err := attributeMap(in.UserAttributes)
	if err != nil {
		return nil, err
	}
	invite, err := s.invitation(by.Pool, in)
	if err != nil {
		return nil, err
	}
	var made pool.CreatedUser
	if in.MessageAction == messageResend {
		var u pool.User
		if u, err = s.user(ctx, by, in.UserPoolID, in.Username); err != nil {
			return nil, err
		}
		made, err = s.Broker.InviteAgain(ctx, u.PoolID, u.Sub, in.TemporaryPassword.Text, by.Pool.PasswordPolicy(), invite, by.By())
	} else {
		made, err = s.Broker.CreateUser(ctx, in.UserPoolID, pool.NewUser{
			Username: in.Username, Attributes: attrs, Incomplete: true, ForceAlias: is(in.ForceAliasCreation),
			Password: in.TemporaryPassword.Text, Policy: by.Pool.PasswordPolicy(),
		}, invite, by.By())
	}
	if made.User.Sub != "" && in.MessageAction != messageResend {
		by.Note("sub", made.User.Sub)
	}
	if err != nil {
		return nil, createRefused(err)
	}
	return &api.AdminCreateUserResponse{User: new(userType(made.User, nil))}, nil
}

// invitation is how the user is told, nil where that is suppressed. A deployment that sends nothing refuses before anything is made: the temporary
// password would be lost.
func (s *Service) invitation(p pool.Pool, in *api.AdminCreateUserRequest) (*federation.Invite, error) {
	if in.MessageAction == messageSuppress {
		return nil, nil
	}
	if s.Broker.Outbox == nil {
		return nil, refuse("CodeDeliveryFailureException",
			"This deployment sends no messages: give a TemporaryPassword and set MessageAction to SUPPRESS, or configure an outbox.", nil)
	}
	out := &federation.Invite{}
	for _, m := range in.DesiredDeliveryMediums {
		out.Media = append(out.Media, notify.Medium(m))
	}
	if c := p.Settings.AdminCreateUserConfig; c != nil && c.InviteMessageTemplate != nil {
		t := c.InviteMessageTemplate
		out.Text = notify.Invitation{EmailSubject: t.EmailSubject, EmailMessage: t.EmailMessage, SMSMessage: t.SMSMessage}
	}
	return out, nil
}

func createRefused(err error) error {
	for sentinel, kind := range map[error]string{
		pool.ErrUsernameExists: "UsernameExistsException", pool.ErrAliasExists: "AliasExistsException",
		pool.ErrInvalidPassword: "InvalidPasswordException", pool.ErrUserState: "UnsupportedUserStateException",
		federation.ErrNotDelivered: "CodeDeliveryFailureException",
	} {
		if errors.Is(err, sentinel) {
			return refuse(kind, fault.PublicOf(err), err)
		}
	}
	return err
}
