package enginepool

import (
	"slices"
	"time"
)

// idle engines are looked at this often when one is to be kept in reserve.
const spareTick = int64(50 * time.Millisecond)

// wakeBy sees to it that Tick runs at the time at.
func (s *Shard) wakeBy(at int64) {
	if s.wake == 0 || at < s.wake {
		s.wake = at
		if !s.ticking {
			s.host.Wake(at)
		}
	}
}

// limitPhase sets the deadline of a phase.
func (s *Shard) limitPhase(e *Engine, d time.Duration, now int64) {
	e.deadline = now + max(1, int64(d))
	s.wakeBy(e.deadline)
}

// limitIdle sets the deadline of an idle engine.
func (s *Shard) limitIdle(e *Engine, now int64) {
	limits := s.pool.Limits()
	e.deadline = 0
	if limits.IdleTimeout > 0 && e.Class == Pooled {
		e.deadline = e.idleSince + int64(limits.IdleTimeout)
	}
	if limits.MaxUpTime > 0 && e.Class == Pooled {
		if end := e.started + int64(limits.MaxUpTime); e.deadline == 0 || end < e.deadline {
			e.deadline = end
		}
	}
	if e.deadline != 0 {
		s.wakeBy(e.deadline)
	}
	if s.runsTimer(e) {
		s.wakeBy(max(s.checked, e.started) + int64(limits.IdleCheck))
	}
}

// runsTimer tells whether e runs a timer procedure when it idles.
func (s *Shard) runsTimer(e *Engine) bool {
	limits := s.pool.Limits()
	return limits.IdleCheck > 0 && e.Pools() && limits.mode(e.line.Login.Mode).TimerProc != ""
}

// Tick does what is due. It asks for the next Tick through Host.Wake.
func (s *Shard) Tick(now int64) {
	s.wake, s.ticking = 0, true
	changed := s.limits != s.pool.Limits()
	s.limits = s.pool.Limits()
	for i := len(s.engines) - 1; i >= 0; i-- { // engines may leave the list
		if i < len(s.engines) {
			s.tickEngine(s.engines[i], changed, now)
		}
	}
	s.runTimers(now)
	s.tickBays(now)
	if s.index == 0 {
		s.keepUp(now)
	}
	s.plan(now)
	s.ticking = false
	if s.wake != 0 {
		s.host.Wake(s.wake)
	}
}

// plan asks for the next Tick.
func (s *Shard) plan(now int64) {
	limits := s.pool.Limits()
	for _, e := range s.engines {
		if e.deadline != 0 {
			s.wakeBy(e.deadline)
		}
		if e.phase == Idle && s.runsTimer(e) {
			s.wakeBy(s.checked + int64(limits.IdleCheck))
		}
		stale := e.phase == Idle && e.Class == Pooled && e.generation != s.pool.generation.Load()
		if limits.SpareEngines > 0 && e.phase == Active || stale {
			s.wakeBy(now + spareTick)
		}
	}
	for _, b := range s.bays {
		if b.waiting.len > 0 {
			s.wakeBy(now + waitTick)
		}
	}
}

// tickEngine does what is due of one engine; changed: there are other limits than at the last Tick.
func (s *Shard) tickEngine(e *Engine, changed bool, now int64) {
	if changed && e.phase == Idle {
		s.limitIdle(e, now)
	}
	switch {
	case e.deadline != 0 && now >= e.deadline:
		s.expire(e, now)
	case e.Class != Pooled || e.phase != Idle: // one that is active is looked at when it comes free
	case e.generation != s.pool.generation.Load():
		s.replace(e, now)
	case s.pool.surplus():
		s.stop(e, WhySurplus, now)
	}
}

// replace has a stale engine replaced when no other one is being replaced.
func (s *Shard) replace(e *Engine, now int64) {
	if e.why == WhyNone && (s.pool.replacing.CompareAndSwap(nil, e) || s.pool.replacing.Load() == e) {
		s.wear(e, WhyStale, now)
	}
}

// expire takes the step that follows when a phase has lasted too long.
func (s *Shard) expire(e *Engine, now int64) {
	e.deadline = 0
	switch e.phase {
	case Starting, LoggingIn, Startup:
		s.late(e, now)
	case Idle:
		s.idledOut(e, now)
	case Active:
		if e.abandoned {
			e.why = WhyUnbroken
			s.terminate(e, now)
			return
		}
		e.why = WhyRunTime
		s.host.Overran(e)
		s.Force(e, WhyRunTime, now)
	case Timer:
		s.Force(e, WhyRunTime, now)
	case Shutdown:
		s.logOff(e, now)
	case Logoff, Breaking:
		s.terminate(e, now)
	case Terminating:
		s.kill(e, now)
	}
}

// late ends an engine that does not come up.
func (s *Shard) late(e *Engine, now int64) {
	text := "the engine did not come up in time: " + e.phase.String()
	l := e.line
	if e.why == WhyNone {
		e.why = WhyStart
	}
	s.terminate(e, now)
	if e.Pools() {
		s.startFailed(l, text, now)
	} else {
		s.host.Failed(e, text)
	}
}

// idledOut stops an engine that has idled or lived for long enough, unless it is one of those that stay.
func (s *Shard) idledOut(e *Engine, now int64) {
	limits := s.pool.Limits()
	if limits.MaxUpTime > 0 && now-e.started >= int64(limits.MaxUpTime) {
		s.stop(e, WhyAge, now)
		return
	}
	if e.line.keep.Load() && int(e.line.ready.Load()) <= limits.mode(e.line.Login.Mode).MinEngines {
		e.deadline = now + int64(limits.IdleTimeout)
		if limits.MaxUpTime > 0 {
			e.deadline = min(e.deadline, e.started+int64(limits.MaxUpTime))
		}
		return
	}
	s.stop(e, WhyIdle, now)
}

