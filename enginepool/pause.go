package enginepool

// Pause says which lines are paused: nothing is started for them, and who waits for them goes on waiting, until QueueTimeout. What runs is
// finished, and so are logins. which is kept, and asked about each line that is made later; it may be called by any goroutine. nil: none
// is. Bound engines and phantoms are never paused. Have all shards tick.
func (p *Pool) Pause(which func(*Login) bool) {
	p.pauses.Store(&which)
	for _, l := range p.Lines() {
		p.pauseLine(l)
	}
}

// pausing tells whether lines may be paused.
func (p *Pool) pausing() bool {
	which := p.pauses.Load()
	return which != nil && *which != nil
}

// pauseLine tells a line, which is in the table, whether it is paused. A line that Pause does not see in the table sees what Pause has
// stored.
func (p *Pool) pauseLine(l *Line) {
	which := p.pauses.Load()
	l.paused.Store(which != nil && *which != nil && (*which)(&l.Login))
}

// Paused tells whether the line is paused. Any goroutine.
func (l *Line) Paused() bool { return l.paused.Load() }

// Queued is the number of requests that wait for the line, on all shards. Any goroutine.
func (l *Line) Queued() int { return int(l.waiting.Load()) }

// Oldest is when the oldest of the requests that wait has come, as far as their ranks tell: with the policy Priority it may have come
// earlier or later by what classes are worth. 0: nobody waits. Any goroutine.
func (l *Line) Oldest() int64 {
	oldest := int64(0)
	for i := range l.bays {
		if rank := l.bays[i].head.Load(); rank != 0 && (oldest == 0 || rank < oldest) {
			oldest = rank
		}
	}
	return oldest
}
