package main_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	weir "github.com/weir-id/weir/cmd/weir"
	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// user runs weir user and returns what it wrote and its exit status.
func (d *deployment) user(args ...string) (stdout, stderr string, status int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	all := append([]string{"user", args[0], "--config", d.path("weir.yaml"), "--pool", poolID}, args[1:]...)
	status = weir.Run(d.t.Context(), all, &out, &errs)
	return out.String(), errs.String(), status
}

// says checks what a command wrote to its standard output.
func (d *deployment) says(want string, args ...string) string {
	d.t.Helper()
	out, errs, status := d.user(args...)
	if status != 0 || !regexp.MustCompile(want).MatchString(out) {
		d.t.Errorf("weir user %q: %d\n%s%s\nwant %s", args, status, out, errs, want)
	}
	return out
}

// deployKeeping is a deployment that keeps the provider's tokens.
func deployKeeping(t *testing.T) *deployment {
	d := deploy(t)
	pool := strings.Replace(d.read("pool.yaml"), "authorize_scopes: openid email",
		"authorize_scopes: openid email offline_access, keep_tokens: \"true\", group_claim: sub, group_rules: \"staff <- exact 'subject-ada'\"", 1)
	d.write("pool.yaml", strings.Replace(pool, "  Clients:", "  Groups: [{GroupName: staff}]\n  Clients:", 1))
	return d
}

// TestUserCommand: what an administrator does about a user, while weir serves and without.
func TestUserCommand(t *testing.T) {
	d := deployKeeping(t)
	p := d.serve()
	b := newBrowser(t)
	sub := d.signIn(b).Subject

	const name = "Corp_subject-ada"
	out := d.says(`(?m)^`+sub+` \(`+name+`\)\n  pool +`+poolID+`\n  status +EXTERNAL_PROVIDER\n  enabled +yes\n`, "show", "ada@example.com")
	for _, want := range []string{
		`(?m)^  live grants +1$`, `(?m)^  email +ada@example\.com   from Corp by the rule "email", 20`, `(?m)^  Corp +subject-ada \(OIDC\), since 20`,
		`(?m)^groups\n  staff +from Corp by the rule "staff <- exact 'subject-ada'", 20`,
		`(?m)^  Corp +access token until 20.*, refresh token, of 20.*, scope openid email offline_access$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("show: no %s in\n%s", want, out)
		}
	}
	for _, who := range []string{sub, name, strings.ToUpper(name), "ADA@Example.com"} {
		if got := d.says(sub, "show", who); got != out {
			t.Errorf("by %q:\n%s", who, got)
		}
	}
	d.says(`^`+sub+` \(`+name+`\): signed out everywhere; 1 grant ended\n$`, "sign-out", name)
	if n := len(d.provider.Requests(oidctest.EndpointRevocation)); n != 1 {
		t.Errorf("%d revocations at the provider", n)
	}
	d.says(`(?m)^  signed out +20.*everywhere$(?s).*live grants +0\n.*identity providers\n  none\n$`, "show", sub)

	d.signIn(b)
	d.says(`: disabled; 1 grant ended\n$`, "disable", sub)
	b.stopAt = callback
	if at := b.open(d.begin(b)); at.url.Query().Get("error") != "access_denied" {
		t.Errorf("a sign-in of a disabled user: %s", at.url)
	}
	d.says(`(?m)^  enabled +no: may not sign in$`, "show", sub)
	d.says(`: enabled\n$`, "enable", sub)
	if got := d.signIn(b).Subject; got != sub {
		t.Errorf("sub %s, want %s", got, sub)
	}
	p.interrupt()
	<-p.ended

	// Without a process.
	out, errs, status := d.user("delete", sub)
	if status != 1 || !strings.Contains(out, name) || !strings.Contains(errs, "nothing was deleted: say --yes if this is the user.") {
		t.Errorf("delete without --yes: %d %s %s", status, out, errs)
	}
	d.says(`: deleted; 1 grant ended\n$`, "delete", "--yes", "ada@example.com")
	if n := len(d.provider.Requests(oidctest.EndpointRevocation)); n != 2 {
		t.Errorf("%d revocations at the provider", n)
	}
	if _, errs, status := d.user("show", sub); status != 1 || !strings.Contains(errs, "there is no user") {
		t.Errorf("show a deleted user: %d %s", status, errs)
	}
}

// TestUserByAnAddressOfMany: an e-mail address is a search, and identifies nobody.
func TestUserByAnAddressOfMany(t *testing.T) {
	d := deployKeeping(t)
	d.withTwin()
	d.serve()
	d.signInAt("Corp")
	d.signInAt("Twin")
	for _, args := range [][]string{{"show"}, {"sign-out"}, {"disable"}, {"delete", "--yes"}} {
		out, errs, status := d.user(append(args, "ada@example.com")...)
		if status != 1 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "(Corp_subject-ada)") || !strings.Contains(out, "(Twin_subject-ada)") ||
			!strings.Contains(errs, `"ada@example.com" is more than one user: nothing was done; give the sub of one.`) {
			t.Errorf("%s: %d\n%s%s", args, status, out, errs)
		}
	}
	d.says(`(?m)^  enabled +yes$(?s).*live grants +1\n`, "show", "Twin_subject-ada")
	if _, errs, status := d.user("show", "ada@example"); status != 1 || !strings.Contains(errs, "there is no user") {
		t.Errorf("the beginning of an address: %d %s", status, errs)
	}
}

// TestTerminalsAreNotSteered: what a provider sent is shown and does nothing.
func TestTerminalsAreNotSteered(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace, Łódź":       "Ada Lovelace, Łódź",
		"\x1b[2Jgone":              "�[2Jgone",
		"two\nlines\r":             "two�lines�",
		"\u202ereversed\u200b":     "�reversed�",
		"\u009b31mred\x7f\x07bell": "�31mred��bell",
	} {
		if got := weir.Printable(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}
