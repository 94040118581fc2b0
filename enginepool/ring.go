package enginepool

// ring holds the idle engines of one line and shard, the one that idles longest first.
type ring struct {
	oldest, newest *Engine
	len            int
}

// push puts e where it belongs: nearly always it is the newest.
func (r *ring) push(e *Engine) {
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

func (r *ring) remove(e *Engine) {
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
