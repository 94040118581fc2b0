package enginepool

import "time"

// What a bay does for those who wait in it.

// waitTick is how often a shard looks again while somebody waits on it, whatever it was told.
const waitTick = int64(20 * time.Millisecond)

// wait puts w in line, if there is anything to wait for.
func (b *bay) wait(w *Waiter, now int64) {
	s := b.shard
	switch {
	case s.pool.stopping.Load():
		s.host.Refuse(w, Refusal{Reason: Stopping})
		return
	case b.failing(now):
		s.host.Refuse(w, Refusal{NotStarting, b.line.text()})
		return
	}
	b.waiting.push(w)
	b.seek(now)
	switch {
	case !w.queued:
	case b.hopeless(w, now):
		b.waiting.refuse(w, Refusal{Reason: NoEngine})
	default:
		s.alarm.by(now + waitTick)
	}
}

// hopeless tells whether w, the last who has come, may not wait: too many do, or it does not want to and no engine is on its way.
func (b *bay) hopeless(w *Waiter, now int64) bool {
	coming := b.coming(now)
	if w.Reject && coming < b.waiting.len {
		return true
	}
	most := b.shard.pool.Limits().mode(w.Mode).QueueMax
	others := int(b.line.starting.Load()) - b.starting // coming to other shards
	return most > 0 && int(b.line.waiting.Load())-coming-others > most
}

// coming is the number of engines on their way to those who wait in b.
func (b *bay) coming(now int64) int {
	n := b.starting + b.room.coming(now)
	if b.trade.asked || b.claimed.Load() {
		n++
	}
	return n
}

// seek finds engines for those who wait in b: idle here, idle on another shard, dialled in, with room for one more request, or new. When
// all slots are taken, an idle engine of another line has to go.
func (b *bay) seek(now int64) {
	if b.line.paused.Load() {
		return
	}
	for b.waiting.len > 0 && b.idle.newest != nil {
		e := b.idle.newest
		b.idle.remove(e)
		e.setPhase(Active, now)
		b.settle(e, now)
	}
	if b.waiting.len == 0 || b.trade.asked || b.trade.ask() || b.hire(now) {
		return
	}
	b.aheadOf(now)
	for (b.waiting.len > b.starting || b.starting == 0 && b.crowded()) && b.start(now) {
		continue
	}
	if b.waiting.len > b.starting {
		b.room.make(now)
	}
}

// hire logs unused engines of this shard in for those who wait. When there are too few, it asks another shard for one; true: it has.
func (b *bay) hire(now int64) bool {
	s := b.shard
	if s.pool.unused.Load() == 0 {
		return false
	}
	for b.waiting.len > b.starting {
		e := s.unused.serving(b.line)
		if e == nil {
			return b.trade.askUnused()
		}
		b.assign(e, now)
	}
	return false
}

// assign logs an unused engine in to the line.
func (b *bay) assign(e *Engine, now int64) {
	b.shard.unused.forget(e)
	b.line.refs.Add(1)
	e.setLine(b.line)
	b.add(e)
	b.shard.pool.starting.Add(1)
	e.count(tallyStarting)
	e.logIn(now)
}

// aheadOf gives those who wait to engines that take requests ahead.
func (b *bay) aheadOf(now int64) {
	for b.waiting.len > 0 && b.shard.pool.aheads.Load() {
		e := b.spare()
		if e == nil {
			return
		}
		w := b.waiting.next(b.shard.pool.Limits().Policy, now)
		if w.Alone {
			return
		}
		b.waiting.remove(w)
		b.run(e, w, now)
	}
}

// start starts an engine; false: not now.
func (b *bay) start(now int64) bool {
	l, p := b.line, b.shard.pool
	limits := p.Limits()
	if l.private || l.paused.Load() || now < l.notBefore.Load() || p.stopping.Load() || l.Login.Type == "" {
		return false
	}
	if starving := p.starving(now); starving != nil && starving != l { // the next slot is not for us
		return false
	}
	most := 0
	if l.Login.Server != "" { // its clients share one engine
		most = 1
	}
	if !reserve(&l.engines, most) {
		return false
	}
	if !reserve(&p.starting, max(1, limits.SpawnRate)) {
		l.engines.Add(-1)
		return false
	}
	if !reserve(&p.slots, limits.MaxEngines) {
		l.engines.Add(-1)
		p.starting.Add(-1)
		return false
	}
	b.spawn(p.newEngine(Pooled, l.Login.Server, now), now)
	return true
}

// spawn starts an engine whose slot is reserved and which the pool counts as starting.
func (b *bay) spawn(e *Engine, now int64) {
	s := b.shard
	s.pool.Stats.Starts.Add(1)
	b.line.refs.Add(1)
	e.setLine(b.line)
	s.engines.receive(e)
	e.count(tallyStarting)
	e.clock.limit(s.pool.Limits().StartTimeout, now)
	s.host.Spawn(e)
	s.pool.register(e)
}
