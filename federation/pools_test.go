package federation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// leftOf are the kinds of which a pool that is gone has something left.
func leftOf(t *testing.T, w *servertest.Weir) []string {
	t.Helper()
	var out []string
	for _, kind := range []string{"pool", "client", "provider", "user", "grant", "keyset", "saml_keyset", "saml_metadata", "upstream_tokens", "said_once"} {
		docs, err := w.Engine.List(t.Context(), kind, "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(docs) > 0 {
			out = append(out, kind)
		}
	}
	return out
}

// A deletion that breaks off anywhere leaves nothing that lets anybody in, and is finished later, by whoever comes first.
func TestADeletionThatWasCutShortIsFinished(t *testing.T) {
	pulled := errors.New("the plug was pulled")
	for name, finish := range map[string]func(context.Context, *servertest.Weir) error{
		"by the next start": func(ctx context.Context, w *servertest.Weir) error {
			n, err := w.Broker.FinishDeletions(ctx)
			if err == nil && n != 1 {
				err = errors.New("nothing was finished")
			}
			return err
		},
		"by deleting it again": func(ctx context.Context, w *servertest.Weir) error {
			return w.Broker.DeletePool(ctx, servertest.PoolID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.StartExample(t, func(o *servertest.Options) {
				p := &o.Spec.UserPools[0]
				p.Domain = ""
				p.IdentityProviders[0].ProviderDetails["keep_tokens"] = secret.New("true")
			})
			ans := w.Web().Login(w.Browser(), ada)
			asked, err := w.Broker.Erasures.Open(t.Context(), servertest.PoolID, "Corp", "message", "sub")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.SAMLKeys.Signing(t.Context(), servertest.PoolID); err != nil {
				t.Fatal(err)
			}
			forget := w.Broker.Forget
			w.Broker.Forget = []func(context.Context, string) error{func(context.Context, string) error { return pulled }}
			if err := w.Broker.DeletePool(t.Context(), servertest.PoolID); !errors.Is(err, pulled) {
				t.Fatalf("error %v", err)
			}
			if got := leftOf(t, w); len(got) == 0 {
				t.Error("the deletion was not cut short")
			}
			if got := w.Web().Refresh(ans.Text("refresh_token")); got.Text("access_token") != "" {
				t.Errorf("tokens of a pool that is being deleted: %s", got.Body)
			}
			if _, err := w.Directory.Pool(t.Context(), servertest.PoolID); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("the pool: error %v", err)
			}
			w.Broker.Forget = forget
			if err := finish(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if got := leftOf(t, w); len(got) != 0 {
				t.Errorf("left: %v", got)
			}
			if got, err := w.Broker.Erasures.Find(t.Context(), asked.Code); err != nil || got.Done.IsZero() || got.Sub != "" {
				t.Errorf("a request for deletion: %+v, error %v", got, err)
			}
			if err := w.Broker.DeletePool(t.Context(), servertest.PoolID); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("once more: error %v", err)
			}
		})
	}
}

// A pool of many users takes longer to remove than a request may take.
func TestADeletionThatTakesLongerThanItsRequest(t *testing.T) {
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.Spec.UserPools[0].Domain = "" })
	w.Web().Login(w.Browser(), ada)
	ctx, cancel := context.WithCancel(t.Context())
	forget := w.Broker.Forget
	w.Broker.Forget = []func(context.Context, string) error{func(ctx context.Context, _ string) error {
		cancel()
		return ctx.Err()
	}}
	if err := w.Broker.DeletePool(ctx, servertest.PoolID); err != nil {
		t.Errorf("error %v", err)
	}
	if _, err := w.Directory.Pool(t.Context(), servertest.PoolID); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the pool: error %v", err)
	}
	w.Broker.Forget = forget
	if n, err := w.Broker.FinishDeletions(t.Context()); n != 1 || err != nil {
		t.Errorf("finished %d, error %v", n, err)
	}
	if got := leftOf(t, w); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
