package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
)

func goodPool() pool.Pool {
	return pool.Pool{ID: "local_Example01", Name: "example", SigningAlgorithm: "RS256", Schema: schema()}
}

func TestValidatePool(t *testing.T) {
	custom := func(n int) (out []pool.SchemaAttribute) {
		for i := range n {
			out = append(out, pool.SchemaAttribute{Name: fmt.Sprintf("custom:a%d", i), DataType: "String"})
		}
		return out
	}
	with := func(more ...pool.SchemaAttribute) func(*pool.Pool) {
		return func(p *pool.Pool) { p.Schema = append(pool.StandardSchema(), more...) }
	}
	for name, c := range map[string]struct {
		change func(*pool.Pool)
		want   string // every problem, "" for none
	}{
		"good":                        {func(*pool.Pool) {}, ""},
		"prefix domain":               {func(p *pool.Pool) { p.Domain = "my-app" }, ""},
		"custom domain":               {func(p *pool.Pool) { p.Domain = "auth.example.com" }, ""},
		"no name":                     {func(p *pool.Pool) { p.Name = "" }, "PoolName: must have"},
		"name with a slash":           {func(p *pool.Pool) { p.Name = "a/b" }, "PoolName: must have"},
		"id without an underscore":    {func(p *pool.Pool) { p.ID = "local" }, "Id: must be"},
		"id with a slash":             {func(p *pool.Pool) { p.ID = "local_a/b" }, "Id: must be"},
		"id of 56 characters":         {func(p *pool.Pool) { p.ID = "l_" + strings.Repeat("a", 54) }, "Id: must be"},
		"domain in capitals":          {func(p *pool.Pool) { p.Domain = "Example" }, "Domain: must be"},
		"domain that is an address":   {func(p *pool.Pool) { p.Domain = "127.0.0.1" }, "Domain: must be"},
		"domain with a port":          {func(p *pool.Pool) { p.Domain = "a.example:80" }, "Domain: must be"},
		"domain with an empty part":   {func(p *pool.Pool) { p.Domain = "a..example" }, "Domain: must be"},
		"algorithm none":              {func(p *pool.Pool) { p.SigningAlgorithm = "none" }, "SigningAlgorithm: must be"},
		"key age below zero":          {func(p *pool.Pool) { p.SigningKeyDays = -1 }, "SigningKeyDays: must be"},
		"no schema":                   {func(p *pool.Pool) { p.Schema = pool.StandardSchema()[1:] }, "Schema: the standard attribute sub is missing"},
		"50 custom attributes":        {with(custom(50)...), ""},
		"51 custom attributes":        {with(custom(51)...), "Schema: at most 50"},
		"custom name of 21":           {with(pool.SchemaAttribute{Name: "custom:" + strings.Repeat("a", 21), DataType: "String"}), "Schema[21].Name: must have 1 to 20"},
		"custom name of 20":           {with(pool.SchemaAttribute{Name: "custom:" + strings.Repeat("é", 20), DataType: "String"}), ""},
		"custom attribute required":   {with(pool.SchemaAttribute{Name: "custom:a", DataType: "String", Required: true}), "Schema[21].Required: a custom"},
		"custom type":                 {with(pool.SchemaAttribute{Name: "custom:a", DataType: "Text"}), "Schema[21].AttributeDataType: must be"},
		"developer-only by name only": {with(pool.SchemaAttribute{Name: "dev:custom:a", DataType: "String"}), "Schema[21].DeveloperOnlyAttribute: goes"},
		"twice":                       {with(custom(1)[0], custom(1)[0]), "Schema[22].Name: the attribute is declared twice"},
		"neither standard nor custom": {with(pool.SchemaAttribute{Name: "shoe_size", DataType: "Number"}), "Schema[21].Name: is neither"},
		"length bounds crossed": {with(pool.SchemaAttribute{
			Name: "custom:a", DataType: "String", String: &pool.StringConstraints{Min: ptr(3), Max: ptr(2)},
		}), "Schema[21].StringAttributeConstraints.MinLength: must not be"},
		"sub mutable":                {func(p *pool.Pool) { p.Schema[0].Mutable = true }, "Schema[0]: sub is always"},
		"standard attribute retyped": {func(p *pool.Pool) { p.Schema[1].DataType = "Number" }, "Schema[1].AttributeDataType: a standard"},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPool()
			c.change(&p)
			wantProblem(t, pool.ValidatePool(p), c.want)
		})
	}
}

