package relay

import (
	"net/netip"
	"sync"
	"time"
)

// gate is what the loops share to judge enablers. Any goroutine.
type gate struct {
	instance string // fixed at start: see newInstance
	suspects suspects
	nonces   nonces
	claims   claims
	hashed   hashed
}

// suspect is who has presented wrong tokens, for whom. Enablers of other servers behind the same address are not made to wait.
type suspect struct {
	addr   netip.Addr
	server serverName
}

// wholeAddr is the part of an address that stands for one customer: of IPv6 64 bits.
func wholeAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// suspects counts wrong tokens. Any goroutine; calls of enablers alone look.
type suspects struct {
	mu     sync.Mutex // guards the rest
	table  map[suspect]*doubt
	proven map[acquaintance]struct{} // at most maxProven
}

// acquaintance is a run of an enabler that has shown a right token. It is listened to even while its address is not: others, who do not know
// its name, cannot lock it out by guessing from behind the same address.
type acquaintance struct {
	suspect
	run string
}

type doubt struct {
	wrong int
	since time.Time // of the first of them
	until time.Time // until then nothing of it is listened to; zero: it is
}

const (
	wrongTokens = 10          // in doubtTime, and nothing more is listened to
	doubtTime   = time.Minute // for which they count, and for which nothing is listened to then
	maxSuspects = 1 << 16     // more put others out of the table
	maxProven   = 1 << 14     // likewise
)

// wait is how long a suspect has to wait until a run of it is listened to; 0: it is now.
func (s *suspects) wait(who suspect, run string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.table[who]
	if d == nil {
		return 0
	}
	if _, ok := s.proven[acquaintance{who, run}]; ok {
		return 0
	}
	return max(0, d.until.Sub(now))
}

// prove notes a right token.
func (s *suspects) prove(who suspect, run string) {
	if run == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proven == nil {
		s.proven = map[acquaintance]struct{}{}
	}
	if len(s.proven) >= maxProven {
		for one := range s.proven { // any of them: it is judged like the others then
			delete(s.proven, one)
			break
		}
	}
	s.proven[acquaintance{who, run}] = struct{}{}
}

// add counts a wrong token.
func (s *suspects) add(who suspect, run string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.proven, acquaintance{who, run})
	if s.table == nil {
		s.table = map[suspect]*doubt{}
	}
	d := s.table[who]
	if d == nil || d.over(now) {
		if d == nil && len(s.table) >= maxSuspects {
			s.shrinkLocked(now)
		}
		d = &doubt{since: now}
		s.table[who] = d
	}
	if d.wrong++; d.wrong >= wrongTokens && d.until.IsZero() {
		d.until = now.Add(doubtTime)
	}
}

// over tells that nothing of it counts any more.
func (d *doubt) over(now time.Time) bool {
	if !d.until.IsZero() {
		return !now.Before(d.until)
	}
	return now.Sub(d.since) >= doubtTime
}

// shrinkLocked throws away what does not count any more, and when that is too little some of the rest.
func (s *suspects) shrinkLocked(now time.Time) {
	for who, d := range s.table {
		if d.over(now) {
			delete(s.table, who)
		}
	}
	for who := range s.table {
		if len(s.table) < maxSuspects-maxSuspects/16 {
			return
		}
		delete(s.table, who)
	}
}
