package enginepool

import (
	"math"
	"time"
)

// trade is how a bay comes by idle engines of other shards, and they by its own.
type trade struct {
	bay   *bay
	asked bool // another shard was asked for an engine and has not answered
}

// How long a request of another shard must have waited, so that an engine crosses loops.
const (
	fairness = int64(time.Millisecond)       // more than ours has
	patience = int64(200 * time.Microsecond) // when nobody waits here: its own engines come free all the time
)

// brisk is how long requests take at most of which a shard with engines of its own serves many in the time of a move: which of two
// shards is ahead then changes with every turn of their loops, and an engine crosses only when requests wait twice as long there.
const brisk = int64(2 * time.Millisecond)

// ask asks a shard on which an engine of the line idles. The answer is the engine, or msgNone.
func (t *trade) ask() bool {
	for i := range t.bay.line.bays {
		if i != t.bay.shard.index && t.bay.line.bays[i].idles.Load() {
			t.askShard(i)
			return true
		}
	}
	return false
}

// askUnused asks a shard that has an unused engine which serves the line. The answer is the engine, or msgNone.
func (t *trade) askUnused() bool {
	for _, e := range t.bay.shard.pool.Engines() {
		free := e.Class == External && Phase(e.view.phase.Load()) == Ready && !e.moving()
		if free && e.Home() != t.bay.shard.index && e.serves(t.bay.line.Login.Application) {
			t.askShard(e.Home())
			return true
		}
	}
	return false
}

func (t *trade) askShard(i int) {
	t.asked = true
	t.bay.shard.host.Tell(i, Message{kind: msgWant, line: t.bay.line, from: t.bay.shard.index})
}

// answer gives the shard that asks an idle engine of the line, or an unused one.
func (t *trade) answer(to int) {
	s, e := t.bay.shard, t.bay.idle.newest
	if e == nil {
		e = s.unused.serving(t.bay.line)
	}
	if e == nil {
		s.host.Tell(to, Message{kind: msgNone, line: t.bay.line, from: s.index})
		return
	}
	s.engines.give(e, to)
}

// elsewhere returns the shard with the oldest request, but for ours, that no engine is on its way to, and its rank; -1: there is none.
func (t *trade) elsewhere() (to int, oldest int64) {
	to, oldest = -1, math.MaxInt64
	l := t.bay.line
	if l.paused.Load() {
		return to, oldest
	}
	for i := range l.bays {
		other := &l.bays[i]
		if rank := other.head.Load(); rank != 0 && rank < oldest && other != t.bay && !other.claimed.Load() {
			to, oldest = i, rank
		}
	}
	return to, oldest
}

// claim returns the shard that has waited too long for an engine such as has just come free here, or -1. The engine is to go there.
func (t *trade) claim(now int64) int {
	to, oldest := t.elsewhere()
	if to < 0 {
		return -1
	}
	overdue := oldest < now-patience || t.bay.shard.pool.Limits().Policy == Priority // whose ranks are no times
	if own := t.bay.waiting.front; own != nil {
		lead := fairness
		if t.bay.pace < brisk && t.bay.line.bays[to].staffed.Load() {
			lead = max(lead, now-own.rank)
		}
		overdue = oldest < own.rank-lead
	}
	if overdue && t.bay.line.bays[to].claimed.CompareAndSwap(false, true) {
		return to
	}
	return -1
}

// offer gives idle engines to other shards that have waited too long.
func (t *trade) offer(now int64) {
	for t.bay.idle.newest != nil {
		to := t.claim(now)
		if to < 0 {
			t.offerLater(now)
			return
		}
		t.bay.shard.engines.give(t.bay.idle.newest, to)
	}
}

// offerLater has Tick offer idle engines when somebody waits elsewhere, who may not have seen them.
func (t *trade) offerLater(now int64) {
	if to, oldest := t.elsewhere(); to >= 0 {
		t.bay.shard.alarm.by(min(now, oldest) + patience + 1)
	}
}
