package farm

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Roster is what one loop knows of the servers that can take requests now. L is the caller's handle of a lane.
//
// It is owned by its loop. Servers and farms that are passed to it must be of the table that it was made with.
type Roster[L comparable] struct {
	farms   []members[L] // by Farm.Index
	servers []server[L]  // by Server.Index
}

// members are the servers of one farm.
type members[L comparable] struct {
	groups  []group[L] // one for each priority that one of them has, in that order; fixed by NewRoster
	ejected int        // how many of them are, whether they could be picked or not
}

// group is the servers of one farm and priority that can be picked. None is in both queues.
type group[L comparable] struct {
	priority int
	well     queue[*server[L]]
	ejected  queue[*server[L]]
}

// server is what the roster knows of one server. Its lanes are as many as enablers open: whoever admits them sets the bound.
type server[L comparable] struct {
	// Fixed by NewRoster.
	conf  *Server
	group *group[L]

	// Owned by the loop.
	open     queue[L]           // lanes that take requests
	draining []L                // lanes that do not any more; none of them is in open
	down     bool               // the enabler's word on its back end
	in       *queue[*server[L]] // the queue of its group that it stands in; nil: it cannot be picked
	inFlight int                // requests that were given to it and have not ended
	failures int                // of requests in a row, up to the farm's EjectAfter
	until    time.Time          // when its ejection ends; zero: it is not ejected
}

// NewRoster returns the roster of a loop that has no lanes yet.
func NewRoster[L comparable](t *Table) *Roster[L] {
	r := &Roster[L]{farms: make([]members[L], len(t.farms)), servers: make([]server[L], len(t.servers))}
	for i, f := range t.farms {
		r.farms[i].groups = newGroups[L](f.Servers)
	}
	for i, s := range t.servers {
		groups := r.farms[s.Farm.Index].groups
		at, _ := slices.BinarySearchFunc(groups, s.Priority, func(g group[L], priority int) int { return cmp.Compare(g.priority, priority) })
		r.servers[i] = server[L]{conf: s, group: &groups[at]}
	}
	return r
}

// newGroups returns a group for each priority, with room for the servers that have it.
func newGroups[L comparable](servers []*Server) []group[L] {
	sizes := map[int]int{}
	for _, s := range servers {
		sizes[s.Priority]++
	}
	var groups []group[L]
	for _, priority := range slices.Sorted(maps.Keys(sizes)) {
		g := group[L]{priority: priority}
		g.well.items = make([]*server[L], 0, sizes[priority])
		g.ejected.items = make([]*server[L], 0, sizes[priority])
		groups = append(groups, g)
	}
	return groups
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

// Want is what a request wants of Pick.
type Want struct {
	Not    *Server   // the server that it comes back from; nil: none. One of an earlier table will do
	Hash   uint64    // of its client, any number: for Hash
	Now    time.Time // for ejection
	Random uint64    // all bits of it: for P2C
}

// Pick chooses a server of f and one of its lanes for a request, as the package comment says; ok is false when none can take it.
// w.Not is chosen only if there is no other, even if the other is ejected: it keeps its turn. Nothing is allocated. For
// RoundRobin the time does not depend on how many servers and lanes there are while none of the farm is ejected, else it is that
// of a look at each server of the farm.
func (r *Roster[L]) Pick(f *Farm, w Want) (s *Server, lane L, ok bool) {
	m := &r.farms[f.Index]
	if m.ejected > 0 {
		r.readmit(f, m, w.Now)
	}
	st := m.choose(f.Balance, &w)
	if st == nil {
		return nil, lane, false
	}
	return st.conf, st.open.take(), true
}

// PickServer chooses a lane of s for a request that is bound to it; ok is false when s cannot take it now. Whether s is ejected or
// stands by does not matter, and it keeps its turn.
func (r *Roster[L]) PickServer(s *Server) (lane L, ok bool) {
	st := r.state(s)
	if st.in == nil {
		return lane, false
	}
	return st.open.take(), true
}

// Begin tells that a request was given to s.
func (r *Roster[L]) Begin(s *Server) { r.state(s).inFlight++ }

// End tells that a request that was given to s has ended: once for each Begin.
func (r *Roster[L]) End(s *Server) {
	st := r.state(s)
	if st.inFlight == 0 {
		panic("BUG: farm: a request ends that has not begun")
	}
	st.inFlight--
}

// InFlight is how many requests were given to s and have not ended, on this loop.
func (r *Roster[L]) InFlight(s *Server) int { return r.state(s).inFlight }

// Up tells what the enabler of s says of its back end, as SetUp and Leave left it.
func (r *Roster[L]) Up(s *Server) bool { return !r.state(s).down }

// Live is how many servers of f can be picked, the ejected ones too.
func (r *Roster[L]) Live(f *Farm) int {
	n := 0
	for _, g := range r.farms[f.Index].groups {
		n += g.well.len() + g.ejected.len()
	}
	return n
}

// Lanes is how many lanes of s take requests, and how many drain.
func (r *Roster[L]) Lanes(s *Server) (open, draining int) {
	st := r.state(s)
	return st.open.len(), len(st.draining)
}

func (r *Roster[L]) state(s *Server) *server[L] {
	st := &r.servers[s.Index]
	if st.conf != s {
		panic("BUG: farm: a server of another table")
	}
	return st
}

// update moves st to the queue of its group where it belongs, as its state demands.
func (r *Roster[L]) update(st *server[L]) {
	var in *queue[*server[L]]
	switch {
	case !st.conf.Enable || !st.conf.Farm.Enable || st.down || st.open.len() == 0:
	case st.isEjected():
		in = &st.group.ejected
	default:
		in = &st.group.well
	}
	if in == st.in {
		return
	}
	if st.in != nil {
		st.in.remove(st)
	}
	if st.in = in; in != nil {
		in.add(st)
	}
}
