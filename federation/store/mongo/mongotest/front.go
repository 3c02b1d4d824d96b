package mongotest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weir-id/weir/federation/secret"
)

// HostOf returns the host and port of a connection string.
func HostOf(uri secret.Text) string {
	_, rest, _ := strings.Cut(uri.Reveal(), "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Front stands before a server and answers in its place what the server cannot do. It owns no rules of its own but the wire's: messages of
// OP_MSG (2013) with their command in a section of kind 0.
type Front struct {
	net.Listener
	server string
	answer Answer

	mu    sync.Mutex
	conns []net.Conn
}

// Cut cuts all connections.
func (f *Front) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
}

// Answer returns the answer to a command, nil where it is the server's to give.
type Answer func(command bson.Raw, from *Peer) bson.D

// Peer is what a front knows of a connection.
type Peer struct {
	Subject string // of the client's certificate
	known   bool   // it has authenticated
	scram   *Scram // under way
}

// NewFront serves until the test ends, with TLS where there is a config. server is a connection string of Database.
func NewFront(t *testing.T, server secret.Text, config *tls.Config, answer Answer) *Front {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	f := &Front{Listener: l, server: HostOf(server), answer: answer}
	var conns sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); f.Cut(); conns.Wait() })
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { f.serve(context.WithoutCancel(t.Context()), c) })
		}
	})
	return f
}

func (f *Front) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	f.mu.Lock()
	f.conns = append(f.conns, client)
	f.mu.Unlock()
	p := &Peer{}
	if c, ok := client.(*tls.Conn); ok {
		if c.HandshakeContext(ctx) != nil {
			return
		}
		if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
			p.Subject = certs[0].Subject.String()
		}
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", f.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		defer func() { _ = client.Close() }()
		_, _ = io.Copy(client, server)
	}()
	for {
		message, err := readMessage(client)
		if err != nil {
			return
		}
		const header, flags = 16, 4
		if binary.LittleEndian.Uint32(message[12:]) == 2013 && message[header+flags] == 0 {
			size := binary.LittleEndian.Uint32(message[header+flags+1:])
			if reply := f.answer(bson.Raw(message[header+flags+1:][:size]), p); reply != nil {
				if _, err := client.Write(reply2013(message, reply)); err != nil {
					return
				}
				continue
			}
		}
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	if size[0] == 0x16 && size[1] == 3 { // a TLS handshake: MongoDB ends it so
		return nil, io.ErrUnexpectedEOF
	}
	message := make([]byte, max(binary.LittleEndian.Uint32(size[:]), 26))
	copy(message, size[:])
	_, err := io.ReadFull(r, message[4:])
	return message, err
}

func reply2013(to []byte, reply bson.D) []byte {
	body, err := bson.Marshal(reply)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 21, 21+len(body))
	binary.LittleEndian.PutUint32(out, uint32(21+len(body))) //nolint:gosec // an answer of a test
	copy(out[8:], to[4:8])
	binary.LittleEndian.PutUint32(out[12:], 2013)
	return append(out, body...)
}
