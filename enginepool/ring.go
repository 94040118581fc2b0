package enginepool

// ring holds the idle engines of one line and shard, the one that idles longest first.
type ring struct {
	oldest, newest *Engine
	len            int
}

func (r *ring) push(e *Engine) {
	e.older, e.newer = r.newest, nil
	if r.newest == nil {
		r.oldest = e
	} else {
		r.newest.newer = e
	}
	r.newest = e
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
