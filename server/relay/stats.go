package relay

import (
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
)

// latencyBounds are the upper bounds of the latency histogram.
var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// stats are the counters of one shard: written by its loop, read by anybody.
type stats struct {
	inFlight, clients, lanes, upgrades atomic.Int64
	requests, retries                  atomic.Int64
	classes                            [6]atomic.Int64 // responses by the first digit of their status
	bodyIn, bodyOut                    atomic.Int64    // bytes of bodies from and to clients
	failures                           []atomic.Int64  // by failure.index
	refusals                           map[string]*atomic.Int64
	latency                            [len(latencyBounds) + 1]atomic.Int64
	latencySum                         atomic.Int64 // nanoseconds
}

func (s *stats) init() {
	s.failures = make([]atomic.Int64, len(failures))
	s.refusals = map[string]*atomic.Int64{}
	for _, e := range http1.Refusals() {
		s.refusals[e.Reason] = new(atomic.Int64)
	}
}

// finished counts an answered request.
func (s *stats) finished(status int, took time.Duration) {
	if i := status / 100; i < len(s.classes) {
		s.classes[i].Add(1)
	}
	i := 0
	for i < len(latencyBounds) && took > latencyBounds[i] {
		i++
	}
	s.latency[i].Add(1)
	s.latencySum.Add(int64(took))
}

// Totals are the counters of the door, summed over its loops.
type Totals struct {
	InFlight, Clients, Lanes, Upgraded, Requests, Retries int64
	Held                                                  int64            // bytes of bodies held back for slow clients
	Responses                                             [6]int64         // by the first digit of the status
	BodyIn, BodyOut                                       int64            // bytes
	Failures                                              map[string]int64 // answers of the relay itself, by name
	Refusals                                              map[string]int64 // malformed requests, by reason
	Latency                                               []int64          // requests by duration: not longer than each of LatencyBounds, then longer
	LatencySum                                            time.Duration
	LogDropped                                            int64 // lines of the access log that were dropped
}

// LatencyBounds are the upper bounds of Totals.Latency but its last.
func LatencyBounds() []time.Duration { return append([]time.Duration(nil), latencyBounds[:]...) }

// Totals sums the counters.
func (r *Relay) Totals() Totals {
	t := Totals{Failures: map[string]int64{}, Refusals: map[string]int64{}, Latency: make([]int64, len(latencyBounds)+1), Held: r.held.Load(),
		LogDropped: r.access.dropped.Load()}
	for _, s := range r.shards {
		t.InFlight += s.stats.inFlight.Load()
		t.Clients += s.stats.clients.Load()
		t.Lanes += s.stats.lanes.Load()
		t.Upgraded += s.stats.upgrades.Load()
		t.Requests += s.stats.requests.Load()
		t.Retries += s.stats.retries.Load()
		t.BodyIn += s.stats.bodyIn.Load()
		t.BodyOut += s.stats.bodyOut.Load()
		t.LatencySum += time.Duration(s.stats.latencySum.Load())
		for i := range s.stats.classes {
			t.Responses[i] += s.stats.classes[i].Load()
		}
		for i, f := range failures {
			t.Failures[f.name] += s.stats.failures[i].Load()
		}
		for reason, n := range s.stats.refusals {
			t.Refusals[reason] += n.Load()
		}
		for i := range s.stats.latency {
			t.Latency[i] += s.stats.latency[i].Load()
		}
	}
	return t
}
