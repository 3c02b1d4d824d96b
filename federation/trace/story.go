package trace

import (
	"fmt"
	"strings"
)

// saying is a step in words: what is so where it was passed, or happened, and what is wrong where it was failed.
type saying struct{ so, wrong string }

// sayings are the steps that this release knows. One of another release, or of a part that has none here, is told by its name.
var sayings = map[string]saying{
	StepBegan:    {so: "The browser was sent to the provider"},
	StepReturned: {so: "The browser came back with the provider's answer"},
	StepReceived: {so: "What the provider said of the person:"},
	StepMapping:  {so: "What the attribute mapping made of it:"},
	StepUser:     {so: "The user was"},
	StepGroups:   {so: "What the provider's groups came to"},
	StepTokens:   {so: "The provider's tokens were"},
	StepGrant:    {so: "The application can now get its tokens"},
	StepAsked:    {so: "The person was asked whether they have a user already"},
	StepProven:   {so: "The person signed in as the user that they have already"},
	StepChosen:   {so: "The person chose"},

	"oidc.state":            {"The answer is to the sign-in that this browser began", "The answer is to another sign-in than this browser began"},
	"oidc.discovery":        {"The provider's discovery document is good", "The provider's discovery document cannot be had, or is not usable"},
	"oidc.response":         {"The answer has the right form and is of this provider", "The answer does not have the right form"},
	"oidc.answer":           {"The provider did not answer with an error", "The provider answered with an error"},
	"oidc.token":            {"The provider took the code and gave tokens for it", "The provider's token endpoint refused the code, or could not be asked"},
	"oidc.id_token":         {"The ID token has the right form", "There is no ID token, or it does not have the right form"},
	"oidc.keys":             {"The provider's keys can be had", "The provider's keys cannot be had"},
	"oidc.signature":        {"The ID token is signed with one of the provider's keys", "The signature is of none of the provider's keys, or its algorithm is not allowed"},
	"oidc.issuer":           {"The ID token is of the issuer that is configured", "The answer is of another issuer than is configured"},
	"oidc.audience":         {"The ID token is for this client", "The ID token is for another client"},
	"oidc.authorized_party": {"The ID token was issued to this client", "The ID token was issued to another client (azp)"},
	"oidc.times":            {"The ID token is valid now", "The ID token is too old, or not valid yet: compare the clocks"},
	"oidc.nonce":            {"The ID token was made for this sign-in (nonce)", "The ID token was made for another sign-in (nonce)"},
	"oidc.auth_time":        {"The person authenticated when they should have", "The person authenticated longer ago than was asked for, or the provider does not say when"},
	"oidc.subject":          {"The provider says who it is", "The provider does not say who it is (sub)"},
	"oidc.at_hash":          {"The access token belongs to the ID token (at_hash)", "The access token does not belong to the ID token (at_hash)"},
	"oidc.userinfo":         {"Userinfo is about the same person", "Userinfo could not be had, or is about somebody else"},
	"oidc.profile":          {"The provider's interface says who the access token is of", "The provider's interface does not say who it is"},
	"oidc.more":             {"The provider's interface was asked for more", "The provider's interface could not be asked"},
	"oidc.account":          {"The settings admit this account", "The settings do not admit this account"},

	"saml.message":          {so: "The provider's response, by what it says of itself"},
	"saml.signature":        {so: "A signature is there"},
	"saml.metadata_renewed": {so: "The provider's metadata was read again, because no known key had made the signature"},
	"saml.replay":           {"The assertion is used for the first time", "The assertion was used before"},
	"saml.expect":           {"Enough is known of the provider", "Our own configuration is incomplete"},
	"saml.base64":           {"The response is base64", "The response is not base64"},
	"saml.limits":           {"The response is within the limits", "The response is larger than is allowed"},
	"saml.xml":              {"The response is XML", "The response is not acceptable XML"},
	"saml.shape":            {"The response has the right form", "The response has elements where SAML has none"},
	"saml.assertions":       {"There is one assertion", "There is not exactly one assertion"},
	"saml.ids":              {"The IDs are unique", "An ID is missing, or occurs twice"},
	"saml.version":          {"It is SAML 2.0", "It is not SAML 2.0"},
	"saml.destination":      {"It was sent to our address", "It was sent to another address than ours"},
	"saml.issuer":           {"It is from this provider", "It is from another provider than is configured"},
	"saml.in_response_to":   {"It answers the request of this browser", "It does not answer the request of this browser"},
	"saml.status":           {"The provider reports success", "The provider reports a failure"},
	"saml.unsigned":         {"It is signed", "Neither the response nor the assertion is signed"},
	"saml.signature_shape":  {"The signature has the right form", "The signature does not have the form that SAML prescribes"},
	"saml.algorithm":        {"The signature's algorithm is accepted", "The signature's algorithm is not accepted"},
	"saml.signing_key":      {"It is signed with a key of the provider's metadata", "It is signed with none of the keys in the provider's metadata"},
	"saml.digest":           {"It was not changed after it was signed", "It was changed after it was signed"},
	"saml.unencrypted":      {"The assertion is encrypted", "The assertion is not encrypted, which is required"},
	"saml.encryption":       {"The encryption is accepted", "The encryption is not of a kind that is accepted"},
	"saml.decryption":       {"The encrypted assertion can be read", "The encrypted assertion cannot be read with our keys"},
	"saml.issue_instant":    {"It was issued just now", "When it was issued is missing, or in the future: compare the clocks"},
	"saml.stale":            {"It is fresh", "It is unsolicited and too old"},
	"saml.subject":          {"It has a Subject", "It has no Subject"},
	"saml.name_id":          {"It has a NameID", "It has no usable NameID"},
	"saml.confirmation":     {"Whoever brings it may use it", "Nothing confirms that whoever brings it may use it"},
	"saml.recipient":        {"It is confirmed for our address", "It is confirmed for another address"},
	"saml.conditions":       {"Its conditions are known", "It has no Conditions, or an unknown one"},
	"saml.audience":         {"It is for this service", "It is for another service"},
	"saml.expired":          {"It is valid now", "It came too late: compare the clocks"},
	"saml.not_yet_valid":    {"It is valid now", "It is not valid yet: compare the clocks"},
	"saml.authn_statement":  {"It says how the person signed in", "It does not say how the person signed in"},
	"saml.force_authn":      {"The person signed in anew", "The person did not sign in anew, as was asked for"},
	"saml.authn_context":    {"The person signed in in a way that will do", "The person signed in in another way than was asked for"},
	"saml.attributes":       {"Its attributes can be read", "Its attributes cannot be read"},
	"saml.encrypted_pieces": {"Nothing is encrypted by itself", "A NameID or an attribute is encrypted by itself"},
}

