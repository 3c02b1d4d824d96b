package pool

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-id/weir/federation/pool/api"
)

// Settings are what a pool says about its own accounts and their messages, in the types of the API model. A nil part, or an empty text, is
// what nobody has configured; Policies, VerificationMessageTemplate, EmailConfiguration and AdminCreateUserConfig have
// defaults, see withDefaults. What is behind the pointers is never changed in place.
type Settings struct {
	Policies                    *api.UserPoolPolicyType              `json:"Policies,omitzero"`
	AdminCreateUserConfig       *api.AdminCreateUserConfigType       `json:"AdminCreateUserConfig,omitzero"`
	AutoVerifiedAttributes      []string                             `json:"AutoVerifiedAttributes,omitempty"`
	UsernameConfiguration       *api.UsernameConfigurationType       `json:"UsernameConfiguration,omitzero"`
	SmsVerificationMessage      string                               `json:"SmsVerificationMessage,omitempty"`
	EmailVerificationMessage    string                               `json:"EmailVerificationMessage,omitempty"`
	EmailVerificationSubject    string                               `json:"EmailVerificationSubject,omitempty"`
	VerificationMessageTemplate *api.VerificationMessageTemplateType `json:"VerificationMessageTemplate,omitzero"`
	SmsAuthenticationMessage    string                               `json:"SmsAuthenticationMessage,omitempty"`
	UserAttributeUpdateSettings *api.UserAttributeUpdateSettingsType `json:"UserAttributeUpdateSettings,omitzero"`
	DeviceConfiguration         *api.DeviceConfigurationType         `json:"DeviceConfiguration,omitzero"`
	EmailConfiguration          *api.EmailConfigurationType          `json:"EmailConfiguration,omitzero"`
	SmsConfiguration            *api.SmsConfigurationType            `json:"SmsConfiguration,omitzero"`
	AccountRecoverySetting      *api.AccountRecoverySettingType      `json:"AccountRecoverySetting,omitzero"`
	LambdaConfig                *api.LambdaConfigType                `json:"LambdaConfig,omitzero"` // refused if there is anything in it
	UserPoolAddOns              *api.UserPoolAddOnsType              `json:"UserPoolAddOns,omitzero"`
	UserPoolTier                string                               `json:"UserPoolTier,omitempty"`
	KeyConfiguration            *api.KeyConfigurationType            `json:"KeyConfiguration,omitzero"`
	IssuerConfiguration         *api.IssuerConfigurationType         `json:"IssuerConfiguration,omitzero"`
	// The second factors. MfaConfiguration says whether people need one: OFF, OPTIONAL or ON. SmsMfa is whether a message
	// to the phone is one of them; how it is sent is SmsConfiguration's.
	MfaConfiguration string                          `json:"MfaConfiguration,omitempty"`
	SmsMfa           bool                            `json:"SmsMfa,omitempty"`
	SoftwareTokenMfa *api.SoftwareTokenMfaConfigType `json:"SoftwareTokenMfa,omitzero"`
	EmailMfa         *api.EmailMfaConfigType         `json:"EmailMfa,omitzero"`
	WebAuthn         *api.WebAuthnConfigurationType  `json:"WebAuthn,omitzero"`
}

// The values that mean nothing special.
const (
	mfaOff            = "OFF"
	tierEssentials    = "ESSENTIALS"
	cognitoDefault    = "COGNITO_DEFAULT"
	confirmWithCode   = "CONFIRM_WITH_CODE"
	defaultMinLength  = 8
	defaultTempoDays  = 7
	maxTags           = 50
	maxTagKey         = 128
	maxTagValue       = 256
	passwordAsAFactor = "PASSWORD"
)

