package poolapi

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/server/poolapi/sigv4"
)

// Problem is how an error of the API is written: as application/x-amz-json-1.1 with __type and message, and the type in a header too.
type Problem struct {
	Status  int
	Type    string
	Message string
}

// codes are the types of faults that no operation has given one of its own.
var codes = map[fault.Code]Problem{
	fault.Invalid:         {Status: http.StatusBadRequest, Type: "InvalidParameterException"},
	fault.Unauthenticated: {Status: http.StatusBadRequest, Type: "NotAuthorizedException"},
	fault.Denied:          {Status: http.StatusBadRequest, Type: "NotAuthorizedException"},
	fault.NotFound:        {Status: http.StatusBadRequest, Type: "ResourceNotFoundException"},
	fault.Conflict:        {Status: http.StatusBadRequest, Type: "ConcurrentModificationException"},
	fault.Expired:         {Status: http.StatusBadRequest, Type: "NotAuthorizedException"},
	fault.TooLarge:        {Status: http.StatusRequestEntityTooLarge, Type: "RequestEntityTooLargeException"},
	fault.Throttled:       {Status: http.StatusBadRequest, Type: "TooManyRequestsException"},
	// SDKs try again after a status of 500 and more.
	fault.Unavailable:     {Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException"},
	fault.Upstream:        {Status: http.StatusBadRequest, Type: "InvalidParameterException"},
	fault.UpstreamTimeout: {Status: http.StatusBadRequest, Type: "InvalidParameterException"},
}

// ProblemOf says how err is answered. What nobody classified is an InternalErrorException without details.
func ProblemOf(err error) Problem {
	var r *refusal
	var in *api.InputError
	var sig *sigv4.Error
	var he *echo.HTTPError
	switch {
	case errors.As(err, &r):
		return Problem{http.StatusBadRequest, r.kind, r.message}
	case errors.As(err, &in):
		return Problem{http.StatusBadRequest, in.Type, in.Message}
	case errors.As(err, &sig):
		return Problem{http.StatusBadRequest, sig.Type, sig.Message}
	case errors.As(err, &he) && he.Code == http.StatusRequestEntityTooLarge:
		err = fault.New(fault.TooLarge, "The request is too large.", err)
	}
	if errors.Is(err, pool.ErrNoUser) {
		return Problem{http.StatusBadRequest, "UserNotFoundException", "User does not exist."}
	}
	p, ok := codes[fault.CodeOf(err)]
	if !ok {
		p = Problem{Status: http.StatusInternalServerError, Type: "InternalErrorException"}
	}
	p.Message = fault.PublicOf(err)
	return p
}

type problemBody struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

// Write answers with the problem.
func (p Problem) Write(c echo.Context) error {
	h := c.Response().Header()
	h.Set("X-Amzn-Errortype", p.Type)
	h.Set("X-Amzn-Errormessage", headerText(p.Message))
	h.Set(echo.HeaderContentType, contentType)
	if p.Status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, "1")
	}
	c.Response().WriteHeader(p.Status)
	return c.Echo().JSONSerializer.Serialize(c, problemBody{p.Type, p.Message}, "")
}

// maxHeader bounds a message in a header, in characters: proxies and clients take a few kilobytes of headers in all. The body has the whole of it.
const maxHeader = 512

// headerText is a message, or its beginning, as a header can carry it.
func headerText(s string) string {
	out := make([]byte, 0, min(len(s), maxHeader))
	for _, r := range s {
		if len(out) == maxHeader {
			break
		}
		if r < 0x20 || r > 0x7e {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out)
}
