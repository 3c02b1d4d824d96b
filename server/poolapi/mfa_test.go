package poolapi_test

import "reflect"

func mfaContracts() map[string]contract {
	const invalid = "InvalidParameterException"
	all := func() body {
		return body{
			"MfaConfiguration":              "OPTIONAL",
			"SoftwareTokenMfaConfiguration": body{"Enabled": true},
			"SmsMfaConfiguration": body{"SmsAuthenticationMessage": "sign in {####}",
				"SmsConfiguration": body{"SnsCallerArn": "arn:aws:iam::123456789012:role/sms", "ExternalId": "ext"}},
			"EmailMfaConfiguration": body{"Message": "code {####}", "Subject": "code"},
			"WebAuthnConfiguration": body{"RelyingPartyId": "login.example.com", "UserVerification": "required", "FactorConfiguration": "SINGLE_FACTOR"},
		}
	}
	return map[string]contract{
		"GetUserPoolMfaConfig": {
			in: func(r *rig) body { return body{"UserPoolId": newPool(r, "without factors")} },
			check: func(r *rig, _, out body) {
				if !reflect.DeepEqual(out, body{"MfaConfiguration": "OFF"}) {
					r.Errorf("factors %v", out)
				}
			},
		},
		"SetUserPoolMfaConfig": {
			in: func(r *rig) body {
				in := all()
				in["UserPoolId"] = newPool(r, "with factors")
				return in
			},
			check: func(r *rig, in, out body) {
				wantMembers(r, all(), out)
				wantMembers(r, all(), r.must("GetUserPoolMfaConfig", body{"UserPoolId": in["UserPoolId"]}))
				if got := describe(r, in["UserPoolId"].(string)); got["MfaConfiguration"] != "OPTIONAL" || got["SmsAuthenticationMessage"] != "sign in {####}" {
					r.Errorf("pool %v", got)
				}
				// MfaConfiguration that is left out stays.
				r.must("SetUserPoolMfaConfig", body{"UserPoolId": in["UserPoolId"], "SoftwareTokenMfaConfiguration": body{"Enabled": true}})
				if got := r.must("GetUserPoolMfaConfig", body{"UserPoolId": in["UserPoolId"]}); got["MfaConfiguration"] != "OPTIONAL" || got["SmsMfaConfiguration"] != nil {
					r.Errorf("factors %v", got)
				}
				// A factor that is left out is off; how text messages are sent is for more than that, and stays.
				off := r.must("SetUserPoolMfaConfig", body{"UserPoolId": in["UserPoolId"], "MfaConfiguration": "OFF"})
				if !reflect.DeepEqual(off, body{"MfaConfiguration": "OFF"}) {
					r.Errorf("off: %v", off)
				}
				if got := describe(r, in["UserPoolId"].(string)); got["SmsConfiguration"] == nil {
					r.Errorf("pool %v", got)
				}
			},
			refusals: []refused{
				{"off with a factor", invalid, "Invalid MFA configuration given, can't turn off MFA and configure an MFA together.",
					func(_ *rig, in body) { in["MfaConfiguration"] = "OFF" }},
				{"on without a factor", invalid, "can't disable all MFAs and require an MFA together", func(_ *rig, in body) {
					for _, name := range []string{"SoftwareTokenMfaConfiguration", "SmsMfaConfiguration", "EmailMfaConfiguration"} {
						delete(in, name)
					}
				}},
				{"messages without a way", invalid, "SMS configuration is required", func(_ *rig, in body) { in["SmsMfaConfiguration"] = body{} }},
				{"a relying party that is none", invalid, "must be a domain name", func(_ *rig, in body) {
					in["WebAuthnConfiguration"] = body{"RelyingPartyId": "not a domain"}
				}},
			},
		},
	}
}
