// Package notify owns the messages that people are sent: what is in one, and the text of an invitation.
//
// How they are delivered is behind an interface of whoever sends (federation.Outbox). This package has one way, for trying things out:
// Log. It does not own when a message is due.
package notify

import (
	"context"
	"log/slog"

	"github.com/weir-id/weir/federation/secret"
)

// Medium is how a message travels (DeliveryMediumType of the API model).
type Medium string

// The media.
const (
	Email Medium = "EMAIL"
	SMS   Medium = "SMS"
)

// Message is one message to one person.
type Message struct {
	PoolID, Sub string
	Medium      Medium
	To          string // an e-mail address, or a phone number in the form of E.164
	Subject     string // of an e-mail
	// Body may hold a password or a code. That of an e-mail is HTML.
	Body secret.Text
}

// Log writes messages to a logger instead of delivering them, with everything that is in them. It is for demonstrations and
// development: whoever reads the log can sign in as the people who are written to.
type Log struct{ Logger *slog.Logger }

// Deliver writes one line. It returns no error.
func (l Log) Deliver(ctx context.Context, m Message) error {
	l.Logger.LogAttrs(ctx, slog.LevelWarn, "message, written to the log instead of being sent",
		slog.String("pool", m.PoolID), slog.String("sub", m.Sub), slog.String("medium", string(m.Medium)),
		slog.String("to", m.To), slog.String("subject", m.Subject), slog.String("body", m.Body.Reveal()))
	return nil
}
