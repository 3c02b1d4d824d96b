package poolapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/federation/trace"
)

// Traces are of one pool here, so that a key which is for some pools sees theirs alone. Those that name none, of answers that nobody waited for, are for
// the command line.

// loginTrace is what both forms of a trace can do.
type loginTrace interface{ WriteText(w io.Writer) error }

func (s *Service) getLoginTrace(ctx context.Context, _ Caller, in *api.GetLoginTraceRequest) (*api.GetLoginTraceResponse, error) {
	t, err := s.OAuth.Traces.Get(ctx, in.Reference)
	switch {
	case errors.Is(err, trace.ErrReference):
		return nil, refuse("InvalidParameterException", "A reference has 16 letters and digits in groups of four, and an attempt's id 22 characters.", err)
	case errors.Is(err, trace.ErrUnknown), err == nil && t.Pool != in.UserPoolID:
		return nil, refuse("ResourceNotFoundException", "Login trace does not exist.", err)
	case err != nil:
		return nil, err
	}
	var shown loginTrace = t
	if said(in.Redacted) {
		shown = t.Redacted()
	}
	var text strings.Builder
	if err := shown.WriteText(&text); err != nil {
		return nil, fmt.Errorf("write a trace: %w", err)
	}
	document, err := json.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("write a trace: %w", err)
	}
	return &api.GetLoginTraceResponse{Text: text.String(), Trace: document}, nil
}

// tracesToken is where a list goes on: behind so many traces of that very time.
type tracesToken struct {
	At    time.Time `json:"t"`
	Count int       `json:"n"`
}

func (s *Service) listLoginTraces(ctx context.Context, by Caller, in *api.ListLoginTracesRequest) (*api.ListLoginTracesResponse, error) {
	f := trace.Filter{Pools: []string{in.UserPoolID}, Provider: in.ProviderName, Client: in.ClientID, Failed: said(in.Failed)}
	if in.Since != nil {
		f.Since = in.Since.Time
	}
	if in.Username != "" {
		u, err := s.user(ctx, by, in.UserPoolID, in.Username)
		if err != nil {
			return nil, err
		}
		f.Sub = u.Sub
	}
	of := "login traces " + in.UserPoolID
	var from tracesToken
	if in.NextToken != "" {
		text, err := s.Directory.OpenToken(in.NextToken, of)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &from); err != nil {
			return nil, fault.New(fault.Invalid, "The pagination token is not valid.", err)
		}
		f.Before = from.At.Add(1)
	}
	limit := limitOf(in.MaxResults)
	list, err := s.OAuth.Traces.List(ctx, f, from.Count+limit+1)
	if err != nil {
		return nil, err
	}
	list = list[min(from.Count, len(list)):]
	out := &api.ListLoginTracesResponse{LoginTraces: []api.LoginTraceType{}}
	for i := range list[:min(limit, len(list))] {
		out.LoginTraces = append(out.LoginTraces, traceType(&list[i]))
	}
	if len(list) > limit {
		last := tracesToken{At: list[limit-1].At}
		if last.At.Equal(from.At) {
			last.Count = from.Count
		}
		for i := limit - 1; i >= 0 && list[i].At.Equal(last.At); i-- {
			last.Count++
		}
		text, err := json.Marshal(last)
		if err != nil {
			return nil, fmt.Errorf("write a token: %w", err)
		}
		out.NextToken = s.Directory.SealToken(string(text), of)
	}
	return out, nil
}

func traceType(t *trace.Trace) api.LoginTraceType {
	outcome := "FAILED"
	if t.Outcome == trace.Succeeded {
		outcome = "SUCCEEDED"
	}
	return api.LoginTraceType{
		Reference: t.Reference, Date: api.TimeOf(t.At), Outcome: outcome, ProviderName: t.Provider, ClientID: t.Client, UserSub: t.Sub, Username: t.Username,
		AttemptID: t.Attempt, Code: t.Code,
	}
}
