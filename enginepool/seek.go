package enginepool

import (
	"slices"
	"time"
)

// waitTick is how often a shard looks again while somebody waits on it, whatever it was told.
const waitTick = int64(20 * time.Millisecond)

// seek finds engines for those who wait in b: idle here, idle on another shard, dialled in, with room for one more request, or new. When
// all slots are taken, an idle engine of another line has to go.
func (s *Shard) seek(b *bay, now int64) {
	if b.line.paused.Load() {
		return
	}
	for b.waiting.len > 0 && b.idle.newest != nil {
		e := b.idle.newest
		s.removeIdle(b, e)
		e.setPhase(Active, now)
		s.settle(e, now)
	}
	if b.waiting.len == 0 || b.asked || s.ask(b) || s.hire(b, now) {
		return
	}
	s.aheadOf(b, now)
	for (b.waiting.len > b.starting || b.starting == 0 && s.crowded(b)) && s.start(b, now) {
		continue
	}
	if b.waiting.len > b.starting {
		s.evict(b, now)
	}
}

// crowded tells whether every engine of the bay has requests ahead: one more engine would be of use though nobody waits.
func (s *Shard) crowded(b *bay) bool {
	for _, e := range b.engines {
		if e.running > 1 {
			return b.idle.len == 0
		}
	}
	return false
}

// ask asks a shard on which an engine of the line idles. The answer is the engine, or msgNone.
func (s *Shard) ask(b *bay) bool {
	for i := range b.line.bays {
		if i != s.index && b.line.bays[i].idles.Load() {
			b.asked = true
			s.host.Tell(i, Message{kind: msgWant, line: b.line, from: s.index})
			return true
		}
	}
	return false
}

// aheadOf gives those who wait to engines that take requests ahead.
func (s *Shard) aheadOf(b *bay, now int64) {
	for b.waiting.len > 0 && s.pool.aheads.Load() {
		e := b.spare()
		if e == nil {
			return
		}
		w := b.waiting.next(s.pool.Limits().Policy, now)
		if w.Alone {
			return
		}
		s.dequeue(b, w)
		s.run(e, w, now)
	}
}

// start starts an engine for b; false: not now.
func (s *Shard) start(b *bay, now int64) bool {
	p, limits := s.pool, s.pool.Limits()
	if b.line.private || b.line.paused.Load() || now < b.line.notBefore.Load() || p.stopping.Load() || b.line.Login.Type == "" {
		return false
	}
	if starving := p.starving(now); starving != nil && starving != b.line { // the next slot is not for us
		return false
	}
	if !reserve(&p.starting, max(1, limits.SpawnRate)) {
		return false
	}
	if !reserve(&p.slots, limits.MaxEngines) {
		p.starting.Add(-1)
		return false
	}
	b.line.engines.Add(1)
	s.spawn(p.newEngine(Pooled, "", now), b.line, now)
	return true
}

// spawn starts an engine whose slot is reserved and which counts as starting.
func (s *Shard) spawn(e *Engine, l *Line, now int64) {
	s.pool.Stats.Starts.Add(1)
	l.refs.Add(1)
	e.setLine(l)
	s.receive(e)
	s.expect(e)
	s.limitPhase(e, s.pool.Limits().StartTimeout, now)
	s.host.Spawn(e)
	s.pool.register(e)
}

// lacksSlot tells whether a line could have another engine if one of another line went.
func (p *Pool) lacksSlot(l *Line, now int64) bool {
	switch most := p.Limits().MaxEngines; {
	case p.stopping.Load():
		return false
	case l.Login.Type == "": // nothing is started for it
		return p.external.Load() > 0
	default:
		return most > 0 && p.slots.Load() >= int64(most) && now >= l.notBefore.Load()
	}
}

// starving returns the line for which the next slot is kept, or nil.
func (p *Pool) starving(now int64) *Line {
	l := p.starved.Load()
	if l != nil && (!l.starves() || l.paused.Load() || now < l.notBefore.Load()) {
		p.starved.CompareAndSwap(l, nil)
		return nil
	}
	return l
}

// wanted tells whether somebody waits who may want a slot.
func (p *Pool) wanted() bool {
	return p.Limits().MaxEngines > 0 && slices.ContainsFunc(p.shards, func(s *Shard) bool { return s.waits.Load() })
}

// evictPause is how long a bay waits until it asks again for a slot to be taken from another line.
const evictPause = int64(5 * time.Millisecond)

