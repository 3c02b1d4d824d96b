package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/federation/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	created  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	modified = time.Date(2026, 3, 2, 12, 0, 0, 123e6, time.UTC)
)

func fullClient() pool.Client {
	c := firstClient()
	c.Secrets = append(c.Secrets, pool.ClientSecret{ID: "client1--1772452800123", Value: secret.New("not-a-real-secret-2"), Created: modified})
	c.Form = pool.LifetimeForm{IDTokenUnit: "minutes", AccessTokenUnit: "hours", RefreshTokenUnit: "days", IDTokenDefault: true}
	c.ExplicitAuthFlows, c.PreventUserExistenceErrors, c.PropagateUserContext = []string{"ALLOW_USER_SRP_AUTH"}, "ENABLED", true
	c.RotationDisabled = true
	return c
}

// firstClient is what a client was before the JSON API: its documents must stay readable.
func firstClient() pool.Client {
	return pool.Client{
		ID: "client1", PoolID: "local_Example01", Name: "web", OAuth: true,
		Secrets:      []pool.ClientSecret{{ID: "client1--1772366400000", Value: secret.New("not-a-real-secret"), Created: created}},
		Form:         pool.LifetimeForm{IDTokenDefault: true},
		CallbackURLs: []string{"https://a.example/cb"}, LogoutURLs: []string{"https://a.example/"}, DefaultRedirectURI: "https://a.example/cb",
		Flows: []string{"code"}, Scopes: []string{"openid"}, Providers: []string{"Corp"},
		IDTokenValidity: time.Hour, AccessTokenValidity: 2 * time.Hour, RefreshTokenValidity: 72 * time.Hour, AuthSessionValidity: 4 * time.Minute,
		RotateRefreshTokens: true, RotationGrace: 30 * time.Second, EnableTokenRevocation: true,
		ReadAttributes: []string{"email"}, WriteAttributes: []string{}, Created: created, Modified: modified,
	}
}

func fullProvider() pool.IdentityProvider {
	return pool.IdentityProvider{
		PoolID: "local_Example01", Name: "Corp", Type: "OIDC",
		Details:          pool.Details{"client_id": secret.New("weir"), "client_secret": secret.New("not-a-real-secret")},
		AttributeMapping: map[string]string{"email": "email"}, Identifiers: []string{"example.com"}, Created: created, Modified: modified,
	}
}

func fullPool() pool.Pool {
	p := firstPool()
	p.CustomDomain, p.DeletionProtection, p.Deleting = "login.example.com", true, modified
	p.Domains = map[string]pool.DomainSettings{"login.example.com": {ManagedLoginVersion: 2, CertificateArn: "arn:1", SecurityPolicy: "TLS"}}
	p.UsernameAttributes, p.AliasAttributes = []string{"email"}, []string{"preferred_username"}
	p.Settings, p.Tags = fullSettings(), map[string]string{"team": "identity", "empty": ""}
	return p
}

// firstPool is what a pool was before the JSON API: its documents must stay readable.
func firstPool() pool.Pool {
	p := goodPool()
	p.UsernameAttributes, p.AliasAttributes = []string{"email"}, []string{"preferred_username"}
	p.Domain, p.SigningKeyDays, p.Created, p.Modified = "example", 90, created, modified
	return p
}

func fullUser() pool.User {
	return pool.User{
		PoolID: "local_Example01", Sub: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c55", Username: "Corp_A1", Status: pool.StatusExternalProvider, Enabled: true,
		Attributes: attrs{"email": "Jane@example.com", "email_verified": "true"},
		Identities: []pool.LinkedIdentity{{
			Provider: "Corp", ProviderType: "OIDC", Issuer: "https://idp.example.com", Subject: "A1", Primary: true, Created: created,
		}},
		SignedOutAt: modified, Created: created, Modified: modified,
	}
}

// fullLocalUser has what only local users have, and what later releases added: all of it is left out where there is none.
func fullLocalUser() pool.User {
	return pool.User{
		PoolID: "local_Example01", Sub: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c56", Username: "jane", Status: pool.StatusForceChange, Enabled: true,
		Attributes: attrs{"email": "jane@example.com", "email_verified": "true"}, Aliases: []string{"email"}, Groups: []string{"0123456789abcdef"},
		Links:   []pool.PendingLink{{Provider: "Corp", Attribute: "custom:employee", Claim: "employee_id", Value: "E-8", Created: created}},
		Created: created, Modified: modified,
	}
}

