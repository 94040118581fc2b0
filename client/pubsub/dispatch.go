package pubsub

import (
	"bytes"
	"cmp"
	"slices"

	"roundhouse/codec/message"
	"roundhouse/routing/subject"
)

const (
	cacheSize  = 16_384  // subjects whose subscriptions are kept at hand
	largeMsg   = 1 << 10 // bytes; a larger message has memory of its own
	blockBytes = 8 << 10 // bytes that small messages share
	blockMsgs  = 16      // Msg values that are allocated together
	flushEvery = 256     // messages of one read after which subscriptions get what has come for them
)

// inbound gives messages to the subscriptions that match. It is owned by the goroutine that reads.
type inbound struct {
	// Fixed at Connect.
	table *subject.Table[*Subscription]
	inbox []byte // what the names of answers begin with
	stats *stats

	cache   *subject.Cache[*Subscription, *plan]
	matched []*Subscription // scratch
	batched []*Subscription // those that have a batch
	since   int             // messages since they were given their batches

	last        *plan // of the message before: most come in runs
	lastVersion uint64

	msgs  []Msg  // not used yet
	bytes []byte // likewise

	message message.Message
	reply   string // of the message before
}

// plan says who gets what comes for a subject.
type plan struct {
	name string
	subs []*Subscription
}

// handle does what a message of the server asks for.
func (l *link) handle(payload []byte) error {
	c := l.conn
	m := &c.in.message
	if err := message.Parse(payload, m); err != nil {
		return err
	}
	c.stats.inMsgs.Add(1)
	c.stats.inBytes.Add(uint64(len(payload)))
	if len(m.Dest) > 0 {
		c.in.dispatch(m)
		return nil
	}
	switch m.Type {
	case message.TypeKeepAliveCall:
		l.showLife()
	case message.TypeKeepAliveResult:
		c.in.flush() // who has waited for the answer finds in the queues what came before it
		l.answered()
	case message.TypeClientCloseCall:
		return closeReason(m)
	case message.TypeBatchSubjectSetSubscribeResult:
		return l.refused(m)
	case message.TypeServerStopResult:
		return l.stopped(m)
	}
	return nil // a later version may say more
}

// showLife answers the server's question. One that asks but takes nothing gets no answer: it would pile up.
func (l *link) showLife() {
	c := l.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out.pending) <= 2*c.options.WriteBuffer {
		c.out.append(func(dst []byte) []byte {
			return message.Append(dst, &message.Message{Type: message.TypeKeepAliveResult})
		})
	}
}

// dispatch gives a message to whom it may concern.
func (in *inbound) dispatch(m *message.Message) {
	p := in.planOf(m.Dest)
	if len(p.subs) == 0 {
		in.stats.unmatched.Add(1)
		return
	}
	msg := in.newMsg(m, p.name, p.subs[0])
	for i, s := range p.subs {
		var next *Msg
		if i+1 < len(p.subs) { // copied before somebody can change it
			next = in.allocMsg()
			*next = *msg
			next.sub = p.subs[i+1]
		}
		if s.offer(msg) {
			in.batched = append(in.batched, s)
		}
		msg = next
	}
	if in.since++; in.since >= flushEvery {
		in.flush()
	}
}

// flush gives the subscriptions what has come for them.
func (in *inbound) flush() {
	for _, s := range in.batched {
		s.flush()
	}
	clear(in.batched)
	in.batched = in.batched[:0]
	in.since = 0
}

// planOf returns who gets what comes for a name.
func (in *inbound) planOf(name []byte) *plan {
	snap := in.table.Snapshot()
	if in.last != nil && in.lastVersion == snap.Version() && string(name) == in.last.name {
		return in.last
	}
	p, ok := in.cache.Get(snap, name)
	if !ok {
		p = &plan{name: string(name)}
		in.matched = snap.Append(in.matched[:0], p.name)
		slices.SortFunc(in.matched, func(a, b *Subscription) int { return cmp.Compare(a.id, b.id) })
		p.subs = slices.Clone(slices.Compact(in.matched)) // that of the client itself has several names
		clear(in.matched)
		if !isUnder(name, in.inbox) { // an answer: nothing else comes for its name
			in.cache.Put(snap, name, p.name, p)
		}
	}
	in.last, in.lastVersion = p, snap.Version()
	return p
}

// newMsg makes what the caller of Subscribe sees of a message, in memory that is not used for anything else.
func (in *inbound) newMsg(m *message.Message, name string, s *Subscription) *Msg {
	msg := in.allocMsg()
	props, fields := in.copyOf(m.Props, m.Fields)
	*msg = Msg{
		Subject: name, Type: m.Type, Balance: m.Balance, Delivery: m.Delivery, Priority: m.Priority, Seq: m.Seq,
		Fields: fields, Props: props, Compressed: m.Flags&message.FlagCompressed != 0, sub: s,
	}
	if len(props) > 0 {
		in.takeReply(msg)
	}
	opened := message.Message{Flags: m.Flags, Fields: fields}
	msg.Header, msg.Data = message.NATSPayload(&opened)
	return msg
}

// takeReply moves the reply-to out of Props, if it is there.
func (in *inbound) takeReply(msg *Msg) {
	tag, value, rest, ok := message.NextProperty(msg.Props)
	if !ok || tag != message.TagReplyTo { // the usual place is the front
		if value, ok = msg.Property(message.TagReplyTo); !ok {
			return
		}
		rest = without(msg.Props, message.TagReplyTo)
	}
	if string(value) != in.reply {
		in.reply = string(value)
	}
	msg.Reply, msg.Props = in.reply, rest
}

func (in *inbound) allocMsg() *Msg {
	if len(in.msgs) == 0 {
		in.msgs = make([]Msg, blockMsgs)
	}
	msg := &in.msgs[0]
	in.msgs = in.msgs[1:]
	return msg
}

// copyOf copies properties and fields. Small ones share a block.
func (in *inbound) copyOf(props, fields []byte) (p, f []byte) {
	n := len(props) + len(fields)
	var b []byte
	switch {
	case n > largeMsg:
		b = make([]byte, n)
	case n > len(in.bytes):
		in.bytes = make([]byte, blockBytes)
		fallthrough
	default:
		b, in.bytes = in.bytes[:n:n], in.bytes[n:]
	}
	copy(b, props)
	copy(b[len(props):], fields)
	return b[:len(props):len(props)], b[len(props):]
}

// isUnder tells whether name is prefix and something more.
func isUnder(name, prefix []byte) bool {
	return len(name) > len(prefix) && bytes.HasPrefix(name, prefix)
}
