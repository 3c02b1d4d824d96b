package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/fault"
)

const generic = "Something went wrong on our side."

func TestTheTwoAudiences(t *testing.T) {
	cause := fmt.Errorf("token endpoint: %w", io.ErrUnexpectedEOF)
	inner := fault.New(fault.Upstream, "The provider answered wrongly.", cause)
	for _, c := range []struct {
		name    string
		err     error
		code    fault.Code
		public  string
		private string
	}{
		{"a fault", inner, fault.Upstream, "The provider answered wrongly.", "upstream: The provider answered wrongly.: token endpoint: unexpected EOF"},
		{"a fault without a cause", fault.New(fault.Expired, "Too late.", nil), fault.Expired, "Too late.", "expired: Too late."},
		{"a wrapped fault", fmt.Errorf("finish: %w", inner), fault.Upstream, "The provider answered wrongly.", "finish: upstream: The provider answered wrongly.: token endpoint: unexpected EOF"},
		{"a joined fault", errors.Join(io.EOF, inner), fault.Upstream, "The provider answered wrongly.", "EOF\nupstream: The provider answered wrongly.: token endpoint: unexpected EOF"},
		{"a fault around a fault: the outer one speaks", fault.New(fault.Denied, "No.", inner), fault.Denied, "No.", "denied: No.: upstream: The provider answered wrongly.: token endpoint: unexpected EOF"},
		{"an error nobody classified", cause, fault.Internal, generic, "token endpoint: unexpected EOF"},
		{"a fault without a public text", &fault.Error{Code: fault.Throttled}, fault.Throttled, generic, "throttled: "},
		{"the zero fault", &fault.Error{}, fault.Internal, generic, "internal: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fault.CodeOf(c.err); got != c.code {
				t.Errorf("code %v, want %v", got, c.code)
			}
			if got := fault.PublicOf(c.err); got != c.public {
				t.Errorf("public text %q, want %q", got, c.public)
			}
			if got := c.err.Error(); got != c.private {
				t.Errorf("private text %q, want %q", got, c.private)
			}
		})
	}
}

func TestNoErrorIsInternalAndSaysNothing(t *testing.T) {
	if fault.CodeOf(nil) != fault.Internal || fault.PublicOf(nil) != generic {
		t.Errorf("%v, %q", fault.CodeOf(nil), fault.PublicOf(nil))
	}
}

func TestThePublicTextNeverHoldsTheCause(t *testing.T) {
	err := fault.New(fault.Invalid, "The request is wrong.", errors.New("input was <script>"))
	if strings.Contains(fault.PublicOf(fmt.Errorf("op: %w", err)), "script") {
		t.Error("the public text quotes the cause")
	}
}

func TestCausesCanBeAskedFor(t *testing.T) {
	err := fmt.Errorf("op: %w", fault.New(fault.Unavailable, "Later.", fmt.Errorf("read: %w", io.ErrClosedPipe)))
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Error("the cause is not found")
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Public != "Later." {
		t.Errorf("the fault is not found: %v", f)
	}
}

// The names stand in logs and audit events that others read: they do not change.
func TestNamesOfCodes(t *testing.T) {
	want := []string{
		"internal", "invalid", "unauthenticated", "denied", "not_found", "conflict", "expired", "too_large",
		"throttled", "unavailable", "upstream", "upstream_timeout", "login_required", "config", "code(14)",
	}
	for c, name := range want {
		if got := fault.Code(c).String(); got != name {
			t.Errorf("code %d is %q, want %q", c, got, name)
		}
	}
	if fault.Config.String() != "config" {
		t.Errorf("the last code is %v: a new one needs its name here", fault.Config)
	}
}