// sourcedUser says who wrote its values.
func sourcedUser() pool.User {
	u := fullUser()
	u.Attributes["nickname"], u.Attributes["name"] = "J", "Jane"
	u.Sources = map[string]pool.ValueSource{
		"email":          {Kind: pool.FromProvider, Provider: "Corp", Rule: "email", At: created},
		"email_verified": {Kind: pool.FromNotice, Provider: "Corp", At: modified},
		"nickname":       {Kind: pool.FromPerson, At: created}, "name": {Kind: pool.FromAdmin, At: created},
	}
	return u
}

// mergedUser has another one merged into it.
func mergedUser() pool.User {
	u := fullUser()
	u.Identities = append(u.Identities, pool.LinkedIdentity{Provider: "Other", ProviderType: "SAML", Subject: "B2", Primary: true, Created: created, Via: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c58"})
	u.Merged = []pool.MergedUser{{
		ID: "9f0c5a7e-6a52-4a39-9d5f-0d1f6f0a3c57", Sub: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c58", Username: "Other_B2", By: "weir user merge", At: modified, Groups: []string{"0123456789abcdef"},
		Values: map[string]pool.MergedValue{
			"name":  {Value: "Jane", Before: "J", Edited: true, Source: &pool.ValueSource{Kind: pool.FromAdmin, At: created}},
			"email": {Value: "jane@other.example", Flag: "true", FlagBefore: "false", Before: "Jane@example.com"},
		},
	}}
	return u
}

// userMergedAway is merged into that one.
func userMergedAway() pool.User {
	u := fullUser()
	u.MergedInto = &pool.MergedInto{ID: "9f0c5a7e-6a52-4a39-9d5f-0d1f6f0a3c57", Sub: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c55", By: "weir user merge", At: modified}
	return u
}

// groupedUser is in groups that a provider gave, and that an administrator did.
func groupedUser() pool.User {
	u := fullUser()
	u.Groups = []string{"0123456789abcdef", "123456789abcdef0", "23456789abcdef01"}
	u.Granted = []pool.GrantedGroup{{GID: "0123456789abcdef"}, {GID: "123456789abcdef0", At: modified}}
	u.Identities[0].Groups = []pool.GivenGroup{{GID: "123456789abcdef0", Rule: `staff <- cn "Staff"`, At: created}, {GID: "23456789abcdef01", At: modified}}
	return u
}

func fullGroup() pool.Group {
	return pool.Group{PoolID: "local_Example01", Name: "staff", Description: "who works here", RoleArn: "arn:aws:iam::123456789012:role/staff",
		Precedence: ptr(0), GID: "0123456789abcdef", Created: created, Modified: modified}
}

func fullTemporary() pool.Temporary {
	return pool.Temporary{PoolID: "local_Example01", Sub: "0b9c5a7e-6a52-4a39-9d5f-0d1f6f0a3c56", Password: secret.New("not-a-real-secret"), Set: created, Expires: modified}
}

// plain is what a kind keeps, without envelope and seal.
func plain(v any) ([]byte, error) {
	if s, ok := v.(store.Stored); ok {
		return s.MarshalStored()
	}
	return json.Marshal(v)
}

// The golden files are what installations have on their disks: they are never rewritten for a released schema
// number, a new one gets a new file.
func TestStoredFormsStayReadable(t *testing.T) {
	c0, c, ip, p0, p, u, s, l, g, tmp := firstClient(), fullClient(), fullProvider(), firstPool(), fullPool(), fullUser(), sourcedUser(), fullLocalUser(), fullGroup(), fullTemporary()
	m, away, grouped := mergedUser(), userMergedAway(), groupedUser()
	for name, v := range map[string]any{
		"user_merged": &m, "user_merged_away": &away,
		"client": &c0, "client.full": &c, "provider": &ip, "pool": &p0, "pool.full": &p, "user": &u, "user_sources": &s, "user_groups": &grouped, "user_local": &l, "group": &g, "temporary_password": &tmp,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".v1.json")
			got, err := plain(v)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got)+"\n" != string(golden) {
				t.Errorf("stored form\n%s, golden\n%s", got, golden)
			}
			back := reflect.New(reflect.TypeOf(v).Elem())
			if s, ok := back.Interface().(store.Stored); ok {
				err = s.UnmarshalStored(golden)
			} else {
				err = json.Unmarshal(golden, back.Interface())
			}
			if err != nil {
				t.Fatal(err)
			}
			if again, err := plain(back.Interface()); err != nil || string(again)+"\n" != string(golden) {
				t.Errorf("read back and stored again\n%s, error %v", again, err)
			}
		})
	}
}

