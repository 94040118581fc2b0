package router

import (
	"roundhouse/codec/message"
	"roundhouse/codec/natswire"
	"roundhouse/routing/subject"
)

// parcel is a published message on its way to subscribers, in the form that its publisher used. The other form is made when the first
// subscriber needs it, and for each loop anew. All slices are valid during the callback only.
type parcel struct {
	plan *plan
	from *peer // never followed when it is on another loop: only compared

	// From a client.
	frame []byte // with its header, as clients get it; nil: from a NATS client

	// From a NATS client.
	subject []byte
	reply   []byte
	header  []byte // header block; nil: none
	payload []byte

	// Made when needed.
	asFrame bool // frame was made of the message of a NATS client
	asNATS  bool // reply, header and payload were made of the message of a client
	buf     []byte
}

// reset makes p ready for the next message and keeps its buffer.
func (p *parcel) reset(pl *plan, from *peer) {
	*p = parcel{plan: pl, from: from, buf: p.buf[:0]}
}

// fromNATS tells who published it.
func (p *parcel) fromNATS() bool { return p.frame == nil || p.asFrame }

// needFrame makes the form that clients get.
func (p *parcel) needFrame() {
	if p.frame != nil {
		return
	}
	// Everything is built in one buffer: the subject, the reply's name, the properties, the fields, then the frame of them.
	b := append(p.buf[:0], p.plan.name...)
	start := len(b)
	props := start
	if len(p.reply) > 0 {
		named, err := subject.FromNATS(b, p.reply, false)
		if name := named[start:]; err == nil && len(name) <= maxProperty { // a reply that cannot be addressed is left out
			props = len(named)
			b = message.AppendProperty(named, message.TagReplyTo, name)
		}
	}
	end := len(b)
	b = message.AppendFromNATS(b, p.header, p.payload)
	fields := len(b)
	m := message.Message{Type: message.TypeJMSBytes, Dest: b[:start:start], Props: b[props:end:end], Fields: b[end:fields:fields]}
	b = message.AppendFrame(b, &m)
	p.buf, p.frame, p.asFrame = b, b[fields:], true
}

const maxProperty = 1<<16 - 1 - 3 // bytes: all properties and their heads have a length of 16 bits

// needNATS makes the form that NATS clients get.
func (p *parcel) needNATS() {
	if p.asNATS || p.frame == nil || p.asFrame {
		return
	}
	p.asNATS = true
	var m message.Message
	if message.Parse(p.frame[frameHeader:], &m) != nil {
		return // not possible: it was parsed when it came
	}
	p.header, p.payload = message.NATSPayload(&m)
	if reply, ok := m.Property(message.TagReplyTo); ok {
		p.buf = subject.ToNATS(p.buf[:0], reply)
		if natswire.ValidSubject(p.buf) { // else it might hold a line of the protocol; it is left out
			p.reply = p.buf
		}
	}
}

// natsSize is what the message takes on its way to a NATS client, less its first line.
func (p *parcel) natsSize() int { return len(p.header) + len(p.payload) }

// appendNATS appends the message as a NATS client gets it, under the name of its subscription.
func (p *parcel) appendNATS(b []byte, sid string, headers bool) []byte {
	headed := headers && len(p.header) > 0
	if headed {
		b = append(b, "HMSG "...)
	} else {
		b = append(b, "MSG "...)
	}
	if p.subject != nil {
		b = append(b, p.subject...)
	} else {
		b = append(b, p.plan.nats...)
	}
	b = append(b, ' ')
	b = append(b, sid...)
	b = append(b, ' ')
	if len(p.reply) > 0 {
		b = append(b, p.reply...)
		b = append(b, ' ')
	}
	size := len(p.payload)
	if headed {
		b = natswire.AppendUint(b, uint64(len(p.header)))
		b = append(b, ' ')
		size += len(p.header)
	}
	b = natswire.AppendUint(b, uint64(size))
	b = append(b, '\r', '\n')
	if headed {
		b = append(b, p.header...)
	}
	b = append(b, p.payload...)
	return append(b, '\r', '\n')
}
