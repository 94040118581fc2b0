package engine

import (
	"sync/atomic"
	"time"

	"roundhouse/enginepool"
)

// What became of a request, for metrics.
const (
	resultOK = iota
	resultFailed
	resultLost   // its engine ended
	resultKilled // it ran too long, or its engine was stopped by force
	results
)

// timeBounds are the upper bounds of the histograms of times.
var timeBounds = [...]time.Duration{
	100 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond,
	500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second, 5 * time.Minute,
}

// times is a histogram.
type times struct {
	buckets [len(timeBounds) + 1]atomic.Int64
	sum     atomic.Int64 // nanoseconds
}

func (t *times) add(d int64) {
	i := 0
	for i < len(timeBounds) && d > int64(timeBounds[i]) {
		i++
	}
	t.buckets[i].Add(1)
	t.sum.Add(d)
}

// stats are the counters of one shard: written by its loop, read by anybody.
type stats struct {
	clients, inFlight, logins, loginFailures, resumes atomic.Int64
	framesIn, framesOut                               atomic.Int64
	requests, retries, breaks, kills, moves           atomic.Int64
	protocolErrors, clientErrors                      atomic.Int64 // of engines, of clients
	refusedCommands, denied, skippedMonitors          atomic.Int64
	refused                                           [enginepool.Reasons]atomic.Int64
	results                                           [5][results]atomic.Int64 // by mode+1
	wait, run                                         times
	busy                                              atomic.Int64 // nanoseconds that engines worked
}

// waited counts how long a request waited for its engine, in nanoseconds.
func (s *stats) waited(d int64) { s.wait.add(d) }

// ran counts a request that its engine has ended.
func (s *stats) ran(c *call, now int64) {
	d := now - c.began
	s.run.add(d)
	s.busy.Add(d)
	result := resultOK
	if c.wrong {
		result = resultFailed
	}
	s.result(c, result)
}

func (s *stats) result(c *call, result int) { s.results[c.waiter.Mode+1][result].Add(1) }
