package trace

import "time"

// Lane is what a test has to know of a lane's bounds.
type Lane struct {
	Slots uint64
	Burst int
	Every time.Duration
}

// Lanes are all of them.
func Lanes() []Lane {
	var out []Lane
	for _, l := range []lane{ours, strange} {
		out = append(out, Lane{Slots: l.slots, Burst: int(l.rate.burst), Every: l.rate.every})
	}
	return out
}

// The bounds that tests run into.
const (
	Block        = block
	MaxBody      = maxBody
	MaxAddresses = maxAddresses
	WriteTime    = writeTime
)

// Of batches.
const (
	BatchMost  = batchMost
	BatchBlock = batchBlock
	QueueMost  = queueMost
	MaxClaims  = maxClaims
	MaxClaim   = maxClaim
	MaxSteps   = maxSteps
)
