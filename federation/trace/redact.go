package trace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Redacted is what of a trace may be sent to the provider's administrator, who is of another company: what was sent by them and what we
// checked. It is made of what is known to be shareable, and everything else is left out: values of claims, ids of ours, addresses, names of
// applications, the mapping, causes, and what a release does not know.
type Redacted struct {
	Reference    string    `json:"reference"` // by which both sides speak of it
	Kind         Kind      `json:"kind"`
	Outcome      string    `json:"outcome"`
	At           time.Time `json:"at"`
	Began        time.Time `json:"began,omitzero"`
	ProviderType string    `json:"provider_type,omitempty"`

	Code   string   `json:"code,omitempty"`
	Check  string   `json:"check,omitempty"`  // the one that failed
	Status []string `json:"status,omitempty"` // codes that the provider answered
	Change []string `json:"change,omitempty"` // what to change at the provider

	Steps []RedactedStep `json:"steps,omitempty"`
}

// RedactedStep is a Step without what is not to be shown.
type RedactedStep struct {
	After   int64           `json:"ms"`
	Name    string          `json:"name"`
	Outcome Outcome         `json:"outcome,omitempty"`
	Facts   []Fact          `json:"facts,omitempty"`
	Claims  []RedactedClaim `json:"claims,omitempty"`
	Missing []MissingClaim  `json:"missing,omitempty"` // of StepMapping
}

// RedactedClaim says of a claim everything but the values. Marks are short keyed hashes: equal values of one trace have equal marks.
type RedactedClaim struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Count  int      `json:"count,omitempty"`
	Length int      `json:"length,omitempty"`
	Marks  []string `json:"marks,omitempty"`
}

// MissingClaim is a claim that our mapping reads and did not find, or could not use.
type MissingClaim struct {
	Claim   string `json:"claim"`
	Outcome string `json:"outcome"`
}

// shareable are the facts that speak of the provider's own messages, or of what it knows of us anyway.
var shareable = map[string]bool{
	"alg": true, "kid": true, "iss": true, "aud": true, "azp": true, "exp": true, "nbf": true, "iat": true, "auth_time": true,
	"expected_issuer": true, "client_id": true, // our name at the provider
	"client_authentication": true, "error": true, "claims": true, "away": true, "prompt": true, "max_age": true, "acr_values": true,
	"response_id": true, "in_response_to": true, "assertion_id": true, "issue_instant": true, "destination": true, "issuer": true, "element": true, "id": true,
	"entity_id": true, "sp_entity_id": true, FactMore: true,
}

// spoken are claims by which a token or an assertion speaks of itself: they are no value of a person.
var spoken = []string{"iss", "aud", "azp", "exp", "iat", "nbf", "auth_time", "acr", "amr", "NameIDFormat", "AuthnContextClassRef", "AuthnInstant"}

// asks are what the provider's administrator may look at where a check failed and the cause does not say it better.
var asks = map[string]string{ //nolint:gosec // names of checks and sentences, no credentials
	"oidc.discovery":        "The discovery document has to be at the expected issuer and name it, character by character.",
	"oidc.token":            "Look in the provider's log for the token request at this time: client authentication, code, redirect URI and PKCE.",
	"oidc.id_token":         "Answer the token request with an ID token: is the scope openid allowed for this client?",
	"oidc.keys":             "Publish the signing keys at the jwks_uri, reachable from the internet.",
	"oidc.signature":        "Sign with a key that the jwks_uri publishes under its kid, and with an algorithm that the discovery document names.",
	"oidc.issuer":           "The iss of the answer and of the ID token has to be the expected issuer, character by character.",
	"oidc.audience":         "Issue the ID token for the client id that is named in the step.",
	"oidc.authorized_party": "Issue the ID token to the client id that is named in the step (azp).",
	"oidc.times":            "Compare the provider's clock with UTC, and the lifetime of its ID tokens.",
	"oidc.nonce":            "Repeat the nonce of the authorization request in the ID token, for each request its own.",
	"oidc.auth_time":        "Honour max_age and prompt=login, and say in auth_time when the person authenticated.",
	"oidc.subject":          "Send a sub of 1 to 255 characters.",
	"oidc.at_hash":          "Make at_hash of the access token that comes with the ID token.",
	"oidc.userinfo":         "Userinfo has to be reachable, and to answer with the sub of the ID token.",
}

