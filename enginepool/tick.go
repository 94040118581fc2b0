package enginepool

import "time"

// idle engines are looked at this often when one is to be kept in reserve.
const spareTick = int64(50 * time.Millisecond)

// wakeBy sees to it that Tick runs at the time at.
func (s *Shard) wakeBy(at int64) {
	if s.wake == 0 || at < s.wake {
		s.wake = at
		s.host.Wake(at)
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
}

// Tick does what is due. It asks for the next Tick through Host.Wake.
func (s *Shard) Tick(now int64) {
	s.wake = 0
	for i := len(s.engines) - 1; i >= 0; i-- { // engines may leave the list
		if i < len(s.engines) {
			s.tickEngine(s.engines[i], now)
		}
	}
	s.runTimers(now)
	s.tickBays(now)
	if s.index == 0 {
		s.keepUp(now)
	}
	s.plan(now)
}

// plan asks for the next Tick.
func (s *Shard) plan(now int64) {
	limits := s.pool.Limits()
	for _, e := range s.engines {
		if e.deadline != 0 {
			s.wakeBy(e.deadline)
		}
		if e.phase == Idle && limits.IdleCheck > 0 && e.line != nil && limits.mode(e.line.Login.Mode).TimerProc != "" {
			s.wakeBy(s.checked + int64(limits.IdleCheck))
		}
		if limits.SpareEngines > 0 && e.phase == Active || e.generation != s.pool.generation.Load() {
			s.wakeBy(now + spareTick)
		}
	}
	for _, b := range s.bays {
		if b.waiting.len > 0 {
			s.wakeBy(now + waitTick)
		}
	}
}

// tickEngine does what is due of one engine.
func (s *Shard) tickEngine(e *Engine, now int64) {
	limits := s.pool.Limits()
	switch {
	case e.phase == Gone || e.phase == Killed:
		return
	case e.deadline != 0 && now >= e.deadline:
		s.expire(e, now)
		return
	case e.Class != Pooled:
		return
	case e.generation != s.pool.generation.Load() && (e.phase == Idle || e.phase == Active):
		s.replace(e, now)
	case limits.MaxUpTime > 0 && e.phase == Active && now-e.started >= int64(limits.MaxUpTime):
		if e.why == WhyNone {
			e.why = WhyAge
		}
	case e.phase == Idle && limits.MaxEngines > 0 && s.pool.slots.Load() > int64(limits.MaxEngines):
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
		if e.phase != Idle || limits.mode(e.line.Login.Mode).TimerProc == "" {
			continue
		}
		e.line.bays[s.index].removeIdle(e)
		e.setPhase(Timer, now)
		e.deadline = 0
		if d := limits.runLimit(e.line.Login.Mode); d > 0 {
			s.limitPhase(e, d, now)
		}
		s.host.Proc(e, "timer", limits.mode(e.line.Login.Mode).TimerProc)
	}
}

// tickBays ends waits that have lasted too long, looks again for those who wait, and forgets the bays that are empty.
func (s *Shard) tickBays(now int64) {
	kept := s.bays[:0]
	for _, b := range s.bays {
		s.timeOut(b, now)
		if b.waiting.len > 0 {
			s.stalled(b, now)
			s.seek(b, now)
		} else if limits := s.pool.Limits(); limits.SpareEngines > 0 && len(b.engines) > 0 && b.idle.len+b.starting < limits.SpareEngines {
			s.start(b, now)
		}
		if b.waiting.len > 0 || len(b.engines) > 0 {
			kept = append(kept, b)
		} else {
			b.listed = false
		}
	}
	clear(s.bays[len(kept):])
	s.bays = kept
}

// timeOut ends the waits that have lasted longer than their mode allows.
func (s *Shard) timeOut(b *bay, now int64) {
	limits := s.pool.Limits()
	for w := b.waiting.front; w != nil; {
		after := w.next
		if d := limits.mode(w.Mode).QueueTimeout; d > 0 && now-w.since >= int64(d) {
			s.dequeue(b, w)
			s.host.Refuse(w, Refusal{Reason: TimedOut})
		}
		w = after
	}
}

// stalled notes when somebody waits beside an idle engine: that must not be.
func (s *Shard) stalled(b *bay, now int64) {
	if now-b.waiting.front.since < int64(time.Second) || now-b.stalled < int64(time.Second) {
		return
	}
	for i := range b.line.bays {
		if b.line.bays[i].idles.Load() && !b.asked {
			b.stalled = now
			s.pool.Stats.Stalls.Add(1)
			s.host.Note(NoteStalled, b.line, nil)
			return
		}
	}
}

// keepUp starts the engines that configured lines always have.
func (s *Shard) keepUp(now int64) {
	for _, l := range s.pool.Lines() {
		if !l.keep.Load() {
			continue
		}
		b := &l.bays[s.index]
		for int(l.engines.Load()) < s.pool.Limits().mode(l.Login.Mode).MinEngines {
			s.list(b)
			if !s.start(b, now) {
				s.wakeBy(now + spareTick)
				break
			}
		}
		s.wakeBy(now + int64(time.Second))
	}
}

// Keep has MinEngines of the line's mode live always. Any goroutine; Tick of the first shard does it.
func (l *Line) Keep(on bool) { l.keep.Store(on) }

// wear has e replaced: its successor comes first where there is a slot for it, else e goes when it is idle.
func (s *Shard) wear(e *Engine, why Why, now int64) {
	b := &e.line.bays[s.index]
	if e.worn == WhyNone && s.start(b, now) {
		e.worn = why
		return
	}
	if e.worn != WhyNone && b.starting > 0 {
		return // it is coming
	}
	s.stop(e, why, now)
}

// succeed retires one engine that the one which has just come up replaces.
func (s *Shard) succeed(l *Line, now int64) {
	for _, e := range s.engines {
		if e.line == l && e.worn != WhyNone && e.why == WhyNone {
			s.stop(e, e.worn, now)
			return
		}
	}
}

// Memory tells what an engine's process holds, in bytes.
func (s *Shard) Memory(e *Engine, bytes int64, now int64) {
	e.view.rss.Store(bytes)
	limits := s.pool.Limits()
	switch {
	case e.shard != s || e.phase >= Shutdown:
	case limits.MaxMemoryHard > 0 && bytes >= limits.MaxMemoryHard:
		s.Broken(e, WhyMemory, "the engine held too much memory", now)
	case limits.MaxMemory > 0 && bytes >= limits.MaxMemory && e.Class == Pooled:
		s.stop(e, WhyMemory, now)
	}
}
