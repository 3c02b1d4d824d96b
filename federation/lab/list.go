package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/weir-id/weir/federation/assertion"
	"github.com/weir-id/weir/federation/pool/api"
)

// List says what is kept: the names of the claims, or the claims themselves.
func List(kept []assertion.Kept, claims bool) api.ListKeptAssertionsResponse {
	out := api.ListKeptAssertionsResponse{Assertions: make([]api.KeptAssertionType, len(kept))}
	for i, a := range kept {
		number := int64(a.Number) //nolint:gosec // there are not so many sign-ins
		out.Assertions[i] = api.KeptAssertionType{
			Number: &number, Date: api.TimeOf(a.At), ExpirationDate: api.TimeOf(a.At.Add(a.For)), Issuer: a.Issuer, Subject: a.Subject, UserSub: a.Sub,
			ClaimNames: slices.Sorted(maps.Keys(a.Claims)), RedactedClaims: a.Redacted,
		}
		if a.Fault != "" {
			out.Assertions[i].Fault = &api.TestFaultType{Code: a.Fault, Message: a.Why}
		}
		if claims {
			out.Assertions[i].Claims, _ = json.Marshal(a.Claims) // they came from JSON
		}
	}
	return out
}

// WriteList writes it for a person: a line for each, or of one that has its claims everything.
func WriteList(out io.Writer, list api.ListKeptAssertionsResponse) error {
	if len(list.Assertions) == 0 {
		_, err := fmt.Fprintln(out, "nothing is kept yet")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, a := range list.Assertions {
		result := "signed in"
		if a.Fault != nil {
			result = "failed: " + a.Fault.Message
		}
		if _, err := fmt.Fprintf(w, "#%d\t%s\t%s\t%s\n", *a.Number, a.Date.UTC().Format("2006-01-02 15:04:05 MST"), clip(a.Subject, maxCell), clip(result, maxLine)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if a := list.Assertions[0]; len(list.Assertions) == 1 && a.Claims != nil {
		var claims map[string]json.RawMessage
		if err := json.Unmarshal(a.Claims, &claims); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			mark := ""
			if slices.Contains(a.RedactedClaims, name) {
				mark = "   (not kept as it was)"
			}
			if _, err := fmt.Fprintf(out, "  %s: %s%s\n", clip(name, maxLine), clip(strings.TrimSpace(string(claims[name])), 10*maxLine), mark); err != nil {
				return err
			}
		}
	}
	return nil
}