// wantProblem wants exactly one problem that begins with want, none for "".
func wantProblem(t *testing.T, got []pool.Problem, want string) {
	t.Helper()
	if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0].String(), want)) {
		t.Errorf("problems:\n%s\nwant: %s", lines(got), want)
	}
}

func goodClient() pool.Client {
	return pool.Client{
		ID: "exampleclient0000000000001", PoolID: "local_Example01", Name: "web",
		CallbackURLs: []string{"https://app.example.com/callback"}, LogoutURLs: []string{"https://app.example.com/"},
		OAuth: true, Flows: []string{"code"}, Scopes: []string{"openid", "email"}, Providers: []string{"Corp", "COGNITO"},
		IDTokenValidity: time.Hour, AccessTokenValidity: time.Hour, RefreshTokenValidity: 24 * time.Hour, AuthSessionValidity: 3 * time.Minute,
	}
}

func secrets(values ...string) (out []pool.ClientSecret) {
	for _, v := range values {
		out = append(out, pool.ClientSecret{Value: secret.New(v)})
	}
	return out
}

func TestValidateClient(t *testing.T) {
	many := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("https://a.example/%d", i))
		}
		return out
	}
	type client = *pool.Client
	for name, c := range map[string]struct {
		change func(client)
		want   string
	}{
		"good":                      {func(client) {}, ""},
		"API only":                  {func(c client) { c.OAuth, c.Flows, c.Scopes, c.CallbackURLs = false, nil, nil, nil }, ""},
		"URLs that wait for OAuth":  {func(c client) { c.OAuth, c.Flows, c.Scopes = false, nil, nil }, ""},
		"no name":                   {func(c client) { c.Name = "" }, "ClientName: must have"},
		"id with a dash":            {func(c client) { c.ID = "a-b" }, "ClientId: must have"},
		"id of 129":                 {func(c client) { c.ID = strings.Repeat("a", 129) }, "ClientId: must have"},
		"secret with a space":       {func(c client) { c.Secrets = secrets("two words") }, "ClientSecret: must have 1 to 128"},
		"secret of 24":              {func(c client) { c.Secrets = secrets(strings.Repeat("s", 24)) }, ""},
		"older secret too long":     {func(c client) { c.Secrets = secrets(strings.Repeat("s", 129), "new") }, "AdditionalClientSecret: must have 1 to 128"},
		"the same secret twice":     {func(c client) { c.Secrets = secrets("same", "same") }, "ClientSecret: must differ"},
		"three secrets":             {func(c client) { c.Secrets = secrets("a", "b", "c") }, "ClientSecret: at most two"},
		"the mark for a stored one": {func(c client) { c.Secrets = []pool.ClientSecret{{Value: pool.StoredSecret()}} }, "ClientSecret: must have 1 to 128"},
		"context of a public one":   {func(c client) { c.PropagateUserContext = true }, "EnablePropagateAdditionalUserContextData: needs a client with a secret"},
		"unknown auth flow":         {func(c client) { c.ExplicitAuthFlows = []string{"ALLOW_ALL"} }, "ExplicitAuthFlows[0]: must be one of ALLOW_USER_AUTH"},
		"auth flow twice":           {func(c client) { c.ExplicitAuthFlows = []string{"ALLOW_USER_AUTH", "ALLOW_USER_AUTH"} }, "ExplicitAuthFlows[1]: repeats"},
		"older auth flows":          {func(c client) { c.ExplicitAuthFlows = []string{"ADMIN_NO_SRP_AUTH", "USER_PASSWORD_AUTH"} }, ""},
		"auth flows of two ages":    {func(c client) { c.ExplicitAuthFlows = []string{"ADMIN_NO_SRP_AUTH", "ALLOW_USER_AUTH"} }, "ExplicitAuthFlows: values that begin"},
		"rotation and refresh": {func(c client) {
			c.RotateRefreshTokens, c.ExplicitAuthFlows = true, []string{"ALLOW_REFRESH_TOKEN_AUTH"}
		}, "ExplicitAuthFlows[0]: ALLOW_REFRESH_TOKEN_AUTH and RefreshTokenRotation exclude"},
		"unknown existence":        {func(c client) { c.PreventUserExistenceErrors = "DISABLED" }, "PreventUserExistenceErrors: must be"},
		"plain http":               {func(c client) { c.CallbackURLs = []string{"http://a.example/"} }, "CallbackURLs[0]: must use https"},
		"bad logout URL":           {func(c client) { c.LogoutURLs = []string{"https://a.example/", "x"} }, "LogoutURLs[1]: must be an absolute"},
		"101 URLs":                 {func(c client) { c.CallbackURLs = many(101) }, "CallbackURLs: at most 100"},
		"100 URLs":                 {func(c client) { c.CallbackURLs = many(100) }, ""},
		"URL twice":                {func(c client) { c.CallbackURLs = append(c.CallbackURLs, c.CallbackURLs[0]) }, "CallbackURLs[1]: repeats entry 0"},
		"unknown default redirect": {func(c client) { c.DefaultRedirectURI = "https://b.example/" }, "DefaultRedirectURI: must be one"},
		"implicit":                 {func(c client) { c.Flows = []string{"code", "implicit"} }, "AllowedOAuthFlows[1]: implicit is not supported yet"},
		"client credentials":       {func(c client) { c.Flows = []string{"client_credentials"} }, "AllowedOAuthFlows[0]: client_credentials is not supported yet"},
		"unknown flow":             {func(c client) { c.Flows = []string{"code", "password"} }, "AllowedOAuthFlows[1]: must be code"},
		"no flow":                  {func(c client) { c.Flows = nil }, "AllowedOAuthFlows: is required"},
		"no scope":                 {func(c client) { c.Scopes = nil }, "AllowedOAuthScopes: is required"},
		"no callback":              {func(c client) { c.CallbackURLs = nil }, "CallbackURLs: the flow code needs"},
		"misspelt scope":           {func(c client) { c.Scopes = []string{"openid", "emial"} }, "AllowedOAuthScopes[1]: must be openid"},
		"scope with a space":       {func(c client) { c.Scopes = []string{"a/b c"} }, "AllowedOAuthScopes[0]: must have"},
		"ID token of 4 minutes":    {func(c client) { c.IDTokenValidity = 4 * time.Minute }, "IdTokenValidity: must be from"},
		"access token of 25 hours": {func(c client) { c.AccessTokenValidity = 25 * time.Hour }, "AccessTokenValidity: must be from"},
		"refresh of 59 minutes":    {func(c client) { c.RefreshTokenValidity = 59 * time.Minute }, "RefreshTokenValidity: must be from"},
		"refresh of 10 years":      {func(c client) { c.RefreshTokenValidity = 3650 * 24 * time.Hour }, ""},
		"session of 16 minutes":    {func(c client) { c.AuthSessionValidity = 16 * time.Minute }, "AuthSessionValidity: must be from"},
		"grace of 61 seconds":      {func(c client) { c.RotationGrace = 61 * time.Second }, "RefreshTokenRotation.RetryGracePeriodSeconds: must be"},
		"unknown provider":         {func(c client) { c.Providers = []string{"corp"} }, "SupportedIdentityProviders[0]: the user pool has no"},
		"unknown attribute":        {func(c client) { c.ReadAttributes = []string{"email", "mail"} }, "ReadAttributes[1]: the attribute is not"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := goodClient()
			c.change(&cl)
			wantProblem(t, pool.ValidateClient(cl, goodPool(), []string{"Corp"}), c.want)
		})
	}
}

