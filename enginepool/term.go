package enginepool

// term is how long an engine stays: what it has done, and when it has to go for it.
type term struct {
	engine     *Engine
	started    int64
	served     int   // requests that it has ended well
	maxServed  int   // 0: no limit
	generation int64 // of the pool
	worn       Why   // it is to be replaced: a successor may come first
}

// review looks whether the engine, which is pooled and has done something, has to go.
func (t *term) review(now int64) {
	e := t.engine
	switch {
	case t.maxServed > 0 && t.served >= t.maxServed:
		t.renew(WhyRequests, now)
	case t.stale():
		t.replace(now)
	}
	if e.why == WhyNone {
		e.why = t.outlived(now)
	}
}

// stale tells whether Pool.Recycle means the engine.
func (t *term) stale() bool {
	return t.engine.Class == Pooled && t.generation != t.engine.shard.pool.generation.Load()
}

// replace has a stale engine replaced when no other one is being replaced.
func (t *term) replace(now int64) {
	e := t.engine
	if replacing := &e.shard.pool.replacing; e.why == WhyNone && (replacing.CompareAndSwap(nil, e) || replacing.Load() == e) {
		t.renew(WhyStale, now)
	}
}

// renew has the engine replaced: its successor comes first where there is a slot for it, else it goes when it is idle.
func (t *term) renew(why Why, now int64) {
	e := t.engine
	b := e.bay()
	switch {
	case e.why != WhyNone:
	case t.worn == WhyNone && b.start(now):
		t.worn = why
	case t.worn != WhyNone && b.starting > 0: // it is coming
	default:
		e.stop(why, now)
	}
}

// outlived tells why the engine has to go: it is too old, for a line that starves, or for a lower limit. WhyNone: it has not.
func (t *term) outlived(now int64) Why {
	s := t.engine.shard
	if t.engine.Class != Pooled {
		return WhyNone
	}
	if t.aged(now) {
		return WhyAge
	}
	idles := t.served > 0 || s.waiting == 0 // else it was started for nothing
	if idles && s.pool.starving(now) != nil && s.pool.evicting.Load() == 0 {
		return WhyEvicted // its own line does not starve: it has the engine
	}
	if t.surplus() {
		return WhySurplus
	}
	return WhyNone
}

// surplus tells whether the engine has to go because there are too many, and then counts it among those that leave.
func (t *term) surplus() bool {
	e := t.engine
	if !e.shard.pool.claimSurplus() {
		return false
	}
	e.why = WhySurplus
	if e.tally == tallyLeaving {
		e.shard.pool.leaving.Add(-1) // it was counted before
		return true
	}
	e.count(tallyNone)
	e.shard.unused.forget(e)
	e.unpromise()
	e.tally = tallyLeaving // the claim is its count: if it were counted twice for a moment, another shard would let too few go
	return true
}

// aged tells whether the engine has lived for MaxUpTime.
func (t *term) aged(now int64) bool {
	most := int64(t.engine.shard.pool.Limits().MaxUpTime)
	return most > 0 && now-t.started >= most
}

// limitIdle sets the deadline of the engine, which idles.
func (t *term) limitIdle() {
	e, s := t.engine, t.engine.shard
	e.clock.stop()
	if e.Class == Pooled {
		at := int64(0)
		if idle := int64(s.pool.Limits().IdleTimeout); idle > 0 {
			at = e.idleSince + idle
		}
		t.idleUntil(at)
	}
	if s.timers.has(e) {
		s.alarm.by(s.timers.next(t.started))
	}
}

// idleUntil sets the deadline of the engine, or the end of its life if that is earlier; 0: only that.
func (t *term) idleUntil(at int64) {
	if most := int64(t.engine.shard.pool.Limits().MaxUpTime); most > 0 && (at == 0 || t.started+most < at) {
		at = t.started + most
	}
	t.engine.clock.set(at)
}

// idledOut stops an engine that has idled or lived for long enough, unless it is one of those that stay.
func (t *term) idledOut(now int64) {
	e, limits := t.engine, t.engine.shard.pool.Limits()
	switch l := e.line; {
	case t.aged(now):
		e.stop(WhyAge, now)
	case !l.keep.Load():
		e.stop(WhyIdle, now)
	case l.spares(limits.mode(l.Login.Mode).MinEngines):
		e.tally = tallyNone // spares has taken it off
		e.stop(WhyIdle, now)
	default:
		t.idleUntil(now + int64(limits.IdleTimeout))
	}
}
