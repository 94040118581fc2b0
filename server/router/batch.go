package router

import "encoding/binary"

// batch is some messages for one loop. It is touched by the loop that fills it, then by the one that it was posted to. What moves from one
// core to another is what it costs, so that messages which follow each other to the same subject have one item.
type batch struct {
	box   *outbox
	buf   []byte
	items []item
	run   func() // deliver, as a value that is made once
	next  *batch // in the list of spare ones
}

// item is a run of messages with the same plan from the same publisher.
type item struct {
	plan *plan
	from *peer
	subs []*subscription // who gets them
	pick *subscription   // or the one who does

	at      int32 // of the subject in the batch's buffer; the messages follow it
	subject int32 // its length; 0 for frames of a client
	count   int32 // messages
	form    form
}

// form says what a message in a buffer looks like. Lengths have four bytes, in the order of the processor's choice: they go nowhere else.
type form uint8

const (
	formPlain form = iota // of a NATS client: length, payload
	formFull              // the same with lengths of reply, header block (less 1; 0: none) and payload, then these
	formFrame             // of a client: length, frame
)

func (p *parcel) form() form {
	switch {
	case !p.fromNATS():
		return formFrame
	case len(p.reply) > 0 || p.header != nil:
		return formFull
	}
	return formPlain
}

// add appends a message.
func (b *batch) add(p *parcel, subs []*subscription, pick *subscription) {
	kind := p.form()
	if n := len(b.items); n == 0 || !b.items[n-1].continues(p, kind, subs, pick) {
		b.items = append(b.items, item{
			plan: p.plan, from: p.from, subs: subs, pick: pick, at: int32(len(b.buf)), subject: int32(len(p.subject)), form: kind,
		})
		b.buf = append(b.buf, p.subject...)
	}
	b.items[len(b.items)-1].count++
	switch kind {
	case formPlain:
		b.buf = append(appendLen(b.buf, len(p.payload)), p.payload...)
	case formFrame:
		b.buf = append(appendLen(b.buf, len(p.frame)), p.frame...)
	case formFull:
		header := 0
		if p.header != nil {
			header = len(p.header) + 1
		}
		b.buf = appendLen(appendLen(appendLen(b.buf, len(p.reply)), header), len(p.payload))
		b.buf = append(append(append(b.buf, p.reply...), p.header...), p.payload...)
	}
}

// continues tells whether a message belongs to the run. A plan is that of one subject, as its publisher writes it.
func (it *item) continues(p *parcel, kind form, subs []*subscription, pick *subscription) bool {
	return it.plan == p.plan && it.from == p.from && it.form == kind && it.pick == pick && int(it.subject) == len(p.subject) &&
		len(it.subs) == len(subs) && (len(subs) == 0 || &it.subs[0] == &subs[0]) // a balanced message has fewer who get it in any case
}

// deliver runs on the loop that the batch was posted to.
func (b *batch) deliver() {
	s, size := b.box.to, b.size()
	p := &s.parcel
	for i := range b.items {
		it := &b.items[i]
		rest := b.buf[it.at:]
		subject := rest[:it.subject:it.subject]
		rest = rest[it.subject:]
		for range it.count {
			p.reset(it.plan, it.from)
			if it.form != formFrame {
				p.subject = subject
			}
			rest = p.cut(it.form, rest)
			switch {
			case it.pick == nil:
				s.deliverLate(p, it.subs)
			case !s.deliverOne(p, it.pick):
				s.repick(p, it.pick)
			}
		}
	}
	b.recycle()
	s.endCallback()
	b.box.arrived(size)
}

// deliverLate is deliver for what has come from another loop: who has left meanwhile is counted, but not whom deliver has counted itself.
func (s *shard) deliverLate(p *parcel, subs []*subscription) {
	counted := s.tally.losses[lostName]
	if n := s.deliver(p, subs); n < len(subs) {
		left := len(subs) - n - int(s.tally.losses[lostName]-counted)
		s.tally.lost(lostLeft, left)
	}
}

// cut takes a message off a buffer and returns what follows it.
func (p *parcel) cut(kind form, b []byte) []byte {
	switch kind {
	case formPlain:
		n := cutLen(&b)
		p.payload = cutBytes(&b, n)
	case formFrame:
		n := cutLen(&b)
		p.frame = cutBytes(&b, n)
	case formFull:
		reply, header, payload := cutLen(&b), cutLen(&b), cutLen(&b)
		p.reply = cutBytes(&b, reply)
		if header > 0 {
			p.header = cutBytes(&b, header-1)
		}
		p.payload = cutBytes(&b, payload)
	}
	return b
}

func appendLen(b []byte, n int) []byte { return binary.NativeEndian.AppendUint32(b, uint32(n)) }

func cutLen(b *[]byte) int {
	n := binary.NativeEndian.Uint32(*b)
	*b = (*b)[4:]
	return int(n)
}

func cutBytes(b *[]byte, n int) []byte {
	part := (*b)[:n:n]
	*b = (*b)[n:]
	return part
}

// size is what a batch counts, in bytes.
func (b *batch) size() int64 { return int64(len(b.buf) + itemBytes*len(b.items)) }

// recycle makes the batch empty and gives it back to the loop that fills it.
func (b *batch) recycle() {
	const keep = 4 * batchBytes // a buffer that one large message has made is not kept
	clear(b.items)
	b.items, b.buf = b.items[:0], b.buf[:0]
	if cap(b.buf) > keep {
		b.buf = nil
	}
	b.box.push(b, b)
}