// withDefaults fills in what the original fills in where nothing is given (DescribeUserPool of a pool that was created with a name and
// nothing else). A part that is given is filled in member by member.
func (s Settings) withDefaults() Settings {
	policies := clonePtr(s.Policies)
	password := clonePtr(policies.PasswordPolicy)
	if given := policies.PasswordPolicy; given == nil {
		password = api.PasswordPolicyType{
			RequireUppercase: new(true), RequireLowercase: new(true), RequireNumbers: new(true), RequireSymbols: new(true),
		}
	}
	// Of a policy that is given the flags that are not given are off, as in the original.
	for _, flag := range []**bool{&password.RequireUppercase, &password.RequireLowercase, &password.RequireNumbers, &password.RequireSymbols} {
		if *flag == nil {
			*flag = new(false)
		}
	}
	if password.MinimumLength == nil {
		password.MinimumLength = new(defaultMinLength)
	}
	create := clonePtr(s.AdminCreateUserConfig)
	if days := password.TemporaryPasswordValidityDays; days == nil || *days == 0 { // 0 counts as not given (PasswordPolicyType)
		password.TemporaryPasswordValidityDays = new(defaultTempoDays)
		if legacy := create.UnusedAccountValidityDays; legacy != nil && *legacy != 0 {
			password.TemporaryPasswordValidityDays = legacy
		}
	}
	policies.PasswordPolicy = &password
	if policies.SignInPolicy == nil {
		policies.SignInPolicy = &api.SignInPolicyType{AllowedFirstAuthFactors: []string{passwordAsAFactor}}
	}
	s.Policies = &policies

	if create.AllowAdminCreateUserOnly == nil {
		create.AllowAdminCreateUserOnly = new(false)
	}
	if create.UnusedAccountValidityDays == nil || *create.UnusedAccountValidityDays == 0 {
		create.UnusedAccountValidityDays = password.TemporaryPasswordValidityDays
	}
	s.AdminCreateUserConfig = &create

	template := clonePtr(s.VerificationMessageTemplate)
	orDefault(&template.DefaultEmailOption, confirmWithCode)
	// The three texts exist twice, for historical reasons; whoever gives one has given the other.
	same(&template.SmsMessage, &s.SmsVerificationMessage)
	same(&template.EmailMessage, &s.EmailVerificationMessage)
	same(&template.EmailSubject, &s.EmailVerificationSubject)
	s.VerificationMessageTemplate = &template

	email := clonePtr(s.EmailConfiguration)
	orDefault(&email.EmailSendingAccount, cognitoDefault)
	s.EmailConfiguration = &email

	orDefault(&s.MfaConfiguration, mfaOff)
	orDefault(&s.UserPoolTier, tierEssentials)
	return s
}

// Mfa reports whether people may or must have a second factor.
func (s Settings) Mfa() bool { return s.MfaConfiguration != "" && s.MfaConfiguration != mfaOff }

// hasFactor reports whether there is any second factor.
func (s Settings) hasFactor() bool {
	token := s.SoftwareTokenMfa
	return s.SmsMfa || token != nil && token.Enabled != nil && *token.Enabled || s.EmailMfa != nil ||
		s.WebAuthn != nil && s.WebAuthn.FactorConfiguration == "MULTI_FACTOR_WITH_USER_VERIFICATION"
}

func clonePtr[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

func orDefault(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

// same fills the one of two names of a text that is not given.
func same(a, b *string) {
	orDefault(a, *b)
	orDefault(b, *a)
}

// settingsFields are the members in the order of their names, each as JSON.
func settingsFields(s Settings) []field {
	data, err := json.Marshal(s)
	var members map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &members)
	}
	if err != nil { // strings, numbers and flags can be marshalled
		return []field{{name: "Settings", value: err.Error()}}
	}
	var out []field
	for _, name := range slices.Sorted(maps.Keys(members)) {
		out = append(out, field{name: name, value: strings.Trim(string(members[name]), `"`)})
	}
	return out
}

func tagFields(tags map[string]string) []field {
	var out []field
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, field{name: entry("UserPoolTags", k), value: "=" + tags[k]}) // an empty value is a value
	}
	return out
}

// validateTags checks a pool's tags.
func validateTags(tags map[string]string) Problems {
	var ps Problems
	if len(tags) > maxTags {
		ps.add("UserPoolTags", "at most 50 tags are possible")
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		switch {
		case !characters(k, 1, maxTagKey) || !storable(k):
			ps.add("UserPoolTags", "a key must have 1 to 128 characters")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			ps.add(entry("UserPoolTags", k), "a key must not begin with aws:")
		case utf8.RuneCountInString(tags[k]) > maxTagValue || !storable(tags[k]):
			ps.add(entry("UserPoolTags", k), "a value must have at most 256 characters")
		}
	}
	return ps
}
