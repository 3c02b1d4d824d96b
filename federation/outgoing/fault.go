package outgoing

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/weir-id/weir/federation/fault"
)

// Fault turns a failed fetch from an identity provider into the fault that a person may see. Its
// sentences are fixed; err becomes the cause. A *url.Error in err names the URL: do not put secrets into URLs.
func Fault(err error) *fault.Error {
	switch {
	case errors.Is(err, ErrPrivateAddress), errors.Is(err, ErrScheme):
		return fault.New(fault.Config, "The identity provider's address is not one that this service may call.", err)
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrRedirect):
		return fault.New(fault.Upstream, "The identity provider gave an answer that this service does not accept.", err)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, "The request was given up before it was finished.", err)
	case late(err):
		return fault.New(fault.UpstreamTimeout, "The identity provider did not answer in time.", err)
	default:
		return fault.New(fault.Upstream, "The identity provider could not be reached.", err)
	}
}

func late(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// Why says for an administrator who gave the address why a fetch from it failed, as the predicate of a sentence about the host: "did not answer in
// time". "" stands for an answer that came: what is wrong with that one, the caller knows. It is fixed, and says
// nothing of what answered: whoever may configure providers could otherwise read the services behind Weir through it.
func Why(err error) string {
	var transport *url.Error
	switch {
	case errors.Is(err, ErrPrivateAddress), errors.Is(err, ErrScheme):
		return "is not an address that may be called (see outgoing.allow_private)"
	case errors.Is(err, ErrTooLarge):
		return "gave an answer that is too large"
	case errors.Is(err, ErrRedirect):
		return "redirects to where it may not"
	case late(err):
		return "did not answer in time"
	case errors.As(err, &transport):
		return "could not be reached"
	}
	return ""
}
