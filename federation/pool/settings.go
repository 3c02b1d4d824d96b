package pool

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-id/weir/federation/pool/api"
)

// Settings are what a pool says about its own accounts and their messages, in the types of the API model. A nil part, or an empty text, is
// what nobody has configured; Policies, VerificationMessageTemplate, EmailConfiguration and AdminCreateUserConfig have
// defaults, see withDefaults. What is behind the pointers is never changed in place.
type Settings struct {
	Policies                    *api.UserPoolPolicyType              `json:"Policies,omitzero" yaml:"Policies"`
	AdminCreateUserConfig       *api.AdminCreateUserConfigType       `json:"AdminCreateUserConfig,omitzero" yaml:"AdminCreateUserConfig"`
	AutoVerifiedAttributes      []string                             `json:"AutoVerifiedAttributes,omitempty" yaml:"AutoVerifiedAttributes"`
	UsernameConfiguration       *api.UsernameConfigurationType       `json:"UsernameConfiguration,omitzero" yaml:"UsernameConfiguration"`
	SmsVerificationMessage      string                               `json:"SmsVerificationMessage,omitempty" yaml:"SmsVerificationMessage"`
	EmailVerificationMessage    string                               `json:"EmailVerificationMessage,omitempty" yaml:"EmailVerificationMessage"`
	EmailVerificationSubject    string                               `json:"EmailVerificationSubject,omitempty" yaml:"EmailVerificationSubject"`
	VerificationMessageTemplate *api.VerificationMessageTemplateType `json:"VerificationMessageTemplate,omitzero" yaml:"VerificationMessageTemplate"`
	SmsAuthenticationMessage    string                               `json:"SmsAuthenticationMessage,omitempty" yaml:"SmsAuthenticationMessage"`
	UserAttributeUpdateSettings *api.UserAttributeUpdateSettingsType `json:"UserAttributeUpdateSettings,omitzero" yaml:"UserAttributeUpdateSettings"`
	DeviceConfiguration         *api.DeviceConfigurationType         `json:"DeviceConfiguration,omitzero" yaml:"DeviceConfiguration"`
	EmailConfiguration          *api.EmailConfigurationType          `json:"EmailConfiguration,omitzero" yaml:"EmailConfiguration"`
	SmsConfiguration            *api.SmsConfigurationType            `json:"SmsConfiguration,omitzero" yaml:"SmsConfiguration"`
	AccountRecoverySetting      *api.AccountRecoverySettingType      `json:"AccountRecoverySetting,omitzero" yaml:"AccountRecoverySetting"`
	LambdaConfig                *api.LambdaConfigType                `json:"LambdaConfig,omitzero" yaml:"-"` // refused if there is anything in it
	UserPoolAddOns              *api.UserPoolAddOnsType              `json:"UserPoolAddOns,omitzero" yaml:"UserPoolAddOns"`
	UserPoolTier                string                               `json:"UserPoolTier,omitempty" yaml:"UserPoolTier"`
	KeyConfiguration            *api.KeyConfigurationType            `json:"KeyConfiguration,omitzero" yaml:"KeyConfiguration"`
	IssuerConfiguration         *api.IssuerConfigurationType         `json:"IssuerConfiguration,omitzero" yaml:"IssuerConfiguration"`
	// The second factors. MfaConfiguration says whether people need one: OFF, OPTIONAL or ON. SmsMfa is whether a message
	// to the phone is one of them; how it is sent is SmsConfiguration's.
	MfaConfiguration string                          `json:"MfaConfiguration,omitempty" yaml:"MfaConfiguration"`
	SmsMfa           bool                            `json:"SmsMfa,omitempty" yaml:"SmsMfa"`
	SoftwareTokenMfa *api.SoftwareTokenMfaConfigType `json:"SoftwareTokenMfa,omitzero" yaml:"SoftwareTokenMfaConfiguration"`
	EmailMfa         *api.EmailMfaConfigType         `json:"EmailMfa,omitzero" yaml:"EmailMfaConfiguration"`
	WebAuthn         *api.WebAuthnConfigurationType  `json:"WebAuthn,omitzero" yaml:"WebAuthnConfiguration"`
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
	policies := valueOf(s.Policies)
	password := valueOf(policies.PasswordPolicy)
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
	create := valueOf(s.AdminCreateUserConfig)
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

	template := valueOf(s.VerificationMessageTemplate)
	orDefault(&template.DefaultEmailOption, confirmWithCode)
	// The three texts exist twice, for historical reasons; whoever gives one has given the other.
	same(&template.SmsMessage, &s.SmsVerificationMessage)
	same(&template.EmailMessage, &s.EmailVerificationMessage)
	same(&template.EmailSubject, &s.EmailVerificationSubject)
	s.VerificationMessageTemplate = &template

	email := valueOf(s.EmailConfiguration)
	orDefault(&email.EmailSendingAccount, cognitoDefault)
	s.EmailConfiguration = &email

	if l := s.LambdaConfig; l != nil && *l == (api.LambdaConfigType{}) {
		s.LambdaConfig = nil
	}
	orDefault(&s.MfaConfiguration, mfaOff)
	orDefault(&s.UserPoolTier, tierEssentials)
	return s
}

// over returns old with the parts that s has in the place of its own.
func (s Settings) over(old Settings) Settings {
	// Parts that say the same thing, or parts of one thing, change together: otherwise what is stored would contradict what is wanted.
	if t := s.VerificationMessageTemplate; t != nil || s.SmsVerificationMessage+s.EmailVerificationMessage+s.EmailVerificationSubject != "" {
		old.VerificationMessageTemplate = nil
		old.SmsVerificationMessage, old.EmailVerificationMessage, old.EmailVerificationSubject = "", "", ""
	}
	if s.Policies != nil && s.AdminCreateUserConfig == nil && old.AdminCreateUserConfig != nil {
		create := *old.AdminCreateUserConfig
		create.UnusedAccountValidityDays = nil
		old.AdminCreateUserConfig = &create
	}
	if s.MfaConfiguration != "" {
		old.SmsMfa = false
	}
	from, to := reflect.ValueOf(s), reflect.ValueOf(&old).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return old
}

// besideDefaults are the parts that differ from what a new pool has.
func (s Settings) besideDefaults() Settings {
	// The texts of the template are the older members, too; one of the two is enough.
	s.SmsVerificationMessage, s.EmailVerificationMessage, s.EmailVerificationSubject = "", "", ""
	def := reflect.ValueOf(Settings{}.withDefaults())
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		if reflect.DeepEqual(v.Field(i).Interface(), def.Field(i).Interface()) {
			v.Field(i).SetZero()
		}
	}
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

func valueOf[T any](p *T) T {
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
