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
	reached := 0
	switch {
	case pl.empty():
	case m.Balance == message.BalanceNone:
		reached = s.publish()
	default:
		reached = s.publishBalanced(m.Balance)
	}
	if reached == 0 && c.noResponders {
		c.answerForNobody(m)
	}
}

// noResponders is the header block that says that nobody has subscribed to the subject of a request.
var noResponders = []byte("NATS/1.0 503\r\n\r\n")

// answerForNobody tells a requester that nobody has subscribed to what it asked for, if it listens at its reply subject.
func (c *client) answerForNobody(m *message.Message) {
	reply, ok := m.Property(message.TagReplyTo)
	if !ok {
		return
	}
	pl, err := c.view.clientPlan(new(recent), reply)
	if err != nil || !pl.has(&c.peer) {
		return
	}
	c.send(func(dst []byte) []byte {
		return message.Append(dst, &message.Message{
			Type: message.TypeJMSBytes, Dest: []byte(pl.name), Fields: message.AppendFromNATS(nil, noResponders, nil),
		})
	})
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
