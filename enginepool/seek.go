package enginepool

import "time"

// waitTick is how often a shard looks again while somebody waits on it, whatever it was told.
const waitTick = int64(20 * time.Millisecond)

// seek finds engines for those who wait in b: idle here, idle on another shard, dialled in, with room for one more request, or new. When
// all slots are taken, an idle engine of another line has to go.
func (s *Shard) seek(b *bay, now int64) {
	for b.waiting.len > 0 && b.idle.newest != nil {
		e := b.idle.newest
		b.removeIdle(e)
		e.setPhase(Active, now)
		s.settle(e, now)
		if e.phase == Active && e.running == 0 { // it was given away, or is being stopped
			break
		}
	}
	if b.waiting.len == 0 || b.asked || s.pool.stopping.Load() {
		return
	}
	if s.ask(b) || s.hire(b, now) {
		return
	}
	s.aheadOf(b, now)
	for (b.waiting.len > b.starting || b.starting == 0 && s.crowded(b)) && s.start(b, now) {
		continue
	}
	if b.waiting.len > b.starting && (s.full() || b.line.Login.Type == "") {
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
	for b.waiting.len > 0 {
		e := b.spare()
		if e == nil {
			return
		}
		w := b.waiting.next(s.pool.Limits().Policy, now)
		s.dequeue(b, w)
		s.run(e, w, now)
	}
}

// start starts an engine for b; false: not now.
func (s *Shard) start(b *bay, now int64) bool {
	p, limits := s.pool, s.pool.Limits()
	if b.line.private || now < b.line.notBefore.Load() || p.stopping.Load() || b.line.Login.Type == "" {
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
	l.bays[s.index].starting++
	e.coming = true
	e.deadline = now + int64(s.pool.Limits().StartTimeout)
	s.wakeBy(e.deadline)
	s.host.Spawn(e)
}

// full tells whether every slot is taken.
func (s *Shard) full() bool {
	most := s.pool.Limits().MaxEngines
	return most > 0 && s.pool.slots.Load() >= int64(most)
}

// evictPause is how long a bay waits until it looks again for a slot to take from another line.
const evictPause = int64(5 * time.Millisecond)

// evict has an engine of another line stopped that idles, the longest on its shard.
func (s *Shard) evict(b *bay, now int64) {
	if now-b.evicted < evictPause || s.evictHere(b.line, now) {
		return
	}
	b.evicted = now
	for _, l := range *s.pool.lines.Load() {
		for i := range l.bays {
			if l != b.line && i != s.index && l.bays[i].idles.Load() {
				s.host.Tell(i, Message{kind: msgEvict, line: b.line, from: s.index})
				return
			}
		}
	}
	w := b.waiting.front
	if limits := s.pool.Limits(); limits.StealAfter > 0 && now-w.since > int64(limits.StealAfter) && b.line.engines.Load() == 0 {
		s.pool.starved.CompareAndSwap(nil, b.line)
	}
}

// evictHere stops the engine that idles longest on this shard and is of another line.
func (s *Shard) evictHere(wants *Line, now int64) bool {
	var victim *Engine
	for _, e := range s.engines {
		fits := e.Class == Pooled || e.Class == External && e.serves(wants.Login.Application)
		if e.phase == Idle && fits && e.line != wants && (victim == nil || e.idleSince < victim.idleSince) {
			victim = e
		}
	}
	if victim == nil {
		return false
	}
	if victim.Class == External { // it need not go: it logs in again
		s.unassign(victim, now)
		s.seekAll(now)
		s.tellWaiting()
		return true
	}
	s.stop(victim, WhyEvicted, now)
	return true
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
	told := make([]bool, len(s.pool.shards))
	for _, l := range s.pool.Lines() {
		for i := range l.bays {
			if i != s.index && !told[i] && l.bays[i].head.Load() != 0 {
				told[i] = true
				s.host.Tell(i, Message{kind: msgSeek, from: s.index})
			}
		}
	}
}

// Handle takes a message of another shard.
func (s *Shard) Handle(m Message, now int64) {
	switch m.kind {
	case msgWant:
		s.answer(m, now)
	case msgNone:
		b := &m.line.bays[s.index]
		b.asked = false
		s.seek(b, now)
		s.refuseHasty(b)
	case msgEvict:
		s.evictHere(m.line, now)
	case msgSeek:
		s.seekAll(now)
	case msgFail:
		s.refuseAll(&m.line.bays[s.index], Refusal{NotStarting, m.text})
	case msgDeny:
		s.refuseAll(&m.line.bays[s.index], Refusal{LoginFailed, m.text})
	}
}

// answer gives the shard that asks an idle engine of the line.
func (s *Shard) answer(m Message, now int64) {
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
func (s *Shard) refuseHasty(b *bay) {
	for w := b.waiting.back; w != nil && b.coming() < b.waiting.len; {
		before := w.prev
		if w.Reject {
			s.dequeue(b, w)
			s.host.Refuse(w, Refusal{Reason: NoEngine})
		}
		w = before
	}
}

// refuseAll ends the wait of everybody in b.
func (s *Shard) refuseAll(b *bay, r Refusal) {
	for w := b.waiting.front; w != nil; w = b.waiting.front {
		s.dequeue(b, w)
		s.host.Refuse(w, r)
	}
}
