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
	front, back *Waiter
	len         int
}

// push puts w where its rank belongs: nearly always at the end.
func (q *queue) push(w *Waiter) {
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

func (q *queue) remove(w *Waiter) {
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
