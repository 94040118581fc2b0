package router

import (
	"time"

	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
	"roundhouse/server/access"
)

// A shard looks at its peers in regular sweeps: none has a timer of its own. Its clock moves in sweeps.

const (
	longestSweep  = time.Second
	shortestSweep = 10 * time.Millisecond
)

// adopt puts a new peer on the shard's list.
func (s *shard) adopt(p *peer) {
	p.place = len(s.peers)
	p.heard, p.opened, p.stuck = s.clock, s.clock, s.clock
	p.since = time.Now()
	s.peers = append(s.peers, p)
}

// forget takes a peer off the list.
func (s *shard) forget(p *peer) {
	last := len(s.peers) - 1
	s.peers[p.place] = s.peers[last]
	s.peers[p.place].place = p.place
	s.peers[last] = nil
	s.peers = s.peers[:last]
	p.place = -1
}

// sweep looks at every peer: who is late, silent or stalled. It arms the next one.
func (s *shard) sweep() {
	s.clock += s.sweepTime
	set := s.door.settings.Load()
	if v := s.door.guard.Version(); v != s.rules {
		s.rules = v
		s.judgeAgain()
	}
	for i := len(s.peers) - 1; i >= 0; i-- { // a peer that is cut is replaced by one that was looked at
		if p := s.peers[i]; p.nats != nil {
			p.nats.look(set)
		} else {
			p.rt.look(set)
		}
	}
	s.stats.caches.note(s)
	s.endCallback()
	s.armSweeper(set.sweep)
}

// armSweeper has the next sweep come after a time, which may differ from sweep to sweep.
func (s *shard) armSweeper(after time.Duration) {
	s.sweepTime = after
	s.sweeper.Arm(after)
}

// since is the time that has passed on the shard's clock.
func (s *shard) since(at time.Duration) time.Duration { return s.clock - at }

// stalled cuts a peer that has taken nothing of what waits for it for at least the given time. 0: it may.
func (p *peer) stalled(deadline time.Duration) bool {
	sent := p.conn.Sent()
	if deadline == 0 || p.conn.Pending() == 0 || sent != p.sent {
		p.sent, p.stuck = sent, p.shard.clock
		return false
	}
	if p.shard.since(p.stuck) < deadline {
		return false
	}
	p.cut(cutStalled, "slow consumer: it has taken nothing of what waits for it for "+deadline.String())
	return true
}

// judgeAgain follows a change of who may do what: who may not be here any more has to go, and nobody keeps a subscription that he may not
// have.
func (s *shard) judgeAgain() {
	for i := len(s.peers) - 1; i >= 0; i-- {
		p := s.peers[i]
		switch {
		case p.view == nil: // it is judged when it enters
		case p.identity == nil:
			if s.door.guard.Required() {
				p.cut(cutDenied, "it came in when nobody was asked who he is")
			}
		case p.identity.Gone():
			p.cut(cutDenied, "its user "+p.identity.Name()+" is not known any more")
		case !p.identity.May(access.Connect, p.view.project.name, "/..."):
			p.cut(cutDenied, "its user "+p.identity.Name()+" may not be in project "+p.view.project.name+" any more")
		case p.nats != nil:
			p.nats.giveUp()
		default:
			p.rt.giveUp()
		}
	}
}

// giveUp ends the subscriptions that the user may not have any more.
func (n *natsSession) giveUp() {
	for sub := range n.subs.all {
		if !n.identity.May(access.Subscribe, n.view.project.name, sub.pattern()) {
			n.end(sub)
			n.fail(natswire.SubscribeViolation(string(subject.ToNATS(nil, []byte(sub.pattern()))), sub.queue()))
		}
	}
}

// giveUp ends the subscriptions that the user may not have any more.
func (c *client) giveUp() {
	for sub := range c.subs.all {
		if !c.maySubscribe(sub.pattern()) {
			c.subs.remove(sub)
			c.drop(sub)
			c.log().Info("a subscription was ended: the rules have changed", "subject", sub.pattern())
		}
	}
}
