package enginepool

import "sync/atomic"

// Shard is the part of a pool that one event loop runs. All methods are called on that loop, with the time in nanoseconds since a
// moment of the user's choice; it is always more than 0.
type Shard struct {
	// Fixed when made.
	pool  *Pool
	index int
	host  Host

	// Owned by the loop.
	engines roster // all that are on this loop
	unused  unused // of them, the external ones that wait for a line
	bays    bays
	idling  int     // engines of all bays
	waiting int     // requests of all bays
	limits  *Limits // that Tick has seen
	alarm   alarm   // for Tick
	timers  timers

	// Any goroutine; written by the loop.
	_     [64]byte
	idles atomic.Bool // idling > 0
	waits atomic.Bool // waiting > 0
	_     [64]byte
}

func newShard(p *Pool, index int, h Host) *Shard {
	s := &Shard{pool: p, index: index, host: h}
	s.engines.shard, s.timers.shard = s, s
	s.unused.pool = p
	s.alarm.host = h
	return s
}

// Index is the shard's place in Pool.Shards.
func (s *Shard) Index() int { return s.index }

// Engines returns the engines on this loop. The slice is not to be changed or kept.
func (s *Shard) Engines() []*Engine { return s.engines.all }

// Acquire finds an engine for w: Host.Run follows, at once or later, or Host.Refuse, unless Cancel is called. Call Release when the
// request is over.
func (s *Shard) Acquire(w *Waiter, now int64) {
	b := w.Line.on(s)
	w.since, w.rank = now, now
	if s.pool.Limits().Policy == Priority {
		w.rank += int64(w.Class) * classWorth
	}
	if b.waiting.len == 0 && !b.line.paused.Load() {
		if e := b.idle.newest; e != nil {
			b.idle.remove(e)
			b.run(e, w, now)
			return
		}
	}
	b.wait(w, now)
}

// Requeue puts a request back that its engine never began. It keeps its place: the time that it came.
func (s *Shard) Requeue(w *Waiter, now int64) {
	b := w.Line.on(s)
	if b.failing(now) {
		s.host.Refuse(w, Refusal{NotStarting, b.line.text()})
		return
	}
	w.rank-- // and before those who came in the same callback
	b.waiting.push(w)
	b.seek(now)
	s.alarm.by(now + waitTick)
}

// Cancel takes w out of the queue.
func (s *Shard) Cancel(w *Waiter) {
	if w.queued {
		w.Line.on(s).waiting.remove(w)
	}
}

// Begin tells that a bound engine or a phantom gets a request. Release follows.
func (s *Shard) Begin(e *Engine, mode int, now int64) {
	e.running++
	if e.phase == Ready {
		e.setPhase(Active, now)
		e.clock.limitRun(s.pool.Limits().RunLimit(mode), now)
	}
}

// Release tells that a request on e is over; ok: the engine ended it well.
func (s *Shard) Release(e *Engine, ok bool, now int64) {
	if e.running == 0 { // Broken has taken it off
		return
	}
	e.running--
	if ok {
		e.term.served++
		e.view.requests.Store(int64(e.term.served))
	}
	switch {
	case e.phase == Breaking && e.running == 0:
		e.shutdown(now)
	case e.phase != Active:
	case e.Pools():
		e.clock.stop()
		if e.running > 0 { // the request that follows begins
			e.clock.limitRun(s.pool.Limits().RunLimit(e.line.Login.Mode), now)
		}
		e.bay().pace = now - e.view.active.Load()
		e.bay().settle(e, now)
	case e.running == 0:
		e.clock.stop()
		e.setPhase(Ready, now)
		if e.why != WhyNone {
			e.shutdown(now)
		}
	}
}

// Suspend stops the clock of the request on e: it is its client's turn. Resume starts it again.
func (s *Shard) Suspend(e *Engine, now int64) {
	if e.phase == Active {
		e.clock.suspend(now)
	}
}

// Resume starts the clock again that Suspend has stopped.
func (s *Shard) Resume(e *Engine, now int64) {
	if e.phase == Active {
		e.clock.resume(now)
	}
}

// Abandon tells that nobody waits any more for the request on e, which was asked to end it. It has BreakTimeout to obey.
func (s *Shard) Abandon(e *Engine, now int64) {
	if e.phase == Active {
		e.clock.abandoned = true
		e.clock.limit(s.pool.Limits().BreakTimeout, now)
	}
}

// Handle takes a message of another shard.
func (s *Shard) Handle(m Message, now int64) {
	switch m.kind {
	case msgWant:
		m.line.on(s).trade.answer(m.from)
	case msgNone:
		s.answered(m.line)
		s.bays.seek(now)
	case msgEvict:
		m.line.on(s).room.makeFor(m.from, now)
	case msgSeek:
		s.bays.seek(now)
	case msgFail, msgDeny:
		m.line.on(s).waiting.refuseAll(m.refusal())
	}
}

// answered notes that what was asked for a line has come or will not; nil: for all lines, as an unused engine may be for any.
func (s *Shard) answered(l *Line) {
	if l != nil {
		l.on(s).trade.asked = false
		return
	}
	for _, b := range s.bays.all {
		b.trade.asked = false
	}
}

// tellWaiting has the other shards look again on which somebody waits: a slot is free, or a start may be tried.
func (s *Shard) tellWaiting() {
	for i, other := range s.pool.shards {
		if other != s && other.waits.Load() {
			s.host.Tell(i, Message{kind: msgSeek, from: s.index})
		}
	}
}
