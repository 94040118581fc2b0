package enginepool

import (
	"math"
	"time"
)

// Shard is the part of a pool that one event loop runs. All methods are called on that loop, with the time in nanoseconds since a
// moment of the user's choice; it is always more than 0.
type Shard struct {
	// Fixed when made.
	pool  *Pool
	index int
	host  Host

	// Owned by the loop.
	engines []*Engine // all that are on this loop
	unused  []*Engine // of them, the external ones that have not logged in
	bays    []*bay    // those with something in them
	wake    int64     // when Tick is due; 0: not at all
	checked int64     // when timer procedures ran last
}

// How long a request of another shard must have waited, so that an engine crosses loops.
const (
	fairness = int64(time.Millisecond)       // more than ours has
	patience = int64(200 * time.Microsecond) // when nobody waits here: its own engines come free all the time
)

// Index is the shard's place in Pool.Shards.
func (s *Shard) Index() int { return s.index }

// Engines returns the engines on this loop. The slice is not to be changed or kept.
func (s *Shard) Engines() []*Engine { return s.engines }

// Acquire finds an engine for w: Host.Run follows, at once or later, or Host.Refuse, unless Cancel is called. Call Release when the
// request is over.
func (s *Shard) Acquire(w *Waiter, now int64) {
	b := &w.Line.bays[s.index]
	w.since, w.rank = now, now
	if s.pool.Limits().Policy == Priority {
		w.rank += int64(w.Class) * classWorth
	}
	if b.waiting.len == 0 {
		if e := b.idle.newest; e != nil {
			b.removeIdle(e)
			e.setPhase(Active, now)
			s.run(e, w, now)
			return
		}
	}
	s.wait(b, w, now)
}

// wait puts w in line, if there is anything to wait for.
func (s *Shard) wait(b *bay, w *Waiter, now int64) {
	limits := s.pool.Limits()
	switch full := limits.mode(w.Mode).QueueMax; {
	case s.pool.stopping.Load():
		s.host.Refuse(w, Refusal{Reason: Stopping})
		return
	case s.failing(b.line, now):
		s.host.Refuse(w, Refusal{NotStarting, b.line.text()})
		return
	case full > 0 && b.waiting.len >= full && b.spare() == nil:
		s.host.Refuse(w, Refusal{Reason: NoEngine})
		return
	}
	s.list(b)
	b.waiting.push(w)
	b.publishHead()
	s.seek(b, now)
	if w.queued && w.Reject && b.coming() < b.waiting.len {
		s.dequeue(b, w)
		s.host.Refuse(w, Refusal{Reason: NoEngine})
		return
	}
	if w.queued {
		s.wakeBy(now + waitTick)
	}
}

// coming is the number of engines on their way to those who wait.
func (b *bay) coming() int {
	n := b.starting
	if b.asked || b.claimed.Load() {
		n++
	}
	return n
}

// Requeue puts a request back that its engine never began. It keeps its place: the time that it came.
func (s *Shard) Requeue(w *Waiter, now int64) {
	b := &w.Line.bays[s.index]
	s.list(b)
	b.waiting.push(w)
	b.publishHead()
	s.seek(b, now)
	s.wakeBy(now + waitTick)
}

// Cancel takes w out of the queue.
func (s *Shard) Cancel(w *Waiter) {
	if w.queued {
		s.dequeue(&w.Line.bays[s.index], w)
	}
}

func (s *Shard) dequeue(b *bay, w *Waiter) {
	b.waiting.remove(w)
	b.publishHead()
}

// run gives e, which is active, one more request.
func (s *Shard) run(e *Engine, w *Waiter, now int64) {
	e.running++
	if e.running == 1 {
		s.limitRun(e, w.Mode, now)
	}
	s.host.Run(e, w)
}

// limitRun sets the deadline of a request that begins.
func (s *Shard) limitRun(e *Engine, mode int, now int64) {
	e.deadline, e.rest = 0, 0
	if d := s.pool.Limits().runLimit(mode); d > 0 {
		e.deadline = now + int64(d)
		s.wakeBy(e.deadline)
	}
}

// Begin tells that a bound engine or a phantom gets a request. Release follows.
func (s *Shard) Begin(e *Engine, mode int, now int64) {
	e.setPhase(Active, now)
	e.running++
	s.limitRun(e, mode, now)
}

// Release tells that a request on e is over; ok: the engine ended it well.
func (s *Shard) Release(e *Engine, ok bool, now int64) {
	e.running--
	if ok {
		e.served++
		e.view.requests.Store(int64(e.served))
	}
	switch {
	case e.phase != Active && e.phase != Breaking:
		return
	case e.running > 0:
		s.limitRun(e, e.line.Login.Mode, now)
	default:
		e.deadline, e.rest = 0, 0
	}
	switch {
	case e.phase == Breaking && e.running == 0:
		s.shutdown(e, now)
		return
	case e.phase != Active:
		return
	case !e.Pools():
		if e.running == 0 {
			e.setPhase(Ready, now)
			s.stopIfAsked(e, now)
		}
		return
	}
	if e.maxServed > 0 && e.served >= e.maxServed {
		s.wear(e, WhyRequests, now)
	}
	s.settle(e, now)
}

