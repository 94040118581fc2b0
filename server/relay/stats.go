package relay

import (
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/server/webhook"
)

// latencyBounds are the upper bounds of the latency histograms.
var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// stats are the counters of one shard: written by its loop, read by anybody. Those of farms are in counts.go.
type stats struct {
	inFlight, upgraded, clients, lanes atomic.Int64
	requests, retries                  atomic.Int64
	farmless                           *farmCounts // of requests that named no farm
	refusals                           map[string]*atomic.Int64
}

func (s *stats) init() {
	s.farmless = newFarmCounts()
	s.refusals = map[string]*atomic.Int64{}
	for _, e := range http1.Refusals() {
		s.refusals[e.Reason] = new(atomic.Int64)
	}
}

// Totals are the counters of the door, summed over its loops.
type Totals struct {
	InFlight, Clients, Lanes, Upgraded, Requests, Retries int64
	Held                                                  int64            // bytes of bodies held back for slow clients
	Failures                                              map[string]int64 // answers of the relay itself, by name
	Refusals                                              map[string]int64 // malformed requests, by reason
	LogDropped                                            int64            // lines of the access log that were dropped
	Webhook                                               webhook.Counts   // events
}

// LatencyBounds are the upper bounds of Times.Counts but its last.
func LatencyBounds() []time.Duration { return append([]time.Duration(nil), latencyBounds[:]...) }

// Totals sums the counters.
func (r *Relay) Totals() Totals {
	t := Totals{Failures: map[string]int64{}, Refusals: map[string]int64{}, Held: r.held.Load(), LogDropped: r.access.dropped.Load(), Webhook: r.watch.hook.Counts()}
	for _, s := range r.shards {
		t.InFlight += s.stats.inFlight.Load()
		t.Clients += s.stats.clients.Load()
		t.Lanes += s.stats.lanes.Load()
		t.Requests += s.stats.requests.Load()
		t.Retries += s.stats.retries.Load()
		for reason, n := range s.stats.refusals {
			t.Refusals[reason] += n.Load()
		}
	}
	for _, f := range r.FarmTotals() {
		t.Upgraded += f.Upgraded
		for name, n := range f.Failures {
			t.Failures[name] += n
		}
	}
	return t
}
