package page

import (
	"slices"
	"strings"
	"unicode"
)

// Brand is the company whose button a provider has. Its value is the company's name as it spells it. Plain, and every
// value that is not below, is a button with the first letter of the provider's name.
//
// The buttons follow what the companies publish about them (Google: Sign in with Google Branding Guidelines; Apple: Human Interface
// Guidelines, Sign in with Apple; Facebook Login: User Experience Design; Login with Amazon: Style Guidelines; Microsoft identity
// platform: Branding guidelines for applications), as far as they agree: their words, their colours in light and
// dark, the mark before the words with space around it, and every button of one size. Where a company's colours
// have too little contrast for WCAG 2.2, contrast wins. All words are of one size, though Apple asks for 43 % of the button's height
// and Google for less. The marks are Weir's own simple drawings.
type Brand string

// The brands there are.
const (
	Plain     Brand = ""
	Google    Brand = "Google"
	Facebook  Brand = "Facebook"
	Apple     Brand = "Apple"
	Amazon    Brand = "Amazon"
	Microsoft Brand = "Microsoft"
	GitHub    Brand = "GitHub"
	GitLab    Brand = "GitLab"
	LinkedIn  Brand = "LinkedIn"
	Okta      Brand = "Okta"
	Auth0     Brand = "Auth0"
)

// look is what a brand's button has beside its words (Messages.WithBrand) and its colours (weir.css, .brand-google).
type look struct {
	light, dark string // the mark's file, on the button of the light and of the dark page
	words       string // what the brand is called in names of providers, in lower case
}

var looks = map[Brand]look{
	Google:    {"google", "google", "google"},
	Facebook:  {"facebook", "facebook", "facebook"},
	Apple:     {"apple-white", "apple", "apple"},
	Amazon:    {"amazon", "amazon", "amazon"},
	Microsoft: {"microsoft", "microsoft", "microsoft entra azure ad aad"},
	GitHub:    {"github-white", "github", "github git hub"},
	GitLab:    {"gitlab", "gitlab", "gitlab git lab"},
	LinkedIn:  {"linkedin", "linkedin", "linkedin linked"},
	Okta:      {"okta", "okta-white", "okta"},
	Auth0:     {"auth0", "auth0-white", "auth0"},
}

// generic are the words of a provider's name that tell nothing about whose accounts it has.
const generic = "sign signin log login in with sso id oauth oauth2 oidc openid connect"

func markFile(name string) string { return "marks/" + name + ".svg" }

// label is a button's text around the one part of it that may be of another writing direction.
type label struct{ Before, Name, After string }

// labels returns the texts of the buttons in their order. A brand's button reads as the brand wants it ("Sign in with Microsoft")
// where that says enough. Where the provider's name adds something, or where the page has another such button, it says
// the name too, for a person must not have to guess: "Sign in with Contoso (Microsoft)".
func (m Messages) labels(providers []Provider) []label {
	out := make([]label, len(providers))
	bare := map[Brand]int{} // buttons without a name of their own
	for _, p := range providers {
		if addsNothing(p.Name, p.Brand) {
			bare[p.Brand]++
		}
	}
	for i, p := range providers {
		name := p.Name
		if name == "" {
			name = m.UnnamedProvider
		}
		with, ok := m.WithBrand[p.Brand]
		switch {
		case !ok:
			out[i] = label{m.ContinueWith.Before, name, m.ContinueWith.After}
		case name == string(p.Brand), addsNothing(p.Name, p.Brand) && bare[p.Brand] == 1:
			out[i] = label{with.Before, string(p.Brand), with.After}
		case says(name, p.Brand):
			out[i] = label{with.Before, name, with.After}
		default:
			out[i] = label{with.Before, name, m.OfBrand.Around(string(p.Brand)) + with.After}
		}
	}
	return out
}

// addsNothing reports whether a name says no more than its brand: "Google", "SignInWithApple", "EntraID", "github-oidc", "".
func addsNothing(name string, b Brand) bool {
	known := strings.Fields(generic + " " + looks[b].words)
	for _, word := range split(name) {
		if !slices.Contains(known, strings.ToLower(word)) {
			return false
		}
	}
	return true
}

// says reports whether the brand is among the words of a name: "Contoso-GitHub", "contoso.github". "Applebee" does not say Apple.
func says(name string, b Brand) bool {
	words := split(name)
	for i := range words {
		for j := i + 1; j <= len(words); j++ {
			if strings.EqualFold(strings.Join(words[i:j], ""), string(b)) {
				return true
			}
		}
	}
	return false
}

// split returns the words of a name: at everything that is neither letter nor digit, and in front of a
// capital after a small letter ("EntraID").
func split(name string) []string {
	var b strings.Builder
	last := ' '
	for _, c := range name {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c):
			b.WriteByte(' ')
		case unicode.IsUpper(c) && unicode.IsLower(last):
			b.WriteByte(' ')
			fallthrough
		default:
			b.WriteRune(c)
		}
		last = c
	}
	return strings.Fields(b.String())
}