// ask is what to look at for the check that failed, "" where nothing is known.
func (t *Trace) ask() string {
	for _, s := range t.Steps {
		if s.Outcome == Refused {
			return asks[s.Name]
		}
	}
	return ""
}

// entraCode is an error code of Entra ID, which its texts begin with; what comes behind names people.
var entraCode = regexp.MustCompile(`\bAADSTS[0-9]{4,8}\b`)

// Redacted returns the form for another company.
func (t Trace) Redacted() Redacted {
	r := redaction{salt: t.Salt}
	r.learn(t)
	out := Redacted{Reference: t.Reference, Kind: t.Kind, Outcome: t.Outcome, At: t.At, Began: t.Began, ProviderType: r.text(t.ProviderType), Code: r.text(t.Code)}
	for _, s := range t.Steps {
		if step, ok := r.step(s); ok {
			out.Steps = append(out.Steps, step)
			if s.Outcome == Refused {
				out.Check = s.Name
			}
		}
	}
	if check := t.fact(FactCheck); len(check) > 0 && out.Check == "" {
		out.Check = r.text(check[0])
	}
	for _, code := range t.fact(FactStatus) {
		out.Status = append(out.Status, r.text(code))
	}
	for _, message := range t.fact(FactMessage) {
		out.Status = append(out.Status, entraCode.FindAllString(message, 4)...)
	}
	for _, advice := range t.fact(FactAdvice) {
		out.Change = append(out.Change, r.advice(advice))
	}
	if ask := t.ask(); ask != "" && len(out.Change) == 0 {
		out.Change = []string{ask}
	}
	return out
}

// redaction knows the values that must not be in what is shown, wherever they stand, and the texts of the provider that may be.
type redaction struct {
	salt   string
	secret []string
	known  map[string]bool
}

// minSecret is the length from which a value is looked for in other texts: shorter ones are in every word.
const minSecret = 4

func (r *redaction) learn(t Trace) {
	r.known = map[string]bool{}
	for _, s := range t.Steps {
		for _, f := range s.Facts {
			if shareable[f.Name] {
				r.known[f.Text] = true
			}
		}
	}
	add := func(v string) {
		if v = strings.TrimSuffix(v, cutMark); len(v) >= minSecret && !slices.Contains(r.secret, v) {
			r.secret = append(r.secret, v)
		}
	}
	for _, v := range []string{t.Sub, t.Username, t.Identity, t.Grant, t.Attempt, t.Salt, t.Client} {
		add(v)
	}
	for _, s := range t.Steps {
		for _, f := range s.Facts {
			if !shareable[f.Name] {
				add(f.Text)
			}
		}
		for _, c := range s.Claims {
			if slices.Contains(spoken, c.Name) || c.Type == "boolean" || c.Type == "null" || c.Type == "object" {
				continue
			}
			for _, v := range c.Values {
				add(v)
			}
		}
	}
	slices.SortFunc(r.secret, func(a, b string) int { return len(b) - len(a) }) // the whole before its parts
}

// text is a text of the provider without what must not be shown.
func (r *redaction) text(s string) string {
	for _, v := range r.secret {
		s = strings.ReplaceAll(s, v, cutMark)
	}
	return s
}

