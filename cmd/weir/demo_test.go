package main_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
)

const lastLine = "Stop with Ctrl-C.\n"

// startDemo runs the demonstration and returns the address that it says to open.
func startDemo(t *testing.T, args ...string) (p *process, shop string) {
	t.Helper()
	p = start(t, append([]string{"demo"}, args...)...)
	p.await(&p.out, lastLine)
	return p, regexp.MustCompile(`http://\S+`).FindString(p.out.String())
}

// signInToDemo goes from the application through the chooser and the provider's form and back.
func signInToDemo(b *browser, shop, person string) page {
	b.t.Helper()
	chooser := b.submit(b.open(shop), "Sign in")
	if !strings.Contains(chooser.body, "Harbour Books") || chooser.status != http.StatusOK {
		b.t.Fatalf("chooser: %d %s", chooser.status, chooser.body)
	}
	form := b.click(chooser, "Riverbank")
	account := b.submit(form, "Sign in", "username", person, "password", person)
	if !strings.HasPrefix(account.url.String(), shop) || account.status != http.StatusOK {
		b.t.Fatalf("%s: %d %s", account.url, account.status, account.body)
	}
	return account
}

func TestDemoIsAWholeSignIn(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	demo, shop := startDemo(t)
	b := newBrowser(t)

	account := signInToDemo(b, shop, "alice")
	for _, want := range []struct{ section, name, value string }{
		{"id-token", "email", "alice@riverbank.example"},
		{"id-token", "email_verified", "true"},
		{"id-token", "name", "Alice Ångström"},
		{"id-token", "custom:faculty", "Hydrology"},
		{"id-token", "cognito:username", "Riverbank_alice-0001"},
		{"id-token", "token_use", "id"},
		{"access-token", "token_use", "access"},
		{"access-token", "scope", "openid profile email"},
		{"userinfo", "sub", account.claim("id-token", "sub")},
	} {
		if got := account.claim(want.section, want.name); got != want.value || got == "" {
			t.Errorf("%s %s = %q, want %q", want.section, want.name, got, want.value)
		}
	}

	refreshed := b.submit(account, "Refresh tokens")
	if before, after := account.claim("id-token", "jti"), refreshed.claim("id-token", "jti"); before == after || after == "" ||
		refreshed.claim("id-token", "sub") != account.claim("id-token", "sub") {
		t.Errorf("refresh: jti %q, then %q\n%s", before, after, refreshed.body)
	}

	out := b.submit(refreshed, "Sign out")
	if out.url.String() != shop+"/" || strings.Contains(out.body, "Alice") {
		t.Errorf("signed out: %s\n%s", out.url, out.body)
	}
	// The session at the broker is over too: it asks again.
	if chooser := b.submit(out, "Sign in"); !strings.Contains(chooser.body, "Lighthouse") {
		t.Errorf("after the sign-out: %s\n%s", chooser.url, chooser.body)
	}
	// Another person is another user; an address that the provider does not vouch for is not verified.
	bob := signInToDemo(newBrowser(t), shop, "bob")
	if bob.claim("id-token", "sub") == account.claim("id-token", "sub") || bob.claim("id-token", "email_verified") != "false" {
		t.Errorf("bob: %s", bob.body)
	}

	if held, err := os.ReadDir(temp); err != nil || len(held) != 1 {
		t.Errorf("while it runs: %v, %v", held, err)
	}
	demo.stop()
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	want := "Open " + shop + " in a browser and choose Sign in.\n" +
		"Sign in at Riverbank as alice (password alice) or bob (password bob).\n"
	got, ok := strings.CutPrefix(demo.out.String(), want)
	if got, last := strings.CutSuffix(got, lastLine); !ok || !last || strings.Count(got, "\n") != 2 {
		t.Errorf("output %q", demo.out.String())
	}
	if log := demo.log.String(); log != "" {
		t.Errorf("log: %s", log)
	}
}

