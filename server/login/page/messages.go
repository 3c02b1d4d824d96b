package page

// Messages are all sentences of the pages in one language.
type Messages struct {
	Lang string // BCP 47
	Dir  string // ltr or rtl

	SignIn          string
	SignInTitle     Phrase // around the application's name
	ErrorTitle      Phrase // around the page's title
	ToContinueTo    Phrase // around the application's name
	WaysToSignIn    string
	ContinueWith    Phrase // around the provider's name
	Or              string
	WorkEmail       string
	Continue        string
	UnknownDomain   string
	NoProviders     string
	NoProvidersHelp string
	UnnamedProvider string

	WithBrand map[Brand]Phrase // around the brand or the provider's name, in the words that the brand wants
	OfBrand   Phrase           // around the brand, behind the provider's name

	Problems       map[Problem]ProblemText
	Reference      string
	ReferenceHelp  string
	ChooseAgain    string
	BackTo         Phrase // around the application's name
	TheApplication string

	SignedOut     string
	SignedOutHelp string

	DeletionReceived     string
	DeletionReceivedHelp string
	DeletionDone         string
	DeletionDoneHelp     string
	DeletionOf           Phrase // around the day
	Day                  string // the layout of a day

	AskTitle       string
	SignedInWith   Phrase // around the provider's name
	As             Phrase // around the address, behind it
	MayHaveAccount string
	HaveAccount    string
	WaysToProve    string
	NoAccount      string
	NewAccount     string
	NotYou         string
	Cancel         string
	AskNotices     map[AskNotice]string

	ConfirmTitle string
	SignIns      string // the list of both
	AccountOf    Phrase // around the provider by which the account was proven
	WhatLinkDoes Phrase // around the provider that is added
	LinkThem     string
	NotThis      string

	OneMoment   string
	TakingYouTo Phrase // around the receiver's name
	TakingYouOn string // where it has none
	IfNothing   string
}

// Phrase is a sentence around one value: word order differs between languages, and templates put markup around the value.
type Phrase struct{ Before, After string }

// Around returns the sentence as plain text.
func (p Phrase) Around(value string) string { return p.Before + value + p.After }

// ProblemText is what a person reads about a Problem. AdviceAgain takes Advice's place where the page offers to choose again.
type ProblemText struct{ Heading, Advice, AdviceAgain string }

// English is the only language so far.
var English = Messages{
	Lang: "en",
	Dir:  "ltr",

	SignIn:          "Sign in",
	SignInTitle:     Phrase{"Sign in to ", ""},
	ErrorTitle:      Phrase{"Error: ", ""},
	ToContinueTo:    Phrase{"to continue to ", ""},
	WaysToSignIn:    "Ways to sign in",
	ContinueWith:    Phrase{"Continue with ", ""},
	Or:              "or",
	WorkEmail:       "Work e-mail",
	Continue:        "Continue",
	UnknownDomain:   "No sign-in is set up for that e-mail domain.",
	NoProviders:     "No way to sign in is set up for this application yet.",
	NoProvidersHelp: "Please tell the administrator of the application.",
	UnnamedProvider: "another service",

	WithBrand: map[Brand]Phrase{
		Google:    {"Sign in with ", ""},
		Facebook:  {"Continue with ", ""},
		Apple:     {"Sign in with ", ""},
		Amazon:    {"Login with ", ""},
		Microsoft: {"Sign in with ", ""},
		GitHub:    {"Sign in with ", ""},
		GitLab:    {"Sign in with ", ""},
		LinkedIn:  {"Sign in with ", ""},
		Okta:      {"Sign in with ", ""},
		Auth0:     {"Sign in with ", ""},
	},
	OfBrand: Phrase{" (", ")"},

	Problems: map[Problem]ProblemText{
		Failed: {
			"Sign-in did not work",
			"Go back to the application and try again.",
			"Try again, or choose another way to sign in.",
		},
		Cancelled: {
			"Sign-in was cancelled",
			"You were not signed in. Go back to the application to start again.",
			"You were not signed in. Try again, or choose another way to sign in.",
		},
		Expired: {
			"This sign-in is no longer valid",
			"Sign-in has to be finished within a few minutes, in the browser that started it. Go back to the application and start again.",
			"Sign-in has to be finished within a few minutes, in the browser that started it. You can start again.",
		},
		Busy: {
			"Sign-in is not available right now",
			"Wait a minute, then go back to the application and try again.",
			"Wait a minute and try again, or choose another way to sign in.",
		},
		Misconfigured: {
			"This sign-in cannot work",
			"Something is not set up correctly, so trying again will not help. Please tell the administrator of the application.",
			"Something is not set up correctly. Please tell the administrator of the application, or choose another way to sign in.",
		},
		NotFound: {
			"There is no such page",
			"Check the address, or go back to the application and sign in from there.",
			"Check the address, or start again.",
		},
	},
	Reference:      "Reference",
	ReferenceHelp:  "If this keeps happening, give this reference to your administrator.",
	ChooseAgain:    "Choose how to sign in",
	BackTo:         Phrase{"Back to ", ""},
	TheApplication: "the application",

	SignedOut:     "You are signed out",
	SignedOutHelp: "You can close this window. On a shared device, also sign out of the service that you signed in with.",

	DeletionReceived:     "Your request was received",
	DeletionReceivedHelp: "You are signed out. What is still kept of you here is deleted by the operator of this service.",
	DeletionDone:         "Your request is done",
	DeletionDoneHelp:     "There is nobody here any more who belongs to the account that you asked from.",
	DeletionOf:           Phrase{"You asked on ", " that your data be deleted."},
	Day:                  "2 January 2006",

	AskTitle:       "Do you have an account already?",
	SignedInWith:   Phrase{"You signed in with ", ""},
	As:             Phrase{" as ", "."},
	MayHaveAccount: "There may be an account with this address here already.",
	HaveAccount:    "If it is yours, sign in to it the way you usually do. After that you can choose to get into it both ways.",
	WaysToProve:    "Ways to sign in to your account",
	NoAccount:      "If you have none, or want to keep the two apart:",
	NewAccount:     "Continue with a new account",
	NotYou:         "If it was not you who just signed in there, cancel.",
	Cancel:         "Cancel",
	AskNotices: map[AskNotice]string{
		AskOther:   "That is not an account that can be linked. Nothing was changed, and you are not signed in.",
		AskFailed:  "Signing in to your account did not work. Nothing was changed.",
		AskChanged: "Something has changed in the meantime. Sign in to your account once more.",
	},

	ConfirmTitle: "Link these two?",
	SignIns:      "What will be linked",
	AccountOf:    Phrase{"Your account, by ", ""},
	WhatLinkDoes: Phrase{"From then on, whoever can sign in with ", " as above gets into your account. Link them only if both are yours and you signed in with both just now."},
	LinkThem:     "Link and continue",
	NotThis:      "Do not link",

	OneMoment:   "One moment",
	TakingYouTo: Phrase{"Taking you to ", "."},
	TakingYouOn: "Taking you to the next step.",
	IfNothing:   "If nothing happens, choose Continue.",
}