// advice is a sentence of ours in which text of the message is quoted: only what is shareable besides stays in the quotes.
func (r *redaction) advice(s string) string {
	var out strings.Builder
	for s != "" {
		before, _, found := strings.Cut(s, `"`)
		out.WriteString(before)
		if !found {
			break
		}
		s = s[len(before):]
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil { // cut in the middle of a quotation
			out.WriteString(`"` + cutMark)
			break
		}
		s = s[len(quoted):]
		if inner, err := strconv.Unquote(quoted); err != nil || !r.known[inner] {
			quoted = `"` + cutMark + `"`
		}
		out.WriteString(quoted)
	}
	return r.text(out.String())
}

func (r *redaction) step(s Step) (RedactedStep, bool) {
	if !strings.HasPrefix(s.Name, "oidc.") && !strings.HasPrefix(s.Name, "saml.") && !slices.Contains([]string{StepBegan, StepReturned, StepReceived, StepMapping}, s.Name) {
		return RedactedStep{}, false
	}
	if sayings[s.Name] == (saying{}) {
		return RedactedStep{}, false
	}
	out := RedactedStep{After: s.After, Name: s.Name, Outcome: s.Outcome}
	for _, f := range s.Facts {
		if shareable[f.Name] {
			out.Facts = append(out.Facts, Fact{Name: f.Name, Text: r.text(f.Text)})
		}
	}
	for _, c := range s.Claims {
		claim := RedactedClaim{Name: r.text(c.Name), Type: c.Type, Count: c.Count, Length: c.Length}
		if c.Type != "object" {
			for _, v := range c.Values {
				claim.Marks = append(claim.Marks, r.mark(v))
			}
		}
		out.Claims = append(out.Claims, claim)
	}
	for _, rule := range s.Rules {
		switch rule.Outcome {
		case "written", "kept", "cleared", "withheld":
			continue
		}
		if plainSource(rule.Source) {
			out.Missing = append(out.Missing, MissingClaim{Claim: r.text(rule.Source), Outcome: rule.Outcome})
		}
	}
	return out, s.Name != StepMapping || len(out.Missing) > 0
}

// plainSource reports whether the source of a rule is a claim's name or path. Constants, options and expressions are ours.
func plainSource(source string) bool { return source != "" && source[0] != '[' && source[0] != '=' }

// mark is the short hash of a value, "" where only a part of the value is known, or nothing to make it with.
func (r *redaction) mark(v string) string {
	if r.salt == "" || strings.HasSuffix(v, cutMark) {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(r.salt))
	mac.Write([]byte(v))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// WriteText writes the redacted form in plain words.
func (r Redacted) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder takes everything
	line("%s: a %s that %s at %s", r.Reference, kindText(r.Kind), r.Outcome, r.At.UTC().Format(clock))
	line("")
	line("  For the administrator of the identity provider. Values of the person are left out; equal marks (#) are equal values.")
	if r.ProviderType != "" {
		line("  provider type: %s", r.ProviderType)
	}
	if r.Check != "" {
		line("  check that failed: %s", r.Check)
	}
	for _, code := range r.Status {
		line("  the provider answered: %s", code)
	}
	if len(r.Change) > 0 {
		line("")
		line("What to change")
		for _, s := range r.Change {
			line("  %s", s)
		}
	}
	if len(r.Steps) > 0 {
		line("")
		line("Step by step, in seconds since it began")
	}
	for _, s := range r.Steps {
		line("  %9.3f  %-7s  %s", float64(s.After)/1000, s.Outcome, Step{Name: s.Name, Outcome: s.Outcome, Facts: s.Facts}.text())
		for _, c := range s.Claims {
			line("  %9s  %-7s    %s", "", "", c.text())
		}
		for _, m := range s.Missing {
			line("  %9s  %-7s    %s: %s", "", "", m.Claim, m.Outcome)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c RedactedClaim) text() string {
	text := Claim{Name: c.Name, Type: c.Type, Count: c.Count, Length: c.Length}.text()
	for _, m := range c.Marks {
		if m != "" {
			text += " #" + m
		}
	}
	return text
}
