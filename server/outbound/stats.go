package outbound

import (
	"sync/atomic"
	"time"

	"roundhouse/codec/lane"
)

// latencyBounds are the upper bounds of the histogram of durations.
var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// stats are the counters of one loop: written by it, read by anybody.
type stats struct {
	classes    [6]atomic.Int64                         // answers by the first digit of their status
	errors     [lane.CodeAffinityLost + 2]atomic.Int64 // by code of the reset; the last: lanes that were lost
	up, down   atomic.Int64                            // bytes of bodies
	latency    [len(latencyBounds) + 1]atomic.Int64
	latencySum atomic.Int64 // nanoseconds
}

// finished counts a request that has ended.
func (c *stats) finished(n *seen, total time.Duration) {
	if i := n.status / 100; i > 0 && i < len(c.classes) {
		c.classes[i].Add(1)
	}
	switch {
	case n.code == 0:
	case n.code == codeLaneLost:
		c.errors[len(c.errors)-1].Add(1)
	case int(n.code) < len(c.errors)-1:
		c.errors[n.code].Add(1)
	}
	if n.upBody > 0 {
		c.up.Add(n.upBody)
	}
	if n.downBody > 0 {
		c.down.Add(n.downBody)
	}
	i := 0
	for i < len(latencyBounds) && total > latencyBounds[i] {
		i++
	}
	c.latency[i].Add(1)
	c.latencySum.Add(int64(total))
}

// Stats is a snapshot of an enabler's counters.
type Stats struct {
	Lanes       int64            // lanes that are up
	Streams     int64            // requests in flight
	Requests    int64            // requests ever taken
	Up          bool             // the back end answers
	Connections int64            // to the back end, those that are being opened too
	Idle        int64            // of these, those that carry no request and belong to no session, as far as the loops have told
	Sessions    int64            // of these, those that sessions know of, as far as the loops have told
	Active      int64            // connections to the back end that carry a request
	Waiting     int64            // requests that wait for a connection because of max_conns or max_junction
	Held        int64            // bytes of request bodies that the back end does not take
	Answers     [6]int64         // requests that were answered, by the first digit of the status
	Errors      map[string]int64 // requests that were reset, by reason
	UpBytes     int64            // of bodies of requests that have ended
	DownBytes   int64            // of bodies of their answers
	Latency     []int64          // requests by duration: not longer than each of LatencyBounds, then longer
	LatencySum  time.Duration
}

// LatencyBounds are the upper bounds of Stats.Latency but its last.
func LatencyBounds() []time.Duration { return append([]time.Duration(nil), latencyBounds[:]...) }

// Stats reads the counters.
func (e *Enabler) Stats() Stats {
	t := Stats{Lanes: e.lanes.Load(), Streams: e.streams.Load(), Requests: e.requests.Load(), Up: e.monitor.up.Load(),
		Connections: e.slots.open.Load(), Idle: e.idle.Load(), Waiting: e.slots.waiting.Load(), Held: e.limits.held.Load(),
		Errors: map[string]int64{}, Latency: make([]int64, len(latencyBounds)+1)}
	t.Active = int64(e.junctions().Active)
	for _, sh := range e.shards {
		c := &sh.stats
		t.Sessions += sh.sockets.count.Load()
		t.UpBytes += c.up.Load()
		t.DownBytes += c.down.Load()
		t.LatencySum += time.Duration(c.latencySum.Load())
		for i := range c.classes {
			t.Answers[i] += c.classes[i].Load()
		}
		for i := range c.errors {
			code := lane.Code(i)
			if i == len(c.errors)-1 {
				code = codeLaneLost
			}
			if i > 0 {
				t.Errors[codeNames[code]] += c.errors[i].Load()
			}
		}
		for i := range c.latency {
			t.Latency[i] += c.latency[i].Load()
		}
	}
	return t
}
