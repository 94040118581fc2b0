package enginepool

// What the user tells of an engine's life. ladder.go has what follows.

// Start starts a bound engine or a phantom for the private line l: Host.Ready or Host.Failed follows. nil: there are too many.
func (s *Shard) Start(class Class, l *Line, owner any, now int64) *Engine {
	p, limits := s.pool, s.pool.Limits()
	count, most := &p.sync, limits.MaxSync
	if class == Phantom {
		count, most = &p.phantoms, limits.MaxPhantoms
	}
	if p.stopping.Load() || !reserve(count, most) {
		return nil
	}
	p.starting.Add(1)
	e := p.newEngine(class, "", now)
	e.Owner = owner
	l.on(s).spawn(e, now)
	return e
}

// Hello tells that the engine has introduced itself: it takes ahead requests at a time.
func (s *Shard) Hello(e *Engine, ahead int, now int64) {
	if e.phase == Starting {
		e.setAhead(ahead)
		e.logIn(now)
	}
}

// LoggedIn tells that the login has succeeded.
func (s *Shard) LoggedIn(e *Engine, now int64) {
	if e.phase != LoggingIn {
		return
	}
	if e.Pools() {
		limits := s.pool.Limits()
		if proc := limits.mode(e.line.Login.Mode).StartupProc; proc != "" {
			e.setPhase(Startup, now)
			e.clock.limit(limits.StartTimeout, now)
			s.host.Proc(e, "startup", proc)
			return
		}
	}
	e.cameUp(now)
}

// LoginFailed tells that the engine has refused the login.
func (s *Shard) LoginFailed(e *Engine, text string, now int64) {
	if e.phase != LoggingIn {
		return
	}
	if !e.Pools() {
		e.stop(WhyLogin, now)
		s.host.Failed(e, text)
		return
	}
	l, b := e.line, e.bay()
	sole := l.ready.Load() <= 0
	if sole && e.Class == External { // it has nothing against us
		s.unused.takeBack(e, now)
	} else {
		e.stop(WhyLogin, now)
	}
	if !sole { // others have logged in with the same words: it is this engine
		b.startFailed(text, now)
		return
	}
	l.keepFrom.Store(now + int64(s.pool.Limits().Starting.Most))
	b.refuseEverywhere(msgDeny, text)
}

// Relogin gives a bound engine another private line: it has logged in to another application.
func (s *Shard) Relogin(e *Engine, l *Line) {
	old := e.line
	e.bay().forget(e)
	if e.tally == tallyReady {
		old.ready.Add(-1)
		l.ready.Add(1)
	}
	l.refs.Add(1)
	e.setLine(l)
	e.bay().add(e)
	old.Release(s.pool)
}

// ProcDone tells that a procedure of the server's own has ended.
func (s *Shard) ProcDone(e *Engine, ok bool, now int64) {
	switch e.phase {
	case Startup:
		if ok {
			e.cameUp(now)
			return
		}
		b := e.bay()
		e.stop(WhyProc, now)
		b.startFailed("the start-up procedure failed", now)
	case Timer:
		if !ok {
			e.stop(WhyProc, now)
			return
		}
		e.clock.stop()
		e.bay().settle(e, now)
	case Shutdown:
		e.logOff(now)
	case Breaking:
		e.shutdown(now)
	}
}

// Stop stops the engine when it has nothing to do, and lets it finish what it does.
func (s *Shard) Stop(e *Engine, why Why, now int64) { e.stop(why, now) }

// Force stops the engine whatever it does: a request on it is broken, and then the process ended.
func (s *Shard) Force(e *Engine, why Why, now int64) { e.force(why, now) }

// Memory tells what an engine's process holds, in bytes.
func (s *Shard) Memory(e *Engine, bytes int64, now int64) {
	e.view.rss.Store(bytes)
	limits := s.pool.Limits()
	switch {
	case e.moving() || e.Home() != s.index || e.phase >= Shutdown:
	case limits.MaxMemoryHard > 0 && bytes >= limits.MaxMemoryHard:
		s.Broken(e, WhyMemory, "the engine held too much memory", now)
	case limits.MaxMemory > 0 && bytes >= limits.MaxMemory && e.Class == Pooled && (e.phase == Active || e.term.served > 0):
		e.stop(WhyMemory, now)
	}
}

// Arrive takes over an engine that Host.Move has brought, unless Broken has told of its end.
func (s *Shard) Arrive(e *Engine, now int64) {
	if !e.moving() {
		return
	}
	s.engines.receive(e)
	s.answered(e.line)
	if e.line == nil {
		s.unused.push(e)
		s.bays.seek(now)
		return
	}
	b := e.bay()
	b.settle(e, now) // which may give e away
	b.seek(now)
}

// Broken tells that the engine's connection has ended, or that it does not keep to the protocol. What it did is the user's to end. The
// process is killed: nothing more can be said to it. One that was asked to leave has done so, and has KillTimeout to end.
func (s *Shard) Broken(e *Engine, why Why, text string, now int64) {
	if e.moving() {
		s.engines.lost(e)
	}
	was := e.phase
	if was >= Terminating {
		return
	}
	if was == Idle {
		e.bay().idle.remove(e)
	}
	if e.why == WhyNone {
		e.why = why
	}
	e.running = 0
	if was == Logoff {
		e.setPhase(Terminating, now)
		e.clock.limit(s.pool.Limits().KillTimeout, now)
		return
	}
	e.kill(now)
	switch {
	case e.line == nil || was >= Shutdown:
	case !e.Pools():
		if was <= Startup {
			s.host.Failed(e, text)
		}
	case was <= Startup || e.term.served == 0 && why != WhyForced: // one that has never served counts as one that did not come up
		e.bay().startFailed(text, now)
	}
}

// Exited tells that the engine's process has been reaped, or that the connection of an external one has been closed: its slot is
// free. text says how it ended.
func (s *Shard) Exited(e *Engine, text string, now int64) {
	if e.phase == Gone {
		return
	}
	s.Broken(e, WhyEnded, text, now)
	l, p := e.line, s.pool
	e.setPhase(Gone, now)
	e.clock.stop()
	s.engines.forget(e)
	p.unregister(e)
	p.replacing.CompareAndSwap(e, nil)
	switch e.Class {
	case Pooled:
		p.slots.Add(-1)
		l.engines.Add(-1)
	case Bound:
		p.sync.Add(-1)
	case Phantom:
		p.phantoms.Add(-1)
	case External:
		p.external.Add(-1)
	}
	e.count(tallyNone)
	if l == nil {
		return
	}
	e.setLine(nil)
	s.bays.seek(now)
	s.tellWaiting()
	l.Release(p)
}
