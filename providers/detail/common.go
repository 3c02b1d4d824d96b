package detail

import (
	"fmt"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/mapping"
)

// maxRedacted bounds the claims of redact_assertions.
const maxRedacted = 50

// common reads the keys that providers of every type have. What they mean is package pool's.
//
//	keep_assertions        0 (default) to 100: that many of the provider's last assertions are kept, for mappings to be tried on
//	keep_assertions_days   1 to 30, how long each is kept; default 7
//	redact_assertions      claims or paths, separated by spaces, whose values are not kept
func (r *Reader) common() {
	r.Int(pool.DetailKeepAssertions, 0, 0, pool.MaxKeptAssertions)
	r.Int(pool.DetailKeepAssertionsDays, 1, 1, pool.MaxKeptAssertionsDays)
	sources := pool.ClaimSources(r.Text(pool.DetailRedactAssertions))
	if len(sources) > maxRedacted {
		r.Fail(pool.DetailRedactAssertions, fmt.Sprintf("at most %d claims are possible", maxRedacted))
	}
	for _, s := range sources {
		if _, err := mapping.CompileRule("", s); err != nil || !mapping.IsClaim(s) {
			r.Fail(pool.DetailRedactAssertions, `must be claims or claim paths, separated by spaces; a name with a space is written as ["First name"]`)
		}
	}
}
