package oidctest_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/weir-id/weir/providers/oidc/oidctest"
)

// answer is one response, with redirects not followed.
type answer struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (a answer) token(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`name="interaction" value="([^"]+)"`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no form in %d %s", a.status, a.body)
	}
	return m[1]
}

func browse(t *testing.T, browser *http.Client, method, target string, form url.Values) answer {
	t.Helper()
	c := *browser
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), resp.Header, string(body)}
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

func TestSignInFormIsBoundToItsBrowser(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	form := browse(t, rp.browser, "GET", rp.authorizeURL(), nil)
	fields := url.Values{"interaction": {form.token(t)}, "username": {"ada"}, "password": {"river-otter"}}

	other := newBrowser(t)
	browse(t, other, "GET", rp.authorizeURL(), nil)
	for name, browser := range map[string]*http.Client{"of another browser": other, "without cookies": newBrowser(t)} {
		if got := browse(t, browser, "POST", p.Issuer()+"/sign-in", fields); got.status != 400 || got.header.Get("Set-Cookie") != "" {
			t.Fatalf("a form %s: %d, cookies %q", name, got.status, got.header["Set-Cookie"])
		}
	}
	if got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", fields); got.status != 303 || !strings.HasPrefix(got.location, "http://rp.example/") {
		t.Fatalf("the browser's own form: %d %q", got.status, got.location)
	}
	if got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", fields); got.status != 400 {
		t.Fatalf("a form used twice: %d", got.status)
	}
}

func TestWrongPasswordKeepsTheForm(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	form := browse(t, rp.browser, "GET", rp.authorizeURL(oauth2.SetAuthURLParam("login_hint", `a"da`)), nil)
	if !strings.Contains(form.body, `value="a&#34;da"`) || !strings.Contains(form.body, "Demonstration provider") || !strings.Contains(form.body, "The Shop") {
		t.Fatalf("page: %s", form.body)
	}
	for name, fields := range map[string]url.Values{
		"wrong password": {"username": {"ada"}, "password": {"x"}},
		"other's":        {"username": {"ada"}, "password": {"heron"}},
		"unknown person": {"username": {"eve"}, "password": {""}},
	} {
		fields.Set("interaction", form.token(t))
		got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", fields)
		if got.status != 401 || got.token(t) != form.token(t) || !strings.Contains(got.body, `role="alert"`) {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
	}
	got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", url.Values{
		"interaction": {form.token(t)}, "username": {"ada"}, "password": {"river-otter"},
	})
	if got.status != 303 {
		t.Fatalf("right password afterwards: %d", got.status)
	}
}

func TestConfirmSessionOffersToContinue(t *testing.T) {
	client := confidential()
	p := oidctest.Start(t, oidctest.Config{
		Clients: []oidctest.Client{client}, People: []oidctest.Person{ada, {Username: "ben", Password: "heron", Subject: "subject-ben"}},
		Now: time.Now, Algorithm: jose.ES256, ConfirmSession: true, ShowPeople: true,
	})
	rp := newRelyingParty(t, p, client)
	if first := browse(t, rp.browser, "GET", rp.authorizeURL(), nil); strings.Contains(first.body, "Continue as") || !strings.Contains(first.body, "heron") {
		t.Fatalf("the first form: %s", first.body)
	}
	rp.signIn()
	form := browse(t, rp.browser, "GET", rp.authorizeURL(), nil)
	if !strings.Contains(form.body, "Continue as ada") {
		t.Fatalf("no offer in %s", form.body)
	}
	resume := url.Values{"interaction": {form.token(t)}, "continue": {"yes"}}

	// Somebody else signs in meanwhile: the offer of ada's session is void.
	callback, err := oidctest.SignIn(t.Context(), rp.browser, rp.authorizeURL(), "ben", "heron")
	if err != nil {
		t.Fatal(err)
	}
	if _, idToken := rp.finish(callback.Params().Get("code")); idToken.Subject != "subject-ben" {
		t.Fatalf("sub = %q", idToken.Subject)
	}
	if got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", resume); got.status != 401 {
		t.Fatalf("offer of an ended session: %d %q", got.status, got.location)
	}
	resume.Set("interaction", browse(t, rp.browser, "GET", rp.authorizeURL(), nil).token(t))
	got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-in", resume)
	location, err := url.Parse(got.location)
	if err != nil {
		t.Fatal(err)
	}
	if _, idToken := rp.finish(location.Query().Get("code")); idToken.Subject != "subject-ben" {
		t.Fatalf("sub = %q", idToken.Subject)
	}
}

