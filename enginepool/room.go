package enginepool

import "time"

// room has idle engines of other lines stopped, so that a bay gets a slot.
type room struct {
	bay   *bay
	asked int64 // when another shard was last asked to stop one
	turn  int   // and which
}

// askPause is how long a bay waits until it asks again for a slot to be taken from another line.
const askPause = int64(5 * time.Millisecond)

// make has as many engines stopped as the bay needs and as are not being stopped already.
func (r *room) make(now int64) {
	b, p := r.bay, r.bay.shard.pool
	if !p.lacksSlot(b.line, now) {
		return
	}
	for int64(b.waiting.len-b.starting) > p.evicting.Load() {
		if r.makeHere(now) {
			continue
		}
		if now-r.asked >= askPause {
			r.ask(now)
		}
		w, after := b.waiting.front, p.Limits().StealAfter
		if after > 0 && now-w.since > int64(after) && b.line.Login.Type != "" && b.line.starves() {
			p.starved.CompareAndSwap(nil, b.line)
		}
		return
	}
}

// makeHere makes room on this shard, if it can.
func (r *room) makeHere(now int64) bool {
	e := r.victim()
	switch {
	case e == nil:
		return false
	case e.Class == External: // it need not go: it logs in again
		e.shard.unused.takeBack(e, now)
		r.bay.assign(e, now)
	default:
		e.stop(WhyEvicted, now)
	}
	return true
}

// ask asks a shard on which an engine idles to stop one: another one each time, as that engine may be of no use here.
func (r *room) ask(now int64) {
	s := r.bay.shard
	for range s.pool.shards {
		r.turn = (r.turn + 1) % len(s.pool.shards)
		if other := s.pool.shards[r.turn]; other != s && other.idles.Load() {
			r.asked = now
			s.host.Tell(r.turn, Message{kind: msgEvict, line: r.bay.line, from: s.index})
			return
		}
	}
}

// makeFor makes room for the line's bay on another shard, if it can and somebody still waits there.
func (r *room) makeFor(other int, now int64) {
	b := r.bay
	if b.line.bays[other].head.Load() == 0 || !b.shard.pool.lacksSlot(b.line, now) {
		return
	}
	switch e := r.victim(); {
	case e == nil:
	case e.Class == External:
		e.shard.unused.takeBack(e, now)
		e.shard.engines.give(e, other)
	default:
		e.stop(WhyEvicted, now)
	}
}

// victim returns the engine of another line that idles longest on this shard and whose going helps the line, or nil.
func (r *room) victim() *Engine {
	s, l := r.bay.shard, r.bay.line
	if s.idling == 0 {
		return nil
	}
	var victim *Engine
	for _, e := range s.engines.all {
		fits := e.Class == Pooled && l.Login.Type != "" || e.Class == External && e.serves(l.Login.Application)
		if e.phase == Idle && fits && e.line != l && (victim == nil || e.idleSince < victim.idleSince) {
			victim = e
		}
	}
	return victim
}

// coming is the number of engines that may have a slot soon.
func (r *room) coming(now int64) int {
	p := r.bay.shard.pool
	if !p.lacksSlot(r.bay.line, now) {
		return 0
	}
	n := int(p.evicting.Load())
	if r.asked != 0 && now-r.asked < askPause {
		n++
	}
	return n
}