// recording keeps the documents that reach the engine.
type recording struct {
	store.Engine
	docs []store.Doc
}

func (r *recording) Put(ctx context.Context, kind string, d store.Doc) (uint64, error) {
	r.docs = append(r.docs, d)
	return r.Engine.Put(ctx, kind, d)
}

func TestSecretsNeitherReachTheStoreInTheClearNorAPrinter(t *testing.T) {
	const hush = "hushhushhushhushhushhush"
	f := newFixture(t)
	p, ip := f.withPool(t)
	rec := &recording{Engine: f.engine}
	f.Engine = rec
	c := goodClient()
	c.Secrets = []pool.ClientSecret{{Value: secret.New(hush)}}
	c, err1 := f.CreateClient(t.Context(), c)
	ip.Details = pool.Details{"client_secret": secret.New(hush)}
	ip, err2 := f.UpdateProvider(t.Context(), ip)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if len(rec.docs) != 2 {
		t.Fatalf("%d documents", len(rec.docs))
	}
	for _, d := range rec.docs {
		if strings.Contains(string(d.Body), hush) || strings.Contains(string(d.Body), "Corp") {
			t.Errorf("in the clear: %q", d.Body)
		}
	}
	plan, err := f.Plan(t.Context(), pool.Spec{UserPools: []pool.PoolSpec{{
		PoolName: p.Name, ID: p.ID, Domain: "example",
		IdentityProviders: []pool.ProviderSpec{{ProviderName: "Corp", ProviderType: "OIDC", ProviderDetails: map[string]secret.Text{"client_secret": secret.New(hush + "2")}}},
		Clients:           []pool.ClientSpec{{ClientName: "new", ClientSecret: secret.New(hush + "3")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{c, ip, plan.Changes} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, hush) {
				t.Errorf("%s prints a secret: %s", verb, s)
			}
		}
	}
}

// Whatever differs between two stored forms must show as a difference, or Apply would pass over it.
func TestEveryFieldTakesPartInTheDifference(t *testing.T) {
	everyField(t, fullClient(), pool.ClientFields, "ID", "PoolID", "RotationDisabled", "Created", "Modified")
	off := pool.Client{RotationDisabled: true}
	if len(pool.DiffFields(pool.ClientFields(off), pool.ClientFields(pool.Client{}))) == 0 {
		t.Error("rotation that is switched off in so many words does not show")
	}
	everyField(t, fullProvider(), pool.ProviderFields, "PoolID", "Name", "Created", "Modified")
	everyField(t, fullPool(), pool.PoolFields, "ID", "Created", "Modified", "Deleting")
	everyField(t, fullSettings(), func(s pool.Settings) []pool.Field { return pool.PoolFields(pool.Pool{Settings: s}) })
	full := pool.SchemaAttribute{
		Name: "custom:a", DataType: "String", Mutable: true, Required: true, DeveloperOnly: true,
		String: &pool.StringConstraints{Min: ptr(1), Max: ptr(2)}, Number: &pool.NumberConstraints{Min: ptr(1.0), Max: ptr(2.0)},
	}
	everyField(t, full, func(a pool.SchemaAttribute) []pool.Field {
		return pool.PoolFields(pool.Pool{Schema: []pool.SchemaAttribute{a}})
	})
}

// everyField empties each field of full in turn and looks for a difference.
func everyField[T any](t *testing.T, full T, fields func(T) []pool.Field, identity ...string) {
	t.Helper()
	for i := range reflect.TypeFor[T]().NumField() {
		name := reflect.TypeFor[T]().Field(i).Name
		other := full
		if f := reflect.ValueOf(&other).Elem().Field(i); f.IsZero() {
			t.Errorf("%T: the test leaves out %s", full, name)
		} else {
			f.SetZero()
		}
		if got := len(pool.DiffFields(fields(full), fields(other))) > 0; got == slices.Contains(identity, name) {
			t.Errorf("%T: a change of %s shows: %v", full, name, got)
		}
	}
}
