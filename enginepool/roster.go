package enginepool

// roster holds the engines on one shard. An engine that goes to another one is on no roster until it has arrived.
type roster struct {
	shard *Shard
	all   []*Engine
}

// receive makes e one of this shard's.
func (r *roster) receive(e *Engine) {
	s := r.shard
	e.shard, e.clock.alarm = s, &s.alarm
	e.home.Store(int32(s.index))
	r.all = append(r.all, e)
	e.unpromise()
	if e.line != nil {
		e.bay().add(e)
	}
}

// forget makes e none of this shard's.
func (r *roster) forget(e *Engine) {
	r.all = without(r.all, e)
	if e.line == nil {
		r.shard.unused.forget(e)
		return
	}
	b := e.bay()
	if e.phase == Idle {
		b.idle.remove(e)
		e.phase = Active // on its way
	}
	b.forget(e)
}

// give moves e, which has nothing to do, to another shard.
func (r *roster) give(e *Engine, to int) {
	e.promised = to
	e.clock.stop()
	r.forget(e)
	e.home.Store(^int32(r.shard.index))
	r.shard.host.Move(e, to)
}

// lost takes over an engine that has ended between two shards. The one that waits for it is told.
func (r *roster) lost(e *Engine) {
	s, to := r.shard, e.promised
	r.receive(e)
	if to == s.index {
		s.answered(e.line)
	} else {
		s.host.Tell(to, Message{kind: msgNone, line: e.line, from: s.index})
	}
}