// evict has engines of other lines stopped that idle, as many as b needs and as are not being stopped already.
func (s *Shard) evict(b *bay, now int64) {
	p := s.pool
	if !p.lacksSlot(b.line, now) {
		return
	}
	for int64(b.waiting.len-b.starting) > p.evicting.Load() {
		if s.evictHere(b, now) {
			continue
		}
		if now-b.evicted >= evictPause {
			s.evictElsewhere(b, now)
		}
		w, after := b.waiting.front, p.Limits().StealAfter
		if after > 0 && now-w.since > int64(after) && b.line.Login.Type != "" && b.line.starves() {
			p.starved.CompareAndSwap(nil, b.line)
		}
		return
	}
}

// evictHere makes room for b on this shard, if it can.
func (s *Shard) evictHere(b *bay, now int64) bool {
	e := s.victim(b.line)
	switch {
	case e == nil:
		return false
	case e.Class == External: // it need not go: it logs in again
		s.unassign(e, now)
		s.assign(e, b.line, now)
	default:
		s.stop(e, WhyEvicted, now)
	}
	return true
}

// evictElsewhere asks a shard on which an engine idles to stop one for b.
func (s *Shard) evictElsewhere(b *bay, now int64) {
	for i, other := range s.pool.shards {
		if other != s && other.idles.Load() {
			b.evicted = now
			s.host.Tell(i, Message{kind: msgEvict, line: b.line, from: s.index})
			return
		}
	}
}

// evictFor makes room for the line of another shard, if it can and somebody still waits there.
func (s *Shard) evictFor(m Message, now int64) {
	if m.line.bays[m.from].head.Load() == 0 || !s.pool.lacksSlot(m.line, now) {
		return
	}
	switch e := s.victim(m.line); {
	case e == nil:
	case e.Class == External:
		s.unassign(e, now)
		s.give(e, m.from)
	default:
		s.stop(e, WhyEvicted, now)
	}
}

// victim returns the engine of another line that idles longest on this shard and whose going helps the line l, or nil.
func (s *Shard) victim(l *Line) *Engine {
	if s.idling == 0 {
		return nil
	}
	var victim *Engine
	for _, e := range s.engines {
		fits := e.Class == Pooled && l.Login.Type != "" || e.Class == External && e.serves(l.Login.Application)
		if e.phase == Idle && fits && e.line != l && (victim == nil || e.idleSince < victim.idleSince) {
			victim = e
		}
	}
	return victim
}

// seekAll looks again for everybody who waits on this shard.
func (s *Shard) seekAll(now int64) {
	for _, b := range s.bays {
		if b.waiting.len > 0 {
			s.seek(b, now)
		}
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

// Handle takes a message of another shard.
func (s *Shard) Handle(m Message, now int64) {
	switch m.kind {
	case msgWant:
		s.answer(m)
	case msgNone:
		s.answered(m.line)
		s.seekAll(now)
	case msgEvict:
		s.evictFor(m, now)
	case msgSeek:
		s.seekAll(now)
	case msgFail:
		s.refuseAll(&m.line.bays[s.index], Refusal{NotStarting, m.text})
	case msgDeny:
		s.refuseAll(&m.line.bays[s.index], Refusal{LoginFailed, m.text})
	}
}

// answered notes that what was asked for a line has come or will not; nil: for all lines, as an unused engine may be for any.
func (s *Shard) answered(l *Line) {
	if l != nil {
		l.bays[s.index].asked = false
		return
	}
	for _, b := range s.bays {
		b.asked = false
	}
}

// answer gives the shard that asks an idle engine of the line.
func (s *Shard) answer(m Message) {
	b := &m.line.bays[s.index]
	if e := b.idle.newest; e != nil {
		s.give(e, m.from)
		return
	}
	for _, e := range s.unused {
		if e.serves(m.line.Login.Application) {
			s.give(e, m.from)
			return
		}
	}
	s.host.Tell(m.from, Message{kind: msgNone, line: m.line, from: s.index})
}

// refuseHasty ends the wait of those who do not want to, beyond what is on its way.
func (s *Shard) refuseHasty(b *bay, now int64) {
	for w := b.waiting.back; w != nil && w.queued && s.coming(b, now) < b.waiting.len; {
		before := w.prev
		if w.Reject {
			s.refuse(b, w, Refusal{Reason: NoEngine})
		}
		w = before
	}
}

// refuseAll ends the wait of everybody in b. Those who come meanwhile are not meant.
func (s *Shard) refuseAll(b *bay, r Refusal) {
	for n := b.waiting.len; n > 0 && b.waiting.front != nil; n-- {
		s.refuse(b, b.waiting.front, r)
	}
}
