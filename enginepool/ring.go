package enginepool

// ring holds the idle engines of one line and shard, the one that idles longest first.
type ring struct {
	bay            *bay
	oldest, newest *Engine
	len            int
}

// push adds e, and tells the other shards of the first one.
func (r *ring) push(e *Engine) {
	r.insert(e)
	if r.len == 1 {
		r.bay.idles.Store(true)
	}
	s := r.bay.shard
	if s.idling++; s.idling == 1 {
		s.idles.Store(true)
	}
}

// remove takes e out, and tells the other shards of the last one.
func (r *ring) remove(e *Engine) {
	r.unlink(e)
	if r.len == 0 {
		r.bay.idles.Store(false)
	}
	s := r.bay.shard
	if s.idling--; s.idling == 0 {
		s.idles.Store(false)
	}
}

// insert puts e where it belongs: nearly always it is the newest.
func (r *ring) insert(e *Engine) {
	older := r.newest
	for older != nil && older.idleSince > e.idleSince { // e has run its timer procedure
		older = older.older
	}
	e.older = older
	if older == nil {
		e.newer, r.oldest = r.oldest, e
	} else {
		e.newer, older.newer = older.newer, e
	}
	if e.newer == nil {
		r.newest = e
	} else {
		e.newer.older = e
	}
	r.len++
}

func (r *ring) unlink(e *Engine) {
	if e.older == nil {
		r.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		r.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	r.len--
}
