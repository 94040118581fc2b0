package router

import (
	"cmp"
	"slices"
	"sync/atomic"

	"roundhouse/codec/message"
)

// balance is how messages with a load balancing mode are dealt out for one subject. It is part of a plan.
type balance struct {
	always  []part          // who gets such a message in any case
	members []*subscription // one of them gets it, too; sorted by the unique subjects of their clients, one for each client
	turn    *atomic.Uint64  // of round robin; shared by all loops
}

// maxTurns bounds the subjects of a project whose turn is remembered; beyond it all turns begin anew.
const maxTurns = 65_536

// balanced makes the balance of a plan from its plain subscriptions, sorted by loop; nil when no client takes part in it. NATS clients
// without a queue group always get everything, as they expect.
func (v *view) balanced(name string, sorted []*subscription) *balance {
	var always, members []*subscription
	for _, s := range sorted {
		if s.peer.rt == nil || s.always {
			always = append(always, s)
		} else {
			members = append(members, s)
		}
	}
	if len(members) == 0 {
		return nil
	}
	slices.SortFunc(members, func(a, b *subscription) int { return cmp.Compare(a.peer.rt.unique, b.peer.rt.unique) })
	return &balance{partition(always), members, v.project.turn(name)}
}

// turn is the round robin counter of a subject.
func (p *project) turn(name string) *atomic.Uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.turns[name]; t != nil {
		return t
	}
	if len(p.turns) >= maxTurns {
		clear(p.turns)
	}
	t := new(atomic.Uint64)
	p.turns[name] = t
	return t
}

// publishBalanced is publish for a message with a load balancing mode.
func (s *shard) publishBalanced(mode message.Balance) (n int) {
	p := &s.parcel
	b := p.plan.even
	if b == nil || mode == message.BalanceNone {
		return s.publish()
	}
	for i := range b.always {
		n += s.hand(p, &b.always[i])
	}
	for i := range p.plan.groups {
		n += s.pick(p, &p.plan.groups[i], nil)
	}
	first := 0 // sorted: the lowest name, and the next one when that is gone
	if mode != message.Sorted {
		first = int((b.turn.Add(1) - 1) % uint64(len(b.members)))
	}
	return n + s.one(p, b, first, nil)
}

// even gives the parcel to another member than gone, which had its turn.
func (s *shard) even(p *parcel, b *balance, gone *subscription) {
	if s.one(p, b, int(b.turn.Load()%uint64(len(b.members))), gone) == 0 {
		s.tally.lost(lostLeft, 1)
	}
}

// one gives the parcel to the first member, from first on, that is there.
func (s *shard) one(p *parcel, b *balance, first int, skip *subscription) int {
	for i := range b.members {
		sub := b.members[(first+i)%len(b.members)]
		switch {
		case sub == skip:
		case sub.peer.shard != s:
			s.forward(sub.peer.shard, p, nil, sub)
			return 1
		case s.deliverOne(p, sub):
			return 1
		}
	}
	return 0
}
