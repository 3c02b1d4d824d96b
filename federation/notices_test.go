package federation_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// telling are providers that report what the test has them say, at the door "door".
type telling struct {
	federation.Providers
	mu   sync.Mutex
	says federation.Notice
}

type teller struct {
	federation.Provider
	of *telling
}

func (p *telling) Provider(ctx context.Context, cfg pool.IdentityProvider) (federation.Provider, error) {
	inner, err := p.Providers.Provider(ctx, cfg)
	return teller{inner, p}, err
}

func (p teller) ReadNotice(_ context.Context, door string, _ federation.Response) (federation.Notice, error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if door != "door" {
		return federation.Notice{}, federation.ErrNoNotices
	}
	return p.of.says, nil
}

// asked is a request of ada for deletion.
var asked = federation.Notice{Kind: federation.DataDeletion, Subject: "ada-0001", ID: "request-1"}

// startTelling is startKeeping with a provider that tells. mode is its on_data_deletion.
func startTelling(t *testing.T, mode string) (w *servertest.Weir, idp pool.IdentityProvider, p *telling, b *servertest.Browser, ans *servertest.Answer, sub string) {
	t.Helper()
	w, _, b, ans, sub = startKeeping(t, func(o *servertest.Options) {
		o.Spec.UserPools[0].IdentityProviders[0].ProviderDetails["on_data_deletion"] = secret.New(mode)
	})
	p = &telling{Providers: w.Broker.Providers, says: asked}
	w.Broker.Providers = p
	idp, err := w.Directory.Provider(t.Context(), servertest.PoolID, "Corp")
	if err != nil {
		t.Fatal(err)
	}
	return w, idp, p, b, ans, sub
}

func tell(t *testing.T, w *servertest.Weir, idp pool.IdentityProvider) federation.NoticeResult {
	t.Helper()
	out, err := w.Broker.Notice(t.Context(), idp, "door", federation.Response{Method: http.MethodPost})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// done is what a request for deletion came to.
func done(t *testing.T, w *servertest.Weir, code secret.Text) bool {
	t.Helper()
	d, err := w.Broker.Deletion(t.Context(), servertest.PoolID, "Corp", code)
	if err != nil || d.Asked.IsZero() {
		t.Fatalf("state %+v, %v", d, err)
	}
	return d.Done
}

func TestDataDeletion(t *testing.T) {
	for mode, deleted := range map[string]bool{"record": false, "delete": true} {
		t.Run(mode, func(t *testing.T) {
			w, idp, _, b, ans, sub := startTelling(t, mode)
			first := tell(t, w, idp)
			if first.Sub != sub || first.Grants != 1 || first.Deleted != deleted || first.Again || first.Code.IsZero() {
				t.Errorf("result %+v", first)
			}
			events := w.Events.Take()
			want := audit.ProviderNotice{Pool: servertest.PoolID, Provider: "Corp", Kind: "data_deletion", Sub: sub, Grants: 1, Deleted: deleted}
			if events[len(events)-1] != want {
				t.Errorf("events %+v", events)
			}
			over(t, w, b, ans)
			if done(t, w, first.Code) != deleted || kept(t, w, sub) != 0 {
				t.Errorf("done %t, %d kept", done(t, w, first.Code), kept(t, w, sub))
			}
			w.Engine.Reset()
			w.Events.Take()
			again := tell(t, w, idp)
			if !again.Again || again.Code.Reveal() != first.Code.Reveal() || w.Engine.Writes() != 0 || len(w.Events.Take()) != 0 {
				t.Errorf("second copy: %+v, wrote %s", again, w.Engine.Written())
			}
			if deleted {
				return
			}
			if _, err := w.Broker.DeleteUser(t.Context(), servertest.PoolID, sub, by); err != nil {
				t.Fatal(err)
			}
			if !done(t, w, first.Code) {
				t.Error("not done when an administrator has deleted the user")
			}
		})
	}
}

// Nothing that is answered tells whether somebody is known.
func TestDataDeletionOfAnUnknownPerson(t *testing.T) {
	w, idp, p, _, ans, _ := startTelling(t, "delete")
	p.says.Subject = "nobody-0001"
	out := tell(t, w, idp)
	if out.Sub != "" || out.Code.IsZero() || !done(t, w, out.Code) || w.Engine.Written() == "" {
		t.Errorf("result %+v", out)
	}
	if got := w.Web().Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("ada's: %d %s", got.Status, got.Body)
	}
}

