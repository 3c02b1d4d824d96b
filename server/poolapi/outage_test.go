package poolapi_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/weir-id/weir/federation/store"
)

// once fails the call of that number, and none after it.
type once struct {
	store.Engine
	mu   sync.Mutex
	left int
	hit  string
}

func (o *once) fail(what, kind string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left--; o.left == -1 {
		o.hit = what + " " + kind
		return fmt.Errorf("once: %w", store.ErrUnavailable)
	}
	return nil
}

// over ends the failing, and reports whether there was one.
func (o *once) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = -1
	return o.hit != ""
}

func (o *once) Get(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := o.fail("get", kind); err != nil {
		return store.Doc{}, err
	}
	return o.Engine.Get(ctx, kind, key)
}

func (o *once) GetBy(ctx context.Context, kind, unique string) (store.Doc, error) {
	if err := o.fail("get by", kind); err != nil {
		return store.Doc{}, err
	}
	return o.Engine.GetBy(ctx, kind, unique)
}

func (o *once) List(ctx context.Context, kind, index, after string, limit int) ([]store.Doc, error) {
	if err := o.fail("list", kind); err != nil {
		return nil, err
	}
	return o.Engine.List(ctx, kind, index, after, limit)
}

func (o *once) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if err := o.fail("put", kind); err != nil {
		return 0, err
	}
	return o.Engine.Put(ctx, kind, d)
}

func (o *once) Take(ctx context.Context, kind, key string) (store.Doc, error) {
	if err := o.fail("take", kind); err != nil {
		return store.Doc{}, err
	}
	return o.Engine.Take(ctx, kind, key)
}

func (o *once) Delete(ctx context.Context, kind, key string) error {
	if err := o.fail("delete", kind); err != nil {
		return err
	}
	return o.Engine.Delete(ctx, kind, key)
}

// gone are the operations whose work is done from the call of the store on that is named: what is left to do after it is cleaning up, and the same call
// finds nothing more to do. A person whose account is being deleted, or who is signed out, has no token any more to repeat the call with.
var gone = map[string]string{
	"DeleteGroup": "ResourceNotFoundException", "DeleteIdentityProvider": "ResourceNotFoundException", "DeleteResourceServer": "ResourceNotFoundException",
	"DeleteUserPoolClient": "ResourceNotFoundException", "AdminDisableProviderForUser": "UserNotFoundException",
	"GlobalSignOut": "NotAuthorizedException", "DeleteUser": "NotAuthorizedException",
}

// Whichever call of the store fails, once: the operation says so in a way that SDKs try again after, or has succeeded; and the same call once more comes
// to what it would have come to, with nothing in its way that the first one left.
func TestAStoreThatFailsOnce(t *testing.T) {
	for name, c := range contracts() {
		if rows[name].Reads { // changes nothing
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n, hit := 0, true; hit; n++ {
				r := newRig(t)
				in := c.in(r)
				o := &once{Engine: r.Engine.Engine, left: n}
				r.Engine.Engine = o
				ans := r.call(name, in)
				hit = o.over()
				if ans.Status != http.StatusOK {
					if ans.Status != http.StatusServiceUnavailable {
						t.Errorf("%s (%d): %d %s", o.hit, n, ans.Status, ans.Body)
					}
					ans = r.call(name, in)
				}
				if kind := ans.Text("__type"); ans.Status != http.StatusOK && (kind != gone[name] || kind == "") {
					t.Errorf("%s (%d), again: %d %s", o.hit, n, ans.Status, ans.Body)
				}
				if ans.Status == http.StatusOK {
					c.check(r, in, ans.JSON)
				}
			}
		})
	}
}
