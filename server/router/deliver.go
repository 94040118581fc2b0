package router

import (
	"math"

	"roundhouse/codec/message"
)

// deliver appends the parcel to the output of subscribers on this loop. It returns how many got it.
func (s *shard) deliver(p *parcel, subs []*subscription) (n int) {
	for _, sub := range subs {
		if s.deliverOne(p, sub) {
			n++
		}
	}
	return n
}

// deliverOne is deliver for one subscriber; false: it does not get the message.
func (s *shard) deliverOne(p *parcel, sub *subscription) bool {
	to := sub.peer
	if to.gone || to == p.from && to.noEcho || sub.max > 0 && sub.delivered >= sub.max {
		return false
	}
	if to.rt != nil && len(p.plan.name) > message.MaxDest { // of a NATS client whose lines may be that long
		s.tally.lost(lostName, 1)
		return false
	}
	s.deliverTo(p, sub)
	return true
}

// deliverTo gives the parcel to a subscriber that is there.
func (s *shard) deliverTo(p *parcel, sub *subscription) {
	to := sub.peer
	if sub.delivered < math.MaxUint32 {
		sub.delivered++
	}
	if s.logOut != nil {
		s.logOut.add(p, to)
	}
	var size int
	if to.nats != nil {
		size = p.toNATS(sub)
	} else {
		size = p.toClient(to)
	}
	s.tally.out(size)
	if sub.delivered == sub.max {
		to.nats.expire(sub)
	}
	if to.pending() > to.maxBuffer {
		s.slow(to)
	}
}

// toNATS appends the parcel to the output of a NATS client and returns the bytes of payload.
func (p *parcel) toNATS(sub *subscription) int {
	p.needNATS()
	to := sub.peer
	if to.gate != nil {
		to.gate.add(p.appendNATS(to.gate.buffer(), sub.sid(), to.nats.headers))
	} else {
		to.conn.SetBuffer(p.appendNATS(to.conn.Buffer(), sub.sid(), to.nats.headers))
	}
	return p.natsSize()
}

// toClient appends the parcel to the output of a client and returns its bytes.
func (p *parcel) toClient(to *peer) int {
	p.needFrame()
	if to.gate != nil {
		to.gate.add(append(to.gate.buffer(), p.frame...))
	} else {
		to.conn.Write(p.frame)
	}
	return len(p.frame)
}
