package pool

import (
	"slices"
	"strings"

	"github.com/weir-id/weir/federation/pool/api"
)

// usernameAttributes are those of UsernameAttributeType and VerifiedAttributeType; aliasAttributes those of AliasAttributeType.
var usernameAttributes = []string{"email", "phone_number"}

// validateSettings checks the settings of a pool with their defaults. Rules that lie between two members speak as the original does.
//
// What is not there yet is refused where storing it would make people believe that it protects them: a hook that is never asked lets everybody
// in whom it was to keep out.
func validateSettings(p Pool) Problems {
	var ps Problems
	s := p.Settings
	oneOf(&ps, "UsernameAttributes", p.UsernameAttributes, usernameAttributes)
	oneOf(&ps, "AliasAttributes", p.AliasAttributes, aliasAttributes)
	oneOf(&ps, "AutoVerifiedAttributes", s.AutoVerifiedAttributes, usernameAttributes)
	if len(p.UsernameAttributes) > 0 && len(p.AliasAttributes) > 0 {
		ps.add("AliasAttributes", "Only one of the aliasAttributes or usernameAttributes can be set in a user pool")
	}
	if u := s.UserAttributeUpdateSettings; u != nil {
		const path = "UserAttributeUpdateSettings.AttributesRequireVerificationBeforeUpdate"
		oneOf(&ps, path, u.AttributesRequireVerificationBeforeUpdate, usernameAttributes)
		for i, a := range u.AttributesRequireVerificationBeforeUpdate {
			if !slices.Contains(s.AutoVerifiedAttributes, a) {
				ps.add(at(path, i), "Please include the attribute in the auto-verified attributes")
			}
		}
	}
	validatePasswords(&ps, s)
	validateMessages(&ps, s)
	validateRecovery(&ps, s.AccountRecoverySetting)
	validateMfa(&ps, s)
	unsupported(&ps, s)
	return ps
}

func oneOf(ps *Problems, path string, list, known []string) {
	for i, v := range list {
		if !slices.Contains(known, v) {
			ps.add(at(path, i), "must be one of "+strings.Join(known, ", "))
		}
	}
	noRepeats(ps, path, list)
}

func validatePasswords(ps *Problems, s Settings) {
	if s.Policies == nil || s.Policies.PasswordPolicy == nil {
		return
	}
	password := s.Policies.PasswordPolicy
	within := func(path string, n *int, lo, hi int, message string) {
		if n != nil && (*n < lo || *n > hi) {
			ps.add("Policies.PasswordPolicy."+path, message)
		}
	}
	within("MinimumLength", password.MinimumLength, 6, 99, "must be from 6 to 99")
	within("TemporaryPasswordValidityDays", password.TemporaryPasswordValidityDays, 0, 365, "must be from 0 to 365")
	within("PasswordHistorySize", password.PasswordHistorySize, 0, 24, "must be from 0 to 24")
	if c := s.AdminCreateUserConfig; c != nil && c.UnusedAccountValidityDays != nil && password.TemporaryPasswordValidityDays != nil &&
		*c.UnusedAccountValidityDays != *password.TemporaryPasswordValidityDays {
		// Equal values are what a client that changes what it has read sends back.
		ps.add("AdminCreateUserConfig.UnusedAccountValidityDays",
			"Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays")
	}
	if f := s.Policies.SignInPolicy; f != nil {
		const path = "Policies.SignInPolicy.AllowedFirstAuthFactors"
		oneOf(ps, path, f.AllowedFirstAuthFactors, []string{passwordAsAFactor, "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"})
		if !slices.Contains(f.AllowedFirstAuthFactors, passwordAsAFactor) {
			ps.add(path, "PASSWORD must be one of them")
		}
	}
}

