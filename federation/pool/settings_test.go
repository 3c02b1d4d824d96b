package pool_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/pool/api"
)

// fullSettings have every part.
func fullSettings() pool.Settings {
	return pool.Settings{
		Policies: &api.UserPoolPolicyType{
			PasswordPolicy: &api.PasswordPolicyType{
				MinimumLength: ptr(12), RequireLowercase: ptr(true), RequireUppercase: ptr(false), RequireNumbers: ptr(true), RequireSymbols: ptr(false),
				PasswordHistorySize: ptr(3), TemporaryPasswordValidityDays: ptr(2),
			},
			SignInPolicy: &api.SignInPolicyType{AllowedFirstAuthFactors: []string{"PASSWORD", "EMAIL_OTP"}},
		},
		AdminCreateUserConfig: &api.AdminCreateUserConfigType{
			AllowAdminCreateUserOnly: ptr(true), UnusedAccountValidityDays: ptr(2),
			InviteMessageTemplate: &api.MessageTemplateType{EmailSubject: "welcome", EmailMessage: "{username} {####}", SMSMessage: "{username} {####}"},
		},
		AutoVerifiedAttributes: []string{"email"}, UsernameConfiguration: &api.UsernameConfigurationType{CaseSensitive: ptr(false)},
		SmsVerificationMessage: "code {####}", EmailVerificationMessage: "your code {####}", EmailVerificationSubject: "code",
		VerificationMessageTemplate: &api.VerificationMessageTemplateType{
			DefaultEmailOption: "CONFIRM_WITH_LINK", SmsMessage: "code {####}", EmailMessage: "your code {####}", EmailSubject: "code",
			EmailMessageByLink: "{##here##}", EmailSubjectByLink: "a link",
		},
		SmsAuthenticationMessage:    "sign in {####}",
		UserAttributeUpdateSettings: &api.UserAttributeUpdateSettingsType{AttributesRequireVerificationBeforeUpdate: []string{"email"}},
		DeviceConfiguration:         &api.DeviceConfigurationType{ChallengeRequiredOnNewDevice: ptr(true), DeviceOnlyRememberedOnUserPrompt: ptr(false)},
		EmailConfiguration: &api.EmailConfigurationType{
			EmailSendingAccount: "DEVELOPER", SourceArn: "arn:aws:ses:eu-west-1:123456789012:identity/example.com", From: "a@example.com",
			ReplyToEmailAddress: "b@example.com", ConfigurationSet: "set",
		},
		SmsConfiguration:       &api.SmsConfigurationType{SnsCallerArn: "arn:aws:iam::123456789012:role/sms", ExternalID: "ext", SnsRegion: "eu-west-1"},
		AccountRecoverySetting: &api.AccountRecoverySettingType{RecoveryMechanisms: []api.RecoveryOptionType{{Name: "verified_email", Priority: ptr(1)}}},
		LambdaConfig:           &api.LambdaConfigType{}, UserPoolAddOns: &api.UserPoolAddOnsType{AdvancedSecurityMode: "OFF"}, UserPoolTier: "PLUS",
		KeyConfiguration: &api.KeyConfigurationType{KeyType: "AWS_OWNED_KEY"}, IssuerConfiguration: &api.IssuerConfigurationType{Type: "ORIGINAL"},
		MfaConfiguration: "OPTIONAL", SmsMfa: true, SoftwareTokenMfa: &api.SoftwareTokenMfaConfigType{Enabled: ptr(true)},
		EmailMfa: &api.EmailMfaConfigType{Message: "code {####}", Subject: "code"},
		WebAuthn: &api.WebAuthnConfigurationType{RelyingPartyID: "login.example.com", UserVerification: "required", FactorConfiguration: "SINGLE_FACTOR"},
	}
}

