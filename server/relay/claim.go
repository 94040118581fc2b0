package relay

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"roundhouse/server/loop"
)

// claims tell which run of an enabler serves each back-end server here: one at a time. Any goroutine; calls of enablers look, and lanes that
// come and go.
type claims struct {
	mu     sync.Mutex // guards the rest
	runs   map[serverName][]claimant
	asking map[serverName]*question
}

// claimant is a run of an enabler. A server has more than one only while the lanes of an old one end.
type claimant struct {
	run   string
	lanes int       // that take requests, or will
	until time.Time // it has been let in, and until then its first lane may come
}

// question is whether the lanes of a server are alive.
type question struct {
	run     string            // who asked first: if they are not, it is the next to serve
	waiting []func(free bool) // of that run
	others  []func(free bool) // of other runs: for them it is not free either way
}

type claimState uint8

const (
	claimFree  claimState = iota // nobody else serves the server
	claimTaken                   // somebody else has just been let in
	claimHeld                    // somebody else has lanes: are they alive?
)

// claim makes run the one that serves a server, if nobody else does.
func (s *claims) claim(name serverName, run string, now time.Time) claimState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := claimFree
	for _, other := range s.runs[name] {
		switch {
		case other.run == run:
		case other.lanes > 0:
			return claimHeld
		case now.Before(other.until):
			state = claimTaken
		}
	}
	if state == claimFree {
		s.changeLocked(name, run, func(c *claimant) { c.until = now.Add(openingTime) })
	}
	return state
}

// joined counts a lane, left discounts it. With its last lane a run has nothing to say any more.
func (s *claims) joined(name serverName, run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changeLocked(name, run, func(c *claimant) { c.lanes++ })
}

func (s *claims) left(name serverName, run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changeLocked(name, run, func(c *claimant) {
		if c.lanes--; c.lanes <= 0 {
			c.until = time.Time{}
		}
	})
}

// changeLocked changes what is known of a run, and forgets all that have nothing to say.
func (s *claims) changeLocked(name serverName, run string, change func(*claimant)) {
	if s.runs == nil {
		s.runs = map[serverName][]claimant{}
	}
	runs := s.runs[name]
	i := slices.IndexFunc(runs, func(c claimant) bool { return c.run == run })
	if i < 0 {
		i = len(runs)
		runs = append(runs, claimant{run: run})
	}
	change(&runs[i])
	now := time.Now()
	runs = slices.DeleteFunc(runs, func(c claimant) bool { return c.lanes <= 0 && !now.Before(c.until) })
	if len(runs) == 0 {
		delete(s.runs, name)
		return
	}
	s.runs[name] = runs
}

// serves tells whether any run serves a server, or is about to.
func (s *claims) serves(name serverName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.runs[name], func(c claimant) bool { return c.lanes > 0 || time.Now().Before(c.until) })
}

// lifeTime is how long a lane may take to answer when another run of the enabler wants its place.
const lifeTime = 2 * time.Second

var errTakenOver = errors.New("relay: another run of the enabler has come, and this lane did not answer")

// askLanes finds out whether a server that another run claims is free for run, and tells that on any goroutine. The lanes of the other run
// are pinged; when all are silent they are closed.
func askLanes(r *Relay, name serverName, run string, tell func(free bool)) {
	s := &r.gate.claims
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.asking[name]; q != nil {
		if q.run == run {
			q.waiting = append(q.waiting, tell)
		} else {
			q.others = append(q.others, tell)
		}
		return
	}
	if s.asking == nil {
		s.asking = map[serverName]*question{}
	}
	q := &question{run: run, waiting: []func(bool){tell}}
	s.asking[name] = q
	r.work.Go(func() { // ends after lifeTime; Close waits for it
		free := lanesSilent(r, name, run)
		s.mu.Lock()
		delete(s.asking, name)
		s.mu.Unlock()
		for _, tell := range q.waiting {
			tell(free && s.claim(name, run, time.Now()) == claimFree)
		}
		for _, tell := range q.others {
			tell(false)
		}
	})
}

// lanesSilent pings the lanes of all runs but one, waits, and closes them when none has answered. It blocks: never call it on a loop.
func lanesSilent(r *Relay, name serverName, run string) bool {
	var asked atomic.Int64
	alive := make(chan struct{}, 1)
	r.group.Each(func(l *loop.Loop) {
		r.shards[l.Index()].rivals(name, run, func(k *link) {
			asked.Add(1)
			if k.end.Live() {
				k.end.Prove(func() {
					select {
					case alive <- struct{}{}:
					default:
					}
				})
			}
		})
	})
	if asked.Load() == 0 {
		return true // the last one has gone meanwhile
	}
	select {
	case <-alive:
		return false
	case <-time.After(lifeTime):
	}
	r.log.Warn("the lanes of an enabler are silent: another run of it takes its place", "farm", name.farm, "server", name.server, "lanes", asked.Load())
	r.group.Each(func(l *loop.Loop) {
		r.shards[l.Index()].rivals(name, run, func(k *link) { k.end.Fail(errTakenOver) })
	})
	return true
}

// rivals visits the lanes of a server that take requests for another run.
func (s *shard) rivals(name serverName, run string, visit func(*link)) {
	var all []*link
	for key, l := range s.lanes {
		if key.farm == name.farm && key.server == name.server && l.as.run != run && l.claims {
			all = append(all, l)
		}
	}
	for _, l := range all { // which may end them
		visit(l)
	}
}

// release tells that the lane takes no more requests: another run may have its server.
func (l *link) release() {
	if l.claims {
		l.claims = false
		l.s.relay.gate.claims.left(serverName{l.key.farm, l.key.server}, l.as.run)
	}
}
