package router

import (
	"roundhouse/codec/natswire"
	"roundhouse/server/access"
)

// publish handles PUB and HPUB.
func (n *natsSession) publish(cmd *natswire.Command) {
	s := n.shard
	s.tally.in(len(cmd.Header) + len(cmd.Payload))
	if cmd.Op == natswire.OpHPub && !n.headers {
		n.cut(cutProtocol, natswire.TextNoHeaders)
		return
	}
	if n.pedantic && !natswire.ValidLiteral(cmd.Subject) {
		n.fail(natswire.TextInvalidPublish)
	}
	p := &s.parcel
	p.reset(n.view.natsPlan(&n.last, cmd.Subject), &n.peer)
	if n.identity != nil && !n.identity.May(access.Publish, n.view.project.name, p.plan.name) {
		s.tally.lost(lostDenied, 1)
		n.fail(natswire.PublishViolation(string(cmd.Subject)))
		return
	}
	p.subject, p.reply, p.payload = cmd.Subject, cmd.Reply, cmd.Payload
	if cmd.Op == natswire.OpHPub {
		p.header = cmd.Header
	}
	if s.logIn != nil {
		s.logIn.add(p, &n.peer)
	}
	n.ok()
	delivered := 0
	if !p.plan.empty() {
		delivered = s.publish()
	}
	if delivered == 0 && n.noResponders && len(cmd.Reply) > 0 {
		n.answerForNobody(cmd.Reply, cmd.Subject)
	}
}

// answerForNobody tells a requester that nobody has subscribed to what it asked for: a message with the status 503 on its own
// subscription to the reply subject.
func (n *natsSession) answerForNobody(reply, asked []byte) {
	s := n.shard
	for _, part := range n.view.natsPlan(new(recent), reply).parts {
		if part.shard != s {
			continue
		}
		for _, sub := range part.subs {
			if sub.peer == &n.peer {
				n.conn.SetBuffer(natswire.AppendNoResponders(n.conn.Buffer(), reply, []byte(sub.sid()), asked))
				return // source: nats-server; it does not count as a message
			}
		}
	}
}
