package pool

import (
	"context"
	"math"

	"github.com/google/uuid"

	"github.com/weir-id/weir/federation/fault"
)

// estimateSample is how many users EstimateUsers reads at most.
const estimateSample = 400

// EstimateUsers returns about how many users a pool has (EstimatedNumberOfUsers of the API model): the exact number below 400, otherwise an
// estimate whose standard error is 5 %. It reads 400 users, whatever the number.
//
// Subs are random UUIDs, so the users are evenly strewn over the numbers that those can be: of n users the k-th in the order of subs is found,
// on average, after k of n+1 parts. (k-1)/x, x being the part of the space up to it, estimates n without a bias.
// Errors: fault.NotFound for the pool.
func (d *Directory) EstimateUsers(ctx context.Context, poolID string) (int, error) {
	if _, err := d.Pool(ctx, poolID); err != nil {
		return 0, err
	}
	page, _, err := d.users().List(ctx, indexPrefix("sub", poolID, ""), "", estimateSample)
	if err != nil {
		return 0, storeFault("estimate the number of users", err, noPool)
	}
	if len(page) < estimateSample {
		return len(page), nil
	}
	id, err := uuid.Parse(page[len(page)-1].Value.Sub)
	if err != nil {
		return 0, fault.New(fault.Internal, "Something went wrong on our side.", err)
	}
	n := float64(estimateSample-1) / part(id)
	if n < estimateSample || math.IsInf(n, 0) {
		return estimateSample, nil // not random, then; and so many there are
	}
	return int(math.Round(n)), nil
}

// part returns which part of all random UUIDs comes before or is id, from 0 to 1: its 122 random bits as a fraction. The four of the version
// and the two of the variant (RFC 9562 section 5.4) are the same in all of them. A float64 keeps the first 53 bits, which is plenty.
func part(id uuid.UUID) float64 {
	var x float64
	scale := 1.0
	take := func(value byte, bits int) {
		scale = math.Ldexp(scale, -bits)
		x += float64(value) * scale
	}
	for i, b := range id {
		switch i {
		case 6:
			take(b&0x0f, 4)
		case 8:
			take(b&0x3f, 6)
		default:
			take(b, 8)
		}
	}
	return x
}
