package poolapi

import (
	"cmp"
	"errors"
	"strings"

	"github.com/weir-id/weir/federation/pool"
)

// account stands where an ARN has the number of an AWS account. Nothing depends on it.
const account = "000000000000"

// arnOf names a pool as the original does: arn:aws:cognito-idp:<region>:<account>:userpool/<id>.
func (s *Service) arnOf(poolID string) string {
	return "arn:aws:cognito-idp:" + cmp.Or(s.Region, pool.DefaultRegion) + ":" + account + ":userpool/" + poolID
}

var errARN = errors.New("not the ARN of a user pool")

// poolOfARN returns the id in the ARN of a user pool, of any partition, region and account: infrastructure code that was written for another
// deployment names those, and the id alone says which pool is meant.
func poolOfARN(arn string) (string, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "cognito-idp" {
		return "", errARN
	}
	id, ok := strings.CutPrefix(parts[5], "userpool/")
	if !ok || id == "" {
		return "", errARN
	}
	return id, nil
}
