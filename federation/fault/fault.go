// Package fault is the one error type of the project.
//
// An error here has two audiences. Public is a fixed sentence that may be shown
// to anybody; it says what to change and never quotes input. Cause is for the log,
// the audit stream and errors.Is; it never leaves the process. The mapping
// from a Code to an HTTP status or an OAuth error code belongs to package server,
// which has the only writer of errors.
//
// Any other error that reaches the writer is treated as Internal: a status 500
// without details.
package fault

import (
	"errors"
	"fmt"
)

// Code is the kind of a fault. It decides the status and the code on the wire.
type Code uint8

// The kinds of fault. Internal is the zero value, so that an error nobody
// classified tells the outside nothing.
const (
	Internal        Code = iota // a defect or a broken dependency of ours
	Invalid                     // the request is wrong and would be wrong again
	Unauthenticated             // the caller did not prove who it is
	Denied                      // the caller, the person or the provider said no
	NotFound                    // the named thing does not exist
	Conflict                    // it exists already, or changed in between
	Expired                     // it was valid once
	TooLarge                    // a size or count limit was passed
	Throttled                   // too many requests for now
	Unavailable                 // the store or this process cannot serve right now
	Upstream                    // the identity provider answered wrongly
	UpstreamTimeout             // the identity provider did not answer in time
	LoginRequired               // the request forbids interaction and none would do without
	Config                      // the configuration is wrong; an admin has to change it
)

var names = [...]string{
	"internal", "invalid", "unauthenticated", "denied", "not_found", "conflict",
	"expired", "too_large", "throttled", "unavailable", "upstream", "upstream_timeout",
	"login_required", "config",
}

// String returns the stable lower-case name that logs and audit events carry.
func (c Code) String() string {
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}

// Error is a fault with a public sentence and a private cause.
type Error struct {
	Code   Code
	Public string // may be shown to anybody; fixed text
	Cause  error  // for logs only; may be nil
}

// New returns a fault. public is a whole sentence for whoever sees the page or
// the answer; cause may be nil.
func New(code Code, public string, cause error) *Error {
	return &Error{Code: code, Public: public, Cause: cause}
}

// Error is the private text: it includes the cause. Never send it to a client.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Code.String() + ": " + e.Public
	}
	return e.Code.String() + ": " + e.Public + ": " + e.Cause.Error()
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the outermost fault in err's chain, and Internal
// where there is none.
func CodeOf(err error) Code {
	var f *Error
	if errors.As(err, &f) {
		return f.Code
	}
	return Internal
}

// PublicOf returns the text that may be shown for err: the outermost fault's
// public sentence, or a fixed one.
func PublicOf(err error) string {
	var f *Error
	if errors.As(err, &f) && f.Public != "" {
		return f.Public
	}
	return "Something went wrong on our side."
}
