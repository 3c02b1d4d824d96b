package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/store"
)

// What Check and CheckList accept and refuse is in the contract suite. This is about what they say.
func TestRefusalsNeverQuoteTheDocument(t *testing.T) {
	const mail = "ann@example.com"
	for _, d := range []store.Doc{
		{Key: mail + "\x00"},
		{Key: strings.Repeat(mail, store.MaxKey)},
		{Key: "a", Unique: []string{mail + "\x00"}},
		{Key: "a", Index: []string{mail}},
		{Key: "a", Index: []string{"n:" + mail, "n:" + mail}},
	} {
		if err := d.Check("k"); !errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), "ann") {
			t.Errorf("error %v", err)
		}
	}
	if err := store.CheckList("mail:", mail, 1); !errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), "ann") {
		t.Errorf("error %v", err)
	}
}
