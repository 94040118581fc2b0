package router

import (
	"slices"
	"strings"

	"roundhouse/routing/subject"
)

// plan says who gets what is published to a subject. It is made by one loop and never changed, so that batches for other loops can
// point into it.
type plan struct {
	name   string // of the subject, in canonical form
	nats   string // as NATS clients know it; empty where no NATS client gets it from a client
	parts  []part // who gets every message
	groups []group
	even   *balance // nil: no client takes part in load balancing
}

// part is the share of one loop.
type part struct {
	shard *shard
	subs  []*subscription
}

// group is a queue group: one of its members gets each message.
type group struct {
	name    string
	members []*subscription
}

// nobody is the plan of what cannot have a subscriber.
var nobody = &plan{}

// empty tells that nobody gets anything.
func (p *plan) empty() bool { return len(p.parts) == 0 && len(p.groups) == 0 }

// compile makes the plan of a subject from the subscriptions that match it, which it may reorder. A client gets one copy, however many of
// its subscriptions match; a NATS client gets one for each. byClient: clients publish by it, so that NATS clients have to be told the
// subject in their own form.
func (v *view) compile(name string, matched []*subscription, byClient bool) *plan {
	p := &plan{name: name}
	plain := matched[:0]
	var queued []*subscription
	wantsNATS := false
	for _, s := range matched {
		wantsNATS = wantsNATS || s.peer.nats != nil
		if s.peer.nats != nil && s.queue() != "" {
			queued = append(queued, s)
		} else {
			plain = append(plain, s)
		}
	}
	slices.SortFunc(plain, byLoop)
	plain = oneForEachClient(plain)
	p.parts = partition(plain)
	p.groups = grouped(queued)
	p.even = v.balanced(name, plain)
	if wantsNATS && byClient {
		p.nats = string(subject.ToNATS(nil, []byte(name)))
	}
	return p
}

// byLoop brings subscriptions of a loop together, in it those of a peer, in it those that are always served first.
func byLoop(a, b *subscription) int {
	switch {
	case a.peer.shard != b.peer.shard:
		return a.peer.shard.index - b.peer.shard.index
	case a.peer != b.peer:
		return compare(a.peer.id, b.peer.id)
	case a.always != b.always && a.always:
		return -1
	case a.always != b.always:
		return 1
	}
	return compare(a.id, b.id)
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// oneForEachClient keeps the first subscription of each client of a sorted list.
func oneForEachClient(sorted []*subscription) []*subscription {
	kept := sorted[:0]
	for _, s := range sorted {
		if n := len(kept); n > 0 && kept[n-1].peer == s.peer && s.peer.rt != nil {
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// partition copies a list that is sorted by loop into its parts.
func partition(sorted []*subscription) []part {
	if len(sorted) == 0 {
		return nil
	}
	loops := 1
	for i := 1; i < len(sorted); i++ {
		if sorted[i].peer.shard != sorted[i-1].peer.shard {
			loops++
		}
	}
	all := slices.Clone(sorted)
	parts := make([]part, 0, loops)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].peer.shard == all[0].peer.shard {
			n++
		}
		parts = append(parts, part{all[0].peer.shard, all[:n:n]})
		all = all[n:]
	}
	return parts
}

// grouped sorts the members of queue groups by their group.
func grouped(queued []*subscription) []group {
	if len(queued) == 0 {
		return nil
	}
	slices.SortFunc(queued, func(a, b *subscription) int {
		if c := strings.Compare(a.queue(), b.queue()); c != 0 {
			return c
		}
		return compare(a.id, b.id)
	})
	var groups []group
	for _, s := range queued {
		if n := len(groups); n > 0 && groups[n-1].name == s.queue() {
			groups[n-1].members = append(groups[n-1].members, s)
			continue
		}
		groups = append(groups, group{s.queue(), []*subscription{s}})
	}
	return groups
}

// has tells whether a peer gets every message.
func (p *plan) has(who *peer) bool {
	for i := range p.parts {
		if p.parts[i].shard != who.shard {
			continue
		}
		for _, sub := range p.parts[i].subs {
			if sub.peer == who {
				return true
			}
		}
	}
	return false
}

// groupOf finds a queue group by its name.
func (p *plan) groupOf(name string) *group {
	for i := range p.groups {
		if p.groups[i].name == name {
			return &p.groups[i]
		}
	}
	return nil
}
