package engine

import (
	"sync/atomic"
	"time"

	"roundhouse/codec/frame"
	"roundhouse/codec/revcap"
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

var resultNames = [results]string{"ok", "failed", "lost", "killed"}

// kindNames are the kinds of requests: whose they are.
var kindNames = [...]string{revcap.KindClient, "startup", "shutdown", "timer", "monitor", "autorun"}

const modes = 5 // -1 to 3, at index mode+1

// whys are the reasons for which engines end, and end is their place in tables of counters. One that is not here counts as the last.
var whys = [...]enginepool.Why{
	enginepool.WhyIdle, enginepool.WhyAge, enginepool.WhyRunTime, enginepool.WhyRequests, enginepool.WhyMemory, enginepool.WhyStale,
	enginepool.WhyEvicted, enginepool.WhyAdmin, enginepool.WhyForced, enginepool.WhyBye, enginepool.WhyClient, enginepool.WhyStart,
	enginepool.WhyLogin, enginepool.WhyProc, enginepool.WhyProtocol, enginepool.WhyEnded, enginepool.WhyDone, enginepool.WhySurplus,
	enginepool.WhyShutdown, enginepool.WhyUnbroken, enginepool.WhyDiscarded,
}

// whyIndex is the place of a reason in whys.
func whyIndex(why enginepool.Why) int {
	for i := range whys {
		if whys[i] == why {
			return i
		}
	}
	return len(whys) - 1
}

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
	requests, retries, moves                          atomic.Int64
	refusedCommands, denied, skippedMonitors          atomic.Int64

	wire      wireStats
	peaks     peaks
	refused   [enginepool.Reasons]atomic.Int64
	results   [len(kindNames)][modes][results]atomic.Int64
	wait      times        // of requests for their engines
	firstByte times        // until an engine said something about a request
	run       [modes]times // of requests on their engines
	busy      atomic.Int64 // nanoseconds that engines worked
	engines   engineStats
}

// wireStats counts what clients and the door say to each other, and what is wrong with it.
type wireStats struct {
	framesIn, framesOut, bytesIn, bytesOut atomic.Int64
	clientErrors, engineErrors             atomic.Int64 // of the protocols
}

// engineStats counts what becomes of engines.
type engineStats struct {
	up, failed      atomic.Int64 // starts that ended with a login, or without
	startTime       times        // of those that came up
	exits, kills    [len(whys)]atomic.Int64
	breaks, signals atomic.Int64 // as orders, and as signals along with them
}

// peaks are the highest values since they were last taken.
type peaks struct{ inFlight, run, phantom, wait atomic.Int64 }

// raise makes the highest value n, if it is higher. Only the loop calls it.
func raise(highest *atomic.Int64, n int64) {
	if n > highest.Load() {
		highest.Store(n)
	}
}

// received counts a frame of a client.
func (w *wireStats) received(bytes int) {
	w.framesIn.Add(1)
	w.bytesIn.Add(int64(bytes))
}

// sent counts a frame for a client, of which b is the beginning; whole: b is all of it, and its header may count characters.
func (w *wireStats) sent(b []byte, whole bool) {
	n := len(b)
	if size, head, err := frame.ParseHeader(b, frame.MaxSize); head > 0 && err == nil && !whole {
		n = head + size
	}
	w.framesOut.Add(1)
	w.bytesOut.Add(int64(n))
}

// entered counts a request of a client.
func (s *stats) entered() {
	s.requests.Add(1)
	raise(&s.peaks.inFlight, s.inFlight.Add(1))
}

// waited counts how long a request waited for its engine, in nanoseconds.
func (s *stats) waited(d int64) {
	s.wait.add(d)
	raise(&s.peaks.wait, d)
}

// spoke counts the first sign of an engine about a request.
func (s *stats) spoke(c *call, now int64) {
	if !c.logsIn {
		s.firstByte.add(now - c.began)
	}
}

// result counts a request that has ended on e, once. A login on an engine that lives is none.
func (s *stats) result(e *engine, c *call, result int, now int64) {
	if c.counted || c.logsIn {
		return
	}
	c.counted = true
	d := now - c.began
	s.results[kindIndex(c.kind)][c.waiter.Mode+1][result].Add(1)
	s.run[c.waiter.Mode+1].add(d)
	s.busy.Add(d)
	switch {
	case e.pooled.Class == enginepool.Phantom:
		raise(&s.peaks.phantom, d)
	case c.kind == revcap.KindClient:
		raise(&s.peaks.run, d)
	}
	e.seen.slow(e, c, d)
}

// kindIndex is the place of a kind in kindNames.
func kindIndex(kind string) int {
	for i := range kindNames {
		if kindNames[i] == kind {
			return i
		}
	}
	return 0
}

// ended counts a request that its engine has ended.
func (s *stats) ended(e *engine, c *call, now int64) {
	result := resultOK
	if c.wrong {
		result = resultFailed
	}
	s.result(e, c, result, now)
}

// sight is what the statistics know of an engine. Owned by the engine's loop.
type sight struct {
	said []byte // its last information about the request that runs, when slow ones are logged
	up   bool   // it has been ready for work
}

// cameUp counts an engine that we have started and that is ready for work; it is called after every step of its start.
func (s *stats) cameUp(e *engine, now int64) {
	p := e.pooled
	if phase := p.Phase(); e.seen.up || p.Class == enginepool.External || phase < enginepool.Idle || phase > enginepool.Ready {
		return
	}
	e.seen.up = true
	s.engines.up.Add(1)
	s.engines.startTime.add(now - p.View().Started)
}

// left counts an engine of which nothing is left.
func (s *stats) left(e *engine) {
	why := e.pooled.Why()
	if !e.seen.up && e.pooled.Class != enginepool.External {
		s.engines.failed.Add(1)
		if why == enginepool.WhyEnded {
			why = enginepool.WhyStart
		}
	}
	s.engines.exits[whyIndex(why)].Add(1)
}

// killed counts an engine that gets SIGKILL. One that has ended by itself gets it for what it may have left behind: no kill.
func (s *stats) killed(why enginepool.Why) {
	if why != enginepool.WhyEnded {
		s.engines.kills[whyIndex(why)].Add(1)
	}
}
