package pool_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store"
)

func TestFoldMakesVariantsOfOneNameEqual(t *testing.T) {
	for name, c := range map[string]struct {
		fold func(string) string
		a, b string
		same bool
	}{
		"ASCII case":                        {pool.Fold, "Corp_Jane", "corp_jANE", true},
		"Unicode case":                      {pool.Fold, "ÉLODIE", "élodie", true},
		"sharp s":                           {pool.Fold, "STRASSE", "straße", true},
		"final sigma":                       {pool.Fold, "ΟΔΟΣ", "οδος", true},
		"composed and decomposed":           {pool.Fold, "\u00e9", "e\u0301", true},
		"different letters":                 {pool.Fold, "jane", "jame", false},
		"full width stays apart":            {pool.Fold, "ｊane", "jane", false},
		"e-mail local part":                 {pool.FoldEmail, "Jane@example.com", "jane@example.com", true},
		"e-mail domain case":                {pool.FoldEmail, "jane@EXAMPLE.com", "jane@example.com", true},
		"e-mail domain in Unicode":          {pool.FoldEmail, "jane@Bücher.example", "jane@xn--bcher-kva.example", true},
		"e-mail with another at sign":       {pool.FoldEmail, `"a@b"@example.com`, `"A@b"@EXAMPLE.com`, true},
		"e-mail without a valid domain":     {pool.FoldEmail, "jane@under_score", "JANE@UNDER_SCORE", true},
		"identifiers that are no domains":   {pool.FoldDomain, "My IdP_2", "my idp_2", true},
		"provider names in full width":      {pool.FoldName, "Ｃorp", "corp", true},
		"provider names that are ligatures": {pool.FoldName, "o\ufb03ce", "office", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.fold(c.a) == c.fold(c.b); got != c.same {
				t.Errorf("%q and %q: same %v, want %v", c.fold(c.a), c.fold(c.b), got, c.same)
			}
		})
	}
}

func TestKeysFitTheStoreWhateverTheirLength(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, subject := range []string{"1", long} {
		if k := pool.IdentityKey("local_Example01", "Corp", subject); len(k) > store.MaxKey {
			t.Errorf("key of %d bytes", len(k))
		}
	}
	if pool.IdentityKey("local_a", "Corp", long) == pool.IdentityKey("local_a", "Corp", long+"x") {
		t.Error("two long subjects share a key")
	}
	if pool.IdentityKey("local_a", "Corp", "1") == pool.IdentityKey("local_b", "Corp", "1") {
		t.Error("two pools share a key")
	}
	if k := pool.UsernameKey("local_a", strings.Repeat("\U0001D400", 128)); len(k) > store.MaxKey {
		t.Errorf("user name key of %d bytes", len(k))
	}
}

func FuzzIdentityKeysNeverCollide(f *testing.F) {
	f.Add("Corp", "a", "Cor", "pa")
	f.Add("Corp", "1:a", "Corp", "1:b")
	f.Add("4:Corp", "", "4", ":Corp")
	f.Add("a", "/b", "a/", "b")
	f.Add("Corp", strings.Repeat("s", 2000), "Corp", strings.Repeat("s", 2001))
	f.Fuzz(func(t *testing.T, p1, s1, p2, s2 string) {
		same := p1 == p2 && s1 == s2
		k1, k2 := pool.IdentityKey("local_a", p1, s1), pool.IdentityKey("local_a", p2, s2)
		if (k1 == k2) != same {
			t.Errorf("(%q, %q) and (%q, %q): keys %q and %q", p1, s1, p2, s2, k1, k2)
		}
		if len(k1) > store.MaxKey {
			t.Errorf("key of %d bytes", len(k1))
		}
		if k1 == pool.IdentityKey("local_b", p1, s1) || strings.HasPrefix(k1, "u:") {
			t.Errorf("key %q is not the pool's or the space's own", k1)
		}
	})
}

func TestGeneratedNamesHaveTheFormOfTheOriginal(t *testing.T) {
	for want, got := range map[string]string{
		`^eu_[0-9a-zA-Z]{9}$`: pool.GeneratePoolID("eu"),
		`^[a-z0-9]{26}$`:      pool.GenerateClientID(),
		`^[a-z0-9]{52}$`:      pool.GenerateClientSecret().Reveal(),
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q, want %s", got, want)
		}
	}
	if one, two := pool.GenerateClientID(), pool.GenerateClientID(); one == two {
		t.Error("the same id twice")
	}
}

// The bound is six standard deviations of a fair count: modulo bias would put the first four
// characters of 36 about 14 % above the others, which is 22 deviations here.
func TestGeneratedCharactersAreEquallyLikely(t *testing.T) {
	const n = 900_000
	counts := map[rune]float64{}
	for _, r := range pool.Random(pool.LowerAlphanumers, n) {
		counts[r]++
	}
	mean := float64(n) / 36
	for _, r := range pool.LowerAlphanumers {
		if d := counts[r] - mean; d*d > 36*mean {
			t.Errorf("%c came %.0f times, mean %.0f", r, counts[r], mean)
		}
	}
}
