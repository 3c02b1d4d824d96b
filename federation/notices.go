package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-id/weir/federation/audit"
	"github.com/weir-id/weir/federation/erasure"
	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/replay"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/upstream"
)

// noticeMemory is how long the second copy of a notice is known: longer than any provider's message is good for by itself.
const noticeMemory = erasure.Life

// NoticeResult is what followed from a notice.
type NoticeResult struct {
	Kind    NoticeKind
	Sub     string // of the user; "" where the person is not known here
	Grants  int    // that ended
	Deleted bool   // the user is gone
	Again   bool   // a second copy, for which nothing was done
	// Code is the confirmation code of a DataDeletion, for Deletion. There is one whether or not the person is known.
	Code secret.Text
}

// Notice reads a message that came to one of a provider's doors and does what follows from it. Before it has proven where it is from, nothing
// is written and nobody is looked up. A person who is not known here is no error.
// Errors: ErrNoNotices and ErrNoticeUnknown; fault.Invalid for a message that is refused; those of the provider's keys and of
// the store, after which the provider should send it again.
//
// What follows is done first and the notice remembered last. Remembered first, a crash in between would lose it: the provider's next
// copy would be answered as known, and a person who has left would stay signed in. This way round the worst is that it is done twice, and
// everything here may be: what has ended, is dropped or is gone stays so. So two copies at the same time do no harm either, and the memory
// is only for copies that come later, when the person may have come back.
func (b *Broker) Notice(ctx context.Context, idp pool.IdentityProvider, door string, r Response) (NoticeResult, error) {
	prov, err := b.Providers.Provider(ctx, idp)
	if err != nil {
		return NoticeResult{}, err
	}
	reader, ok := prov.(NoticeReader)
	if !ok {
		return NoticeResult{}, ErrNoNotices
	}
	n, err := reader.ReadNotice(ctx, door, r)
	if err != nil {
		return NoticeResult{}, err
	}
	if n.Subject == "" {
		return NoticeResult{}, fault.New(fault.Invalid, "The notice could not be verified.", errors.New("a notice about nobody"))
	}
	// Without an id of the provider's, what it says and when has to do.
	n.ID = cmp.Or(n.ID, fmt.Sprintf("%s\x00%s\x00%d", n.Kind, n.Subject, n.Issued.UnixMilli()))
	issuer := "notice\x00" + idp.PoolID + "\x00" + idp.Name
	known, err := b.Replays.Known(ctx, issuer, n.ID)
	if err != nil {
		return NoticeResult{}, err
	}
	if known {
		return b.noticedBefore(ctx, idp, n)
	}
	out, err := b.noticed(ctx, idp, n)
	if err != nil {
		return NoticeResult{}, err
	}
	b.Audit.Record(ctx, audit.ProviderNotice{Pool: idp.PoolID, Provider: idp.Name, Kind: string(n.Kind), Sub: out.Sub, Grants: out.Grants, Deleted: out.Deleted})
	return out, b.remember(ctx, issuer, n.ID)
}

// noticedBefore answers a second copy as the first was answered.
func (b *Broker) noticedBefore(ctx context.Context, idp pool.IdentityProvider, n Notice) (NoticeResult, error) {
	out := NoticeResult{Kind: n.Kind, Again: true}
	if n.Kind != DataDeletion {
		return out, nil
	}
	// It is there, for it was made before the notice was remembered and lives as long.
	req, err := b.Erasures.Open(ctx, idp.PoolID, idp.Name, n.ID, "")
	out.Code = req.Code
	return out, err
}

func (b *Broker) remember(ctx context.Context, issuer, id string) error {
	err := b.Replays.Once(ctx, issuer, id, b.Now().Add(noticeMemory))
	if errors.Is(err, replay.ErrReplayed) {
		return nil // another copy at the same time
	}
	return err
}

