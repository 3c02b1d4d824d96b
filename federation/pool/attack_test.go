package pool_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

// vanishing refuses one Put as if somebody had had a name of the document, who is gone when one looks.
type vanishing struct {
	store.Engine
	kind string
}

func (v *vanishing) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	if kind == v.kind {
		v.kind = ""
		return 0, fmt.Errorf("vanishing: %w", store.ErrTaken)
	}
	return v.Engine.Put(ctx, kind, d)
}

// Whoever had the user name may be deleted between the write and the look at them: then the name is free, and no alias is to blame.
func TestAUserNameThatBecomesFree(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, nil)
	f.Engine = &vanishing{Engine: f.Engine, kind: "user"}
	made, err := f.CreateUser(t.Context(), p.ID, pool.NewUser{Username: "jane"})
	if err != nil || leads(t, f, p, "jane") != made.User.Sub {
		t.Errorf("%+v, %v", made.User, err)
	}
}

// A sub comes before an alias: a document that says otherwise, from before aliases were checked against subs, leads nobody astray.
func TestASubComesBeforeAnAlias(t *testing.T) {
	f := newFixture(t)
	p := withNames(t, f, nil, []string{"preferred_username"})
	jane, joe := create(t, f, p, "jane", nil), create(t, f, p, "joe", nil)
	if _, err := f.UpdateUser(t.Context(), p.ID, joe.Sub, func(u *pool.User) error {
		u.Attributes["preferred_username"] = jane.Sub
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := leads(t, f, p, jane.Sub); got != jane.Sub {
		t.Errorf("the sub of jane leads to %q", got)
	}
}
