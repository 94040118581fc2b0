package outbound

import (
	"sync/atomic"
	"time"

	"roundhouse/codec/http1"
	"roundhouse/codec/lane"
	"roundhouse/server/laneio"
	"roundhouse/server/loop"
)

// shard is what one loop owns of the enabler.
type shard struct {
	e     *Enabler
	loop  *loop.Loop
	links map[*link]struct{}
	pool  pool
	free  []*stream

	sockets  sockets
	stats    stats
	sweeps   loop.Timer
	begun    int64  // requests that were recorded
	recorded []byte // records that are not handed over yet; about recordBatch at most

	recordTimer loop.Timer
	pinSweep    time.Time // when the pinned connections were looked at last

	// Scratch: valid during one callback.
	resp http1.Response
	head []byte
}

func newShard(e *Enabler, l *loop.Loop) *shard {
	s := &shard{e: e, loop: l, links: map[*link]struct{}{}}
	s.pool.sh = s
	s.sockets.init(s)
	s.sweeps.Init(l, s.sweep)
	s.recordTimer.Init(l, s.flushRecords)
	return s
}

func (s *shard) armSweep() {
	if !s.sweeps.Armed() {
		s.sweeps.Arm(sweepTime)
	}
}

// sweep closes what has been idle for too long.
func (s *shard) sweep() {
	now := time.Now()
	s.pool.sweep(now)
	s.sockets.sweep(now, s.e.idleTime())
	s.sockets.count.Store(int64(len(s.sockets.byNumber)))
	warm := warms(s.e) && len(s.links) > 0
	if warm {
		s.pool.warm()
	}
	if s.tellJunctions() || warm || len(s.pool.idle)+s.pool.told+len(s.sockets.byNumber) > 0 {
		s.armSweep()
	}
}

// closeIdle closes what carries no request: at the end.
func (s *shard) closeIdle() {
	s.pool.close()
	s.sockets.close()
	s.sweeps.Stop()
	s.recordTimer.Stop()
	s.flushRecords()
}

func (s *shard) newStream() *stream {
	if n := len(s.free); n > 0 {
		x := s.free[n-1]
		s.free = s.free[:n-1]
		return x
	}
	x := &stream{}
	x.timer.Init(s.loop, x.timedOut)
	x.aff.patience.Init(s.loop, x.waitedLong)
	return x
}

// release puts a stream, which nothing refers to any more, back into the free list.
func (s *shard) release(x *stream) {
	const keep, keepHead = 256, 4 << 10
	head := x.head
	if cap(head) > keepHead {
		head = nil
	}
	*x = stream{head: head[:0], turn: x.turn + 1, timer: x.timer, aff: affinity{patience: x.aff.patience}} // they are not armed
	if len(s.free) < keep {
		s.free = append(s.free, x)
	}
}

// events are what becomes of a link.
type events struct {
	whole chan struct{} // closed when the lane is up
	goes  chan struct{} // closed when the relay says that the lane will end
	gone  chan error    // gets the reason of the end, once
}

// link is the enabler's end of one lane.
type link struct {
	events

	// Fixed at start.
	s          *shard
	spec       laneSpec
	form       form
	pad        int // bytes after each burst over HTTP
	route      *route
	began      int64 // makes the lane's name unique
	relayIndex int   // which relay server it leads to, in records
	mustProve  bool  // it is up only when a packet has come back

	// Owned by the loop.
	end      *laneio.End
	streams  laneio.Table[stream]
	waiters  []*stream // wait until the lane takes bodies again
	opening  loop.Timer
	slow     error           // what is wrong when opening fires
	calling  *loop.Conn      // until the relay has accepted it
	told     *lane.Junctions // what the relay knows; nil: nothing
	window   uint32          // what the relay takes of a response body without credit, in bytes; 0 until its hello
	isGone   bool
	proved   bool // a packet has come back
	renewing bool // the next body is being opened
	replaced bool // the relay has said goaway
	retiring bool // we have
	heard    bool // the relay has heard it

	// Any goroutine.
	up atomic.Int64 // since when the lane is up, in nanoseconds of the Unix epoch; 0: it has not been yet
}
