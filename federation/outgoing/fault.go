package outgoing

import (
	"context"
	"errors"
	"net"

	"github.com/weir-id/weir/federation/fault"
)

// Fault turns a failed fetch from an identity provider into the fault that a person may see. Its
// sentences are fixed; err becomes the cause. A *url.Error in err names the URL: do not put secrets into URLs.
func Fault(err error) *fault.Error {
	var slow net.Error
	switch {
	case errors.Is(err, ErrPrivateAddress), errors.Is(err, ErrScheme):
		return fault.New(fault.Config, "The identity provider's address is not one that this service may call.", err)
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrRedirect):
		return fault.New(fault.Upstream, "The identity provider gave an answer that this service does not accept.", err)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, "The request was given up before it was finished.", err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return fault.New(fault.UpstreamTimeout, "The identity provider did not answer in time.", err)
	default:
		return fault.New(fault.Upstream, "The identity provider could not be reached.", err)
	}
}
