package enginepool

import "time"

// Waiter is a request that wants an engine. Its user embeds it and uses it again and again. Owned by its shard's loop.
type Waiter struct {
	// Fixed while it waits.
	Owner  any   // the user's
	Line   *Line // where it waits
	Mode   int   // -1 to 3
	Class  int   // 0 to 2, for Policy Priority
	Reject bool  // do not wait when no engine is idle and none may be started (negative start-up flags)
	Alone  bool  // nothing else is to be on its engine, which it may end

	rank       int64 // when it came, in nanoseconds, and what its class adds: who is served first
	since      int64 // when it came
	next, prev *Waiter
	queued     bool
}

// Since is when the waiter came, as the time that Acquire was given.
func (w *Waiter) Since() int64 { return w.since }

// Queued tells whether the waiter waits.
func (w *Waiter) Queued() bool { return w.queued }

const classWorth = int64(10 * time.Second) // waiting that long is worth one class

// queue holds the waiters of one line and shard, ordered by rank.
type queue struct {
	bay         *bay
	front, back *Waiter
	len         int
}

// push adds w, and tells the other shards who is next.
func (q *queue) push(w *Waiter) {
	b, s := q.bay, q.bay.shard
	s.bays.list(b)
	q.insert(w)
	b.publishHead()
	b.line.waiting.Add(1)
	if s.waiting++; s.waiting == 1 {
		s.waits.Store(true)
	}
}

// remove takes w out, and tells the other shards who is next.
func (q *queue) remove(w *Waiter) {
	b, s := q.bay, q.bay.shard
	q.unlink(w)
	b.publishHead()
	b.line.waiting.Add(-1)
	if s.waiting--; s.waiting == 0 {
		s.waits.Store(false)
	}
}

// refuse ends the wait of w.
func (q *queue) refuse(w *Waiter, r Refusal) {
	q.remove(w)
	q.bay.shard.host.Refuse(w, r)
}

// refuseAll ends the wait of everybody. Those who come meanwhile are not meant.
func (q *queue) refuseAll(r Refusal) {
	for n := q.len; n > 0 && q.front != nil; n-- {
		q.refuse(q.front, r)
	}
}

// refuseHasty ends the wait of those who do not want to, beyond what is on its way.
func (q *queue) refuseHasty(now int64) {
	for w := q.back; w != nil && w.queued && q.bay.coming(now) < q.len; {
		before := w.prev
		if w.Reject {
			q.refuse(w, Refusal{Reason: NoEngine})
		}
		w = before
	}
}

// timeOut ends the waits that have lasted longer than their mode allows.
func (q *queue) timeOut(now int64) {
	limits := q.bay.shard.pool.Limits()
	for w := q.front; w != nil && w.queued; { // Refuse may have served the next one
		after := w.next
		if d := limits.mode(w.Mode).QueueTimeout; d > 0 && now-w.since >= int64(d) {
			q.refuse(w, Refusal{Reason: TimedOut})
		}
		w = after
	}
}

// insert puts w where its rank belongs: nearly always at the end.
func (q *queue) insert(w *Waiter) {
	after := q.back
	for after != nil && after.rank > w.rank {
		after = after.prev
	}
	w.prev = after
	if after == nil {
		w.next, q.front = q.front, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		q.back = w
	} else {
		w.next.prev = w
	}
	w.queued = true
	q.len++
}

func (q *queue) unlink(w *Waiter) {
	if w.prev == nil {
		q.front = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.back = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	q.len--
}

// overloaded is how old the oldest waiter is when LIFOOverload turns round.
const overloaded = int64(time.Second)

// next returns who is served next, or nil. It stays in the queue.
func (q *queue) next(p Policy, now int64) *Waiter {
	if p == LIFOOverload && q.front != nil && now-q.front.since > overloaded {
		return q.back
	}
	return q.front
}
