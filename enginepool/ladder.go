package enginepool

// The steps that an engine takes through its life. Those that end it are a ladder: each has a deadline, after which the next one follows.

func (e *Engine) setAhead(ahead int) {
	if e.ahead = max(1, ahead); e.ahead > 1 {
		e.shard.pool.aheads.Store(true)
	}
}

func (e *Engine) logIn(now int64) {
	e.setPhase(LoggingIn, now)
	e.clock.limit(e.shard.pool.Limits().LoginTimeout, now)
	e.shard.host.Login(e)
}

// cameUp puts an engine to work that has come up.
func (e *Engine) cameUp(now int64) {
	s := e.shard
	e.count(tallyReady)
	e.line.notBefore.Store(0)
	e.clock.stop()
	if !e.Pools() {
		e.setPhase(Ready, now)
		if e.why != WhyNone {
			e.shutdown(now)
		} else {
			s.host.Ready(e)
		}
		return
	}
	e.setPhase(Active, now)
	b := e.bay() // settle may give e away
	b.settle(e, now)
	b.succeed(now)
	s.bays.seek(now)
	s.tellWaiting() // one start less
}

// stop stops the engine when it has nothing to do, and lets it finish what it does.
func (e *Engine) stop(why Why, now int64) {
	if e.why == WhyNone {
		e.why = why
	}
	switch e.phase {
	case Idle:
		e.bay().idle.remove(e)
		e.shutdown(now)
	case Ready:
		e.shutdown(now)
	case LoggingIn, Startup:
		if e.why == WhyLogin || e.why == WhyProc {
			e.logOff(now)
		} else {
			e.terminate(now)
		}
	case Starting:
		e.terminate(now)
	case Timer:
		if why == WhyProc { // and not e.why: it may have been asked to stop while the procedure ran, which then failed
			e.logOff(now)
		}
	}
}

// force stops the engine whatever it does.
func (e *Engine) force(why Why, now int64) {
	switch e.phase {
	case Active, Timer:
		e.why = why
		e.leaves()
		e.setPhase(Breaking, now)
		e.clock.limit(e.shard.pool.Limits().BreakTimeout, now)
		e.shard.host.Break(e)
	default:
		e.stop(why, now)
	}
}

// shutdown is the first step of the ladder: the shut-down procedure of a pooled engine, then the request to leave.
func (e *Engine) shutdown(now int64) {
	if e.why == WhyNone {
		e.why = WhyDiscarded
	}
	e.leaves()
	if e.Pools() && e.line != nil && e.phase != Breaking {
		limits := e.shard.pool.Limits()
		if proc := limits.mode(e.line.Login.Mode).ShutdownProc; proc != "" {
			e.setPhase(Shutdown, now)
			e.clock.limit(limits.StopTimeout, now)
			e.shard.host.Proc(e, "shutdown", proc)
			return
		}
	}
	e.logOff(now)
}

func (e *Engine) logOff(now int64) {
	e.leaves()
	e.setPhase(Logoff, now)
	e.clock.limit(e.shard.pool.Limits().StopTimeout, now)
	e.shard.host.Logoff(e)
}

func (e *Engine) terminate(now int64) {
	e.leaves()
	e.setPhase(Terminating, now)
	e.clock.limit(e.shard.pool.Limits().KillTimeout, now)
	e.shard.host.Terminate(e)
}

func (e *Engine) kill(now int64) {
	e.leaves()
	e.setPhase(Killed, now)
	e.clock.stop()
	e.shard.host.Kill(e)
}

// expire takes the step that follows when a phase has lasted too long.
func (e *Engine) expire(now int64) {
	e.clock.stop()
	switch e.phase {
	case Starting, LoggingIn, Startup:
		e.late(now)
	case Idle:
		e.term.idledOut(now)
	case Active:
		if e.clock.abandoned {
			e.why = WhyUnbroken
			e.terminate(now)
			return
		}
		e.why = WhyRunTime
		e.shard.host.Overran(e)
		e.force(WhyRunTime, now)
	case Timer:
		e.force(WhyRunTime, now)
	case Shutdown:
		e.logOff(now)
	case Logoff, Breaking:
		e.terminate(now)
	case Terminating:
		e.kill(now)
	}
}

// late ends an engine that does not come up.
func (e *Engine) late(now int64) {
	text := "the engine did not come up in time: " + e.phase.String()
	b := e.bay()
	if e.why == WhyNone {
		e.why = WhyStart
	}
	e.terminate(now)
	if e.Pools() {
		b.startFailed(text, now)
	} else {
		e.shard.host.Failed(e, text)
	}
}

// tick does what is due; changed: there are other limits than at the last Tick.
func (e *Engine) tick(changed bool, now int64) {
	if changed && e.phase == Idle {
		e.term.limitIdle()
	}
	switch {
	case e.clock.over(now):
		e.expire(now)
	case e.Class != Pooled || e.phase != Idle: // one that is active is looked at when it comes free
	case e.term.stale():
		e.term.replace(now)
	case e.term.surplus():
		e.stop(WhySurplus, now)
	}
}
