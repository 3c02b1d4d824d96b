package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	weir "github.com/weir-id/weir/cmd/weir"
	"github.com/weir-id/weir/federation/pool/api"
)

// mapping runs weir mapping and returns what it wrote and its exit status.
func (d *deployment) mapping(args ...string) (stdout, stderr string, status int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	all := append([]string{"mapping", args[0], "--config", d.path("weir.yaml"), "--pool", poolID, "--provider", "Corp"}, args[1:]...)
	status = weir.Run(d.t.Context(), all, &out, &errs)
	return out.String(), errs.String(), status
}

// tries checks what a test of a mapping says, and its exit status.
func (d *deployment) tries(status int, want string, args ...string) string {
	d.t.Helper()
	out, errs, got := d.mapping(append([]string{"test"}, args...)...)
	if got != status || !regexp.MustCompile(want).MatchString(out+errs) {
		d.t.Errorf("weir mapping test %q: %d\n%s%s\nwant %d %s", args, got, out, errs, status, want)
	}
	return out
}

// keeping is a deployment that keeps Corp's assertions.
func keeping(t *testing.T) *deployment {
	d := deploy(t)
	d.write("pool.yaml", strings.Replace(d.read("pool.yaml"), "authorize_scopes: openid email", `authorize_scopes: openid email, keep_assertions: "5"`, 1))
	return d
}

// TestMappingCommand: a mapping is tried on what is kept, while weir serves and without.
func TestMappingCommand(t *testing.T) {
	d := keeping(t)
	d.write("same.yaml", "email: email\n")
	d.write("more.yaml", "AttributeMapping:\n  email: email\n  nickname: '[cel] claims.email.split(\"@\")[0]'\n")
	d.write("broken.yaml", "email: nothing\nnickname: email\n")
	d.write("faulty.yaml", "email: email\nname: '[cel] clams.x'\n")
	d.write("unknown.yaml", "custom:none: email\n")
	d.write("bad.yaml", "email: sub\n")
	d.write("whole.yaml", strings.Replace(d.read("pool.yaml"), "AttributeMapping: {email: email}", "AttributeMapping: {email: email, name: sub}", 1))
	d.write("claims.json", `{"sub":"subject-ada","email":"ada@example.com"}`)
	d.write("stranger.json", `{"email":"eve@example.com\u001b[2J"}`)
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"subject-ada","email":"ada@else.example"}`))
	d.write("token.jwt", "e30."+payload+".c2ln\n")

	p := d.serve()
	d.tries(0, `^there is no assertion to try\n$`)
	sub := d.signIn(newBrowser(t)).Subject
	check := func() {
		t.Helper()
		d.tries(0, `^#1 Corp_subject-ada, 20.* UTC: no change\n  attribute +before +after +rule +why\n  email +ada@example\.com +ada@example\.com +email +written\n  email_verified +false +false +- +-\n$`)
		d.tries(0, `: no change\n`, "--rules", d.path("same.yaml"))
		d.tries(0, `: changes\n(?s).*nickname +- +ada +\[cel\] claims\.email`, "--rules", d.path("more.yaml"))
		d.tries(0, `: changes\n(?s).*name +- +subject-ada +sub`, "--rules", d.path("whole.yaml"))
		// A sign-in that works goes on working without an address, which is kept.
		d.tries(0, `: changes\n(?s).*nickname +- +ada@example\.com`, "--rules", d.path("broken.yaml"))
		d.tries(3, `(?s)would FAIL, and works today\n  the sign-in would end: Invalid user attributes: email\. The value must be an e-mail address\.\n.*email +ada@example\.com +subject-ada +sub +The value must be an e-mail address\.\n.*weir: 1 sign-in that works would fail\n$`,
			"--rules", d.path("bad.yaml"))
		d.tries(1, `faulty\.yaml:2: name: line 1, column 7: undeclared reference to 'clams'`, "--rules", d.path("faulty.yaml"))
		d.tries(1, `AttributeMapping\[custom:none\]: the attribute is not in the schema`, "--rules", d.path("unknown.yaml"))
		d.tries(0, `^Corp_subject-ada: no change\n`, "--claims", d.path("claims.json"))
		d.tries(0, `^Corp_subject-ada: changes\n  not checked: signature\. The token's payload is taken as it is\.\n(?s).*email +ada@example\.com +ada@else\.example`, "--claims", d.path("token.jwt"))
		d.tries(0, `^nobody in particular, a new user: fails, as before\n(?s).*eve@example\.com�\[2J`, "--claims", d.path("stranger.json"))
		d.tries(1, `No assertion of that number is kept`, "--kept", "77")
		d.tries(1, `--kept "x": want the number`, "--kept", "x")
		d.tries(1, `The claims must be one JSON object|send no such documents`, "--claims", d.path("weir.yaml"))
		var report api.TestAttributeMappingResponse
		if err := json.Unmarshal([]byte(d.tries(3, "", "--rules", d.path("bad.yaml"), "--json", "--kept", "1")), &report); err != nil || report.Summary == nil ||
			*report.Summary.Broken != 1 || report.Assertions[0].UserSub != sub || report.Assertions[0].Result != "BROKEN" {
			t.Errorf("report %+v, %v", report, err)
		}
		out, errs, status := d.mapping("list")
		if status != 0 || !regexp.MustCompile(`^#1  20.* UTC  subject-ada  signed in\n$`).MatchString(out) {
			t.Errorf("list: %d %s%s", status, out, errs)
		}
		out, errs, status = d.mapping("list", "--kept", "1")
		if status != 0 || !strings.Contains(out, "\n  email: \"ada@example.com\"\n") {
			t.Errorf("list one: %d %s%s", status, out, errs)
		}
	}
	check()
	p.interrupt()
	<-p.ended
	check()
	if out, errs, status := d.user("show", sub); status != 0 || !strings.Contains(out, "ada@example.com") || strings.Contains(out, "nickname") {
		t.Errorf("the user was written to: %s%s", out, errs)
	}
	d.user("delete", "--yes", sub)
	d.tries(0, `^there is no assertion to try\n$`)
}