// settle finds something to do for a pooled engine that is active: requests of its own shard, of another one, or none.
func (s *Shard) settle(e *Engine, now int64) {
	b := &e.line.bays[s.index]
	if e.why != WhyNone || s.leave(e, b) {
		if e.running == 0 {
			s.shutdown(e, now)
		}
		return
	}
	if e.promised < 0 {
		if to := s.elsewhere(b, now); to >= 0 && e.line.bays[to].claimed.CompareAndSwap(false, true) {
			e.promised = to
		}
	}
	if e.promised >= 0 {
		if e.running == 0 {
			s.give(e, e.promised)
		}
		return
	}
	s.feed(e, b, now)
	if e.running == 0 {
		s.rest(e, b, now)
	}
}

// leave tells whether e has to make room for a line that starves, or for a lower limit.
func (s *Shard) leave(e *Engine, b *bay) bool {
	if e.Class != Pooled {
		return false
	}
	if starved := s.pool.starved.Load(); starved != nil && starved != e.line && s.pool.starved.CompareAndSwap(starved, nil) {
		e.why = WhyEvicted
		return true
	}
	if most := s.pool.Limits().MaxEngines; most > 0 && s.pool.slots.Load() > int64(most) {
		e.why = WhySurplus
		return true
	}
	return false
}

// feed gives e what waits here: one request, or as many as it takes ahead when no other engine is idle.
func (s *Shard) feed(e *Engine, b *bay, now int64) {
	for e.running < e.ahead {
		w := b.waiting.next(s.pool.Limits().Policy, now)
		if w == nil {
			return
		}
		s.dequeue(b, w)
		s.run(e, w, now)
	}
}

// rest puts e among the idle engines.
func (s *Shard) rest(e *Engine, b *bay, now int64) {
	e.idleSince = now
	s.list(b)
	e.setPhase(Idle, now)
	b.pushIdle(e)
	s.limitIdle(e, now)
}

// elsewhere returns the shard that has waited too long for an engine such as b's shard has just got free, or -1.
func (s *Shard) elsewhere(b *bay, now int64) int {
	bays := b.line.bays
	if len(bays) == 1 {
		return -1
	}
	before := now - patience
	if own := b.waiting.front; own != nil {
		before = own.rank - fairness
	}
	to, oldest := -1, int64(math.MaxInt64)
	for i := range bays {
		if i == s.index {
			continue
		}
		if rank := bays[i].head.Load(); rank != 0 && rank < before && rank < oldest && !bays[i].claimed.Load() {
			to, oldest = i, rank
		}
	}
	return to
}

// give moves e, which has nothing to do, to another shard.
func (s *Shard) give(e *Engine, to int) {
	e.promised, e.deadline = to, 0
	s.forget(e)
	e.shard = nil
	s.host.Move(e, to)
}

// Arrive takes over an engine that Host.Move has brought.
func (s *Shard) Arrive(e *Engine, now int64) {
	s.receive(e)
	if e.line == nil {
		s.unused = append(s.unused, e)
		s.seekAll(now)
		return
	}
	if e.why != WhyNone {
		s.shutdown(e, now)
		return
	}
	s.settle(e, now)
	if b := &e.line.bays[s.index]; b.waiting.len > 0 {
		s.seek(b, now)
	}
}

// receive makes e one of this shard's.
func (s *Shard) receive(e *Engine) {
	e.shard = s
	e.home.Store(int32(s.index))
	s.engines = append(s.engines, e)
	if e.line == nil {
		return
	}
	if e.promised >= 0 {
		e.line.bays[e.promised].claimed.Store(false)
		e.promised = -1
	}
	b := &e.line.bays[s.index]
	b.engines = append(b.engines, e)
	b.asked = false
	s.list(b)
}

// forget makes e none of this shard's.
func (s *Shard) forget(e *Engine) {
	for i, other := range s.engines {
		if other == e {
			last := len(s.engines) - 1
			s.engines[i], s.engines[last] = s.engines[last], nil
			s.engines = s.engines[:last]
			break
		}
	}
	if e.line == nil {
		s.forgetUnused(e)
		return
	}
	b := &e.line.bays[s.index]
	if e.phase == Idle {
		b.removeIdle(e)
		e.phase = Active // on its way
	}
	b.forget(e)
}

// list makes b one of the bays that Tick looks at.
func (s *Shard) list(b *bay) {
	if !b.listed {
		b.listed = true
		s.bays = append(s.bays, b)
	}
}

// Suspend stops the clock of the request on e: it is its client's turn. Resume starts it again.
func (s *Shard) Suspend(e *Engine, now int64) {
	if e.deadline != 0 && e.phase == Active {
		e.rest, e.deadline = max(1, e.deadline-now), 0
	}
}

// Resume starts the clock again that Suspend has stopped.
func (s *Shard) Resume(e *Engine, now int64) {
	if e.rest != 0 && e.phase == Active {
		e.deadline, e.rest = now+e.rest, 0
		s.wakeBy(e.deadline)
	}
}