// text is one step in words, on one line.
func (s Step) text() string {
	known, ok := sayings[s.Name]
	words := known.so
	if s.Outcome == Refused {
		words = known.wrong
	}
	if !ok || words == "" {
		words = s.Name
	}
	facts := make([]string, 0, len(s.Facts))
	for _, f := range s.Facts {
		switch {
		case s.Name == StepUser && f.Name == "user", s.Name == StepTokens && f.Name == "tokens", s.Name == StepChosen && f.Name == "chosen":
			words += " " + f.Text
		case f.Name == FactMore:
		default:
			facts = append(facts, f.Name+" "+f.Text)
		}
	}
	if len(facts) > 0 {
		words += ": " + strings.Join(facts, "; ")
	} else if !strings.HasSuffix(words, ":") {
		words += "."
	}
	return words
}

// more is how many claims are not among those that are listed.
func (s Step) more() string {
	for _, f := range s.Facts {
		if f.Name == FactMore {
			return f.Text
		}
	}
	return ""
}

// writeSteps tells the steps in their order.
func writeSteps(line func(string, ...any), steps []Step) {
	if len(steps) == 0 {
		return
	}
	line("")
	line("Step by step, in seconds since it began")
	for _, s := range steps {
		line("  %9.3f  %-7s  %s", float64(s.After)/1000, s.Outcome, s.text())
		for _, c := range s.Claims {
			line("  %9s  %-7s    %s", "", "", c.text())
		}
		if more := s.more(); more != "" {
			line("  %9s  %-7s    and %s more", "", "", more)
		}
		for _, r := range s.Rules {
			line("  %9s  %-7s    %s", "", "", r.text())
		}
	}
}

func (c Claim) text() string {
	what := c.Type
	switch {
	case c.Type == "list" || c.Type == "object":
		what = fmt.Sprintf("%s of %d", c.Type, c.Count)
	case c.Type == "text":
		what = fmt.Sprintf("%s of %d", c.Type, c.Length)
	}
	switch {
	case c.Withheld:
		return fmt.Sprintf("%s: %s, not kept", c.Name, what)
	case len(c.Values) == 0:
		return fmt.Sprintf("%s: %s", c.Name, what)
	}
	quoted := make([]string, len(c.Values), len(c.Values)+1)
	for i, v := range c.Values {
		quoted[i] = `"` + v + `"`
	}
	if c.Count > len(c.Values) {
		quoted = append(quoted, cutMark)
	}
	return fmt.Sprintf("%s: %s: %s", c.Name, what, strings.Join(quoted, ", "))
}

func (r Rule) text() string {
	text := fmt.Sprintf("%s: %s, from %s", r.Attribute, r.Outcome, r.Source)
	if r.Note != "" {
		text += " (" + r.Note + ")"
	}
	return text
}
