package trace

import (
	"net/netip"
	"sync"
	"time"
)

// What a stranger can do.
//
// Anybody can make a sign-in fail, with nothing but a browser's two requests: an answer that names no attempt (one request, of no
// client and no provider), an answer of garbage to an attempt that they began themselves (two), an authorize request while a provider is down
// (one), an unsolicited response or a logout request of garbage (one). None of it can be told for sure from a real person's failure,
// whose answer may be garbage as well: a wrong signature is what a changed certificate looks like. So no failure earns a write by being real;
// the bounds hold whoever fails:
//
//   - Rate. Each lane is a token bucket of this process. A failure that finds it empty costs no write, no read, and not even the text of its error.
//     One process writes at most 300 traces at once and 6 a minute from then on.
//   - Number. A trace takes the next slot of its lane in turn and with it the place of what was there: 10,000 in all, of 8 KB at most.
//   - Age. What was written stays for a day at least, whatever anybody does: (8,000 - 240) * 12 s, and (2,000 - 60) * 60 s, are both more. With n
//     processes on one store it is the n-th part of that. Without a flood it is seven days. A process that starts has full buckets.
//   - Lanes. A request that carries nothing that we sealed (scanners, old bookmarks, planted answers, unsolicited responses) can neither
//     use up the rate nor take the slots of sign-ins that began here.
//   - Addresses. One address (of IPv6 its /64) gets 30 at once and two a minute, so that one machine in a loop leaves room for others.
//
// What remains: whoever has many addresses can keep most other failures out of the traces for as long as they go on, since the rate is
// shared. They are in the log, and the next trace says how many were left out.

// lane is a share of the traces.
type lane struct {
	name  string // of the stored documents; never changes
	slots uint64
	rate  rate
}

// The lanes.
var (
	ours    = lane{name: "ours", slots: 8000, rate: rate{burst: 240, every: 12 * time.Second}}
	strange = lane{name: "strange", slots: 2000, rate: rate{burst: 60, every: time.Minute}}
)

// Most is how many traces there are at most.
const Most = 10_000

var perAddress = rate{burst: 30, every: 30 * time.Second}

// maxAddresses bounds what is remembered of addresses. Beyond it they share one bucket.
const maxAddresses = 1000

// rate is a token bucket's: burst tokens at first, and one more every so often, up to burst.
type rate struct {
	burst float64
	every time.Duration
}

type bucket struct {
	used float64 // tokens
	at   time.Time
}

// refill brings the bucket up to now. A clock that was set back refills nothing.
func (b *bucket) refill(r rate, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.used = max(0, b.used-float64(passed)/float64(r.every))
		b.at = now
	}
}

// limits decides which failures are written. The zero value is ready; it is safe for concurrent use.
type limits struct {
	mu      sync.Mutex
	lanes   map[string]*bucket
	sources map[string]*bucket
	swept   time.Time
	omitted int
}

// admit takes a token of the lane and one of the address. omitted is how many were refused since the last that was not.
func (l *limits) admit(in lane, address string, now time.Time) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lanes == nil {
		l.lanes, l.sources = map[string]*bucket{}, map[string]*bucket{}
	}
	shared, own := l.bucket(l.lanes, in.name, now), l.source(address, now)
	shared.refill(in.rate, now)
	own.refill(perAddress, now)
	if shared.used+1 > in.rate.burst || own.used+1 > perAddress.burst {
		l.omitted++
		return 0, false
	}
	shared.used++
	own.used++
	omitted, l.omitted = l.omitted, 0
	return omitted, true
}

func (l *limits) bucket(of map[string]*bucket, name string, now time.Time) *bucket {
	b, ok := of[name]
	if !ok {
		b = &bucket{at: now}
		of[name] = b
	}
	return b
}

// source returns the bucket of an address; the ones that are full again are forgotten when there are too many.
func (l *limits) source(address string, now time.Time) *bucket {
	name := network(address)
	if _, known := l.sources[name]; !known && len(l.sources) >= maxAddresses {
		if passed := now.Sub(l.swept); passed < 0 || passed >= perAddress.every {
			l.swept = now
			for name, b := range l.sources {
				if b.refill(perAddress, now); b.used == 0 {
					delete(l.sources, name)
				}
			}
		}
		if len(l.sources) >= maxAddresses {
			name = ""
		}
	}
	return l.bucket(l.sources, name, now)
}

// network is what one machine's owner has of addresses at least: of IPv6 a /64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}
