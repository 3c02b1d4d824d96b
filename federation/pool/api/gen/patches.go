package main

import (
	"fmt"

	"github.com/weir-id/weir/federation/pool/api"
)

// patterns are the constraints of the published model that Weir does not take over, each with its reason.
var patterns = map[string]struct{ published, ours string }{
	// As written it wants at least three characters and lets the second be an underscore, which the documentation excludes and which would make
	// <ProviderName>_<subject> ambiguous. Package pool checks the rest.
	"ProviderNameTypeV2": {`[^_\p{Z}][\p{L}\p{M}\p{S}\p{N}\p{P}][^_\p{Z}]+`, `[^_\p{Z}]+`},
	// Taken at its word it refuses every custom domain, which is a full domain name. Package pool tells the two kinds of domains apart.
	"DomainType": {`^[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?$`, `^[a-z0-9](?:[a-z0-9\-.]{0,61}[a-z0-9])?$`},
	// Only in output, and with a look-behind, which Go's regular expressions do not have.
	"S3BucketType": {`^[0-9A-Za-z\.\-_]*(?<!\.)$`, ``},
}

// patch replaces patterns. A published pattern that has changed is an error: somebody has to look again.
func patch(shapes map[string]api.Shape) error {
	for name, p := range patterns {
		s := shapes[name]
		if s.Pattern != p.published {
			return fmt.Errorf("the pattern of %s is %q now, the patch is for %q", name, s.Pattern, p.published)
		}
		s.Pattern = p.ours
		shapes[name] = s
	}
	return nil
}
