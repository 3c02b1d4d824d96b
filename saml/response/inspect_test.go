package response_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/weir-id/weir/saml/response"
)

// TestInspectReadsWhatValidateAccepts: of a response that is accepted, an inspection says the same, and every check passes.
func TestInspectReadsWhatValidateAccepts(t *testing.T) {
	for name, arrange := range acceptances() {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			arrange(r, &e)
			doc := r.xml()
			want, err := judge(doc, e)
			if err != nil {
				t.Fatal(err)
			}
			in, err := response.Inspect(form(doc), e)
			if err != nil || !reflect.DeepEqual(in.Said, *want) || in.Answered != e.RequestID {
				t.Errorf("%+v, %v\nwant %+v", in, err, want)
			}
			for _, s := range in.Steps {
				if s.Refusal != nil {
					t.Errorf("%s: %v", s.Name, s.Refusal)
				}
			}
		})
	}
}

// ofTheRequest are the checks of what only the sign-in under way knows.
var ofTheRequest = []response.Check{response.CheckInResponseTo, response.CheckStale, response.CheckExpect}

// TestInspectReportsWhatValidateRefuses: whatever is refused at a sign-in cannot be read, or the reason is among the checks that did not pass.
func TestInspectReportsWhatValidateRefuses(t *testing.T) {
	for name, a := range attacks() {
		t.Run(name, func(t *testing.T) {
			r, e := newReply(t), expect(t)
			a.make(r, &e)
			in, err := response.Inspect(form(r.xml()), e)
			if refusal := (*response.Refusal)(nil); err != nil {
				if !errors.As(err, &refusal) || !reflect.DeepEqual(in.Said, response.Assertion{}) {
					t.Errorf("%v, %+v", err, in.Said)
				}
				return
			}
			var found []response.Check
			for _, s := range in.Steps {
				if s.Refusal != nil {
					found = append(found, s.Refusal.Check)
				}
			}
			if !slices.Contains(found, a.check) && !slices.Contains(ofTheRequest, a.check) {
				t.Errorf("refused at %q, and an inspection reports %q", a.check, found)
			}
		})
	}
}
