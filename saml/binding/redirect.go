package binding

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/weir-id/weir/saml/xmlsig"
)

// sendRedirect is the DEFLATE encoding (SAML bindings section 3.4.4.1). Parameters that the destination
// already has stand first and are not signed.
func sendRedirect(m Message, relayState string, s *xmlsig.Signer) (Outgoing, error) {
	target, query, _ := strings.Cut(m.Target(), "?")
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err != nil || slices.Contains(redirectParams, name) {
			return Outgoing{}, fmt.Errorf("%w: the query of the destination is malformed or uses a name of SAML's", ErrMessage)
		}
	}
	doc, err := xmlsig.Bytes(m.Element())
	if err != nil {
		return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	packed, err := deflate(doc)
	if err != nil {
		return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	own := m.Parameter() + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed))
	if relayState != "" {
		own += "&" + paramRelayState + "=" + url.QueryEscape(relayState)
	}
	if s != nil {
		algorithm, err := xmlsig.AlgorithmFor(s.Key)
		if err != nil {
			return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		own += "&" + paramSigAlg + "=" + url.QueryEscape(algorithm)
		_, signature, err := xmlsig.SignBytes(s.Key, []byte(own))
		if err != nil {
			return Outgoing{}, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		own += "&" + paramSignature + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	if query != "" {
		own = query + "&" + own
	}
	return Outgoing{URL: target + "?" + own}, nil
}

// writers are kept: a new one is 800 KB, which costs as much as a signature.
var writers sync.Pool

func deflate(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, ok := writers.Get().(*flate.Writer)
	if ok {
		w.Reset(&b)
	} else {
		var err error
		if w, err = flate.NewWriter(&b, flate.DefaultCompression); err != nil {
			return nil, err
		}
	}
	defer writers.Put(w)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// inflate stops at limit bytes, whatever the input promises.
func inflate(data []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(data)
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the DEFLATE data is damaged", ErrEncoding)
	case len(out) > limit:
		return nil, fmt.Errorf("%w: more than %d bytes when inflated", ErrTooLarge, limit)
	case in.Len() > 0:
		return nil, fmt.Errorf("%w: data behind the end of the DEFLATE data", ErrEncoding)
	}
	return out, nil
}

// redirectParams may stand once in a query.
var redirectParams = []string{paramRequest, paramResponse, paramRelayState, paramSigAlg, paramSignature, paramEncoding}

// rawQuery is the query of a message, as it came.
type rawQuery struct {
	raw map[string]string // name=value as it came, by name
	val map[string]string // decoded value, by name
}

func parseRawQuery(query string) (rawQuery, error) {
	q := rawQuery{raw: map[string]string{}, val: map[string]string{}}
	for part := range strings.SplitSeq(query, "&") {
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return q, fmt.Errorf("%w: the query is malformed", ErrEncoding)
		}
		if !slices.Contains(redirectParams, name) {
			continue
		}
		if _, twice := q.raw[name]; twice {
			return q, fmt.Errorf("%w: %s stands twice in the query", ErrEncoding, name)
		}
		// What is signed begins with the literal name, so a disguised one is a game.
		if rawName != name {
			return q, fmt.Errorf("%w: the name %s is percent-encoded", ErrEncoding, name)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return q, fmt.Errorf("%w: the value of %s is malformed", ErrEncoding, name)
		}
		q.raw[name], q.val[name] = part, value
	}
	return q, nil
}

// signed returns what the signature has to cover (SAML bindings section 3.4.4.1). Some senders leave an empty RelayState
// out of the signature as the text says, others sign it: both mean the same, so there may be two answers.
func (q rawQuery) signed(param string) []string {
	tail := "&" + q.raw[paramSigAlg]
	relay, ok := q.raw[paramRelayState]
	switch {
	case !ok:
		return []string{q.raw[param] + tail}
	case q.val[paramRelayState] == "":
		return []string{q.raw[param] + tail, q.raw[param] + "&" + relay + tail}
	}
	return []string{q.raw[param] + "&" + relay + tail}
}
