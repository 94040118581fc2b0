package enginepool

import (
	"math"
	"sync/atomic"
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
	unused  []*Engine // of them, the external ones that wait for a line
	bays    []*bay    // those with something in them
	idling  int       // engines of all bays
	waiting int       // requests of all bays
	limits  *Limits   // that Tick has seen
	wake    int64     // when Tick is due; 0: not at all
	ticking bool      // Tick runs, and asks for the next one at its end
	checked int64     // when timer procedures ran last

	// Any goroutine; written by the loop.
	_     [64]byte
	idles atomic.Bool // idling > 0
	waits atomic.Bool // waiting > 0
	_     [64]byte
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
	if b.waiting.len == 0 && !b.line.paused.Load() {
		if e := b.idle.newest; e != nil {
			s.removeIdle(b, e)
			s.run(e, w, now)
			return
		}
	}
	s.wait(b, w, now)
}

// wait puts w in line, if there is anything to wait for.
func (s *Shard) wait(b *bay, w *Waiter, now int64) {
	switch {
	case s.pool.stopping.Load():
		s.host.Refuse(w, Refusal{Reason: Stopping})
		return
	case s.failing(b.line, now):
		s.host.Refuse(w, Refusal{NotStarting, b.line.text()})
		return
	}
	s.enqueue(b, w)
	s.seek(b, now)
	switch {
	case !w.queued:
	case s.hopeless(b, w, now):
		s.refuse(b, w, Refusal{Reason: NoEngine})
	default:
		s.wakeBy(now + waitTick)
	}
}

// hopeless tells whether w, the last who has come, may not wait: too many do, or it does not want to and no engine is on its way.
func (s *Shard) hopeless(b *bay, w *Waiter, now int64) bool {
	coming := s.coming(b, now)
	if w.Reject && coming < b.waiting.len {
		return true
	}
	most := s.pool.Limits().mode(w.Mode).QueueMax
	others := int(b.line.starting.Load()) - b.starting // coming to other shards
	return most > 0 && int(b.line.waiting.Load())-coming-others > most
}

// coming is the number of engines on their way to those who wait in b.
func (s *Shard) coming(b *bay, now int64) int {
	n := b.starting
	if b.asked || b.claimed.Load() {
		n++
	}
	if s.pool.lacksSlot(b.line, now) {
		n += int(s.pool.evicting.Load())
		if b.evicted != 0 && now-b.evicted < evictPause {
			n++
		}
	}
	return n
}

// Requeue puts a request back that its engine never began. It keeps its place: the time that it came.
func (s *Shard) Requeue(w *Waiter, now int64) {
	b := &w.Line.bays[s.index]
	if s.failing(b.line, now) {
		s.host.Refuse(w, Refusal{NotStarting, b.line.text()})
		return
	}
	w.rank-- // and before those who came in the same callback
	s.enqueue(b, w)
	s.seek(b, now)
	s.wakeBy(now + waitTick)
}

// Cancel takes w out of the queue.
func (s *Shard) Cancel(w *Waiter) {
	if w.queued {
		s.dequeue(&w.Line.bays[s.index], w)
	}
}

func (s *Shard) enqueue(b *bay, w *Waiter) {
	s.list(b)
	b.waiting.push(w)
	b.publishHead()
	b.line.waiting.Add(1)
	if s.waiting++; s.waiting == 1 {
		s.waits.Store(true)
	}
}

func (s *Shard) dequeue(b *bay, w *Waiter) {
	b.waiting.remove(w)
	b.publishHead()
	b.line.waiting.Add(-1)
	if s.waiting--; s.waiting == 0 {
		s.waits.Store(false)
	}
}

func (s *Shard) refuse(b *bay, w *Waiter, r Refusal) {
	s.dequeue(b, w)
	s.host.Refuse(w, r)
}

