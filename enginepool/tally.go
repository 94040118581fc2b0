package enginepool

// tally is what an engine is counted among.
type tally uint8

const (
	tallyNone     tally = iota
	tallyStarting       // those that have not logged in
	tallyReady          // those that its line can count on
	tallyLeaving        // those pooled ones that are being stopped
)

// count counts e among others than before, or none.
func (e *Engine) count(t tally) {
	e.tally.leave(e)
	e.tally = t
	t.enter(e)
}

// enter counts e. The pool has counted one that starts: a start is reserved first.
func (t tally) enter(e *Engine) {
	switch t {
	case tallyStarting:
		e.bay().starting++
		e.line.starting.Add(1)
	case tallyReady:
		e.line.ready.Add(1)
	case tallyLeaving:
		p := e.shard.pool
		p.leaving.Add(1)
		if e.why == WhyEvicted {
			p.evicting.Add(1)
		}
	}
}

// leave counts e no more.
func (t tally) leave(e *Engine) {
	p := e.shard.pool
	switch t {
	case tallyStarting:
		e.bay().starting--
		e.line.starting.Add(-1)
		p.starting.Add(-1)
	case tallyReady:
		e.line.ready.Add(-1)
	case tallyLeaving:
		p.leaving.Add(-1)
		if e.why == WhyEvicted {
			p.evicting.Add(-1)
		}
	}
}

// leaves notes that e, whose end has a reason by now, does nothing for anybody any more. It may be called again.
func (e *Engine) leaves() {
	if e.tally == tallyLeaving {
		return
	}
	e.count(tallyNone)
	e.shard.unused.forget(e)
	e.unpromise()
	if e.Class == Pooled {
		e.count(tallyLeaving)
	}
}

// unpromise notes that no shard is to wait for e, which has arrived or will not.
func (e *Engine) unpromise() {
	if e.promised >= 0 && e.line != nil {
		e.line.bays[e.promised].claimed.Store(false)
	}
	e.promised = -1
}
