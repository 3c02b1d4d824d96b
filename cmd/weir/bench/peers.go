package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// What the peers can be told to do.
const (
	opRegister = "register" // people and callback address of one more node
	opLogin    = "login"
	opRefresh  = "refresh"
	opUserInfo = "userinfo"
)

// order is one line to the peers.
type order struct {
	Op       string `json:"op"`
	Base     string `json:"base"` // of the node
	Client   string `json:"client,omitempty"`
	Browsers int    `json:"browsers,omitempty"` // at the same time
	Count    int    `json:"count,omitempty"`    // in all
	Step     int    `json:"step,omitempty"`     // people are every step-th user of the node, SmallUsers of them
}

// outcome is one line from the peers. The first of all tells the issuer.
type outcome struct {
	Issuer string `json:"issuer,omitempty"`
	Error  string `json:"error,omitempty"`
}

// peers is the child process as the measuring process sees it.
type peers struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	issuer string
}

func startPeers(ctx context.Context, command []string) (*peers, error) {
	p := &peers{cmd: exec.CommandContext(ctx, command[0], command[1:]...)} //nolint:gosec // this program itself
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the peers: %w", err)
	}
	hello, err := p.read()
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.issuer = hello.Issuer
	return p, nil
}

func (p *peers) read() (outcome, error) {
	var o outcome
	if !p.out.Scan() {
		return o, fmt.Errorf("the peers are gone: %w", errors.Join(p.out.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(p.out.Bytes(), &o); err != nil {
		return o, fmt.Errorf("answer of the peers: %w", err)
	}
	if o.Error != "" {
		return o, errors.New(o.Error)
	}
	return o, nil
}

// do gives an order and waits until it is done.
func (p *peers) do(ctx context.Context, o order) error {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return err
	}
	_, err := p.read()
	return errors.Join(err, ctx.Err())
}

func (p *peers) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// RunPeers is the child process: it serves the OpenID provider and takes orders until in ends.
func RunPeers(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c := &crowd{issuer: "http://" + l.Addr().String(), tokens: map[string][]answer{}}
	c.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	srv := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		if closed := errors.Join(srv.Close(), <-served); !errors.Is(closed, http.ErrServerClosed) {
			err = errors.Join(err, closed)
		}
	}()
	enc := json.NewEncoder(out)
	if err := enc.Encode(outcome{Issuer: c.issuer}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var o order
		var answer outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		if err := c.do(ctx, o); err != nil {
			answer.Error = err.Error()
		}
		if err := enc.Encode(answer); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// crowd is the OpenID provider, its people's browsers and the application.
type crowd struct {
	issuer string
	http   *http.Client

	mu        sync.Mutex
	provider  *oidctest.Provider
	callbacks []string
	people    map[string]oidctest.Person
	tokens    map[string][]answer // of the last logins, by base and client
}

// ServeHTTP implements http.Handler: the provider as it is now.
func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	p := c.provider
	c.mu.Unlock()
	p.ServeHTTP(w, r)
}

func (c *crowd) do(ctx context.Context, o order) error {
	if o.Op == opRegister {
		return c.register(o)
	}
	work := map[string]func(context.Context, order, int) error{opLogin: c.login, opRefresh: c.refresh, opUserInfo: c.userInfo}[o.Op]
	if work == nil {
		return fmt.Errorf("unknown order %q", o.Op)
	}
	if o.Op == opLogin {
		c.tokens[o.Base+o.Client] = nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for b := range o.Browsers {
		g.Go(func() error {
			for i := b; i < o.Count; i += o.Browsers {
				if err := work(ctx, o, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// register makes the provider anew, with the people of one more node.
func (c *crowd) register(o order) error {
	c.callbacks = append(c.callbacks, o.Base+callbackPath)
	if c.people == nil {
		c.people = map[string]oidctest.Person{}
	}
	for i := range SmallUsers {
		claims := map[string]any{}
		for name, value := range attributes(i * o.Step) {
			claims[name] = value
		}
		claims["email_verified"] = true
		s := subject(i * o.Step)
		c.people[s] = oidctest.Person{Username: s, Password: s, Subject: s, Claims: claims}
	}
	cfg := oidctest.Config{Issuer: c.issuer, Now: time.Now,
		Clients: []oidctest.Client{{ID: upstreamID, Secret: upstreamSecret, RedirectURIs: c.callbacks}}}
	for _, p := range c.people {
		cfg.People = append(cfg.People, p)
	}
	p, err := oidctest.New(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.provider = p
	return nil
}
