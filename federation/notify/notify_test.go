package notify_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/federation/secret"
)

func TestInvitations(t *testing.T) {
	const hush = `a<b&"1`
	for name, tt := range map[string]struct {
		in            notify.Invitation
		medium        notify.Medium
		user          string
		subject, body string
	}{
		"our own SMS":   {notify.Invitation{}, notify.SMS, "jane", "", "Your user name is jane, your temporary password " + hush},
		"their SMS":     {notify.Invitation{SMSMessage: "{####} for {username}"}, notify.SMS, "<jane>", "", hush + " for <jane>"},
		"their e-mail":  {notify.Invitation{EmailSubject: "Hello", EmailMessage: "<i>{username}</i> {####}"}, notify.Email, "<script>", "Hello", "<i>&lt;script&gt;</i> a&lt;b&amp;&#34;1"},
		"lines":         {notify.Invitation{EmailSubject: " Hello\r\nBcc: eve@example.com\u2028\v", EmailMessage: "{####}"}, notify.Email, "jane", "Hello Bcc: eve@example.com", "a&lt;b&amp;&#34;1"},
		"a name like a": {notify.Invitation{SMSMessage: "{username} {####}"}, notify.SMS, "{####}{username}", "", "{####}{username} " + hush},
		"twice":         {notify.Invitation{SMSMessage: "{####}{####}"}, notify.SMS, "jane", "", hush + hush},
	} {
		t.Run(name, func(t *testing.T) {
			subject, body, err := tt.in.Write(tt.medium, tt.user, secret.New(hush))
			if err != nil || subject != tt.subject || body.Reveal() != tt.body {
				t.Errorf("%q, %q, %v", subject, body.Reveal(), err)
			}
		})
	}
	subject, body, err := notify.Invitation{}.Write(notify.Email, "jane", secret.New("hush"))
	if err != nil || subject == "" || !strings.Contains(body.Reveal(), "<b>jane</b>") || !strings.Contains(body.Reveal(), "<b>hush</b>") {
		t.Errorf("%q, %q, %v", subject, body.Reveal(), err)
	}
	if _, body, err := (notify.Invitation{EmailMessage: "welcome, {username}"}).Write(notify.Email, "jane", secret.New("hush")); !errors.Is(err, notify.ErrTemplate) || !body.IsZero() {
		t.Errorf("without the password: %v", err)
	}
}

func TestLogRevealsAndNothingElseDoes(t *testing.T) {
	var buf bytes.Buffer
	m := notify.Message{PoolID: "local_Example01", Sub: "s", Medium: notify.Email, To: "jane@example.com", Subject: "Hello", Body: secret.New("hush\nhush")}
	if err := (notify.Log{Logger: slog.New(slog.NewJSONHandler(&buf, nil))}).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	line := buf.String()
	for _, want := range []string{`"to":"jane@example.com"`, `"medium":"EMAIL"`, `"body":"hush\nhush"`, `"pool":"local_Example01"`, "instead of being sent"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Count(line, "\n") != 1 {
		t.Errorf("not one line: %q", line)
	}
	if s := fmt.Sprintf("%v %+v %#v", m, m, m); strings.Contains(s, "hush") {
		t.Error(s)
	}
}
