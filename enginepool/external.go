package enginepool

import "slices"

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
	e.Owner, e.Apps = owner, apps
	s.setAhead(e, ahead)
	e.setPhase(Ready, now)
	s.receive(e)
	p.register(e)
	s.pushUnused(e)
	s.seekAll(now)
	s.tellWaiting()
	return e
}

// hire logs unused engines of this shard in for those who wait in b. When there are too few, it asks another shard for one; true: it has.
func (s *Shard) hire(b *bay, now int64) bool {
	if s.pool.unused.Load() == 0 {
		return false
	}
	for i := 0; i < len(s.unused) && b.waiting.len > b.starting; {
		if e := s.unused[i]; e.serves(b.line.Login.Application) {
			s.assign(e, b.line, now) // and it leaves the list
		} else {
			i++
		}
	}
	return b.waiting.len > b.starting && s.askUnused(b)
}

// askUnused asks a shard that has an unused engine for b. The answer is the engine, or msgNone.
func (s *Shard) askUnused(b *bay) bool {
	for _, e := range s.pool.Engines() {
		free := e.Class == External && Phase(e.view.phase.Load()) == Ready && !e.moving()
		if free && e.Home() != s.index && e.serves(b.line.Login.Application) {
			b.asked = true
			s.host.Tell(e.Home(), Message{kind: msgWant, line: b.line, from: s.index})
			return true
		}
	}
	return false
}

// assign logs an unused engine in to a line.
func (s *Shard) assign(e *Engine, l *Line, now int64) {
	s.forgetUnused(e)
	l.refs.Add(1)
	e.setLine(l)
	b := &l.bays[s.index]
	b.engines = append(b.engines, e)
	s.list(b)
	s.pool.starting.Add(1)
	s.expect(e)
	s.logIn(e, now)
}

// unassign takes an engine from its line that idles or whose login was refused.
func (s *Shard) unassign(e *Engine, now int64) {
	l := e.line
	b := &l.bays[s.index]
	if e.phase == Idle {
		s.removeIdle(b, e)
	}
	b.forget(e)
	s.uncount(e)
	e.setLine(nil)
	l.Release(s.pool)
	e.setPhase(Ready, now)
	e.deadline = 0
	s.pushUnused(e)
}

func (s *Shard) pushUnused(e *Engine) {
	s.unused = append(s.unused, e)
	s.pool.unused.Add(1)
}

// forgetUnused takes e from the unused engines, if it is one of them.
func (s *Shard) forgetUnused(e *Engine) {
	if i := slices.Index(s.unused, e); i >= 0 {
		s.unused = slices.Delete(s.unused, i, i+1)
		s.pool.unused.Add(-1)
	}
}
