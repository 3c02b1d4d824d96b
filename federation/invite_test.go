package federation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/notify"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// letterbox keeps messages, or refuses them.
type letterbox struct {
	got  []notify.Message
	fail error
}

// Deliver implements federation.Outbox.
func (l *letterbox) Deliver(_ context.Context, m notify.Message) error {
	if l.fail != nil {
		return l.fail
	}
	l.got = append(l.got, m)
	return nil
}

func TestInvitations(t *testing.T) {
	w, _ := servertest.StartExample(t)
	box := &letterbox{}
	invite := func(name string, attrs map[string]string, how *federation.Invite) (pool.CreatedUser, error) {
		return w.Broker.CreateUser(t.Context(), servertest.PoolID, pool.NewUser{Username: name, Attributes: attrs}, how, by)
	}
	both := map[string]string{"email": "jane@example.com", "phone_number": "+4915005550100"}
	if _, err := invite("nobody-told", both, &federation.Invite{}); err != nil {
		t.Errorf("without an outbox: %v", err)
	}
	w.Broker.Outbox = box
	for name, tt := range map[string]struct {
		attrs map[string]string
		how   *federation.Invite
		want  string
	}{
		"suppressed":     {both, nil, ""},
		"by-default":     {both, &federation.Invite{}, "EMAIL jane@example.com"},
		"number-only":    {map[string]string{"phone_number": "+4915005550100"}, &federation.Invite{}, "SMS +4915005550100"},
		"both":           {both, &federation.Invite{Media: []notify.Medium{notify.SMS, notify.Email}}, "SMS +4915005550100, EMAIL jane@example.com"},
		"sms-no-number":  {map[string]string{"email": "jane@example.com"}, &federation.Invite{Media: []notify.Medium{notify.SMS}}, ""},
		"without-either": {nil, &federation.Invite{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			box.got = nil
			w.Events.Take()
			made, err := invite(name, tt.attrs, tt.how)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			want := []audit.Event{audit.UserCreated{Pool: servertest.PoolID, Sub: made.User.Sub, By: by}}
			for _, m := range box.got {
				got = append(got, string(m.Medium)+" "+m.To)
				want = append(want, audit.UserInvited{Pool: servertest.PoolID, Sub: made.User.Sub, Medium: string(m.Medium), By: by})
				if body := m.Body.Reveal(); !strings.Contains(body, name) || m.Sub != made.User.Sub {
					t.Errorf("%s to %s", body, m.Sub)
				}
			}
			if events := w.Events.Take(); strings.Join(got, ", ") != tt.want || !slices.Equal(events, want) {
				t.Errorf("%v, events %+v", got, events)
			}
		})
	}
	box.fail = errors.New("the post is on strike")
	made, err := invite("jane", both, &federation.Invite{})
	if !errors.Is(err, federation.ErrNotDelivered) || made.User.Sub == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	box.fail, box.got = nil, nil
	again, err := w.Broker.InviteAgain(t.Context(), servertest.PoolID, made.User.Sub, secret.New("Chosen-by-4dmin"), pool.PasswordPolicy{}, &federation.Invite{}, by)
	if err != nil || len(box.got) != 1 || !strings.Contains(box.got[0].Body.Reveal(), "Chosen-by-4dmin") || !again.Password.Equal("Chosen-by-4dmin") {
		t.Errorf("%d messages, %v", len(box.got), err)
	}
	_, err = invite("none", both, &federation.Invite{Text: notify.Invitation{EmailMessage: "Welcome!"}})
	if !errors.Is(err, notify.ErrTemplate) || len(box.got) != 1 {
		t.Errorf("without a place for the password: %v", err)
	}
}
