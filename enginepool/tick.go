package enginepool

import "time"

const (
	spareTick = int64(50 * time.Millisecond) // idle engines are looked at this often when one is to be kept in reserve
	keepTick  = int64(time.Second)           // and kept lines
)

// Tick does what is due. It asks for the next Tick through Host.Wake.
func (s *Shard) Tick(now int64) {
	s.alarm.begin()
	changed := s.limits != s.pool.Limits()
	s.limits = s.pool.Limits()
	for i := len(s.engines.all) - 1; i >= 0; i-- { // engines may leave the list
		if i < len(s.engines.all) {
			s.engines.all[i].tick(changed, now)
		}
	}
	s.timers.run(now)
	s.bays.tick(now)
	if s.index == 0 {
		s.pool.keepUp(now)
	}
	s.plan(now)
	s.alarm.end()
}

// plan asks for the next Tick.
func (s *Shard) plan(now int64) {
	limits := s.pool.Limits()
	for _, e := range s.engines.all {
		if e.clock.due != 0 {
			s.alarm.by(e.clock.due)
		}
		if e.phase == Idle && s.timers.has(e) {
			s.alarm.by(s.timers.next(0))
		}
		if limits.SpareEngines > 0 && e.phase == Active || e.phase == Idle && e.term.stale() {
			s.alarm.by(now + spareTick)
		}
	}
	for _, b := range s.bays.all {
		if b.waiting.len > 0 {
			s.alarm.by(now + waitTick)
		}
	}
}

// keepUp starts the engines that kept lines always have, on the first shard. Who waits comes first.
func (p *Pool) keepUp(now int64) {
	wanted := p.wanted()
	for _, l := range p.Lines() {
		if l.keep.Load() {
			l.bays[0].keepUp(wanted, now)
		}
	}
}

// timers runs the timer procedures of a shard's idle engines.
type timers struct {
	shard *Shard
	last  int64 // when they ran; 0: no Tick has been
}

// has tells whether e runs one when it idles.
func (t *timers) has(e *Engine) bool {
	limits := t.shard.pool.Limits()
	return limits.IdleCheck > 0 && e.Pools() && limits.mode(e.line.Login.Mode).TimerProc != ""
}

// next is when they run next, for an engine that was started at the time started.
func (t *timers) next(started int64) int64 {
	return max(t.last, started) + int64(t.shard.pool.Limits().IdleCheck)
}

// run starts them when it is time.
func (t *timers) run(now int64) {
	limits := t.shard.pool.Limits()
	if t.last == 0 {
		t.last = now
	}
	if limits.IdleCheck == 0 || now-t.last < int64(limits.IdleCheck) {
		return
	}
	t.last = now
	for _, e := range t.shard.engines.all {
		if e.phase != Idle || !t.has(e) {
			continue
		}
		e.bay().idle.remove(e)
		e.setPhase(Timer, now)
		e.clock.limitRun(limits.RunLimit(e.line.Login.Mode), now)
		t.shard.host.Proc(e, "timer", limits.mode(e.line.Login.Mode).TimerProc)
	}
}