func TestValidateProvider(t *testing.T) {
	type provider = *pool.IdentityProvider
	fifty := make([]string, 51)
	for i := range fifty {
		fifty[i] = fmt.Sprintf("d%d.example", i)
	}
	for name, c := range map[string]struct {
		change    func(provider)
		want      string
		wantWarns string
	}{
		"good":                      {func(provider) {}, "", ""},
		"one character":             {func(p provider) { p.Name = "é" }, "", ""},
		"underscore":                {func(p provider) { p.Name = "My_Corp" }, "ProviderName: must have", ""},
		"space":                     {func(p provider) { p.Name = "My Corp" }, "ProviderName: must have", ""},
		"33 characters":             {func(p provider) { p.Name = strings.Repeat("a", 33) }, "ProviderName: must have", ""},
		"invisible character":       {func(p provider) { p.Name = "Co\u200brp" }, "ProviderName: must have", ""},
		"COGNITO":                   {func(p provider) { p.Name = "Cognito" }, "ProviderName: COGNITO is", ""},
		"Google of another type":    {func(p provider) { p.Name = "Google" }, "ProviderName: the name Google belongs", ""},
		"Google in full width":      {func(p provider) { p.Name = "Ｇoogle" }, "ProviderName: the name Google belongs", ""},
		"Google in Cyrillic":        {func(p provider) { p.Name = "Gооgle" }, "ProviderName: can be taken for the name Google", ""},
		"COGNITO in Cyrillic":       {func(p provider) { p.Name = "СОGNITO" }, "ProviderName: COGNITO is", ""},
		"Google of type Google":     {func(p provider) { p.Name, p.Type = "Google", "Google" }, "", ""},
		"unknown type":              {func(p provider) { p.Type = "LDAP" }, "ProviderType: must be", ""},
		"detail with a NUL":         {func(p provider) { p.Details = pool.Details{"client_id": secret.New("a\x00")} }, "ProviderDetails[client_id]: must be", ""},
		"51 identifiers":            {func(p provider) { p.Identifiers = fifty }, "IdpIdentifiers: at most 50", ""},
		"identifier of 41":          {func(p provider) { p.Identifiers = []string{strings.Repeat("a", 41)} }, "IdpIdentifiers[0]: must have", ""},
		"identifiers equal by case": {func(p provider) { p.Identifiers = []string{"a.example", "A.Example"} }, "IdpIdentifiers[1]: repeats", ""},
		"unknown attribute mapped":  {func(p provider) { p.AttributeMapping["mail"] = "mail" }, "AttributeMapping[mail]: the attribute is not", ""},
		"sub mapped":                {func(p provider) { p.AttributeMapping["sub"] = "sub" }, "AttributeMapping[sub]: the user pool sets", ""},
		"identities mapped":         {func(p provider) { p.AttributeMapping["identities"] = "x" }, "AttributeMapping[identities]: the user pool sets", ""},
		"user name mapped":          {func(p provider) { p.AttributeMapping["username"] = "sub" }, "", ""},
		"user name mapped in vain":  {func(p provider) { p.AttributeMapping["username"] = "email" }, "", "AttributeMapping[username]: has no effect"},
		"no claim":                  {func(p provider) { p.AttributeMapping["name"] = "" }, "AttributeMapping[name]: must be a claim's name", ""},
		"broken claim path":         {func(p provider) { p.AttributeMapping["name"] = `["a` }, "AttributeMapping[name]: must be a claim's name", ""},
		"constant proof":            {func(p provider) { p.AttributeMapping["email_verified"] = "=true" }, "", "AttributeMapping[email_verified]: a constant vouches"},
		"expression":                {func(p provider) { p.AttributeMapping["name"] = `[cel] claims.given_name + " " + claims.family_name` }, "", ""},
		"faulty expression":         {func(p provider) { p.AttributeMapping["name"] = "[cel] claims.a +\n  clams.b" }, "AttributeMapping[name]: line 2, column 3: undeclared reference to 'clams'", ""},
		"unknown option":            {func(p provider) { p.AttributeMapping["name"] = "[write=never] name" }, `AttributeMapping[name]: "write=never" is no option`, ""},
		"expression vouches":        {func(p provider) { p.AttributeMapping["email_verified"] = "[cel] 1 == 1" }, "", "AttributeMapping[email_verified]: the expression reads no claim"},
		"expression vouches absent": {func(p provider) { p.AttributeMapping["email_verified"] = "[cel] claims.?email_verified.orValue(true)" }, "", "AttributeMapping[email_verified]: the expression is true where the provider says nothing"},
		"flag of the user":          {func(p provider) { p.AttributeMapping["email_verified"] = `[cel] user.email_verified == "true"` }, "AttributeMapping[email_verified]: whether email is verified follows", ""},
		"constant with options":     {func(p provider) { p.AttributeMapping["email_verified"] = "[write=first] = true" }, "", "AttributeMapping[email_verified]: a constant vouches"},
		"required cleared":          {func(p provider) { p.AttributeMapping["email"] = "[absent=clear] email" }, "AttributeMapping[email]: absent=clear: the attribute is required", ""},
		"required not mapped":       {func(p provider) { delete(p.AttributeMapping, "email") }, "AttributeMapping: the required attribute email is not mapped", ""},
		"immutable mapped":          {func(p provider) { p.AttributeMapping["custom:fixed"] = "x" }, "", "AttributeMapping[custom:fixed]: the attribute is immutable"},
	} {
		t.Run(name, func(t *testing.T) {
			p := goodPool()
			for i := range p.Schema {
				p.Schema[i].Required = p.Schema[i].Required || p.Schema[i].Name == "email"
			}
			p.Schema = append(p.Schema, pool.SchemaAttribute{Name: "custom:fixed", DataType: "String"})
			ip := pool.IdentityProvider{
				PoolID: p.ID, Name: "Corp", Type: "OIDC", AttributeMapping: map[string]string{"email": "email"}, Identifiers: []string{"example.com", "My IdP"},
			}
			c.change(&ip)
			problems, warnings := pool.ValidateProvider(ip, p)
			wantProblem(t, problems, c.want)
			wantProblem(t, warnings, c.wantWarns)
		})
	}
}
