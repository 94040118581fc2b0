package router

import (
	"math"

	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
	"roundhouse/server/access"
)

// subscribe handles SUB.
func (n *natsSession) subscribe(cmd *natswire.Command) {
	set := n.shard.door.settings.Load()
	if !natswire.ValidSubject(cmd.Subject) {
		n.fail(natswire.TextInvalidSubject)
		return
	}
	pattern, err := subject.FromNATS(nil, cmd.Subject, true)
	if err != nil || len(pattern) > math.MaxUint16 || len(cmd.SID) > math.MaxUint16 {
		n.fail(natswire.TextInvalidSubject)
		return
	}
	if n.identity != nil && !n.identity.May(access.Subscribe, n.view.project.name, string(pattern)) {
		n.fail(natswire.SubscribeViolation(string(cmd.Subject), string(cmd.Queue)))
		return
	}
	if most := set.cfg.NATS.MaxSubscriptions; most > 0 && n.subs.len() >= most {
		n.fail(natswire.TextMaxSubscriptions)
		return
	}
	if n.subs.get(cmd.SID) == nil { // a sid that is in use keeps its subscription
		n.add(pattern, cmd.SID, cmd.Queue)
	}
	n.ok()
}

func (n *natsSession) add(pattern, sid, queue []byte) {
	text := make([]byte, 0, len(pattern)+len(sid)+len(queue))
	text = append(append(append(text, pattern...), sid...), queue...)
	sub := &subscription{
		id: n.shard.door.subIDs.Add(1), peer: &n.peer, text: string(text),
		patternLen: uint16(len(pattern)), sidLen: uint16(len(sid)),
	}
	n.subs.add(sub)
	n.view.project.subscribe(sub)
	n.shard.stats.subscriptions.Add(1)
}

// unsubscribe handles UNSUB, at once or after a number of messages.
func (n *natsSession) unsubscribe(cmd *natswire.Command) {
	if sub := n.subs.get(cmd.SID); sub != nil {
		if cmd.Max > 0 {
			n.limit(sub, cmd.Max)
		} else {
			n.end(sub)
		}
	}
	n.ok()
}

// limit ends a subscription after max messages, those counted that it has had.
func (n *natsSession) limit(sub *subscription, max int) {
	sub.max = uint32(min(max, math.MaxUint32-1)) // that many are for ever
	if sub.delivered >= sub.max {
		n.end(sub)
	}
}

// end ends a subscription. What other loops have already sent still comes.
func (n *natsSession) end(sub *subscription) {
	n.subs.remove(sub)
	n.drop(sub)
	n.left = true
}

// expire ends a subscription that has got its last message.
func (n *natsSession) expire(sub *subscription) {
	if n.subs.remove(sub) {
		n.drop(sub)
	}
}
