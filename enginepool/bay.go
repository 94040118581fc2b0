package enginepool

import (
	"slices"
	"sync/atomic"
	"time"
)

// bay is the part of a line that one shard has.
type bay struct {
	// Fixed when made.
	shard *Shard
	line  *Line

	// Owned by the shard's loop.
	waiting  queue
	idle     ring
	engines  []*Engine // of this line and shard, whatever they do
	starting int       // of them, those that have not logged in
	pace     int64     // how long the last request took, in nanoseconds
	trade    trade
	room     room
	stall    stall
	listed   bool // is in the shard's list of bays

	// Any goroutine; written by the shard's loop, but for claimed.
	_       [64]byte
	head    atomic.Int64 // rank of the next waiter; 0: nobody waits
	idles   atomic.Bool  // an engine idles here
	staffed atomic.Bool  // there is an engine here, whatever it does
	claimed atomic.Bool  // an engine of another shard is on its way here
	_       [64]byte
}

// found makes b the part of l that s has.
func (b *bay) found(s *Shard, l *Line) {
	b.shard, b.line = s, l
	b.waiting.bay, b.idle.bay, b.trade.bay, b.room.bay = b, b, b, b
}

// publishHead tells the other shards who is next.
func (b *bay) publishHead() {
	if b.waiting.front == nil {
		b.head.Store(0)
	} else {
		b.head.Store(b.waiting.front.rank)
	}
}

// add makes e, which has logged in to the line or will, one of the bay's.
func (b *bay) add(e *Engine) {
	b.engines = append(b.engines, e)
	b.staffed.Store(true)
	b.shard.bays.list(b)
}

func (b *bay) forget(e *Engine) {
	b.engines = without(b.engines, e)
	b.staffed.Store(len(b.engines) > 0)
}

// without returns engines, in another order, without e.
func without(engines []*Engine, e *Engine) []*Engine {
	i := slices.Index(engines, e)
	if i < 0 {
		return engines
	}
	last := len(engines) - 1
	engines[i], engines[last] = engines[last], nil
	return engines[:last]
}

// busy tells whether a request runs on an engine of the bay.
func (b *bay) busy() bool {
	return slices.ContainsFunc(b.engines, func(e *Engine) bool { return e.running > 0 })
}

// spare returns the least busy engine that takes one more request ahead, or nil.
func (b *bay) spare() *Engine {
	var least *Engine
	for _, e := range b.engines {
		if e.phase == Active && e.running < e.ahead && e.takes() && (least == nil || e.running < least.running) {
			least = e
		}
	}
	return least
}

// crowded tells whether every engine of the bay has requests ahead: one more engine would be of use though nobody waits.
func (b *bay) crowded() bool {
	return b.idle.len == 0 && slices.ContainsFunc(b.engines, func(e *Engine) bool { return e.running > 1 })
}

// run gives e, which takes it, one more request.
func (b *bay) run(e *Engine, w *Waiter, now int64) {
	e.running++
	e.alone = w.Alone
	if e.running == 1 {
		e.setPhase(Active, now)
		limits := b.shard.pool.Limits()
		e.clock.limitRun(limits.RunLimit(w.Mode), now)
		if limits.SpareEngines > 0 { // no Tick may be due for long: it has idled
			b.shard.alarm.by(now + spareTick)
		}
	}
	if e.term.served == 0 { // it has come up: should this request end it, that is not the next one's fault
		b.line.failures.Store(0)
	}
	b.shard.host.Run(e, w)
}

// settle finds something to do for a pooled engine that has done something: requests of its own shard, of another one, or none.
func (b *bay) settle(e *Engine, now int64) {
	e.term.review(now)
	if e.why != WhyNone {
		if e.running == 0 {
			e.shutdown(now)
		}
		return
	}
	if e.promised < 0 {
		e.promised = b.trade.claim(now)
	}
	if e.promised >= 0 {
		if e.running == 0 {
			b.shard.engines.give(e, e.promised)
		}
		return
	}
	b.feed(e, now)
	switch {
	case e.running > 0:
	case b.shard.pool.stopping.Load() && !b.line.awaited():
		e.why = WhyShutdown // Stop of all engines may have missed it on its way
		e.shutdown(now)
	default:
		b.rest(e, now)
	}
}

// feed gives e what waits here: one request, or as many as it takes ahead when no other engine is idle.
func (b *bay) feed(e *Engine, now int64) {
	for e.running < e.ahead && !b.line.paused.Load() {
		w := b.waiting.next(b.shard.pool.Limits().Policy, now)
		if w == nil || e.running > 0 && (e.alone || w.Alone) {
			return
		}
		b.waiting.remove(w)
		b.run(e, w, now)
	}
}

// rest puts e among the idle engines.
func (b *bay) rest(e *Engine, now int64) {
	if e.phase != Timer { // a timer procedure does not keep an engine alive
		e.idleSince = now
	}
	e.setPhase(Idle, now)
	b.idle.push(e)
	e.term.limitIdle()
	b.trade.offerLater(now)
}

