package enginepool

import "sync/atomic"

// Line is all there is for one signature. Its bays are owned by their shards.
type Line struct {
	// Fixed when made.
	Login   Login
	sig     Signature
	private bool // of one bound engine or phantom: in no table, without slots
	bays    []bay

	// Any goroutine; rarely written.
	paused atomic.Bool // see Pool.Pause

	// Any goroutine.
	_         [64]byte     // what is above is read all the time
	refs      atomic.Int64 // sessions that hold the line and engines of it; dead when it has left the table
	ready     atomic.Int32 // engines that have logged in
	starting  atomic.Int32 // engines that have not
	engines   atomic.Int32 // engines that hold a slot
	waiting   atomic.Int32 // requests
	failures  atomic.Int32 // engines that ended before they had a request, in a row
	keep      atomic.Bool  // MinEngines of it live always
	notBefore atomic.Int64 // no start before that time
	keepFrom  atomic.Int64 // nor one for nobody before that: the login was refused
	failText  atomic.Pointer[string]
}

const dead = -1 << 40 // refs of a line that has left the table

// bay is the part of a line that one shard has.
type bay struct {
	// Owned by the shard's loop.
	line     *Line
	waiting  queue
	idle     ring
	engines  []*Engine // of this line and shard, whatever they do
	starting int       // of them, those that have not logged in
	asked    bool      // another shard was asked for an engine and has not answered
	suspect  *Waiter   // who may wait beside an idle engine
	stalled  int64     // since when
	evicted  int64     // when another shard was last asked to stop an engine of another line
	listed   bool      // is in the shard's list of bays

	// Any goroutine; written by the shard's loop, but for claimed.
	_       [64]byte
	head    atomic.Int64 // rank of the next waiter; 0: nobody waits
	idles   atomic.Bool  // an engine idles here
	claimed atomic.Bool  // an engine of another shard is on its way here
	_       [64]byte
}

// Ready tells whether an engine of the line has logged in, busy or not.
func (l *Line) Ready() bool { return l.ready.Load() > 0 }

// Waiting is the number of requests that wait, on the loop of shard s.
func (l *Line) Waiting(s *Shard) int { return l.bays[s.index].waiting.len }

// retain keeps the line in the table; false: it has left, and another one is to be made.
func (l *Line) retain() bool { return l.refs.Add(1) > 0 }

// Release gives back what Pool.Line or Pool.PrivateLine has returned.
func (l *Line) Release(p *Pool) {
	if l.refs.Add(-1) == 0 && !l.private && l.refs.CompareAndSwap(0, dead) {
		p.dropLine(l)
	}
}

// publishHead tells the other shards who is next.
func (b *bay) publishHead() {
	if b.waiting.front == nil {
		b.head.Store(0)
	} else {
		b.head.Store(b.waiting.front.rank)
	}
}

func (s *Shard) pushIdle(b *bay, e *Engine) {
	b.idle.push(e)
	if b.idle.len == 1 {
		b.idles.Store(true)
	}
	if s.idling++; s.idling == 1 {
		s.idles.Store(true)
	}
}

func (s *Shard) removeIdle(b *bay, e *Engine) {
	b.idle.remove(e)
	if b.idle.len == 0 {
		b.idles.Store(false)
	}
	if s.idling--; s.idling == 0 {
		s.idles.Store(false)
	}
}

// busy tells whether a request runs on an engine of the bay.
func (b *bay) busy() bool {
	for _, e := range b.engines {
		if e.running > 0 {
			return true
		}
	}
	return false
}

// idles tells whether an engine of the line idles anywhere.
func (l *Line) idles() bool {
	for i := range l.bays {
		if l.bays[i].idles.Load() {
			return true
		}
	}
	return false
}

// awaited tells whether somebody waits for an engine of the line.
func (l *Line) awaited() bool {
	for i := range l.bays {
		if l.bays[i].head.Load() != 0 {
			return true
		}
	}
	return false
}

// starves tells whether somebody waits for the line, which has no engine that we have started.
func (l *Line) starves() bool { return l.engines.Load() == 0 && l.awaited() }

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

func (b *bay) forget(e *Engine) {
	for i, other := range b.engines {
		if other == e {
			b.engines[i] = b.engines[len(b.engines)-1]
			b.engines[len(b.engines)-1] = nil
			b.engines = b.engines[:len(b.engines)-1]
			return
		}
	}
}
