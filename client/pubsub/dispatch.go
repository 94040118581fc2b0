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
func (c *Conn) handle(l *link, payload []byte) error {
	m := &c.in.message
	if err := message.Parse(payload, m); err != nil {
		return err
	}
	c.stats.inMsgs.Add(1)
	c.stats.inBytes.Add(uint64(len(payload)))
	if len(m.Dest) > 0 {
		c.dispatch(m)
		return nil
	}
	switch m.Type {
	case message.TypeKeepAliveCall:
		c.showLife()
	case message.TypeKeepAliveResult:
		c.flushInbound() // who has waited for the answer finds in the queues what came before it
		c.answered(l)
	case message.TypeClientCloseCall:
		return closeReason(m)
	case message.TypeBatchSubjectSetSubscribeResult:
		return c.refused(m)
	case message.TypeServerStopResult:
		return c.stopped(m)
	}
	return nil // a later version may say more
}

// showLife answers the server's question. One that asks but takes nothing gets no answer: it would pile up.
func (c *Conn) showLife() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out.pending) <= 2*c.options.WriteBuffer {
		c.appendLocked(func(dst []byte) []byte {
			return message.Append(dst, &message.Message{Type: message.TypeKeepAliveResult})
		})
	}
}

// dispatch gives a message to whom it may concern.
func (c *Conn) dispatch(m *message.Message) {
	p := c.planOf(m.Dest)
	if len(p.subs) == 0 {
		c.stats.unmatched.Add(1)
		return
	}
	msg := c.newMsg(m, p.name, p.subs[0])
	for i, s := range p.subs {
		var next *Msg
		if i+1 < len(p.subs) { // copied before somebody can change it
			next = c.allocMsg()
			*next = *msg
			next.sub = p.subs[i+1]
		}
		if s.offer(msg) {
			c.in.batched = append(c.in.batched, s)
		}
		msg = next
	}
	if c.in.since++; c.in.since >= flushEvery {
		c.flushInbound()
	}
}

// flushInbound gives the subscriptions what has come for them.
func (c *Conn) flushInbound() {
	for _, s := range c.in.batched {
		s.flush()
	}
	clear(c.in.batched)
	c.in.batched = c.in.batched[:0]
	c.in.since = 0
}

// planOf returns who gets what comes for a name.
func (c *Conn) planOf(name []byte) *plan {
	in := &c.in
	snap := c.table.Snapshot()
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
		if !isUnder(name, c.inbox.prefix) { // an answer: nothing else comes for its name
			in.cache.Put(snap, name, p.name, p)
		}
	}
	in.last, in.lastVersion = p, snap.Version()
	return p
}

// newMsg makes what the caller of Subscribe sees of a message, in memory that is not used for anything else.
func (c *Conn) newMsg(m *message.Message, name string, s *Subscription) *Msg {
	msg := c.allocMsg()
	props, fields := c.copyOf(m.Props, m.Fields)
	*msg = Msg{
		Subject: name, Type: m.Type, Balance: m.Balance, Delivery: m.Delivery, Priority: m.Priority, Seq: m.Seq,
		Fields: fields, Props: props, Compressed: m.Flags&message.FlagCompressed != 0, sub: s,
	}
	if len(props) > 0 {
		c.takeReply(msg)
	}
	opened := message.Message{Flags: m.Flags, Fields: fields}
	msg.Header, msg.Data = message.NATSPayload(&opened)
	return msg
}

// takeReply moves the reply-to out of Props, if it is there.
func (c *Conn) takeReply(msg *Msg) {
	tag, value, rest, ok := message.NextProperty(msg.Props)
	if !ok || tag != message.TagReplyTo { // the usual place is the front
		if value, ok = msg.Property(message.TagReplyTo); !ok {
			return
		}
		rest = without(msg.Props, message.TagReplyTo)
	}
	if string(value) != c.in.reply {
		c.in.reply = string(value)
	}
	msg.Reply, msg.Props = c.in.reply, rest
}

func (c *Conn) allocMsg() *Msg {
	if len(c.in.msgs) == 0 {
		c.in.msgs = make([]Msg, blockMsgs)
	}
	msg := &c.in.msgs[0]
	c.in.msgs = c.in.msgs[1:]
	return msg
}

// copyOf copies properties and fields. Small ones share a block.
func (c *Conn) copyOf(props, fields []byte) (p, f []byte) {
	n := len(props) + len(fields)
	var b []byte
	switch {
	case n > largeMsg:
		b = make([]byte, n)
	case n > len(c.in.bytes):
		c.in.bytes = make([]byte, blockBytes)
		fallthrough
	default:
		b, c.in.bytes = c.in.bytes[:n:n], c.in.bytes[n:]
	}
	copy(b, props)
	copy(b[len(props):], fields)
	return b[:len(props):len(props)], b[len(props):]
}

// isUnder tells whether name is prefix and something more.
func isUnder(name, prefix []byte) bool {
	return len(name) > len(prefix) && bytes.HasPrefix(name, prefix)
}
