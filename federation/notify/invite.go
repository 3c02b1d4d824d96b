package notify

import (
	"errors"
	"html"
	"strings"

	"github.com/weir-id/weir/federation/secret"
)

// Invitation is the text that tells a new user the temporary password (MessageTemplateType of the API model). {username} and {####} stand
// for the user name and the password. An empty member is the default text.
type Invitation struct {
	EmailSubject string
	EmailMessage string // HTML
	SMSMessage   string
}

// The default texts. The short one fits into the 140 characters of SmsInviteMessageType.
const (
	defaultSubject = "Your new account"
	defaultEmail   = "<p>An account was made for you.</p><p>User name: <b>{username}</b><br>Temporary password: <b>{####}</b></p>" +
		"<p>You will be asked to choose a password of your own when you sign in for the first time.</p>"
	defaultSMS = "Your user name is {username}, your temporary password {####}"
)

// ErrTemplate: an invitation without {####} would tell nobody the password, so it is not sent.
var ErrTemplate = errors.New("notify: the template of the invitation has no {####}")

// Write returns the message for one user. What the placeholders stand for is data: it is escaped in HTML, and not looked through for
// placeholders again. Errors: ErrTemplate.
func (i Invitation) Write(m Medium, username string, password secret.Text) (subject string, body secret.Text, err error) {
	text, user, pass := i.SMSMessage, username, password.Reveal()
	if text == "" {
		text = defaultSMS
	}
	if m == Email {
		subject, text = i.EmailSubject, i.EmailMessage
		// A line break, which the model allows, would begin another header.
		if subject = strings.Join(strings.Fields(subject), " "); subject == "" {
			subject = defaultSubject
		}
		if text == "" {
			text = defaultEmail
		}
		user, pass = html.EscapeString(user), html.EscapeString(pass)
	}
	if !strings.Contains(text, "{####}") {
		return "", secret.Text{}, ErrTemplate
	}
	return subject, secret.New(strings.NewReplacer("{username}", user, "{####}", pass).Replace(text)), nil
}