func TestDataDeletionRequestsAreBounded(t *testing.T) {
	w, idp, _, _, _, _ := startTelling(t, "record")
	const n = 8
	codes := make(chan string, n)
	for range n {
		go func() {
			out, err := w.Broker.Notice(context.WithoutCancel(t.Context()), idp, "door", federation.Response{})
			if err != nil {
				t.Error(err)
			}
			codes <- out.Code.Reveal()
		}()
	}
	first := <-codes
	for range n - 1 {
		if c := <-codes; c != first || c == "" {
			t.Errorf("codes %q and %q", first, c)
		}
	}
	docs, err := w.Engine.List(t.Context(), "erasure", "", "", 10)
	if err != nil || len(docs) != 1 {
		t.Errorf("%d requests, %v", len(docs), err)
	}
}

// A process that dies on the way leaves a request that is not done, and the next copy goes on.
func TestDataDeletionIsTakenUpAgain(t *testing.T) {
	for _, kind := range []string{"erasure", "grant", "user", "samlreplay"} {
		t.Run(kind, func(t *testing.T) {
			w, idp, _, b, ans, sub := startTelling(t, "delete")
			w.Engine.SetFull(kind)
			if _, err := w.Broker.Notice(t.Context(), idp, "door", federation.Response{}); fault.CodeOf(err) != fault.Unavailable {
				t.Fatalf("error %v", err)
			}
			w.Engine.SetFull()
			out := tell(t, w, idp)
			if out.Again || !done(t, w, out.Code) {
				t.Errorf("result %+v, done %t", out, done(t, w, out.Code))
			}
			over(t, w, b, ans)
			if _, err := w.Directory.User(t.Context(), servertest.PoolID, sub); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("user: %v", err)
			}
		})
	}
}

// Without an id of the provider's a copy is known by what it says, and something said later is another notice.
func TestNoticesWithoutAnID(t *testing.T) {
	w, idp, p, _, _, _ := startTelling(t, "record")
	p.says = federation.Notice{Kind: federation.ConsentRevoked, Subject: "ada-0001", Issued: w.Clock.Now()}
	if first, second := tell(t, w, idp), tell(t, w, idp); first.Again || !second.Again {
		t.Errorf("results %+v and %+v", first, second)
	}
	p.says.Issued = p.says.Issued.Add(time.Second)
	if third := tell(t, w, idp); third.Again {
		t.Errorf("result %+v", third)
	}
}

func TestNoticeFaults(t *testing.T) {
	w, idp, p, _, ans, _ := startTelling(t, "delete")
	w.Engine.Reset()
	if _, err := w.Broker.Notice(t.Context(), idp, "another", federation.Response{}); !errors.Is(err, federation.ErrNoNotices) {
		t.Errorf("another door: %v", err)
	}
	p.says.Subject = ""
	if _, err := w.Broker.Notice(t.Context(), idp, "door", federation.Response{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("about nobody: %v", err)
	}
	p.says.Subject, p.says.Kind = "ada-0001", "birthday"
	if _, err := w.Broker.Notice(t.Context(), idp, "door", federation.Response{}); !errors.Is(err, federation.ErrNoticeUnknown) {
		t.Errorf("of an unknown kind: %v", err)
	}
	w.Broker.Providers = p.Providers
	if _, err := w.Broker.Notice(t.Context(), idp, "door", federation.Response{}); !errors.Is(err, federation.ErrNoNotices) {
		t.Errorf("of a provider that sends none: %v", err)
	}
	if w.Engine.Writes() != 0 || slices.Contains(servertest.Names(w.Events.Take()), "provider.notice") {
		t.Errorf("wrote %s", w.Engine.Written())
	}
	if got := w.Web().Refresh(ans.Text("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("ada's: %d %s", got.Status, got.Body)
	}
}

func TestDeletionIsFoundByItsCodeAlone(t *testing.T) {
	w, idp, _, _, _, _ := startTelling(t, "record")
	code := tell(t, w, idp).Code
	for name, try := range map[string]struct{ pool, provider, code string }{
		"another code":     {servertest.PoolID, "Corp", code.Reveal() + "A"},
		"no code":          {servertest.PoolID, "Corp", ""},
		"another pool":     {servertest.OtherPool, "Corp", code.Reveal()},
		"another provider": {servertest.PoolID, "Other", code.Reveal()},
	} {
		if got, err := w.Broker.Deletion(t.Context(), try.pool, try.provider, secret.New(try.code)); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
