package mongo_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// front stands before a server and answers in its place what the server cannot do. It owns no rules of its own but the wire's: messages of
// OP_MSG (2013) with their command in a section of kind 0.
type front struct {
	net.Listener
	server string
	// answer returns the answer to a command, nil where it is the server's to give. state is of the connection.
	answer func(command bson.Raw, state *peer) bson.D
}

// peer is what a front knows of a connection.
type peer struct {
	subject string // of the client's certificate
	known   bool   // it has authenticated
}

func newFront(t *testing.T, server string, config *tls.Config, answer func(bson.Raw, *peer) bson.D) *front {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	f := &front{Listener: l, server: server, answer: answer}
	var conns sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
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

func (f *front) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	p := &peer{}
	if c, ok := client.(*tls.Conn); ok {
		if c.HandshakeContext(ctx) != nil {
			return
		}
		if certs := c.ConnectionState().PeerCertificates; len(certs) > 0 {
			p.subject = certs[0].Subject.String()
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
	binary.LittleEndian.PutUint32(out, uint32(21+len(body)))
	copy(out[8:], to[4:8])
	binary.LittleEndian.PutUint32(out[12:], 2013)
	return append(out, body...)
}
