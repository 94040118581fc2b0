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
	s.engines.receive(e)
	e.setAhead(ahead)
	e.setPhase(Ready, now)
	p.register(e)
	s.unused.push(e)
	s.bays.seek(now)
	s.tellWaiting()
	return e
}

// unused holds the external engines on one shard that no line has.
type unused struct {
	pool    *Pool
	engines []*Engine
}

func (u *unused) push(e *Engine) {
	u.engines = append(u.engines, e)
	u.pool.unused.Add(1)
}

// forget takes e out, if it is in.
func (u *unused) forget(e *Engine) {
	if i := slices.Index(u.engines, e); i >= 0 {
		u.engines = slices.Delete(u.engines, i, i+1)
		u.pool.unused.Add(-1)
	}
}

// serving returns an engine that may log in to the line, or nil.
func (u *unused) serving(l *Line) *Engine {
	for _, e := range u.engines {
		if e.serves(l.Login.Application) {
			return e
		}
	}
	return nil
}

// takeBack takes an engine from its line that idles or whose login was refused.
func (u *unused) takeBack(e *Engine, now int64) {
	l, b := e.line, e.bay()
	if e.phase == Idle {
		b.idle.remove(e)
	}
	b.forget(e)
	e.count(tallyNone)
	e.setLine(nil)
	l.Release(u.pool)
	e.setPhase(Ready, now)
	e.clock.stop()
	u.push(e)
}
