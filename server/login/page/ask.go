package page

import (
	"fmt"
	"io"
)

// What a person can answer on Ask and Confirm, as values of the parameter choice.
const (
	ChoiceNew    = "new"
	ChoiceLink   = "link"
	ChoiceBack   = "back"
	ChoiceCancel = "cancel"
)

// AskNotice is what became of an earlier answer. Whatever is none of these says nothing.
type AskNotice string

// The notices.
const (
	AskOther   AskNotice = "other"   // the account is none that could be linked
	AskFailed  AskNotice = "failed"  // nobody was proven
	AskChanged AskNotice = "changed" // what was proven is not so any more
)

// Ask is the view of the page that asks whether the person has an account already, and of the one on which they confirm that two are linked.
type Ask struct {
	Action     string // receives a POST with Params and the choice
	Params     []Param
	ClientName string // the application; empty leaves the line out
	Provider   string // where the person signed in
	Address    string // as which
	Notice     AskNotice
	// Providers are the ways to sign in that the application offers: all of them, whichever the account has.
	Providers []Provider
	// By and Account are, on Confirm, the provider by which the person proved to have the account, and its address.
	By, Account string
}

type askData struct {
	Action, Client, Provider, Address, Notice, By, Account string
	Params                                                 []Param
	Providers                                              []providerData
	Many                                                   bool
}

func (v Ask) prepare(m Messages, as assets) (askData, error) {
	if !mayLeadTo(v.Action) {
		return askData{}, ErrURL
	}
	named := func(provider string) string {
		if provider = displayName(provider); provider != "" {
			return provider
		}
		return m.UnnamedProvider
	}
	d := askData{Action: v.Action, Params: v.Params, Client: displayName(v.ClientName), Provider: named(v.Provider), Address: displayName(v.Address),
		Notice: m.AskNotices[v.Notice], By: named(v.By), Account: displayName(v.Account), Many: len(v.Providers) >= manyProviders}
	shown := make([]Provider, len(v.Providers))
	for i, p := range v.Providers {
		shown[i] = Provider{Name: displayName(p.Name), Brand: p.Brand}
	}
	d.Providers = m.buttons(shown, as)
	for i := range d.Providers {
		d.Providers[i].Value = v.Providers[i].Name
	}
	return d, nil
}

// Ask writes the page that asks. It fails before the first byte where the action is not one that a page may lead to.
func (r *Renderer) Ask(w io.Writer, v Ask) error {
	return r.question(w, KindAsk, v, r.messages.AskTitle)
}

// Confirm writes the page on which the person confirms what Ask led to. Errors as of Ask.
func (r *Renderer) Confirm(w io.Writer, v Ask) error {
	return r.question(w, KindConfirm, v, r.messages.ConfirmTitle)
}

func (r *Renderer) question(w io.Writer, k Kind, v Ask, title string) error {
	p, err := v.prepare(r.messages, r.assets)
	if err != nil {
		return fmt.Errorf("page: %s: %w", k, err)
	}
	if p.Notice != "" {
		title = r.messages.ErrorTitle.Around(title)
	}
	return r.write(w, k, frame{Title: title, V: p})
}
