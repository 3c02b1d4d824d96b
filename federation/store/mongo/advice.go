package mongo

import "strings"

// advice is what to change where the server cannot be spoken to for a reason that stays, by what stands in the error. The driver keeps the causes of a failed
// selection of a server as text alone. The first that is met counts.
var advice = []struct{ says, change string }{
	{"x509: certificate signed by unknown authority", "the connection string's tlsCAFile has to name a file with the certificate authority that signed the server's certificate"},
	{"x509: certificate is valid for", "the host in the connection string has to be one that the server's certificate names"},
	{"x509: cannot validate certificate for", "the host in the connection string has to be one that the server's certificate names"},
	{"x509: certificate has expired or is not yet valid", "the server's certificate has to be renewed, or the clock of this machine is wrong"},
	{"tls: certificate required", wantsCertificate},
	{"tls: bad certificate", wantsCertificate},
	{"tls: unknown certificate authority", wantsCertificate},
	{"(AuthenticationFailed)", "user name, password, authSource and authMechanism in the connection string have to be those of a user of the server"},
	{"(Unauthorized)", "the user needs the role readWrite on the database, and the connection string has to say who it is"},
	{"incomplete read of message header", endsAtOnce},
	{"connection reset by peer", endsAtOnce},
}

const (
	wantsCertificate = "the server wants a client certificate of an authority that it trusts: the connection string's tlsCertificateKeyFile has to name a file with certificate and key"
	endsAtOnce       = "the server ends the connection at once: tls=true belongs into the connection string where the server speaks TLS at this address, and only there"
)

// advise returns err with what to change, if that is known. Whoever can do it is an administrator at the start, not a person at a sign-in.
func advise(err error) string {
	text := err.Error()
	for _, a := range advice {
		if strings.Contains(text, a.says) {
			return "; " + a.change
		}
	}
	return ""
}
