package enginepool

// Abandon tells that nobody waits any more for the request on e, which was asked to end it. It has BreakTimeout to obey.
func (s *Shard) Abandon(e *Engine, now int64) {
	if e.phase == Active {
		e.abandoned, e.rest = true, 0
		s.limitPhase(e, s.pool.Limits().BreakTimeout, now)
	}
}

// Home is the index of the shard that the engine is on, or was on before its move. Any goroutine.
func (e *Engine) Home() int {
	if at := e.home.Load(); at < 0 {
		return int(^at)
	} else {
		return int(at)
	}
}

// Relogin gives a bound engine another private line: it has logged in to another application.
func (s *Shard) Relogin(e *Engine, l *Line) {
	old := e.line
	old.bays[s.index].forget(e)
	if e.tally == tallyReady {
		old.ready.Add(-1)
		l.ready.Add(1)
	}
	l.refs.Add(1)
	e.setLine(l)
	b := &l.bays[s.index]
	b.engines = append(b.engines, e)
	s.list(b)
	old.Release(s.pool)
}