// run gives e, which takes it, one more request.
func (s *Shard) run(e *Engine, w *Waiter, now int64) {
	e.running++
	e.alone = w.Alone
	if e.running == 1 {
		e.setPhase(Active, now)
		s.limitRun(e, w.Mode, now)
	}
	if e.served == 0 { // it has come up: should this request end it, that is not the next one's fault
		e.line.failures.Store(0)
	}
	s.host.Run(e, w)
}

// limitRun sets the deadline of a request that begins.
func (s *Shard) limitRun(e *Engine, mode int, now int64) {
	e.deadline, e.rest, e.abandoned = 0, 0, false
	if d := s.pool.Limits().RunLimit(mode); d > 0 {
		e.deadline = now + int64(d)
		s.wakeBy(e.deadline)
	}
}

// Begin tells that a bound engine or a phantom gets a request. Release follows.
func (s *Shard) Begin(e *Engine, mode int, now int64) {
	e.running++
	if e.phase == Ready {
		e.setPhase(Active, now)
		s.limitRun(e, mode, now)
	}
}

// Release tells that a request on e is over; ok: the engine ended it well.
func (s *Shard) Release(e *Engine, ok bool, now int64) {
	if e.running == 0 { // Broken has taken it off
		return
	}
	e.running--
	if ok {
		e.served++
		e.view.requests.Store(int64(e.served))
	}
	switch {
	case e.phase == Breaking && e.running == 0:
		s.shutdown(e, now)
	case e.phase != Active:
	case e.Pools():
		s.limitNext(e, now)
		s.settle(e, now)
	case e.running == 0:
		e.deadline, e.rest = 0, 0
		e.setPhase(Ready, now)
		s.stopIfAsked(e, now)
	}
}

// limitNext sets the deadline of the request that follows the one which is over.
func (s *Shard) limitNext(e *Engine, now int64) {
	e.deadline, e.rest = 0, 0
	if e.running > 0 {
		s.limitRun(e, e.line.Login.Mode, now)
	}
}

// settle finds something to do for a pooled engine that has done something: requests of its own shard, of another one, or none.
func (s *Shard) settle(e *Engine, now int64) {
	b := &e.line.bays[s.index]
	s.maybeRenew(e, now)
	if e.why == WhyNone {
		e.why = s.outlived(e, now)
	}
	if e.why != WhyNone {
		if e.running == 0 {
			s.shutdown(e, now)
		}
		return
	}
	if e.promised < 0 {
		e.promised = s.claim(b, now)
	}
	if e.promised >= 0 {
		if e.running == 0 {
			s.give(e, e.promised)
		}
		return
	}
	s.feed(e, b, now)
	switch {
	case e.running > 0:
	case s.pool.stopping.Load() && !b.line.awaited():
		e.why = WhyShutdown // Stop of all engines may have missed it on its way
		s.shutdown(e, now)
	default:
		s.rest(e, b, now)
	}
}

// maybeRenew has e replaced when it has served enough or is stale.
func (s *Shard) maybeRenew(e *Engine, now int64) {
	switch {
	case e.maxServed > 0 && e.served >= e.maxServed:
		s.wear(e, WhyRequests, now)
	case e.Class == Pooled && e.generation != s.pool.generation.Load():
		s.replace(e, now)
	}
}

// outlived tells why e has to go: it is too old, for a line that starves, or for a lower limit. WhyNone: it has not.
func (s *Shard) outlived(e *Engine, now int64) Why {
	p, limits := s.pool, s.pool.Limits()
	if e.Class != Pooled {
		return WhyNone
	}
	if limits.MaxUpTime > 0 && now-e.started >= int64(limits.MaxUpTime) {
		return WhyAge
	}
	idles := e.served > 0 || s.waiting == 0 // else it was started for nothing
	if idles && p.starving(now) != nil && p.evicting.Load() == 0 {
		return WhyEvicted // its own line does not starve: it has e
	}
	if p.surplus() {
		return WhySurplus
	}
	return WhyNone
}