// The command that the demonstration prints has all that a client of the API needs.
func TestDemoCanBeAdministered(t *testing.T) {
	dir := t.TempDir()
	demo, shop := startDemo(t, "--data", dir)
	m := regexp.MustCompile(`AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+) aws cognito-idp list-user-pools --max-results 10 --endpoint-url (\S+) --region local\n`).
		FindStringSubmatch(demo.out.String())
	if m == nil {
		t.Fatalf("output %q", demo.out.String())
	}
	client := cognitoidentityprovider.New(cognitoidentityprovider.Options{
		BaseEndpoint: aws.String(m[3]), Region: "local", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: m[1], SecretAccessKey: m[2]}, nil
		}),
	})
	out, err := client.ListUserPools(t.Context(), &cognitoidentityprovider.ListUserPoolsInput{MaxResults: aws.Int32(10)})
	if err != nil || len(out.UserPools) != 1 || aws.ToString(out.UserPools[0].Name) != "demo" {
		t.Errorf("%+v %v", out, err)
	}

	// An identity that was taken away is shown to the administrator who wonders why it is not linked.
	signInToDemo(newBrowser(t), shop, "alice")
	id := func(provider, value string) *types.ProviderUserIdentifierType {
		return &types.ProviderUserIdentifierType{ProviderName: &provider, ProviderAttributeName: aws.String("Cognito_Subject"), ProviderAttributeValue: &value}
	}
	pool := aws.String("local_Demo00001")
	if _, err := client.AdminLinkProviderForUser(t.Context(), &cognitoidentityprovider.AdminLinkProviderForUserInput{
		UserPoolId: pool, DestinationUser: id("Riverbank", "alice-0001"), SourceUser: id("Lighthouse", "carol-0001")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AdminDisableProviderForUser(t.Context(), &cognitoidentityprovider.AdminDisableProviderForUserInput{
		UserPoolId: pool, User: id("Lighthouse", "carol-0001")}); err != nil {
		t.Fatal(err)
	}
	const want = `identities that were taken away: no policy links them again\n  Lighthouse +carol-0001, until 20`
	status, shown, log := run(t, "user", "show", "--config", filepath.Join(dir, "weir.yaml"), "--pool", *pool, "Riverbank_alice-0001")
	if status != 0 || !regexp.MustCompile(want).MatchString(shown) {
		t.Errorf("%d %s%s, want %s", status, shown, log, want)
	}
	demo.stop()
}

// The run in docs/mapping.md: a mapping that is broken on purpose is refused in the lab, and the sign-in that it fails is told by its reference.
func TestDemoRunOfABrokenMapping(t *testing.T) {
	dir := t.TempDir()
	demo, shop := startDemo(t, "--data", dir)
	for _, person := range []string{"alice", "bob"} {
		signInToDemo(newBrowser(t), shop, person)
	}
	with := func(args ...string) []string {
		return append(args, "--config", filepath.Join(dir, "weir.yaml"))
	}
	about := func(args ...string) []string {
		return with(append([]string{"mapping"}, append(args, "--pool", "local_Demo00001", "--provider", "Riverbank")...)...)
	}
	says := func(want int, texts []string, args ...string) string {
		t.Helper()
		status, out, log := run(t, args...)
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("weir %s: no %q in\n%s", args, text, out)
			}
		}
		if status != want {
			t.Fatalf("weir %s: %d\n%s%s", args, status, out, log)
		}
		return out
	}
	says(0, []string{"#1 ", "#2 ", "alice-0001", "bob-0001"}, about("list")...)
	live := says(0, []string{"- ProviderName: Riverbank\n"}, with("export")...)
	file := func(name, claim string) string {
		before, riverbank, _ := strings.Cut(live, "- ProviderName: Riverbank\n")
		riverbank = strings.Replace(riverbank, "          name: name\n", "          name: '[cel] claims.given_name + \" \" + claims."+claim+"'\n", 1)
		riverbank = strings.Replace(riverbank, `"Hydrology" "Botany"`, `"Hydrologie"`, 1)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(before+"- ProviderName: Riverbank\n"+riverbank), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	broken := file("broken.yaml", "familyname")
	says(3, []string{"2 sign-ins that work would fail: ", "line 1, column 39: a claim or key is absent"}, about("test", "--rules", broken)...)
	says(0, []string{"1 user loses group scientists\nno change for 1\n", "the provider gives it no more"}, about("test", "--rules", file("half.yaml", "family_name"))...)
	says(0, []string{"1 updated"}, with("apply", "-f", broken)...)

	b := newBrowser(t)
	failed := b.submit(b.click(b.submit(b.open(shop), "Sign in"), "Riverbank"), "Sign in", "username", "alice", "password", "alice")
	reference := regexp.MustCompile(`reference ((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})`).FindStringSubmatch(failed.body)
	if reference == nil {
		t.Fatalf("%s: %d %s", failed.url, failed.status, failed.body)
	}
	says(0, []string{"name: failed, from [cel] claims.given_name", "alice@riverbank.example"}, with("trace", reference[1])...)
	if shared := says(0, []string{"Step by step"}, with("trace", reference[1], "--redacted")...); strings.Contains(shared, "alice") {
		t.Errorf("the redacted form:\n%s", shared)
	}
	says(0, []string{"scientists     from Riverbank by the rule"}, with("user", "show", "--pool", "local_Demo00001", "alice@riverbank.example")...)
	demo.stop()
}

func TestDemoRunsBesideOtherPrograms(t *testing.T) {
	busy := map[string]bool{}
	for _, port := range []string{"8080", "8081", "8082"} {
		address := "127.0.0.1:" + port
		// Where this fails, another program does what the test wants.
		if l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		busy["http://"+address] = true
	}
	demo, shop := startDemo(t)
	if busy[shop] {
		t.Fatalf("%s is another's", shop)
	}
	if account := signInToDemo(newBrowser(t), shop, "alice"); account.claim("id-token", "sub") == "" {
		t.Error(account.body)
	}
	demo.stop()
}

func TestDemoKeepsItsUsersOnRequest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	var subs []string
	for range 2 {
		demo, shop := startDemo(t, "--data", dir)
		subs = append(subs, signInToDemo(newBrowser(t), shop, "alice").claim("id-token", "sub"))
		if status, _, stderr := run(t, "demo", "--data", dir); status != 1 || !strings.Contains(stderr, "another weir process has it open") {
			t.Errorf("a second one on the same data: %d %s", status, stderr)
		}
		demo.stop()
		if log := demo.log.String(); log != "" {
			t.Errorf("log: %s", log)
		}
	}
	if subs[0] != subs[1] || subs[0] == "" {
		t.Errorf("sub %q, after a restart %q", subs[0], subs[1])
	}
}

// TestDemoCleansUpWheneverItIsInterrupted: also in the middle of its start.
func TestDemoCleansUpWheneverItIsInterrupted(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := start(t, "demo")
	p.interrupt()
	p.wait()
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