func TestSettingsDefaults(t *testing.T) {
	f := newFixture(t)
	p, err := f.CreatePool(t.Context(), pool.Pool{Name: "example"})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Settings
	pw := s.Policies.PasswordPolicy
	if *pw.MinimumLength != 8 || !*pw.RequireLowercase || !*pw.RequireNumbers || !*pw.RequireSymbols || !*pw.RequireUppercase || *pw.TemporaryPasswordValidityDays != 7 {
		t.Errorf("password policy %+v", pw)
	}
	if c := s.AdminCreateUserConfig; *c.AllowAdminCreateUserOnly || *c.UnusedAccountValidityDays != 7 {
		t.Errorf("AdminCreateUserConfig %+v", c)
	}
	if s.VerificationMessageTemplate.DefaultEmailOption != "CONFIRM_WITH_CODE" || s.EmailConfiguration.EmailSendingAccount != "COGNITO_DEFAULT" ||
		s.MfaConfiguration != "OFF" || s.UserPoolTier != "ESSENTIALS" || s.DeviceConfiguration != nil || s.UsernameConfiguration != nil {
		t.Errorf("settings %+v", s)
	}
	given, err := f.CreatePool(t.Context(), pool.Pool{Name: "example", Settings: pool.Settings{
		Policies:               &api.UserPoolPolicyType{PasswordPolicy: &api.PasswordPolicyType{MinimumLength: ptr(10), RequireNumbers: ptr(true)}},
		AdminCreateUserConfig:  &api.AdminCreateUserConfigType{UnusedAccountValidityDays: ptr(3)},
		SmsVerificationMessage: "code {####}",
	}})
	if err != nil {
		t.Fatal(err)
	}
	pw = given.Settings.Policies.PasswordPolicy
	if *pw.MinimumLength != 10 || !*pw.RequireNumbers || *pw.RequireSymbols || *pw.TemporaryPasswordValidityDays != 3 {
		t.Errorf("a policy that is given in part: %+v", pw)
	}
	if got := given.Settings.VerificationMessageTemplate.SmsMessage; got != "code {####}" {
		t.Errorf("the text by its other name: %q", got)
	}
	if again, err := f.UpdatePool(t.Context(), given); err != nil || !again.Modified.Equal(given.Modified) {
		t.Errorf("writing what was read: %v, error %v", again.Modified, err)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for want, change := range map[string]func(*pool.Pool){
		"LambdaConfig: triggers are not supported yet": func(p *pool.Pool) {
			p.Settings.LambdaConfig = &api.LambdaConfigType{PreSignUp: "arn:aws:lambda:eu-west-1:123456789012:function:f"}
		},
		"UserPoolAddOns.AdvancedSecurityMode: threat protection": func(p *pool.Pool) {
			p.Settings.UserPoolAddOns = &api.UserPoolAddOnsType{AdvancedSecurityMode: "AUDIT"}
		},
		"UserPoolAddOns.AdvancedSecurityAdditionalFlows": func(p *pool.Pool) {
			p.Settings.UserPoolAddOns = &api.UserPoolAddOnsType{AdvancedSecurityAdditionalFlows: &api.AdvancedSecurityAdditionalFlowsType{CustomAuthMode: "ENFORCED"}}
		},
		"UsernameConfiguration.CaseSensitive": func(p *pool.Pool) {
			p.Settings.UsernameConfiguration = &api.UsernameConfigurationType{CaseSensitive: ptr(true)}
		},
		"KeyConfiguration": func(p *pool.Pool) {
			p.Settings.KeyConfiguration = &api.KeyConfigurationType{KeyType: "CUSTOMER_MANAGED_KEY"}
		},
		"IssuerConfiguration.Type": func(p *pool.Pool) {
			p.Settings.IssuerConfiguration = &api.IssuerConfigurationType{Type: "UPDATED"}
		},
		"Only one of the aliasAttributes or usernameAttributes can be set in a user pool": func(p *pool.Pool) {
			p.AliasAttributes, p.UsernameAttributes = []string{"email"}, []string{"email"}
		},
		"Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays": func(p *pool.Pool) {
			p.Settings.Policies = &api.UserPoolPolicyType{PasswordPolicy: &api.PasswordPolicyType{TemporaryPasswordValidityDays: ptr(2)}}
			p.Settings.AdminCreateUserConfig = &api.AdminCreateUserConfigType{UnusedAccountValidityDays: ptr(3)}
		},
		"admin_only setting with any other": func(p *pool.Pool) {
			p.Settings.AccountRecoverySetting = &api.AccountRecoverySettingType{RecoveryMechanisms: []api.RecoveryOptionType{
				{Name: "admin_only", Priority: ptr(1)}, {Name: "verified_email", Priority: ptr(2)},
			}}
		},
		"RecoveryMechanisms[1].Priority": func(p *pool.Pool) {
			p.Settings.AccountRecoverySetting = &api.AccountRecoverySettingType{RecoveryMechanisms: []api.RecoveryOptionType{
				{Name: "verified_phone_number", Priority: ptr(1)}, {Name: "verified_email", Priority: ptr(1)},
			}}
		},
		"SMS configuration is required":        func(p *pool.Pool) { p.Settings.SmsMfa = true },
		"a key must not begin with aws:":       func(p *pool.Pool) { p.Tags = map[string]string{"AWS:x": "y"} },
		"a value must have at most 256":        func(p *pool.Pool) { p.Tags = map[string]string{"x": strings.Repeat("y", 257)} },
		"Domain is a full domain name already": func(p *pool.Pool) { p.Domain, p.CustomDomain = "a.example.com", "b.example.com" },
		"CustomDomain: must be a full domain":  func(p *pool.Pool) { p.CustomDomain = "prefix" },
		"auto-verified attributes": func(p *pool.Pool) {
			p.Settings.UserAttributeUpdateSettings = fullSettings().UserAttributeUpdateSettings
			p.Settings.AutoVerifiedAttributes = nil
		},
		"EmailConfiguration.SourceArn": func(p *pool.Pool) {
			p.Settings.EmailConfiguration = &api.EmailConfigurationType{EmailSendingAccount: "DEVELOPER"}
		},
		"PASSWORD must be one of them": func(p *pool.Pool) {
			p.Settings.Policies = &api.UserPoolPolicyType{SignInPolicy: &api.SignInPolicyType{AllowedFirstAuthFactors: []string{"EMAIL_OTP"}}}
		},
		"SmsVerificationMessage: differs": func(p *pool.Pool) {
			p.Settings.SmsVerificationMessage = "other {####}"
			p.Settings.VerificationMessageTemplate = fullSettings().VerificationMessageTemplate
		},
		"AutoVerifiedAttributes[0]: must be one": func(p *pool.Pool) { p.Settings.AutoVerifiedAttributes = []string{"name"} },
	} {
		t.Run(want, func(t *testing.T) {
			f := newFixture(t)
			p := pool.Pool{Name: "example"}
			change(&p)
			_, err := f.CreatePool(t.Context(), p)
			if got := problemsOf(t, err); !strings.Contains(got, want) {
				t.Errorf("problems %s", got)
			}
			empty(t, f.engine, "pool")
		})
	}
}

func TestEverySettingIsKept(t *testing.T) {
	f := newFixture(t)
	want, err := f.CreatePool(t.Context(), pool.Pool{
		Name: "example", Settings: fullSettings(), UsernameAttributes: []string{"email", "phone_number"}, Tags: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.node().Pool(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := pool.DiffFields(pool.PoolFields(want), pool.PoolFields(got)); len(d) != 0 {
		t.Errorf("read back: %+v", d)
	}
	given := fullSettings()
	given.LambdaConfig = nil // without triggers it is as good as none
	if d := pool.DiffFields(pool.PoolFields(pool.Pool{Settings: given}), pool.PoolFields(pool.Pool{Settings: got.Settings})); len(d) != 0 {
		t.Errorf("not as given: %+v", d)
	}
	got.UsernameAttributes = []string{"email"}
	_, err = f.UpdatePool(t.Context(), got)
	if p := problemsOf(t, err); p != "UsernameAttributes: cannot be changed once the user pool exists" {
		t.Errorf("problems %s", p)
	}
	got.UsernameAttributes = []string{"phone_number", "email"}
	if _, err := f.UpdatePool(t.Context(), got); err != nil {
		t.Errorf("the same in another order: %v", err)
	}
}

func TestApplyKeepsWhatAFileCannotSay(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	if _, err := f.ChangePool(t.Context(), p.ID, func(p *pool.Pool) error {
		p.Tags, p.DeletionProtection, p.Settings.MfaConfiguration = map[string]string{"a": "b"}, true, "OPTIONAL"
		p.Settings.SoftwareTokenMfa = &api.SoftwareTokenMfaConfigType{Enabled: ptr(true)}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	plan, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{PoolName: "renamed", ID: p.ID, Domain: "example"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Changes[0].Fields; len(got) != 1 || got[0].Name != "PoolName" {
		t.Errorf("changes %+v", got)
	}
	if err := f.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	p, err = f.Pool(t.Context(), p.ID)
	if err != nil || p.Name != "renamed" || p.Tags["a"] != "b" || !p.DeletionProtection || p.Settings.MfaConfiguration != "OPTIONAL" {
		t.Errorf("pool %+v, error %v", p, err)
	}
}

func TestPoolsOlderThanSettingsHaveTheDefaults(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withPool(t)
	old := firstPool()
	old.Domain = p.Domain
	e, err := pool.PoolKind(f.Directory).Get(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.PoolKind(f.Directory).Put(t.Context(), &old, e.Version); err != nil {
		t.Fatal(err)
	}
	byID, err1 := f.node().Pool(t.Context(), p.ID)
	byDomain, err2 := f.node().PoolByDomain(t.Context(), p.Domain)
	listed, _, err3 := f.node().Pools(t.Context(), "", 1)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for i, got := range slices.Concat([]pool.Pool{byID, byDomain}, listed) {
		if got.Settings.MfaConfiguration != "OFF" || *got.Settings.Policies.PasswordPolicy.MinimumLength != 8 {
			t.Errorf("%d: settings %+v", i, got.Settings)
		}
	}
}
