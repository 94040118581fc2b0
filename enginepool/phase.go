package enginepool

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
	s.spawn(e, l, now)
	return e
}

// Hello tells that the engine has introduced itself: it takes ahead requests at a time.
func (s *Shard) Hello(e *Engine, ahead int, now int64) {
	if e.phase == Starting {
		s.setAhead(e, ahead)
		s.logIn(e, now)
	}
}

func (s *Shard) setAhead(e *Engine, ahead int) {
	if e.ahead = max(1, ahead); e.ahead > 1 {
		s.pool.aheads.Store(true)
	}
}

func (s *Shard) logIn(e *Engine, now int64) {
	e.setPhase(LoggingIn, now)
	s.limitPhase(e, s.pool.Limits().LoginTimeout, now)
	s.host.Login(e)
}

// LoggedIn tells that the login has succeeded.
func (s *Shard) LoggedIn(e *Engine, now int64) {
	if e.phase != LoggingIn {
		return
	}
	if e.Pools() {
		if proc := s.pool.Limits().mode(e.line.Login.Mode).StartupProc; proc != "" {
			e.setPhase(Startup, now)
			s.limitPhase(e, s.pool.Limits().StartTimeout, now)
			s.host.Proc(e, "startup", proc)
			return
		}
	}
	s.ready(e, now)
}

// ready puts an engine to work that has come up.
func (s *Shard) ready(e *Engine, now int64) {
	s.uncount(e)
	e.tally = tallyReady
	e.line.ready.Add(1)
	e.line.notBefore.Store(0)
	e.deadline = 0
	if !e.Pools() {
		e.setPhase(Ready, now)
		if !s.stopIfAsked(e, now) {
			s.host.Ready(e)
		}
		return
	}
	e.setPhase(Active, now)
	l := e.line // settle may give e away
	s.settle(e, now)
	s.succeed(l, now)
	s.seekAll(now)
	s.tellWaiting() // one start less
}

// expect counts e among those that are starting; the pool has counted it.
func (s *Shard) expect(e *Engine) {
	e.tally = tallyStarting
	e.line.starting.Add(1)
	e.line.bays[s.index].starting++
}

