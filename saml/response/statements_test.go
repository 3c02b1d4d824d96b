package response_test

import (
	"strings"
	"time"

	"github.com/weir-id/weir/saml/response"
)

// asked is the authentication context that a reply names by itself.
const asked = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

// statements are well signed and say the wrong thing.
func statements() map[string]attack {
	signed := func(old, with string) func(*reply, *response.Expect) {
		return func(r *reply, _ *response.Expect) { r.before = r.swap(old, with) }
	}
	later := func(d time.Duration) func(*reply, *response.Expect) {
		return func(_ *reply, e *response.Expect) { e.Now = now.Add(d) }
	}
	unsolicited := func(age time.Duration) func(*reply, *response.Expect) {
		return func(r *reply, e *response.Expect) {
			e.RequestID, r.answers, r.before, r.issued = "", "", r.swap(` InResponseTo="`+req+`"`, ""), age
		}
	}
	return map[string]attack{
		"wrong Issuer of the Response":        {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.issuer = strings.Replace(r.issuer, idp, "urn:other", 1) }},
		"wrong Issuer of the assertion":       {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.assertionIssuer = "<Issuer>urn:other</Issuer>" }},
		"no Issuer of the assertion":          {response.CheckIssuer, func(r *reply, _ *response.Expect) { r.assertionIssuer = "<!-- </Issuer> -->" }},
		"wrong Audience":                      {response.CheckAudience, signed("<Audience>"+sp, "<Audience>urn:weir:sp:other")},
		"our audience as a part of another":   {response.CheckAudience, signed("<Audience>"+sp, "<Audience>"+sp+"2")},
		"no AudienceRestriction":              {response.CheckAudience, signed(audience, "")},
		"an empty AudienceRestriction":        {response.CheckAudience, signed(audience, "<AudienceRestriction/>")},
		"two restrictions, one not ours":      {response.CheckAudience, signed(audience, audience+strings.Replace(audience, sp, "urn:other", 1))},
		"an unknown condition":                {response.CheckConditions, signed(audience, audience+`<Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>`)},
		"a condition of another namespace":    {response.CheckConditions, signed(audience, audience+`<OneTimeUse xmlns="urn:x"/>`)},
		"no Conditions":                       {response.CheckConditions, func(r *reply, _ *response.Expect) { r.conditions = "" }},
		"wrong Recipient":                     {response.CheckRecipient, signed(`Recipient="`+acs, `Recipient="https://other.example/acs`)},
		"no Recipient":                        {response.CheckRecipient, signed(` Recipient="`+acs+`"`, "")},
		"wrong Destination":                   {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination = ` Destination="https://other.example/acs"` }},
		"an empty Destination":                {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination = ` Destination=""` }},
		"no Destination in a signed Response": {response.CheckDestination, func(r *reply, _ *response.Expect) { r.destination, r.responseSigned = "", &signing{} }},
		"expired confirmation":                {response.CheckExpired, later(8 * time.Minute)},
		"expired Conditions":                  {response.CheckExpired, func(r *reply, e *response.Expect) { r.conditions = strings.Replace(r.conditions, "{+1h}", "{-3m}", 1) }},
		"Conditions not yet valid": {response.CheckNotYetValid, func(r *reply, e *response.Expect) {
			r.conditions = strings.Replace(r.conditions, "{-1s}", "{+181s}", 1)
		}},
		"confirmation not yet valid":                  {response.CheckNotYetValid, signed("<SubjectConfirmationData", `<SubjectConfirmationData NotBefore="`+at(4*time.Minute)+`"`)},
		"IssueInstant in the future":                  {response.CheckIssueInstant, func(r *reply, _ *response.Expect) { r.issued = 181 * time.Second }},
		"IssueInstant of the assertion in the future": {response.CheckIssueInstant, signed(`<Assertion ID="_a1" IssueInstant="2026`, `<Assertion ID="_a1" IssueInstant="2027`)},
		"IssueInstant without a zone":                 {response.CheckIssueInstant, signed(`00Z" Version="2.0" xmlns=`, `00" Version="2.0" xmlns=`)},
		"no IssueInstant":                             {response.CheckIssueInstant, signed(` IssueInstant="`+at(-time.Second)+`" Version="2.0" xmlns`, ` Version="2.0" xmlns`)},
		"no Subject":                                  {response.CheckSubject, func(r *reply, _ *response.Expect) { r.subject = "" }},
		"no NameID":                                   {response.CheckNameID, func(r *reply, _ *response.Expect) { r.subject = "<Subject>" + confirmation + "</Subject>" }},
		"an empty NameID":                             {response.CheckNameID, signed(">alice@corp.example</NameID>", "> </NameID>")},
		"a NameID of 100,000 characters":              {response.CheckLimits, signed("alice@corp.example</NameID>", strings.Repeat("a", 100000)+"</NameID>")},
		"a NameID of 1,025 characters":                {response.CheckNameID, signed("alice@corp.example</NameID>", strings.Repeat("a", 1025)+"</NameID>")},
		"a long qualifier":                            {response.CheckNameID, signed("<NameID ", `<NameID NameQualifier="`+strings.Repeat("a", 1025)+`" `)},
		"markup in NameID":                            {response.CheckNameID, signed("alice@corp.example</NameID>", "alice@corp.example<b/></NameID>")},
		"two NameIDs":                                 {response.CheckShape, signed(aliceID, aliceID+aliceID)},
		"a BaseID":                                    {response.CheckNameID, signed(aliceID, "<BaseID/>")},
		"no SubjectConfirmation":                      {response.CheckConfirmation, func(r *reply, _ *response.Expect) { r.subject = "<Subject>" + aliceID + "</Subject>" }},
		"sender-vouches":                              {response.CheckConfirmation, signed("cm:bearer", "cm:sender-vouches")},
		"holder-of-key":                               {response.CheckConfirmation, signed("cm:bearer", "cm:holder-of-key")},
		"no SubjectConfirmationData":                  {response.CheckConfirmation, signed(times(confirmation), `<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>`)},
		"no NotOnOrAfter":                             {response.CheckConfirmation, signed(` NotOnOrAfter="`+at(5*time.Minute)+`" Recipient`, " Recipient")},
		"Version 2.1":                                 {response.CheckVersion, func(r *reply, _ *response.Expect) { r.version = "2.1" }},
		"an assertion of version 1.1":                 {response.CheckVersion, signed(`Version="2.0" xmlns=`, `Version="1.1" xmlns=`)},
		"SAML 1.1": {response.CheckVersion, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.ReplaceAll(doc, "SAML:2.0:protocol", "SAML:1.0:protocol") }
		}},
		"a LogoutResponse": {response.CheckShape, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.ReplaceAll(doc, "samlp:Response", "samlp:LogoutResponse") }
		}},
		"no assertion": {response.CheckAssertions, func(r *reply, _ *response.Expect) {
			r.after = func(doc string) string { return strings.Replace(doc, element(r.tb, doc, "Assertion"), "", 1) }
		}},
		"unsolicited where that is off":   {response.CheckInResponseTo, func(r *reply, _ *response.Expect) { r.answers, r.before = "", r.swap(` InResponseTo="`+req+`"`, "") }},
		"an answer to another request":    {response.CheckInResponseTo, func(_ *reply, e *response.Expect) { e.RequestID = "_other" }},
		"Response and assertion disagree": {response.CheckInResponseTo, signed(`<SubjectConfirmationData InResponseTo="`+req, `<SubjectConfirmationData InResponseTo="_other`)},
		"InResponseTo changed in the Response": {response.CheckInResponseTo, func(r *reply, e *response.Expect) {
			r.after, e.RequestID = r.swap(`InResponseTo="`+req+`" xmlns`, `InResponseTo="_mine" xmlns`), "_mine"
		}},
		"InResponseTo only in the unsigned Response":          {response.CheckInResponseTo, signed(`<SubjectConfirmationData InResponseTo="`+req+`"`, "<SubjectConfirmationData")},
		"InResponseTo only in the assertion":                  {response.CheckInResponseTo, func(r *reply, _ *response.Expect) { r.answers = "" }},
		"an unsolicited response 10 minutes old":              {response.CheckStale, unsolicited(-10 * time.Minute)},
		"an unsolicited response 6 minutes old":               {response.CheckStale, unsolicited(-6 * time.Minute)},
		"an answer on the unsolicited path":                   {response.CheckInResponseTo, func(_ *reply, e *response.Expect) { e.RequestID = "" }},
		"an answer on the unsolicited path, by its assertion": {response.CheckInResponseTo, func(r *reply, e *response.Expect) { e.RequestID, r.answers = "", "" }},
		"an answer on the unsolicited path, to nothing":       {response.CheckInResponseTo, func(r *reply, e *response.Expect) { unsolicited(-time.Second)(r, e); r.answers = ` InResponseTo=""` }},
		"no AuthnStatement":                                   {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = "" }},
		"no AuthnContext":                                     {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = `<AuthnStatement AuthnInstant="{-2s}"/>` }},
		"no AuthnInstant":                                     {response.CheckAuthnStatement, signed(` AuthnInstant="`+at(-2*time.Second)+`"`, "")},
		"AuthnInstant in the future":                          {response.CheckAuthnStatement, func(r *reply, _ *response.Expect) { r.authn = strings.Replace(r.authn, "{-2s}", "{+1h}", 1) }},
		"a session that has ended":                            {response.CheckExpired, signed("<AuthnStatement", `<AuthnStatement SessionNotOnOrAfter="`+at(-time.Hour)+`"`)},
		"a long SessionIndex":                                 {response.CheckLimits, signed(`SessionIndex="`, `SessionIndex="`+strings.Repeat("x", 1025))},
		"ForceAuthn not honoured": {response.CheckForceAuthn, func(_ *reply, e *response.Expect) {
			e.ForceAuthn, e.RequestTime = true, now.Add(4*time.Minute)
			e.Now = now.Add(270 * time.Second)
		}},
		"another authentication context than was asked for": {response.CheckAuthnContext, func(_ *reply, e *response.Expect) {
			e.AuthnContexts = []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:X509", "urn:oasis:names:tc:SAML:2.0:ac:classes:passwordprotectedtransport"}
		}},
		"no authentication context where one was asked for": {response.CheckAuthnContext, func(r *reply, e *response.Expect) {
			e.AuthnContexts = []string{asked}
			r.authn = strings.Replace(r.authn, "<AuthnContextClassRef>"+asked+"</AuthnContextClassRef>", "<AuthnContextDeclRef>"+asked+"</AuthnContextDeclRef>", 1)
		}},
		"an authentication context asked for in nobody's request": {response.CheckExpect, func(r *reply, e *response.Expect) {
			unsolicited(-time.Second)(r, e)
			e.AuthnContexts = []string{asked}
		}},
		"an attribute without a name":         {response.CheckAttributes, signed("<AttributeStatement>", "<AttributeStatement><Attribute/>")},
		"an unknown element in the assertion": {response.CheckShape, signed("<AttributeStatement>", "<Statements/><AttributeStatement>")},
		"no ID of the assertion": {response.CheckIDs, func(r *reply, _ *response.Expect) {
			r.assertionSigned = nil
			r.responseSigned = &signing{}
			r.before = r.swap(`<Assertion ID="_a1"`, "<Assertion")
		}},
		"a long ID":                 {response.CheckIDs, func(r *reply, _ *response.Expect) { r.after = r.swap(`ID="_r1"`, `ID="`+strings.Repeat("x", 257)+`"`) }},
		"no Status":                 {response.CheckShape, func(r *reply, _ *response.Expect) { r.status = "" }},
		"a Status without a code":   {response.CheckShape, func(r *reply, _ *response.Expect) { r.status = "<samlp:Status/>" }},
		"status other than Success": {response.CheckStatus, func(r *reply, _ *response.Expect) { r.status = strings.Replace(r.status, "Success", "Responder", 1) }},
		"no clock":                  {response.CheckExpect, func(_ *reply, e *response.Expect) { e.Now = time.Time{} }},
		"no keys":                   {response.CheckExpect, func(_ *reply, e *response.Expect) { e.SigningKeys = nil }},
		"no entity id of ours":      {response.CheckExpect, func(_ *reply, e *response.Expect) { e.SPEntityID = "" }},
		"ForceAuthn without a time": {response.CheckExpect, func(_ *reply, e *response.Expect) { e.ForceAuthn = true }},
		"a negative skew":           {response.CheckExpect, func(_ *reply, e *response.Expect) { e.Skew = -1 }},
	}
}
