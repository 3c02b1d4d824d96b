package page

import (
	"net/http"
	"strings"
)

// CSP returns the Content-Security-Policy (CSP Level 3) of a page: nothing but our own style sheet and icons,
// no inline style or script, no framing (clickjacking), no base element; on Post also our own script file.
//
// form-action needs care. Chromium and WebKit hold it against every redirect that follows a form's
// submission, not only against the form's action (w3c/webappsec-csp issue 8). A form of ours leads through
// an identity provider (which may send the browser on through others, or straight back if the person is signed in
// there) and ends at the application's redirect URI, which may be http://127.0.0.1 or a native application's own
// scheme (RFC 8252 section 7). Neither 'self' nor a list of the provider's origins, nor "https:", covers
// that chain; the sign-in would stop without a word. So Chooser and Post, the pages with a form, send no form-action, and the
// pages without one forbid forms altogether. What this gives up is small: html/template escapes every value, and these
// pages ask for no secret. A page that asks for a password must have form-action 'self' and has to be answered
// with a page, not with a redirect away from this host.
func CSP(k Kind) string {
	p := []string{
		"default-src 'none'",
		"style-src 'self'",
		"img-src 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}
	switch k {
	case KindChooser, KindAsk, KindConfirm:
	case KindPost:
		p = append(p, "script-src 'self'")
	default:
		p = append(p, "form-action 'none'")
	}
	return strings.Join(p, "; ")
}

// SetHeaders sets what a page must be sent with. Status, Strict-Transport-Security and cookies are the caller's.
func SetHeaders(h http.Header, k Kind) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", CSP(k))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	// Pages carry one-time parameters; also in their URLs, hence no referrer.
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", referrerPolicy(k))
	// There is no Cross-Origin-Opener-Policy: it would cut applications off that sign in by way of a pop-up window.
}

// referrerPolicy gives Post an origin: under no-referrer its request would carry "Origin: null" (Fetch
// section 3.2), which receivers that check the origin of a POST refuse.
func referrerPolicy(k Kind) string {
	if k == KindPost {
		return "strict-origin"
	}
	return "no-referrer"
}
