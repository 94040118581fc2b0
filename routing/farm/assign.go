package farm

import "slices"

// Roster is what one loop knows of the servers that can take requests now. L is the caller's handle of a lane.
//
// It is owned by its loop. Servers and farms that are passed to it must be of the table that it was made with.
type Roster[L comparable] struct {
	ready   []queue[*server[L]] // by Farm.Index: the farm's servers that can be picked
	servers []server[L]         // by Server.Index
}

// server is what the roster knows of one server. Its lanes are as many as enablers open: whoever admits them sets the bound.
type server[L comparable] struct {
	// Fixed by NewRoster.
	conf *Server

	// Owned by the loop.
	open     queue[L] // lanes that take requests
	draining []L      // lanes that do not any more; none of them is in open
	down     bool     // the enabler's word on its back end
	isReady  bool     // it stands in the farm's ready queue, which is: enabled, not down, and open not empty
}

// NewRoster returns the roster of a loop that has no lanes yet.
func NewRoster[L comparable](t *Table) *Roster[L] {
	r := &Roster[L]{ready: make([]queue[*server[L]], len(t.farms)), servers: make([]server[L], len(t.servers))}
	for i, f := range t.farms {
		r.ready[i].items = make([]*server[L], 0, len(f.Servers))
	}
	for i, s := range t.servers {
		r.servers[i].conf = s
	}
	return r
}

// Join tells that a lane of s is live on this loop and takes requests. For a lane that has joined already nothing changes.
func (r *Roster[L]) Join(s *Server, lane L) {
	st := r.state(s)
	if slices.Contains(st.open.items, lane) || slices.Contains(st.draining, lane) {
		return
	}
	st.open.add(lane)
	r.update(st)
}

// Leave tells that a lane of s is gone. For a lane that has not joined nothing changes. When it was the last lane of s, what
// SetUp has said is forgotten with it: s is up again, since nobody is left to take the word back.
func (r *Roster[L]) Leave(s *Server, lane L) {
	st := r.state(s)
	if i := slices.Index(st.draining, lane); i >= 0 {
		st.draining = slices.Delete(st.draining, i, i+1)
	} else if !st.open.remove(lane) {
		return
	}
	if st.open.len() == 0 && len(st.draining) == 0 {
		st.down = false
	}
	r.update(st)
}

// SetUp tells what the enabler of s says of its back end. It is up at first.
func (r *Roster[L]) SetUp(s *Server, up bool) {
	st := r.state(s)
	st.down = !up
	r.update(st)
}

// SetDraining tells that a lane of s takes no new requests (on), or takes them again. For a lane that has not joined nothing
// changes.
func (r *Roster[L]) SetDraining(s *Server, lane L, on bool) {
	st := r.state(s)
	if on {
		if st.open.remove(lane) {
			st.draining = append(st.draining, lane)
		}
	} else if i := slices.Index(st.draining, lane); i >= 0 {
		st.draining = slices.Delete(st.draining, i, i+1)
		st.open.add(lane)
	}
	r.update(st)
}

// Pick chooses a server of f and one of its lanes for a request; ok is false when there is none. The server not, which may be
// nil, is chosen only if there is no other: it keeps its turn. Nothing is allocated, and the time does not depend on how many
// servers and lanes there are.
func (r *Roster[L]) Pick(f *Farm, not *Server) (s *Server, lane L, ok bool) {
	q := &r.ready[f.Index]
	if q.len() == 0 {
		return nil, lane, false
	}
	if q.len() > 1 && q.first().conf == not {
		q.swap()
	}
	st := q.take()
	return st.conf, st.open.take(), true
}

// Up tells what the enabler of s says of its back end, as SetUp and Leave left it.
func (r *Roster[L]) Up(s *Server) bool { return !r.state(s).down }

// Live is how many servers of f can be picked.
func (r *Roster[L]) Live(f *Farm) int { return r.ready[f.Index].len() }

func (r *Roster[L]) state(s *Server) *server[L] {
	st := &r.servers[s.Index]
	if st.conf != s {
		panic("BUG: farm: a server of another table")
	}
	return st
}

// update moves st into or out of its farm's queue, as its state demands.
func (r *Roster[L]) update(st *server[L]) {
	can := st.conf.Enable && st.conf.Farm.Enable && !st.down && st.open.len() > 0
	if can == st.isReady {
		return
	}
	st.isReady = can
	if q := &r.ready[st.conf.Farm.Index]; can {
		q.add(st)
	} else {
		q.remove(st)
	}
}

// queue is a circle of items that take turns: items[next] is the first, the one before it in the circle the last.
type queue[T comparable] struct {
	items []T // no item twice
	next  int // 0 <= next < len(items), or 0
}

func (q *queue[T]) len() int { return len(q.items) }

// first is the item whose turn it is; the queue must not be empty.
func (q *queue[T]) first() T { return q.items[q.next] }

// take returns the first item and makes it the last; the queue must not be empty.
func (q *queue[T]) take() T {
	item := q.items[q.next]
	q.next = q.after()
	return item
}

// swap lets the second item go before the first; when the second is taken then, the first is the first still.
func (q *queue[T]) swap() {
	second := q.after()
	q.items[q.next], q.items[second] = q.items[second], q.items[q.next]
}

// after is the position of the second item.
func (q *queue[T]) after() int {
	if i := q.next + 1; i < len(q.items) {
		return i
	}
	return 0
}

// add makes item the last.
func (q *queue[T]) add(item T) {
	if len(q.items) == 0 {
		q.items = append(q.items, item)
		return
	}
	q.items = slices.Insert(q.items, q.next, item)
	q.next++
}

// remove takes item out and tells whether it was there; the others keep their turns.
func (q *queue[T]) remove(item T) bool {
	i := slices.Index(q.items, item)
	if i < 0 {
		return false
	}
	q.items = slices.Delete(q.items, i, i+1)
	if i < q.next {
		q.next--
	}
	if q.next == len(q.items) {
		q.next = 0
	}
	return true
}