func validateMessages(ps *Problems, s Settings) {
	if e := s.EmailConfiguration; e != nil && e.EmailSendingAccount == "DEVELOPER" && e.SourceArn == "" {
		ps.add("EmailConfiguration.SourceArn", "is required where EmailSendingAccount is DEVELOPER")
	}
	if t := s.VerificationMessageTemplate; t != nil {
		differ := func(a, b, path string) {
			if a != "" && b != "" && a != b {
				ps.add(path, "differs from the text of VerificationMessageTemplate: give one of the two")
			}
		}
		differ(t.SmsMessage, s.SmsVerificationMessage, "SmsVerificationMessage")
		differ(t.EmailMessage, s.EmailVerificationMessage, "EmailVerificationMessage")
		differ(t.EmailSubject, s.EmailVerificationSubject, "EmailVerificationSubject")
	}
}

func validateRecovery(ps *Problems, r *api.AccountRecoverySettingType) {
	if r == nil {
		return
	}
	const path = "AccountRecoverySetting.RecoveryMechanisms"
	var names []string
	priorities := map[int]bool{}
	for i, m := range r.RecoveryMechanisms {
		names = append(names, m.Name)
		if m.Priority == nil || *m.Priority < 1 || *m.Priority > 2 || priorities[*m.Priority] {
			ps.add(at(path, i)+".Priority", "must be 1 or 2, and another one for each")
			continue
		}
		priorities[*m.Priority] = true
	}
	oneOf(ps, path, names, []string{"verified_email", "verified_phone_number", "admin_only"})
	if len(names) > 1 && slices.Contains(names, "admin_only") {
		ps.add(path, "Account Recovery Setting cannot use admin_only setting with any other recovery mechanisms")
	}
}

func validateMfa(ps *Problems, s Settings) {
	if !slices.Contains([]string{"", mfaOff, "ON", "OPTIONAL"}, s.MfaConfiguration) {
		ps.add("MfaConfiguration", "must be OFF, OPTIONAL or ON")
	}
	if s.Mfa() && !s.hasFactor() {
		ps.add("MfaConfiguration", "Invalid MFA configuration given, can't disable all MFAs and require an MFA together")
	}
	if s.SmsMfa && s.SmsConfiguration == nil {
		ps.add("SmsConfiguration", "SMS configuration is required where a text message is a second factor")
	}
	if w := s.WebAuthn; w != nil && w.RelyingPartyID != "" && (checkDomain(w.RelyingPartyID) != "" || len(w.RelyingPartyID) > 127) {
		ps.add("WebAuthnConfiguration.RelyingPartyId", "must be a domain name of at most 127 characters")
	}
}

// unsupported refuses what is not there yet and what Weir does not do, see docs/divergences.md.
func unsupported(ps *Problems, s Settings) {
	if l := s.LambdaConfig; l != nil && *l != (api.LambdaConfigType{}) {
		ps.add("LambdaConfig", "triggers are not supported yet: nothing would call them")
	}
	if a := s.UserPoolAddOns; a != nil {
		if a.AdvancedSecurityMode != "" && a.AdvancedSecurityMode != mfaOff {
			ps.add("UserPoolAddOns.AdvancedSecurityMode", "threat protection is not supported: it must be OFF")
		}
		if f := a.AdvancedSecurityAdditionalFlows; f != nil && f.CustomAuthMode != "" && f.CustomAuthMode != mfaOff {
			ps.add("UserPoolAddOns.AdvancedSecurityAdditionalFlows", "threat protection is not supported")
		}
	}
	if u := s.UsernameConfiguration; u != nil && u.CaseSensitive != nil && *u.CaseSensitive {
		ps.add("UsernameConfiguration.CaseSensitive", "user names are never case-sensitive here: it must be false")
	}
	if k := s.KeyConfiguration; k != nil && (k.KmsKeyArn != "" || k.KeyType == "CUSTOMER_MANAGED_KEY") {
		ps.add("KeyConfiguration", "keys of a key management service are not supported: what is secret is sealed with sealing_keys")
	}
	if i := s.IssuerConfiguration; i != nil && i.Type != "" && i.Type != "ORIGINAL" {
		ps.add("IssuerConfiguration.Type", "must be ORIGINAL: the issuer is base_url and the id of the user pool")
	}
}
