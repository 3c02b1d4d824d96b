package mongotest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Scram is the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding, for one user.
type Scram struct {
	User, Password, Salt, Nonce string // Nonce is the server's part
	Iterations                  int

	firstBare, serverFirst, whole string
}

func field(message, name string) string {
	for part := range strings.SplitSeq(message, ",") {
		if v, ok := strings.CutPrefix(part, name+"="); ok {
			return v
		}
	}
	return ""
}

func sum(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(text))
	return string(h.Sum(nil))
}

// First answers the client's first message; "" refuses.
func (s *Scram) First(message string) string {
	bare, ok := strings.CutPrefix(message, "n,,")
	if !ok || field(bare, "n") != s.User || field(bare, "r") == "" {
		return ""
	}
	s.firstBare, s.whole = bare, field(bare, "r")+s.Nonce
	s.serverFirst = fmt.Sprintf("r=%s,s=%s,i=%d", s.whole, base64.StdEncoding.EncodeToString([]byte(s.Salt)), s.Iterations)
	return s.serverFirst
}

// Last answers the client's proof with the server's; "" refuses.
func (s *Scram) Last(message string) string {
	without, proof, ok := strings.Cut(message, ",p=")
	if !ok || without != "c=biws,r="+s.whole {
		return ""
	}
	salted, err := pbkdf2.Key(sha256.New, s.Password, []byte(s.Salt), s.Iterations, sha256.Size)
	if err != nil {
		return ""
	}
	clientKey := sum(string(salted), "Client Key")
	stored := sha256.Sum256([]byte(clientKey))
	auth := s.firstBare + "," + s.serverFirst + "," + without
	want := make([]byte, sha256.Size)
	subtle.XORBytes(want, []byte(clientKey), []byte(sum(string(stored[:]), auth)))
	if got, err := base64.StdEncoding.DecodeString(proof); err != nil || !hmac.Equal(got, want) {
		return ""
	}
	return "v=" + base64.StdEncoding.EncodeToString([]byte(sum(sum(string(salted), "Server Key"), auth)))
}

// Gate lets nobody do anything who has not said who they are: the user by SCRAM-SHA-256, or whoever has the certificate of that subject.
func Gate(user, password, subject string) Answer {
	refused := func(code int, name, text string) bson.D {
		return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
	}
	failed := refused(18, "AuthenticationFailed", "Authentication failed.")
	step := func(payload string, done bool) bson.D {
		if payload == "" {
			return failed
		}
		return bson.D{
			{Key: "conversationId", Value: 1}, {Key: "done", Value: done}, {Key: "payload", Value: bson.Binary{Data: []byte(payload)}}, {Key: "ok", Value: 1.0},
		}
	}
	return func(command bson.Raw, p *Peer) bson.D {
		elements, err := command.Elements()
		if err != nil || len(elements) == 0 {
			return failed
		}
		_, payload, _ := command.Lookup("payload").BinaryOK()
		mechanism, _ := command.Lookup("mechanism").StringValueOK()
		switch name := elements[0].Key(); {
		case name == "saslStart" && mechanism == "SCRAM-SHA-256":
			p.scram = &Scram{User: user, Password: password, Salt: "salt of the test", Nonce: "nonce", Iterations: 4096}
			return step(p.scram.First(string(payload)), false)
		case name == "saslContinue" && p.scram != nil:
			last := p.scram.Last(string(payload))
			p.known = last != ""
			return step(last, true)
		case name == "authenticate" && mechanism == "MONGODB-X509":
			if p.known = p.Subject == subject; !p.known {
				return failed
			}
			return bson.D{{Key: "dbname", Value: "$external"}, {Key: "user", Value: p.Subject}, {Key: "ok", Value: 1.0}}
		case name == "hello" || name == "isMaster" || p.known:
			return nil
		}
		return refused(13, "Unauthorized", "command requires authentication")
	}
}
