package relay

import (
	"math"
	"time"

	"roundhouse/codec/lane"
)

// allotment is what a lane sets aside for each answer: the less, the more requests are under way, so that all together they stay within
// limits.memory_bytes even if no client takes anything. Credit that was given cannot be taken back; so it is the answers to come that get
// less.
type allotment struct {
	grant    int   // what the enabler may send of an answer's body without credit, in bytes
	high     int   // the high watermark of a client's output, up to which credit is given back, in bytes
	from, to int64 // it holds for that many requests under way on the loop
}

const (
	// clientHigh is the high watermark of a client's output when there is memory for it, in bytes.
	clientHigh = 64 << 10
	// leastHeld is how little an allotment may become for want of memory, in bytes; a farm's max_client_buffer may be less.
	leastHeld = 16 << 10
	// spread is by how much a loop's memory is more than what the clients of today would fill with today's allotment: those that came
	// before have larger ones. With clients that take nothing the sum of all is a harmonic series, and stays below the memory until there
	// are some hundred times as many as the largest allotments were enough for.
	spread = 4
)

// newAllotment divides memory bytes among n requests. Each gets at most what a farm's max_client_buffer and the configured window allow,
// in bytes.
func newAllotment(window int, maxClientBuffer, memory, n int64) (a allotment) {
	full := min(maxClientBuffer, int64(window)+clientHigh)
	most := full
	for most/2 >= leastHeld && n > memory/(spread*most) {
		most /= 2
	}
	a.to = math.MaxInt64
	if most/2 >= leastHeld {
		a.to = memory / (spread * most)
	}
	if most < full { // some fewer than the larger one is good for, so that it does not change to and fro
		a.from = memory / (spread * 2 * most) / 4 * 3
	}
	const least = 1 << 10
	a.high = int(max(least, min(most/4, clientHigh)))
	a.grant = int(max(least, min(int64(window), most-int64(a.high))))
	return a
}

// allot makes the allotment that the shard's configuration and load ask for.
func (l *link) allot() {
	v := l.s.view
	l.each = newAllotment(v.cfg.Relay.StreamWindow, v.of(l.server.Farm).conf.MaxClientBuffer, v.memory/int64(len(l.s.relay.shards)), answers(l.s))
}

// reallot changes the allotment, for the requests that follow: the enabler is told first.
func (l *link) reallot() {
	before := l.each.grant
	if l.allot(); l.each.grant != before && l.up && l.end.Live() {
		l.hello()
	}
}

// fit changes the allotment when it does not suit the number of requests under way any more.
func (l *link) fit() {
	if n := answers(l.s); n < l.each.from || n > l.each.to {
		l.reallot()
	}
}

// answers is how many requests are under way on the loop whose answers may have to be held. Upgraded ones are left out: there may be
// many, and most are idle.
func answers(s *shard) int64 { return s.stats.inFlight.Load() - s.stats.upgraded.Load() }

// hail says hello for the first time.
func (l *link) hail() {
	l.hello()
	l.maybeJoin()
}

// hello tells the enabler what it may send of each answer from here on.
func (l *link) hello() {
	l.end.SetBuffer(lane.AppendHello(l.end.Buffer(), lane.Hello{
		Version: lane.Version, Lane: uint16(l.key.number), Window: uint32(l.each.grant),
		Heartbeat: uint32(l.s.view.cfg.Relay.Heartbeat / time.Millisecond), MaxHead: maxAnswerHead,
	}))
}
