package relay

import (
	"math/rand/v2"
	"strconv"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/routing/farm"
	"roundhouse/server/loop"
)

// shard is what one loop owns of the relay door. Everything but stats is touched on that loop only.
type shard struct {
	relay    *Relay
	loop     *loop.Loop
	view     *view
	roster   *farm.Roster[*link]
	lanes    map[laneKey]*link
	local    []*farmLocal             // by farm.Farm.Index of the view
	gone     map[serverName]time.Time // servers without a lane here, and since when
	troubles map[serverName]trouble   // what went wrong last, by server; see troubled

	signer   *farm.Signer
	sessions map[farm.Session][]byte // texts of session ids that name no connection; see sessionText
	seed     uint64                  // of random

	free         []*exchange // for the next requests
	begun        int64       // exchanges
	logTimer     loop.Timer  // hands the lines over
	dynamicTimer loop.Timer  // of the first shard: see lookAtDynamics
	accesses     []byte      // lines of the access log that have not been handed over

	// Scratch: valid during one callback.
	req       http1.Request
	resp      http1.Response
	path      []byte
	moved     []byte
	name      []byte
	sessionID []byte
	// recorded is what record writes.
	recorded record
	// asked is the farm of the request that is being judged; nil: not known.
	asked *farmView

	stats stats
}

func newShard(r *Relay, l *loop.Loop, v *view) *shard {
	s := &shard{relay: r, loop: l, view: v, roster: farm.NewRoster[*link](v.table), lanes: map[laneKey]*link{},
		gone: map[serverName]time.Time{}, troubles: map[serverName]trouble{}, sessions: map[farm.Session][]byte{}, signer: farm.NewSigner(v.affinityKey),
		seed: rand.Uint64() | 1}
	for range v.farms {
		s.local = append(s.local, new(farmLocal))
	}
	s.stats.init()
	s.logTimer.Init(l, s.flushAccesses)
	return s
}

// newExchange takes an exchange from the free list.
func (s *shard) newExchange() *exchange {
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	x := &exchange{}
	x.join()
	return x
}

// release puts an exchange, which nothing refers to any more, back into the free list.
func (s *shard) release(x *exchange) {
	const keep, keepHead = 256, 4 << 10
	head := x.req.head
	if cap(head) > keepHead {
		head = nil
	}
	x.quota.end()
	x.req.chunks.Reset()
	*x = exchange{base: x.base[:0], req: request{head: head[:0], kept: x.req.kept[:0], chunks: x.req.chunks}}
	x.join()
	if len(s.free) < keep {
		s.free = append(s.free, x)
	}
}

// random is a number that nobody needs to be unable to foresee (xorshift64).
func (s *shard) random() uint64 {
	s.seed ^= s.seed << 13
	s.seed ^= s.seed >> 7
	s.seed ^= s.seed << 17
	return s.seed
}

// lastRequests begins the end: a connection that waits for a request may still bring one, for a moment.
func (s *shard) lastRequests() {
	s.loop.Conns(func(conn *loop.Conn) {
		c, ok := conn.Session().(*client)
		switch {
		case !ok || c.x != nil || conn.Closing():
		case c.phase == phaseIdle:
			c.lastRequest()
		case c.phase == phaseTurn: // at once, now that it drains
			conn.Resume()
		}
	})
}

// goAway tells the enablers that no request follows.
func (s *shard) goAway() {
	for _, l := range s.lanes {
		l.goAway()
	}
}

func (s *shard) closeLanes() {
	for _, l := range s.lanes {
		l.end.Close()
	}
	s.flushAccesses()
}

// appendUint appends a decimal number.
func appendUint(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
