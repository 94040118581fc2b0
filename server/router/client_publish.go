package router

import (
	"fmt"

	"roundhouse/codec/message"
	"roundhouse/server/access"
)

// publish routes a message by its destination. whole is its frame.
func (c *client) publish(m *message.Message, whole []byte) {
	s := c.shard
	s.tally.in(len(whole))
	pl, err := c.view.clientPlan(&c.last, m.Dest)
	if err != nil {
		c.cut(cutProtocol, fmt.Sprintf("destination %q of a message of type %s: %v", clip(string(m.Dest)), m.Type, err))
		return
	}
	if c.identity != nil && !c.may(access.Publish, pl.name) {
		s.tally.lost(lostDenied, 1) // source: a denied message is not routed; the audit trail has it
		return
	}
	if s.door.settings.Load().cfg.EnforceExpiration && expired(m, s.loop.Now()) {
		s.tally.lost(lostExpired, 1)
		return
	}
	p := &s.parcel
	p.reset(pl, &c.peer)
	if p.frame = whole; string(m.Dest) != pl.name {
		p.frame = c.renamed(m, pl)
	}
	// Guaranteed messages are entered in the ledger here, and the publisher of those that cannot be kept is paused.
	switch {
	case pl.empty():
	case m.Balance == message.BalanceNone:
		s.publish()
	default:
		s.publishBalanced(m.Balance)
	}
}

// renamed is the message with its destination in canonical form. It is valid until the shard's scratch is used again.
func (c *client) renamed(m *message.Message, pl *plan) []byte {
	s := c.shard
	now, n := *m, len(pl.name)
	s.frame = append(s.frame[:0], pl.name...)
	now.Dest = s.frame[:n:n]
	s.frame = message.AppendFrame(s.frame, &now)
	return s.frame[n:]
}