// uncount takes e from among those that it is counted with.
func (s *Shard) uncount(e *Engine) {
	p := s.pool
	switch e.tally {
	case tallyStarting:
		e.line.bays[s.index].starting--
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
	e.tally = tallyNone
}

// leaves notes that e, whose end has a reason by now, does nothing for anybody any more. It may be called again.
func (s *Shard) leaves(e *Engine) {
	if e.tally == tallyLeaving {
		return
	}
	s.uncount(e)
	s.forgetUnused(e)
	if e.promised >= 0 {
		e.line.bays[e.promised].claimed.Store(false)
		e.promised = -1
	}
	if e.Class == Pooled {
		e.tally = tallyLeaving
		s.pool.leaving.Add(1)
		if e.why == WhyEvicted {
			s.pool.evicting.Add(1)
		}
	}
}

// LoginFailed tells that the engine has refused the login.
func (s *Shard) LoginFailed(e *Engine, text string, now int64) {
	if e.phase != LoggingIn {
		return
	}
	if !e.Pools() {
		s.stop(e, WhyLogin, now)
		s.host.Failed(e, text)
		return
	}
	l := e.line
	sole := l.ready.Load() <= 0
	if sole && e.Class == External { // it has nothing against us
		s.unassign(e, now)
	} else {
		s.stop(e, WhyLogin, now)
	}
	if !sole { // others have logged in with the same words: it is this engine
		s.startFailed(l, text, now)
		return
	}
	l.keepFrom.Store(now + int64(s.pool.Limits().Starting.Most))
	s.refuseAll(&l.bays[s.index], Refusal{LoginFailed, text})
	s.tellLine(l, Message{kind: msgDeny, line: l, from: s.index, text: text})
}

// ProcDone tells that a procedure of the server's own has ended.
func (s *Shard) ProcDone(e *Engine, ok bool, now int64) {
	switch e.phase {
	case Startup:
		if ok {
			s.ready(e, now)
			return
		}
		l := e.line
		s.stop(e, WhyProc, now)
		s.startFailed(l, "the start-up procedure failed", now)
	case Timer:
		if !ok {
			s.stop(e, WhyProc, now)
			return
		}
		e.deadline = 0
		s.settle(e, now)
	case Shutdown:
		s.logOff(e, now)
	case Breaking:
		s.shutdown(e, now)
	}
}

// Stop stops the engine when it has nothing to do, and lets it finish what it does.
func (s *Shard) Stop(e *Engine, why Why, now int64) { s.stop(e, why, now) }

func (s *Shard) stop(e *Engine, why Why, now int64) {
	if e.why == WhyNone {
		e.why = why
	}
	switch e.phase {
	case Idle:
		s.removeIdle(&e.line.bays[s.index], e)
		s.shutdown(e, now)
	case Ready:
		s.shutdown(e, now)
	case LoggingIn, Startup:
		if e.why == WhyLogin || e.why == WhyProc {
			s.logOff(e, now)
		} else {
			s.terminate(e, now)
		}
	case Starting:
		s.terminate(e, now)
	case Timer:
		if e.why == WhyProc {
			s.logOff(e, now)
		}
	}
}

// stopIfAsked stops a bound engine that is to be stopped and has nothing to do.
func (s *Shard) stopIfAsked(e *Engine, now int64) bool {
	if e.why == WhyNone {
		return false
	}
	s.shutdown(e, now)
	return true
}

// Force stops the engine whatever it does: a request on it is broken, and then the process ended.
func (s *Shard) Force(e *Engine, why Why, now int64) {
	switch e.phase {
	case Active, Timer:
		e.why = why
		s.leaves(e)
		e.setPhase(Breaking, now)
		e.rest = 0
		s.limitPhase(e, s.pool.Limits().BreakTimeout, now)
		s.host.Break(e)
	default:
		s.stop(e, why, now)
	}
}

// shutdown is the first step of the ladder: the shut-down procedure of a pooled engine, then the request to leave.
func (s *Shard) shutdown(e *Engine, now int64) {
	if e.why == WhyNone {
		e.why = WhyDiscarded
	}
	s.leaves(e)
	if e.Pools() && e.line != nil && e.phase != Breaking {
		if proc := s.pool.Limits().mode(e.line.Login.Mode).ShutdownProc; proc != "" {
			e.setPhase(Shutdown, now)
			s.limitPhase(e, s.pool.Limits().StopTimeout, now)
			s.host.Proc(e, "shutdown", proc)
			return
		}
	}
	s.logOff(e, now)
}

func (s *Shard) logOff(e *Engine, now int64) {
	s.leaves(e)
	e.setPhase(Logoff, now)
	s.limitPhase(e, s.pool.Limits().StopTimeout, now)
	s.host.Logoff(e)
}

func (s *Shard) terminate(e *Engine, now int64) {
	s.leaves(e)
	e.setPhase(Terminating, now)
	s.limitPhase(e, s.pool.Limits().KillTimeout, now)
	s.host.Terminate(e)
}

func (s *Shard) kill(e *Engine, now int64) {
	s.leaves(e)
	e.setPhase(Killed, now)
	e.deadline = 0
	s.host.Kill(e)
}

// Broken tells that the engine's connection has ended, or that it does not keep to the protocol. What it did is the user's to end. The
// process is killed: nothing more can be said to it. One that was asked to leave has done so, and has KillTimeout to end.
func (s *Shard) Broken(e *Engine, why Why, text string, now int64) {
	if e.moving() {
		s.lostOnWay(e)
	}
	was := e.phase
	if was >= Terminating {
		return
	}
	if was == Idle {
		s.removeIdle(&e.line.bays[s.index], e)
	}
	if e.why == WhyNone {
		e.why = why
	}
	e.running = 0
	if was == Logoff {
		e.setPhase(Terminating, now)
		s.limitPhase(e, s.pool.Limits().KillTimeout, now)
		return
	}
	s.kill(e, now)
	switch {
	case e.line == nil || was >= Shutdown:
	case !e.Pools():
		if was <= Startup {
			s.host.Failed(e, text)
		}
	case was <= Startup || e.served == 0 && why != WhyForced: // one that has never served counts as one that did not come up
		s.startFailed(e.line, text, now)
	}
}

// lostOnWay takes over an engine that has ended between two shards. The one that waits for it is told.
func (s *Shard) lostOnWay(e *Engine) {
	to := e.promised
	s.receive(e)
	if to == s.index {
		s.answered(e.line)
	} else {
		s.host.Tell(to, Message{kind: msgNone, line: e.line, from: s.index})
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
	e.deadline = 0
	s.forget(e)
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
	s.uncount(e)
	if l == nil {
		return
	}
	e.setLine(nil)
	s.seekAll(now)
	s.tellWaiting()
	l.Release(p)
}

// startFailed counts a start that failed. When too many have in a row, those who wait are told.
func (s *Shard) startFailed(l *Line, text string, now int64) {
	p, back := s.pool, s.pool.Limits().Starting
	p.Stats.StartFailures.Add(1)
	n := l.failures.Add(1)
	l.failText.Store(&text)
	pause := back.First
	for i := int32(1); i < n && pause < back.Most; i++ {
		pause *= 2
	}
	l.notBefore.Store(now + int64(min(pause, back.Most)))
	if b := &l.bays[s.index]; b.waiting.len > 0 {
		s.wakeBy(l.notBefore.Load())
	}
	s.host.Note(NoteBackoff, l, nil)
	if int(n) >= max(1, back.Failures) && l.ready.Load() <= 0 {
		s.refuseAll(&l.bays[s.index], Refusal{NotStarting, text})
		s.tellLine(l, Message{kind: msgFail, line: l, from: s.index, text: text})
	}
}

// failing tells whether engines of the line do not come up, and it is not yet time to try again.
func (s *Shard) failing(l *Line, now int64) bool {
	n := l.failures.Load()
	return n > 0 && int(n) >= max(1, s.pool.Limits().Starting.Failures) && now < l.notBefore.Load() && l.ready.Load() <= 0 &&
		s.pool.unused.Load() == 0
}

// text is what the last start that failed had to say.
func (l *Line) text() string {
	if t := l.failText.Load(); t != nil {
		return *t
	}
	return ""
}

// tellLine tells the other shards on which somebody waits for the line.
func (s *Shard) tellLine(l *Line, m Message) {
	for i := range l.bays {
		if i != s.index && l.bays[i].head.Load() != 0 {
			s.host.Tell(i, m)
		}
	}
}
