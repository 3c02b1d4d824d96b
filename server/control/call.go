package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// ErrNotServing: no process listens on the socket.
var ErrNotServing = errors.New("no serving process listens there")

// Call asks the process behind the socket. op is apply, export, backup, trace, user or mapping. What the process has to say is
// written to out. Errors: ErrNotServing, also where no process could have opened such a socket, and the text of what failed there.
func Call(ctx context.Context, socket, op string, in any, out io.Writer) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) }}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weir/"+op, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: transport}).Do(req)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, errTooLong):
		return fmt.Errorf("%w: %w", ErrNotServing, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the control socket %s may be opened by its owner alone: run this command as the user that weir serves as: %w", socket, err)
	case err != nil:
		return fmt.Errorf("ask the serving process: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // read to the end below
	var rep reply
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the serving process does not understand the request (status %d): is it another release of weir? Restart it, or use its own command", res.StatusCode)
	}
	if err := json.NewDecoder(res.Body).Decode(&rep); err != nil {
		return fmt.Errorf("the answer of the serving process: %w", err)
	}
	if _, err := io.WriteString(out, rep.Output); err != nil {
		return err
	}
	if rep.Error != "" {
		return errors.New(rep.Error)
	}
	return nil
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	name, release, err := address(socket)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", name)
}