// surplus tells whether there are more engines than MaxEngines, which was lowered, and than are being stopped.
func (p *Pool) surplus() bool {
	most := p.Limits().MaxEngines
	return most > 0 && p.slots.Load()-p.leaving.Load() > int64(most)
}

// feed gives e what waits here: one request, or as many as it takes ahead when no other engine is idle.
func (s *Shard) feed(e *Engine, b *bay, now int64) {
	for e.running < e.ahead && !b.line.paused.Load() {
		w := b.waiting.next(s.pool.Limits().Policy, now)
		if w == nil || e.running > 0 && (e.alone || w.Alone) {
			return
		}
		s.dequeue(b, w)
		s.run(e, w, now)
	}
}

// rest puts e among the idle engines.
func (s *Shard) rest(e *Engine, b *bay, now int64) {
	if e.phase != Timer { // a timer procedure does not keep an engine alive
		e.idleSince = now
	}
	e.setPhase(Idle, now)
	s.pushIdle(b, e)
	s.limitIdle(e, now)
	s.offerLater(b, now)
}

// elsewhere returns the shard with the oldest request, but for b's, that no engine is on its way to, and its rank; -1: there is none.
func (s *Shard) elsewhere(b *bay) (to int, oldest int64) {
	to, oldest = -1, math.MaxInt64
	if b.line.paused.Load() {
		return to, oldest
	}
	for i := range b.line.bays {
		other := &b.line.bays[i]
		if rank := other.head.Load(); rank != 0 && rank < oldest && i != s.index && !other.claimed.Load() {
			to, oldest = i, rank
		}
	}
	return to, oldest
}

// claim returns the shard that has waited too long for an engine such as b has just got free, or -1. The engine is to go there.
func (s *Shard) claim(b *bay, now int64) int {
	to, oldest := s.elsewhere(b)
	if to < 0 {
		return -1
	}
	overdue := oldest < now-patience || s.pool.Limits().Policy == Priority // whose ranks are no times
	if own := b.waiting.front; own != nil {
		overdue = oldest < own.rank-fairness
	}
	if overdue && b.line.bays[to].claimed.CompareAndSwap(false, true) {
		return to
	}
	return -1
}

// offer gives idle engines to other shards that have waited too long.
func (s *Shard) offer(b *bay, now int64) {
	for b.idle.newest != nil {
		to := s.claim(b, now)
		if to < 0 {
			s.offerLater(b, now)
			return
		}
		s.give(b.idle.newest, to)
	}
}

// offerLater has Tick offer b's idle engines when somebody waits elsewhere, who may not have seen them.
func (s *Shard) offerLater(b *bay, now int64) {
	if to, oldest := s.elsewhere(b); to >= 0 {
		s.wakeBy(min(now, oldest) + patience + 1)
	}
}

// give moves e, which has nothing to do, to another shard.
func (s *Shard) give(e *Engine, to int) {
	e.promised, e.deadline = to, 0
	s.forget(e)
	e.home.Store(^int32(s.index))
	s.host.Move(e, to)
}

// Arrive takes over an engine that Host.Move has brought, unless Broken has told of its end.
func (s *Shard) Arrive(e *Engine, now int64) {
	if !e.moving() {
		return
	}
	s.receive(e)
	s.answered(e.line)
	if e.line == nil {
		s.pushUnused(e)
		s.seekAll(now)
		return
	}
	b := &e.line.bays[s.index]
	s.settle(e, now) // which may give e away
	s.seek(b, now)
}

// receive makes e one of this shard's.
func (s *Shard) receive(e *Engine) {
	e.home.Store(int32(s.index))
	s.engines = append(s.engines, e)
	if e.line == nil {
		e.promised = -1
		return
	}
	if e.promised >= 0 {
		e.line.bays[e.promised].claimed.Store(false)
		e.promised = -1
	}
	b := &e.line.bays[s.index]
	b.engines = append(b.engines, e)
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
		s.removeIdle(b, e)
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