// runTimers starts the timer procedures of idle engines.
func (s *Shard) runTimers(now int64) {
	limits := s.pool.Limits()
	if s.checked == 0 {
		s.checked = now
	}
	if limits.IdleCheck == 0 || now-s.checked < int64(limits.IdleCheck) {
		return
	}
	s.checked = now
	for _, e := range s.engines {
		if e.phase != Idle || !s.runsTimer(e) {
			continue
		}
		s.removeIdle(&e.line.bays[s.index], e)
		e.setPhase(Timer, now)
		e.deadline = 0
		if d := limits.RunLimit(e.line.Login.Mode); d > 0 {
			s.limitPhase(e, d, now)
		}
		s.host.Proc(e, "timer", limits.mode(e.line.Login.Mode).TimerProc)
	}
}

// tickBays does what is due of the bays, and forgets those that are empty.
func (s *Shard) tickBays(now int64) {
	for i := 0; i < len(s.bays); i++ {
		s.tickBay(s.bays[i], now)
	}
	s.bays = slices.DeleteFunc(s.bays, func(b *bay) bool {
		b.listed = b.waiting.len > 0 || len(b.engines) > 0 || b.asked
		return !b.listed
	})
}

// tickBay ends waits that have lasted too long, and looks again for those who wait, here or elsewhere.
func (s *Shard) tickBay(b *bay, now int64) {
	s.timeOut(b, now)
	if b.waiting.len == 0 {
		s.offer(b, now)
		if b.idle.len+b.starting < s.pool.Limits().SpareEngines && b.busy() && !s.pool.wanted() {
			s.start(b, now)
		}
		return
	}
	s.stalled(b, now)
	s.seek(b, now)
	s.refuseHasty(b, now)
	if l := b.line; s.pool.stopping.Load() && l.ready.Load() <= 0 && l.starting.Load() <= 0 {
		s.refuseAll(b, Refusal{Reason: Stopping})
	}
}

// timeOut ends the waits that have lasted longer than their mode allows.
func (s *Shard) timeOut(b *bay, now int64) {
	limits := s.pool.Limits()
	for w := b.waiting.front; w != nil && w.queued; { // Refuse may have served the next one
		after := w.next
		if d := limits.mode(w.Mode).QueueTimeout; d > 0 && now-w.since >= int64(d) {
			s.refuse(b, w, Refusal{Reason: TimedOut})
		}
		w = after
	}
}

// stalled notes when every Tick of a second has found the same request waiting beside an idle engine: that must not be.
func (s *Shard) stalled(b *bay, now int64) {
	w := b.waiting.front
	switch {
	case w != b.suspect || !b.line.idles() || b.line.paused.Load():
		b.suspect, b.stalled = w, now
	case now-b.stalled >= int64(time.Second):
		b.stalled = now
		s.pool.Stats.Stalls.Add(1)
		s.host.Note(NoteStalled, b.line, nil)
	}
}

// keepUp starts the engines that configured lines always have. Who waits comes first.
func (s *Shard) keepUp(now int64) {
	limits, wanted := s.pool.Limits(), s.pool.wanted()
	for _, l := range s.pool.Lines() {
		if !l.keep.Load() {
			continue
		}
		lacks := func() bool { return int(l.engines.Load()) < limits.mode(l.Login.Mode).MinEngines }
		for !wanted && now >= l.keepFrom.Load() && lacks() && s.start(&l.bays[s.index], now) {
			continue
		}
		if lacks() {
			s.wakeBy(now + spareTick)
		}
		s.wakeBy(now + keepTick)
	}
}

// kept lines are looked at this often.
const keepTick = int64(time.Second)

// Keep has MinEngines of the line's mode live always. Any goroutine; Tick of the first shard does it.
func (l *Line) Keep(on bool) { l.keep.Store(on) }

// wear has e replaced: its successor comes first where there is a slot for it, else e goes when it is idle.
func (s *Shard) wear(e *Engine, why Why, now int64) {
	b := &e.line.bays[s.index]
	switch {
	case e.why != WhyNone:
	case e.worn == WhyNone && s.start(b, now):
		e.worn = why
	case e.worn != WhyNone && b.starting > 0: // it is coming
	default:
		s.stop(e, why, now)
	}
}

// succeed retires one engine that the one which has just come up replaces.
func (s *Shard) succeed(l *Line, now int64) {
	for _, e := range s.engines {
		if e.line == l && e.worn != WhyNone && e.why == WhyNone {
			s.stop(e, e.worn, now)
			s.pool.replacing.CompareAndSwap(e, nil) // the next one need not wait until its request is over
			return
		}
	}
}

// Memory tells what an engine's process holds, in bytes.
func (s *Shard) Memory(e *Engine, bytes int64, now int64) {
	e.view.rss.Store(bytes)
	limits := s.pool.Limits()
	switch {
	case e.moving() || e.Home() != s.index || e.phase >= Shutdown:
	case limits.MaxMemoryHard > 0 && bytes >= limits.MaxMemoryHard:
		s.Broken(e, WhyMemory, "the engine held too much memory", now)
	case limits.MaxMemory > 0 && bytes >= limits.MaxMemory && e.Class == Pooled && (e.phase == Active || e.served > 0):
		s.stop(e, WhyMemory, now)
	}
}
