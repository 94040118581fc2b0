package outbound

import (
	"slices"
	"sync/atomic"
	"time"

	"roundhouse/codec/lane"
	"roundhouse/server/loop"
)

// latencyBounds are the upper bounds of the histogram of durations.
var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// histogram counts durations, by latencyBounds.
type histogram struct {
	counts [len(latencyBounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// The phases of a request whose time is counted.
const (
	phaseConnect = iota // from its head until there was a connection
	phaseRTP            // from its end to the head of the answer
	phaseTotal          // from its head to the end of its answer
)

var phaseNames = [...]string{"connect", "rtp", "total"}

// methodNames are the methods that are counted by themselves, and what the others count as.
var methodNames = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}

// methodIndex is the index of a method in methodNames.
func methodIndex(method []byte) uint8 {
	for i := range methodNames[:len(methodNames)-1] {
		if string(method) == methodNames[i] {
			return uint8(i)
		}
	}
	return uint8(len(methodNames) - 1)
}

// codePage counts answers by the last two digits of their status.
type codePage [100]atomic.Int64

// stats are the counters of one loop: written by it, read by anybody.
type stats struct {
	codes    [len(methodNames)][6]atomic.Pointer[codePage] // by method and by the first digit of the status; 0: there was no answer
	errors   [lane.CodeAffinityLost + 2]atomic.Int64       // by code of the reset; the last: lanes that were lost
	up, down atomic.Int64                                  // bytes of bodies
	phases   [len(phaseNames)]histogram
	affinity [len(affinityNames)]atomic.Int64
	upgraded atomic.Int64 // requests that are upgraded now
}

// finished counts a request that has ended.
func (c *stats) finished(s *stream, total time.Duration) {
	n := &s.seen
	c.answered(s.method, n.status)
	c.affinity[s.affinityIndex()].Add(1)
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
	if n.connected > 0 {
		c.phases[phaseConnect].add(n.connected)
	}
	if n.first > 0 {
		c.phases[phaseRTP].add(n.rtp())
	}
	c.phases[phaseTotal].add(total)
	if n.status == 101 {
		c.upgraded.Add(-1)
	}
}

// answered counts an answer; status 0 is none. Only the first one of a class of statuses, for each method, allocates.
func (c *stats) answered(method uint8, status int) {
	if status < 0 || status > 599 {
		return
	}
	page := &c.codes[method][status/100]
	p := page.Load()
	if p == nil { // there is one writer
		p = new(codePage)
		page.Store(p)
	}
	p[status%100].Add(1)
}

// errorNames are the names that relay servers have for what ends a request.
var errorNames = map[lane.Code]string{
	lane.CodeCancelled: "RSE_CLIENT_GONE", lane.CodeBackendDown: "RSE_BACKEND_DOWN", lane.CodeBackendReset: "RSE_BACKEND_RESET",
	lane.CodeBadResponse: "RSE_BAD_RESPONSE", lane.CodeTimeout: "RSE_TIMEOUT_HEADERS", lane.CodeProtocol: "RSE_CHANNEL_LOST", lane.CodeOverload: "RSE_BUSY",
	lane.CodeGoingAway: "RSE_CHANNEL_LOST", lane.CodeAffinityLost: "RSE_AFFINITY_LOST", codeLaneLost: "RSE_CHANNEL_LOST",
}

// CodeCount is how many requests with a method got a status; 0: none.
type CodeCount struct {
	Method string
	Code   int
	N      int64
}

// Times is a distribution of durations.
type Times struct {
	Counts []int64 // not longer than each of LatencyBounds, then longer
	Sum    time.Duration
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
	Upgraded    int64            // requests that are upgraded, to WebSocket or another protocol
	Answers     []CodeCount      // of all requests that have ended; those that are 0 are left out
	Errors      map[string]int64 // requests that were reset, by the name that relay servers have for it
	Affinity    map[string]int64 // requests that have ended, by what became of their session
	UpBytes     int64            // of bodies of requests that have ended
	DownBytes   int64            // of bodies of their answers
	Phases      map[string]Times // of requests that have ended
}

// LatencyBounds are the upper bounds of Times.Counts but its last.
func LatencyBounds() []time.Duration { return append([]time.Duration(nil), latencyBounds[:]...) }

// Stats reads the counters.
func (e *Enabler) Stats() Stats {
	t := Stats{Lanes: e.lanes.Load(), Streams: e.streams.Load(), Requests: e.requests.Load(), Up: e.monitor.up.Load(),
		Active: int64(junctionsOf(e).Active), Connections: e.slots.open.Load(), Idle: e.idle.Load(), Waiting: e.slots.waiting.Load(), Held: e.limits.held.Load(),
		Errors: map[string]int64{}, Affinity: map[string]int64{}, Phases: map[string]Times{}}
	for _, name := range phaseNames {
		t.Phases[name] = Times{Counts: make([]int64, len(latencyBounds)+1)}
	}
	var codes [len(methodNames)][6][100]int64
	for _, sh := range e.shards {
		c := &sh.stats
		t.Sessions += sh.sockets.count.Load()
		t.UpBytes += c.up.Load()
		t.DownBytes += c.down.Load()
		t.Upgraded += c.upgraded.Load()
		for i := range c.errors {
			code := lane.Code(i)
			if i == len(c.errors)-1 {
				code = codeLaneLost
			}
			if i > 0 {
				t.Errors[errorNames[code]] += c.errors[i].Load()
			}
		}
		for i := range c.affinity {
			t.Affinity[affinityNames[i]] += c.affinity[i].Load()
		}
		for i := range c.phases {
			c.phases[i].addTo(t.Phases, phaseNames[i])
		}
		c.addCodes(&codes)
	}
	for m := range codes {
		for class := range codes[m] {
			for i, n := range codes[m][class] {
				if n > 0 {
					t.Answers = append(t.Answers, CodeCount{methodNames[m], class*100 + i, n})
				}
			}
		}
	}
	return t
}

// addTo adds the histogram to those of the name.
func (h *histogram) addTo(all map[string]Times, name string) {
	t := all[name]
	for i := range h.counts {
		t.Counts[i] += h.counts[i].Load()
	}
	t.Sum += time.Duration(h.sum.Load())
	all[name] = t
}

// addCodes adds the answers to all.
func (c *stats) addCodes(all *[len(methodNames)][6][100]int64) {
	for m := range c.codes {
		for class := range c.codes[m] {
			if page := c.codes[m][class].Load(); page != nil {
				for i := range page {
					all[m][class][i] += page[i].Load()
				}
			}
		}
	}
}

// Lane says how a lane that is up travels, and how long a round trip takes; 0: that is not known yet.
type Lane struct {
	Kind string // http, length or ws
	RTT  time.Duration
}

// LanesOf asks every loop for the lanes that are up. It is not called on a loop.
func LanesOf(e *Enabler) []Lane {
	parts := make([][]Lane, len(e.shards)) // each written by one loop
	e.group.Each(func(l *loop.Loop) {
		for k := range e.shards[l.Index()].links {
			if k.up.Load() != 0 {
				parts[l.Index()] = append(parts[l.Index()], Lane{[...]string{"http", "length", "ws"}[k.form], k.end.RTT()})
			}
		}
	})
	return slices.Concat(parts...)
}
