package pool_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

func TestPasswordPolicy(t *testing.T) {
	def := pool.DefaultPasswordPolicy()
	for text, part := range map[string]string{
		"Abcdef1!": "", "Abcdef1": "not long enough", "abcdef1!": "uppercase", "ABCDEF1!": "lowercase", "Abcdefg!": "numeric", "Abcdefg1": "symbol",
		"Äbcdef1!": "uppercase", "Abcdef1§": "symbol", "Abcd ef1!": "spaces", strings.Repeat("Aa1!", 64): "", strings.Repeat("Aa1!", 64) + "x": "256",
		"": "not long enough",
	} {
		err := def.Check(secret.New(text))
		if part == "" && err == nil {
			continue
		}
		if part == "" || !errors.Is(err, pool.ErrInvalidPassword) || !strings.HasPrefix(fault.PublicOf(err), "Password did not conform with policy: ") ||
			!strings.Contains(fault.PublicOf(err), part) {
			t.Errorf("%q: %v", text, err)
		}
	}
	lax := pool.PasswordPolicy{MinimumLength: 6}
	if err := lax.Check(secret.New("aaaaaa")); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for range 500 {
		for _, p := range []pool.PasswordPolicy{{}, lax, {MinimumLength: 99, RequireNumbers: true}} {
			g := p.Generate()
			if p.Check(g) != nil || def.Check(g) != nil || seen[g.Reveal()] {
				t.Fatal("a generated password does not conform, or comes twice")
			}
			seen[g.Reveal()] = true
		}
	}
}

func TestInvitingAgain(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane", Policy: pool.PasswordPolicy{TemporaryValidity: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	sub := made.User.Sub
	f.clock.Add(2 * time.Hour)
	_, _, err = f.TemporaryPassword(t.Context(), p.ID, sub)
	wantCode(t, err, fault.NotFound)
	again, err := f.RenewTemporaryPassword(t.Context(), p.ID, sub, secret.Text{}, pool.PasswordPolicy{})
	if err != nil || again.Password.Equal(made.Password.Reveal()) || again.User.Sub != sub {
		t.Fatal(err)
	}
	given, err := f.RenewTemporaryPassword(t.Context(), p.ID, sub, secret.New("Chosen-by-4dmin"), pool.PasswordPolicy{})
	kept, _, err2 := f.TemporaryPassword(t.Context(), p.ID, sub)
	if err := errors.Join(err, err2); err != nil || !kept.Equal("Chosen-by-4dmin") || !given.Expires.Equal(f.clock.Now().Add(7*24*time.Hour)) {
		t.Error(err)
	}
	_, err = f.RenewTemporaryPassword(t.Context(), p.ID, sub, secret.New("weak"), pool.PasswordPolicy{})
	wantCode(t, err, fault.Invalid)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := f.RenewTemporaryPassword(t.Context(), p.ID, sub, secret.Text{}, pool.PasswordPolicy{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := f.UpdateUser(t.Context(), p.ID, sub, func(u *pool.User) error { u.Status = pool.StatusConfirmed; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = f.RenewTemporaryPassword(t.Context(), p.ID, sub, secret.Text{}, pool.PasswordPolicy{})
	wantCode(t, err, fault.Conflict)
	if !errors.Is(err, pool.ErrUserState) {
		t.Errorf("%v", err)
	}
	if err := f.DeleteUser(t.Context(), p.ID, sub); err != nil {
		t.Fatal(err)
	}
	create(t, f, p, "joe", nil)
	if err := f.DeletePool(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	docs, err := f.engine.List(t.Context(), "temporary_password", "", "", 10)
	if err != nil || len(docs) != 0 {
		t.Errorf("%d temporary passwords of nobody, %v", len(docs), err)
	}
}

func TestTemporaryPasswordsAreSealed(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane", Password: secret.New("Hush-hush-1")})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := f.engine.List(t.Context(), "temporary_password", "", "", 10)
	if err != nil || len(docs) != 1 || strings.Contains(string(docs[0].Body), "Hush") {
		t.Errorf("%d documents, %v", len(docs), err)
	}
	if s := fmt.Sprintf("%v %+v %#v", made, made, made); strings.Contains(s, "Hush") {
		t.Error(s)
	}
}