// startFailed counts a start that failed. When too many have in a row, those who wait are told.
func (b *bay) startFailed(text string, now int64) {
	s, l := b.shard, b.line
	back := s.pool.Limits().Starting
	s.pool.Stats.StartFailures.Add(1)
	n := l.failures.Add(1)
	l.failText.Store(&text)
	pause := back.First
	for i := int32(1); i < n && pause < back.Most; i++ {
		pause *= 2
	}
	l.notBefore.Store(now + int64(min(pause, back.Most)))
	if b.waiting.len > 0 {
		s.alarm.by(l.notBefore.Load())
	}
	s.host.Note(NoteBackoff, l, nil)
	if int(n) >= max(1, back.Failures) && l.ready.Load() <= 0 {
		b.refuseEverywhere(msgFail, text)
	}
}

// refuseEverywhere ends the waits for the line on all shards, for the reason that a message of the kind tells.
func (b *bay) refuseEverywhere(kind messageKind, text string) {
	m := Message{kind: kind, line: b.line, from: b.shard.index, text: text}
	b.waiting.refuseAll(m.refusal())
	for i := range b.line.bays {
		if other := &b.line.bays[i]; other != b && other.head.Load() != 0 {
			b.shard.host.Tell(i, m)
		}
	}
}

// failing tells whether engines of the line do not come up, and it is not yet time to try again.
func (b *bay) failing(now int64) bool {
	l, p := b.line, b.shard.pool
	n := l.failures.Load()
	return n > 0 && int(n) >= max(1, p.Limits().Starting.Failures) && now < l.notBefore.Load() && l.ready.Load() <= 0 &&
		p.unused.Load() == 0
}

// succeed retires one engine that the one which has just come up replaces.
func (b *bay) succeed(now int64) {
	for _, e := range b.shard.engines.all {
		if e.line == b.line && e.term.worn != WhyNone && e.why == WhyNone {
			e.stop(e.term.worn, now)
			b.shard.pool.replacing.CompareAndSwap(e, nil) // the next one need not wait until its request is over
			return
		}
	}
}

// tick ends waits that have lasted too long, and looks again for those who wait, here or elsewhere.
func (b *bay) tick(now int64) {
	pool := b.shard.pool
	b.waiting.timeOut(now)
	if b.waiting.len == 0 {
		b.trade.offer(now)
		if b.idle.len+b.starting < pool.Limits().SpareEngines && b.busy() && !pool.wanted() {
			b.start(now)
		}
		return
	}
	b.stall.check(b, now)
	b.seek(now)
	b.waiting.refuseHasty(now)
	if l := b.line; pool.stopping.Load() && l.ready.Load() <= 0 && l.starting.Load() <= 0 {
		b.waiting.refuseAll(Refusal{Reason: Stopping})
	}
}

// keepUp starts the engines that the line, which is kept, always has; wanted: somebody waits who comes first.
func (b *bay) keepUp(wanted bool, now int64) {
	l := b.line
	lacks := func() bool { return int(l.engines.Load()) < b.shard.pool.Limits().mode(l.Login.Mode).MinEngines }
	for !wanted && now >= l.keepFrom.Load() && lacks() && b.start(now) {
		continue
	}
	if lacks() {
		b.shard.alarm.by(now + spareTick)
	}
	b.shard.alarm.by(now + keepTick)
}

// stall watches for requests that wait beside an idle engine.
type stall struct {
	suspect *Waiter // who may
	since   int64
	last    int64 // when it looked
}

// check notes when every Tick of a second has found the same request waiting beside an idle engine: that must not be. A machine that does
// not let the shard tick, which it wants to each waitTick, keeps the others from running as well: that proves nothing.
func (st *stall) check(b *bay, now int64) {
	w := b.waiting.front
	late := now-st.last > 10*waitTick
	st.last = now
	switch {
	case late || w != st.suspect || !b.line.idles() || b.line.paused.Load():
		st.suspect, st.since = w, now
	case now-st.since >= int64(time.Second):
		st.since = now
		b.shard.pool.Stats.Stalls.Add(1)
		b.shard.host.Note(NoteStalled, b.line, nil)
	}
}

// bays are those of a shard that have something in them.
type bays struct{ all []*bay }

// list makes b one of them.
func (l *bays) list(b *bay) {
	if !b.listed {
		b.listed = true
		l.all = append(l.all, b)
	}
}

// seek looks again for everybody who waits.
func (l *bays) seek(now int64) {
	for _, b := range l.all {
		if b.waiting.len > 0 {
			b.seek(now)
		}
	}
}

// tick does what is due, and forgets the bays that are empty.
func (l *bays) tick(now int64) {
	for i := 0; i < len(l.all); i++ { // there may be more at the end
		l.all[i].tick(now)
	}
	l.all = slices.DeleteFunc(l.all, func(b *bay) bool {
		b.listed = b.waiting.len > 0 || len(b.engines) > 0 || b.trade.asked
		return !b.listed
	})
}
