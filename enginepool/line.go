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
	engines   atomic.Int64 // engines that hold a slot
	waiting   atomic.Int32 // requests
	failures  atomic.Int32 // engines that ended before they had a request, in a row
	keep      atomic.Bool  // MinEngines of it live always
	notBefore atomic.Int64 // no start before that time
	keepFrom  atomic.Int64 // nor one for nobody before that: the login was refused
	failText  atomic.Pointer[string]
}

const dead = -1 << 40 // refs of a line that has left the table

// on is the part of the line that a shard has.
func (l *Line) on(s *Shard) *bay { return &l.bays[s.index] }

// Ready tells whether an engine of the line has logged in, busy or not.
func (l *Line) Ready() bool { return l.ready.Load() > 0 }

// Waiting is the number of requests that wait, on the loop of shard s.
func (l *Line) Waiting(s *Shard) int { return l.on(s).waiting.len }

// retain keeps the line in the table; false: it has left, and another one is to be made.
func (l *Line) retain() bool { return l.refs.Add(1) > 0 }

// Release gives back what Pool.Line or Pool.PrivateLine has returned.
func (l *Line) Release(p *Pool) {
	if l.refs.Add(-1) == 0 && !l.private && l.refs.CompareAndSwap(0, dead) {
		p.dropLine(l)
	}
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

// Keep has MinEngines of the line's mode live always. Any goroutine; Tick of the first shard does it.
func (l *Line) Keep(on bool) { l.keep.Store(on) }

// spares takes one engine off those that are ready if least of them stay: two shards never take the same one.
func (l *Line) spares(least int) bool {
	for {
		n := l.ready.Load()
		if int(n) <= least {
			return false
		}
		if l.ready.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// text is what the last start that failed had to say.
func (l *Line) text() string {
	if t := l.failText.Load(); t != nil {
		return *t
	}
	return ""
}
