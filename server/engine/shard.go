package engine

import (
	"log/slog"

	"roundhouse/enginepool"
	"roundhouse/server/loop"
)

// shard is what one loop owns of the engine door. Everything but stats is touched on that loop only.
type shard struct {
	// Fixed when made.
	door  *Door
	index int
	loop  *loop.Loop
	log   *slog.Logger
	pool  *enginepool.Shard

	// Owned by the loop.
	tick     loop.Timer
	guests   map[*engine]bool   // connections of engines that have dialled in
	parked   map[string]*parked // engines without a client that somebody may come back to, by name
	phantoms map[*phantom]bool
	warned   warnings

	stats stats
}

func newShard(d *Door, l *loop.Loop) *shard {
	s := &shard{door: d, index: l.Index(), loop: l, log: d.log, guests: map[*engine]bool{}, parked: map[string]*parked{}, phantoms: map[*phantom]bool{}}
	s.tick.Init(l, func() { s.pool.Tick(s.now()) })
	return s
}

// now is the time as the pool counts it: nanoseconds since a second before the door was made. It is read once in a callback.
func (s *shard) now() int64 { return int64(s.loop.Now().Sub(s.door.epoch)) }

// lost ends a call whose engine has ended, or gives it to another one when it had not begun: once, and then it has that engine to itself.
// Which of several calls has ended the engine cannot be known, since answers may have waited for each other. One that ends its second
// engine, too, takes no other call along.
func (s *shard) lost(e *engine, c *call) {
	c.engine = nil
	if c == &e.own || c.owner == nil {
		s.stats.result(e, c, resultLost, s.now())
		return
	}
	again := s.door.settings.Load().cfg.Pool.RetryUnstarted && !c.begun && !c.retried && e.pooled.Pools() && e.pooled.Why() != enginepool.WhyForced
	if again && c.owner != (nobody{}) {
		c.retried, c.waiter.Alone = true, true
		s.stats.retries.Add(1)
		s.pool.Requeue(&c.waiter, s.now())
		return
	}
	text := "Engine ended unexpectedly"
	if e.pooled.Why() == enginepool.WhyForced || e.pooled.Why() == enginepool.WhyAdmin {
		text = "Engine was shut down"
	}
	s.stats.result(e, c, resultLost, s.now())
	c.owner.failed(c, text)
	c.owner.over(c)
}

// warnings bounds the lines that clients can make the log write.
type warnings struct {
	second int64 // of the count
	count  int
}

const maxWarnings = 50 // a second and loop

// warn logs what a peer has done wrong, unless too many have.
func (s *shard) warn(text string, args ...any) {
	w := &s.warned
	if second := s.now() / 1e9; second != w.second {
		if w.count > maxWarnings {
			s.log.Warn("lines were left out: too many in a second", "lines", w.count-maxWarnings)
		}
		w.second, w.count = second, 0
	}
	if w.count++; w.count <= maxWarnings {
		s.log.Warn(text, args...)
	}
}
