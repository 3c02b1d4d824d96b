package federation

import (
	"context"
	"errors"
	"time"
)

// NoticeKind is what a provider reports about a person outside of a sign-in.
type NoticeKind string

// The kinds of notice.
const (
	// ConsentRevoked: the person has disconnected this application at the provider.
	ConsentRevoked NoticeKind = "consent_revoked"
	// AccountDeleted: the account at the provider is gone.
	AccountDeleted NoticeKind = "account_deleted"
	// DataDeletion: the person asks through the provider that their data be deleted.
	DataDeletion NoticeKind = "data_deletion"
	// EmailDisabled: mail to the address that the provider relays no longer arrives.
	EmailDisabled NoticeKind = "email_disabled"
	// EmailEnabled: it arrives again.
	EmailEnabled NoticeKind = "email_enabled"
)

// Notice is a provider's verified report about one person.
type Notice struct {
	Kind    NoticeKind
	Subject string    // as in Identity
	ID      string    // what makes a second copy known; "" where the provider gives none
	Issued  time.Time // when the provider made it; zero if not said
	Email   string    // of EmailDisabled and EmailEnabled
}

// ErrNoNotices: the provider's kind reports nothing, or not at this door.
var ErrNoNotices = errors.New("the provider sends no such notices")

// ErrNoticeUnknown: the message is the provider's, and of a sort that nothing is done about. It is answered as one that was done, so that it
// does not come again and again.
var ErrNoticeUnknown = errors.New("a notice of a sort that nothing is done about")

// NoticeReader is implemented by providers that report what happens to a person's account. Optional for a Provider.
type NoticeReader interface {
	// ReadNotice verifies a message that came to one of the provider's doors, which is the last part of the address. Errors:
	// ErrNoNotices; ErrNoticeUnknown, which needs the same proof as a Notice; fault.Invalid where the message does not prove where it is from.
	ReadNotice(ctx context.Context, door string, r Response) (Notice, error)
}
