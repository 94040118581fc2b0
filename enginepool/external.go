package enginepool

// An external engine has dialled in. It has no slot, waits unused until a line wants it, and may go over to another line by logging in
// again.

// DialIn takes over an engine that has dialled in; apps are the applications that it serves, empty: all. It returns nil when there
// are too many.
func (s *Shard) DialIn(name string, ahead int, apps []string, owner any, now int64) *Engine {
	p := s.pool
	if p.stopping.Load() || !reserve(&p.external, p.Limits().MaxExternal) {
		return nil
	}
	e := p.newEngine(External, name, now)
	e.Owner, e.Apps, e.ahead = owner, apps, max(1, ahead)
	p.unused.Add(1)
	s.unused = append(s.unused, e)
	s.receive(e)
	e.setPhase(Ready, now)
	s.seekAll(now)
	s.tellWaiting()
	return e
}

// hire gets an external engine for those who wait in b: one of this shard logs in, one of another shard is asked for.
func (s *Shard) hire(b *bay, now int64) bool {
	if s.pool.external.Load() == 0 {
		return false
	}
	for _, e := range s.unused {
		if b.waiting.len > b.starting && e.serves(b.line.Login.Application) {
			s.assign(e, b.line, now)
			return false // there may be more
		}
	}
	if b.waiting.len <= b.starting {
		return false
	}
	for _, e := range s.pool.Engines() {
		if e.Class != External || e.view.line.Load() != nil || !e.serves(b.line.Login.Application) {
			continue
		}
		if home := int(e.home.Load()); home != s.index {
			b.asked = true
			s.host.Tell(home, Message{kind: msgWant, line: b.line, from: s.index})
			return true
		}
	}
	return false
}

// assign logs an unused engine in to a line.
func (s *Shard) assign(e *Engine, l *Line, now int64) {
	s.forgetUnused(e)
	s.pool.unused.Add(-1)
	l.refs.Add(1)
	e.setLine(l)
	b := &l.bays[s.index]
	b.engines = append(b.engines, e)
	b.starting++
	s.pool.starting.Add(1)
	e.coming = true
	s.list(b)
	s.logIn(e, now)
}

// unassign takes an idle engine from its line.
func (s *Shard) unassign(e *Engine, now int64) {
	l := e.line
	b := &l.bays[s.index]
	b.removeIdle(e)
	b.forget(e)
	s.leaves(e)
	e.setLine(nil)
	l.Release(s.pool)
	e.setPhase(Ready, now)
	e.deadline = 0
	s.pool.unused.Add(1)
	s.unused = append(s.unused, e)
}

func (s *Shard) forgetUnused(e *Engine) {
	for i, other := range s.unused {
		if other == e {
			s.unused = append(s.unused[:i], s.unused[i+1:]...)
			return
		}
	}
}