func TestCancelIsAccessDenied(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	callback, err := oidctest.Cancel(t.Context(), rp.browser, rp.authorizeURL())
	if err != nil {
		t.Fatal(err)
	}
	if got := callback.Params(); got.Get("error") != "access_denied" || got.Get("iss") != p.Issuer() {
		t.Fatalf("callback = %v", got)
	}
}

func TestPagesForbidInlineCodeAndFrames(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	pages := map[string]answer{
		"sign-in":   browse(t, rp.browser, "GET", rp.authorizeURL(), nil),
		"problem":   browse(t, rp.browser, "GET", p.Issuer()+"/authorize", nil),
		"form_post": browse(t, rp.browser, "GET", rp.authorizeURL(oauth2.SetAuthURLParam("response_mode", "form_post"), oauth2.SetAuthURLParam("prompt", "none")), nil),
		"front":     browse(t, rp.browser, "GET", p.Issuer()+"/", nil),
	}
	for name, page := range pages {
		csp := page.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", name, csp)
		}
		for _, want := range []string{`<html lang="en">`, "<title>", "<main>", "<h1>"} {
			if strings.Count(page.body, want) != 1 {
				t.Errorf("%s: %d times %s", name, strings.Count(page.body, want), want)
			}
		}
		if strings.Contains(page.body, "<style") || regexp.MustCompile(`<script>|\son\w+=|style=`).MatchString(page.body) {
			t.Errorf("%s: inline code in %s", name, page.body)
		}
	}
	for _, file := range []string{"/style.css", "/submit.js"} {
		if got := browse(t, rp.browser, "GET", p.Issuer()+file, nil); got.status != 200 || got.body == "" {
			t.Errorf("%s: %d", file, got.status)
		}
	}
}

func TestLogout(t *testing.T) {
	client := confidential()
	p := start(t, client)
	rp := newRelyingParty(t, p, client)
	token, _ := rp.finish(rp.signIn().Get("code"))
	idToken, _ := token.Extra("id_token").(string)
	silent := oauth2.SetAuthURLParam("prompt", "none")
	logout := func(params url.Values) answer {
		return browse(t, rp.browser, "GET", p.Issuer()+"/end-session?"+params.Encode(), nil)
	}

	refused := map[string]url.Values{
		"open redirect":     {"id_token_hint": {idToken}, "post_logout_redirect_uri": {"http://evil.example/"}},
		"nobody's redirect": {"post_logout_redirect_uri": {afterLogout}},
		"forged hint":       {"id_token_hint": {idToken + "x"}, "post_logout_redirect_uri": {afterLogout}},
		"hint of another":   {"id_token_hint": {idToken}, "client_id": {"other"}},
	}
	for name, params := range refused {
		if got := logout(params); got.status != 400 || rp.visit(silent).Get("code") == "" {
			t.Fatalf("%s: %d", name, got.status)
		}
	}

	asked := logout(url.Values{"client_id": {"shop"}, "post_logout_redirect_uri": {afterLogout}, "state": {"s"}})
	if asked.status != 200 || rp.visit(silent).Get("code") == "" {
		t.Fatalf("without a hint it must ask first: %d", asked.status)
	}
	fields := url.Values{"interaction": {asked.token(t)}}
	if got := browse(t, newBrowser(t), "POST", p.Issuer()+"/sign-out", fields); got.status != 400 {
		t.Fatalf("a question answered by another browser: %d", got.status)
	}
	got := browse(t, rp.browser, "POST", p.Issuer()+"/sign-out", fields)
	if got.location != afterLogout+"?state=s" || rp.visit(silent).Get("error") != "login_required" {
		t.Fatalf("after the answer: %d %q", got.status, got.location)
	}

	rp.signIn()
	got = logout(url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {afterLogout}})
	if got.location != afterLogout || rp.visit(silent).Get("error") != "login_required" {
		t.Fatalf("with a hint: %d %q", got.status, got.location)
	}
}
