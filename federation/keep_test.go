package federation_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
	"github.com/weir-id/weir/providers/oidc/oidctest"
	"github.com/weir-id/weir/server/servertest"
)

// keepsAssertions is a change for servertest.StartExample: Corp's assertions are kept.
func keepsAssertions(number string, more ...string) func(*servertest.Options) {
	return func(o *servertest.Options) {
		d := o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails
		d[pool.DetailKeepAssertions] = secret.New(number)
		for i := 0; i+1 < len(more); i += 2 {
			d[more[i]] = secret.New(more[i+1])
		}
	}
}

// keptOf is what is kept of Corp, whatever the configuration says now.
func keptOf(t *testing.T, w *servertest.Weir) []assertion.Kept {
	t.Helper()
	all, err := w.Broker.Assertions.Newest(t.Context(), servertest.PoolID, "Corp", pool.Keeping{Number: 100, For: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAssertionsAreKept(t *testing.T) {
	w, up := servertest.StartExample(t, keepsAssertions("3", pool.DetailRedactAssertions, "name"))
	web := w.Web()
	sub := web.Claims(web.Login(w.Browser(), ada).Text("access_token"))["sub"]
	all := keptOf(t, w)
	if len(all) != 1 {
		t.Fatalf("%d kept", len(all))
	}
	a := all[0]
	if a.Issuer != up.Issuer() || a.Subject != "ada-0001" || a.Sub != sub || a.Fault != "" || a.Claims["email"] != "ada@corp.example" ||
		a.Claims["name"] != "redacted-1" || !slices.Equal(a.Redacted, []string{"name"}) || !a.At.Equal(w.Clock.Now()) {
		t.Errorf("kept %+v", a)
	}
	if name := web.Claims(web.Login(w.Browser(), ada).Text("id_token"))["name"]; name != "The ada" {
		t.Errorf("the person is called %v", name)
	}
	// A sign-in that fails is kept too, with whose it is.
	up.Set(oidctest.Faults{IDToken: func(c map[string]any) { c["email"] = "no address" }, UserInfo: func(c map[string]any) { c["email"] = "no address" }})
	if at := w.Browser().SignIn(web.Authorize(), ada); at.Params().Get("code") != "" {
		t.Fatal("signed in without an address")
	}
	if at := w.Browser().SignIn(web.Authorize(), servertest.As("bob")); at.Params().Get("code") != "" {
		t.Fatal("signed in without an address")
	}
	all = keptOf(t, w)
	if len(all) != 3 || all[1].Fault != "invalid" || !strings.Contains(all[1].Why, "email. The value must be an e-mail address.") || all[1].Sub != sub ||
		all[0].Subject != "bob-0001" || all[0].Sub != "" || all[0].Claims["email"] != "no address" || all[2].Number != 2 {
		t.Errorf("kept %+v", all)
	}
	if got := w.Events.Take(); slices.ContainsFunc(got, func(e audit.Event) bool { return e.Name() == "assertion.not_kept" }) {
		t.Errorf("events %+v", got)
	}
}

func TestNothingIsKeptUnlessTheProviderIsSetSo(t *testing.T) {
	w, _ := servertest.StartExample(t)
	w.Web().Login(w.Browser(), ada)
	if all := keptOf(t, w); len(all) != 0 || w.Engine.Reads("assertion") != 1 {
		t.Errorf("%+v, %d reads", all, w.Engine.Reads("assertion"))
	}
}

// Personal data goes with the person, the provider, the pool and the switch.
func TestKeptAssertionsGo(t *testing.T) {
	start := func(t *testing.T) (*servertest.Weir, string) {
		w, up := servertest.StartExample(t, keepsAssertions("10"))
		web := w.Web()
		sub, _ := web.Claims(web.Login(w.Browser(), ada).Text("access_token"))["sub"].(string)
		up.Set(oidctest.Faults{IDToken: func(c map[string]any) { delete(c, "email") }, UserInfo: func(c map[string]any) { c["email"] = "x" }})
		w.Browser().SignIn(web.Authorize(), ada) // fails
		up.Set(oidctest.Faults{})
		web.Login(w.Browser(), servertest.As("bob"))
		if n := len(keptOf(t, w)); n != 3 {
			t.Fatalf("%d kept", n)
		}
		return w, sub
	}
	change := func(w *servertest.Weir, number string) error {
		ip, err := w.Directory.ProviderOf(t.Context(), servertest.PoolID, "Corp")
		if err != nil {
			return err
		}
		ip.Details[pool.DetailKeepAssertions] = secret.New(number)
		_, err = w.Directory.UpdateProvider(t.Context(), ip)
		return err
	}
	for name, tt := range map[string]struct {
		do   func(w *servertest.Weir, sub string) error
		left int
	}{
		"with the user": {func(w *servertest.Weir, sub string) error {
			_, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by)
			return err
		}, 1},
		"with the provider": {func(w *servertest.Weir, _ string) error {
			return w.Directory.DeleteProvider(t.Context(), servertest.PoolID, "Corp")
		}, 0},
		"with the pool": {func(w *servertest.Weir, _ string) error {
			return w.Directory.DeletePool(t.Context(), servertest.PoolID, w.Broker.Assertions.DeletePool)
		}, 0},
		"when it is switched off": {func(w *servertest.Weir, _ string) error { return change(w, "0") }, 0},
		"when it is fewer":        {func(w *servertest.Weir, _ string) error { return change(w, "2") }, 2},
		"not with something else": {func(w *servertest.Weir, _ string) error { return change(w, "10") }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w, sub := start(t)
			if err := tt.do(w, sub); err != nil {
				t.Fatal(err)
			}
			if n := len(keptOf(t, w)); n != tt.left {
				t.Errorf("%d left, want %d", n, tt.left)
			}
		})
	}
}

// A sign-in that was under way when what is kept was removed leaves nothing behind.
func TestNothingIsKeptOfWhoIsBeingDeleted(t *testing.T) {
	w, _ := servertest.StartExample(t, keepsAssertions("10"))
	web := w.Web()
	sub, _ := web.Claims(web.Login(w.Browser(), ada).Text("access_token"))["sub"].(string)
	if _, err := w.Directory.EnableUser(t.Context(), servertest.PoolID, sub, false); err != nil { // as the first step of a deletion
		t.Fatal(err)
	}
	before := len(keptOf(t, w))
	if at := w.Browser().SignIn(web.Authorize(), ada); at.Params().Get("error") != "access_denied" {
		t.Fatalf("%v", at.Params())
	}
	if n := len(keptOf(t, w)); n != before {
		t.Errorf("%d kept, %d before", n, before)
	}
}

// What keeps assertions may break, be full or hang: the sign-in is what it was.
func TestKeepingDoesNotGetInTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		broken func(*servertest.Weir)
		events int
	}{
		"a full store":        {func(w *servertest.Weir) { w.Engine.SetFull("assertion") }, 1},
		"no key to seal with": {func(w *servertest.Weir) { w.Broker.Assertions.Ring = nil }, 1},
		"nothing":             {func(*servertest.Weir) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.StartExample(t, keepsAssertions("10"))
			web := w.Web()
			web.Login(w.Browser(), ada)
			tt.broken(w)
			w.Events.Take()
			ans := web.Login(w.Browser(), ada)
			if ans.Status != http.StatusOK {
				t.Errorf("%d %s", ans.Status, ans.Body)
			}
			failed := 0
			for _, e := range w.Events.Take() {
				if e.Name() == "assertion.not_kept" {
					failed++
				}
			}
			if failed != tt.events {
				t.Errorf("%d events, want %d", failed, tt.events)
			}
		})
	}
}

// A store that hangs for what is kept holds nobody up for longer than half a second.
func TestKeepingIsBoundedInTime(t *testing.T) {
	w, _ := servertest.StartExample(t, keepsAssertions("10"))
	web := w.Web()
	web.Login(w.Browser(), ada)
	slow := &hanging{Engine: w.Broker.Assertions.Engine, entered: make(chan struct{}, 1)}
	w.Broker.Assertions.Engine = slow
	start := time.Now()
	if ans := web.Login(w.Browser(), ada); ans.Status != http.StatusOK {
		t.Errorf("%d %s", ans.Status, ans.Body)
	}
	<-slow.entered
	if took := time.Since(start); took < 400*time.Millisecond || took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// hanging is a store that does not answer about assertions until its caller gives up.
type hanging struct {
	store.Engine
	entered chan struct{}
}

func (h *hanging) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if kind != "assertion" {
		return h.Engine.List(ctx, kind, index, after, limit)
	}
	h.entered <- struct{}{}
	<-ctx.Done()
	return nil, errors.Join(store.ErrUnavailable, ctx.Err())
}
