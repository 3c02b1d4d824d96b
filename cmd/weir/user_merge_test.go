package main_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// withTwin adds a second provider, Twin, that is the same as Corp.
func (d *deployment) withTwin() {
	d.write("pool.yaml", regexp.MustCompile(`(?m)^    AttributeMapping.*\n`).ReplaceAllStringFunc(d.read("pool.yaml"), func(line string) string {
		return line + strings.Replace("  - ProviderName: Twin\n    ProviderType: OIDC\n    ProviderDetails: {client_id: weir, client_secret: upstream-secret, "+
			"oidc_issuer: ISSUER, authorize_scopes: openid email}\n", "ISSUER", `"`+d.provider.Issuer()+`"`, 1) + line
	}))
	d.write("pool.yaml", strings.Replace(d.read("pool.yaml"), "SupportedIdentityProviders: [Corp]", "SupportedIdentityProviders: [Twin, Corp]", 1))
}

// signInAt signs ada in through a provider.
func (d *deployment) signInAt(provider string) {
	d.t.Helper()
	b := newBrowser(d.t)
	b.stopAt = d.provider.Issuer()
	at, err := oidctest.SignIn(d.t.Context(), &b.client, b.open(d.oauth().AuthCodeURL("s")+"&identity_provider="+provider).url.String(), "ada", "river-otter")
	if err != nil {
		d.t.Fatal(err)
	}
	b.stopAt = callback
	if back := b.open(at.URL.String()); back.url.Query().Get("code") == "" {
		d.t.Fatalf("%s: %s", provider, back.url)
	}
}

// TestMergeCommand: two users are merged while weir serves, and that is undone without; each time it is said before what would change.
func TestMergeCommand(t *testing.T) {
	d := deployKeeping(t)
	d.withTwin()
	p := d.serve()
	d.signInAt("Corp")
	d.signInAt("Twin")
	const uuid = `[0-9a-f-]{36}`
	d.says(`^`+uuid+` \(Twin_subject-ada\) would be merged into `+uuid+` \(Corp_subject-ada\)\n  sub +`+uuid+`; `+uuid+` leads to it, and so does the name Twin_subject-ada\n`+
		`  attributes +stay as they are\n  Twin +subject-ada \(OIDC\) signs in as `+uuid+`\n  grants +1 ends\n$`, "merge", "--dry-run", "--into", "Corp_subject-ada", "Twin_subject-ada")
	d.says(`(?m)^  status +EXTERNAL`, "show", "Twin_subject-ada")
	if out, errs, status := d.user("merge", "--into", "ada@example.com", "Twin_subject-ada"); status != 1 || !strings.Contains(errs, "is more than one user") || strings.Count(out, "\n") != 2 {
		t.Errorf("into an address of two: %d\n%s%s", status, out, errs)
	}
	d.says(`is merged into .*\n(?s).*1 ends`, "merge", "--into", "Corp_subject-ada", "Twin_subject-ada")
	d.says(`was merged into .* before: nothing changes\n$`, "merge", "--into", "Corp_subject-ada", "Twin_subject-ada")
	d.says(`\(Corp_subject-ada\)\n(?s).*\nmerged: `+uuid+` \(Twin_subject-ada\), since 20.*, by weir user merge\n  Twin +subject-ada \(OIDC\)`, "show", "twin_subject-ada")
	if out, errs, status := d.user("merge", "--into", "Twin_subject-ada", "Corp_subject-ada"); status != 1 || !strings.Contains(errs, "A user cannot be merged into itself.") {
		t.Errorf("into itself: %d\n%s%s", status, out, errs)
	}
	d.says(`\(Corp_subject-ada\)`, "show", "ada@example.com") // one user has it now
	d.signInAt("Twin")
	p.interrupt()
	<-p.ended

	out := d.says(`(?s)"action": "unmerge".*"dry_run": true`, "unmerge", "--dry-run", "--json", "Twin_subject-ada")
	var r struct {
		Into, Other struct{ Username string }
		Identities  []struct{ Provider, Subject string }
		Grants      int `json:"grants_ended"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Into.Username != "Corp_subject-ada" || r.Other.Username != "Twin_subject-ada" || len(r.Identities) != 1 || r.Grants != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	d.says(`is no longer merged into (?s).*each with its own name\n.* signs in as `+uuid+`\n  grants +1 ends\n$`, "unmerge", "Twin_subject-ada")
	d.says(`\(Twin_subject-ada\)\n`, "show", "Twin_subject-ada")
	if out, errs, status := d.user("unmerge", "Twin_subject-ada"); status != 1 || !strings.Contains(errs, "The user is not merged into another one.") {
		t.Errorf("undone twice: %d\n%s%s", status, out, errs)
	}
	if out, errs, status := d.user("merge", "Twin_subject-ada"); status == 0 || !strings.Contains(errs, "into") {
		t.Errorf("into nobody: %d\n%s%s", status, out, errs)
	}
}