// noticed does what follows from a verified notice.
func (b *Broker) noticed(ctx context.Context, idp pool.IdentityProvider, n Notice) (NoticeResult, error) {
	out := NoticeResult{Kind: n.Kind}
	u, err := b.Directory.UserByIdentity(ctx, idp.PoolID, idp.Name, n.Subject)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return out, err
	}
	out.Sub = u.Sub
	switch n.Kind {
	case EmailDisabled, EmailEnabled:
		if u.Sub != "" && n.Email != "" && idp.MapsVerifiedEmail() {
			_, err := b.Directory.SetEmailVerified(ctx, u.PoolID, u.Sub, idp.Name, n.Email, n.Kind == EmailEnabled)
			return out, gone(err)
		}
		return out, nil
	case ConsentRevoked:
		out.Grants, err = b.endIdentity(ctx, idp, u, n.Subject)
		return out, err
	case AccountDeleted:
		return out, b.leave(ctx, idp, u, n.Subject, &out)
	case DataDeletion:
		return out, b.erase(ctx, idp, u, n, &out)
	}
	return out, fmt.Errorf("%w: kind %q", ErrNoticeUnknown, n.Kind)
}

// endIdentity ends what the sign-ins with one identity of a user gave, and drops what is kept of its tokens. They are not revoked at the
// provider: it is the one that said that they are void. A user without a sub is nobody.
func (b *Broker) endIdentity(ctx context.Context, idp pool.IdentityProvider, u pool.User, subject string) (int, error) {
	if u.Sub == "" {
		return 0, nil
	}
	grants, err := b.Grants.EndIdentity(ctx, u.PoolID, u.Sub, idp.Name, subject)
	if err != nil {
		return grants, err
	}
	_, err = b.Upstream.Take(ctx, upstream.Kept{PoolID: u.PoolID, Sub: u.Sub, Provider: idp.Name, Subject: subject})
	if errors.Is(err, upstream.ErrNone) {
		err = nil
	}
	return grants, err
}

// leave is endIdentity for somebody who does not come back, and deletes the user where the configuration says so and nothing else leads to
// them.
func (b *Broker) leave(ctx context.Context, idp pool.IdentityProvider, u pool.User, subject string, out *NoticeResult) error {
	// Also of people who never became users: it is kept of those whose sign-in failed.
	if err := b.Once.Forget(ctx, once.Person{PoolID: idp.PoolID, Provider: idp.Name, Subject: subject}); err != nil {
		return err
	}
	if b.Assertions != nil {
		if err := b.Assertions.DeleteIdentity(ctx, idp.PoolID, idp.Name, subject); err != nil {
			return err
		}
	}
	var err error
	if out.Grants, err = b.endIdentity(ctx, idp, u, subject); err != nil || u.Sub == "" {
		return err
	}
	if !idp.DeletesOnNotice() || len(u.Identities) != 1 || len(u.Merged) > 0 || u.Status != pool.StatusExternalProvider {
		return nil
	}
	grants, err := b.DeleteUser(ctx, u.PoolID, u.Sub, "a notice of the provider "+idp.Name)
	out.Grants += grants
	out.Deleted = gone(err) == nil
	return gone(err)
}

// erase is leave with a request that the person can look up. The request comes first: should what follows be cut short, the next copy
// finds it, and until then it says truthfully that it is not done.
func (b *Broker) erase(ctx context.Context, idp pool.IdentityProvider, u pool.User, n Notice, out *NoticeResult) error {
	req, err := b.Erasures.Open(ctx, idp.PoolID, idp.Name, n.ID, u.Sub)
	if err != nil {
		return err
	}
	out.Code = req.Code
	if err := b.leave(ctx, idp, u, n.Subject, out); err != nil {
		return err
	}
	if u.Sub == "" || out.Deleted {
		return b.Erasures.Done(ctx, req.Code)
	}
	return nil
}

// gone takes the error away that the user is not there any more: somebody else was faster.
func gone(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// DeletionState is what a person may know of their request.
type DeletionState struct {
	Asked time.Time
	Done  bool
}

// Deletion returns the state of the request with that code which came through a provider. Errors: fault.NotFound.
func (b *Broker) Deletion(ctx context.Context, poolID, provider string, code secret.Text) (DeletionState, error) {
	req, err := b.Erasures.Find(ctx, code)
	if errors.Is(err, erasure.ErrUnknown) || err == nil && (req.PoolID != poolID || req.Provider != provider) {
		return DeletionState{}, fault.New(fault.NotFound, "There is no such request.", erasure.ErrUnknown)
	}
	if err != nil {
		return DeletionState{}, err
	}
	out := DeletionState{Asked: req.Asked, Done: !req.Done.IsZero()}
	if !out.Done && req.Sub != "" { // an administrator may have deleted the user since
		_, err = b.Directory.User(ctx, req.PoolID, req.Sub)
		out.Done = fault.CodeOf(err) == fault.NotFound
	}
	return out, gone(err)
}
