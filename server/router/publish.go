package router

// publish gives the parcel of the shard to everybody in its plan. It returns how many subscribers got it or will get it on their own loop.
func (s *shard) publish() (n int) {
	p := &s.parcel
	for i := range p.plan.parts {
		n += s.hand(p, &p.plan.parts[i])
	}
	for i := range p.plan.groups {
		n += s.pick(p, &p.plan.groups[i], nil)
	}
	// Links to other servers get the message here, each once.
	return n
}

// hand gives the parcel to the subscribers of a part.
func (s *shard) hand(p *parcel, to *part) int {
	if to.shard == s {
		return s.deliver(p, to.subs)
	}
	s.forward(to.shard, p, to.subs, nil)
	return len(to.subs)
}

// pick gives the parcel to one member of a queue group, but not to skip, which was asked before.
func (s *shard) pick(p *parcel, g *group, skip *subscription) int {
	first := s.roll(len(g.members))
	for i := range g.members {
		sub := g.members[(first+i)%len(g.members)]
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

// repick follows a message that came to a member of a queue group, or of a balancing set, that is gone: another one gets it.
func (s *shard) repick(p *parcel, gone *subscription) {
	v := gone.peer.view
	snap := v.project.table.Snapshot()
	pl, ok := v.clients.Get(snap, []byte(p.plan.name))
	if !ok {
		pl = v.make(snap, v.clients, []byte(p.plan.name), p.plan.name)
	}
	now := *p
	now.plan = pl
	if gone.peer.rt != nil {
		if pl.even != nil {
			s.even(&now, pl.even, gone)
			return
		}
	} else if g := pl.groupOf(gone.queue()); g != nil && s.pick(&now, g, gone) > 0 {
		return
	}
	s.tally.lost(lostLeft, 1)
}
