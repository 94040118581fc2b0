package pubsub

import (
	"bytes"
	"context"
	"fmt"

	"roundhouse/codec"
	"roundhouse/codec/frame"
	"roundhouse/codec/message"
)

// overhead is the most that a message has besides its subject, properties and fields, in bytes.
const overhead = frame.HeaderLen + message.HeaderLen

// Publish sends data to the subscribers of a subject, which may have wildcards. It returns when the message is in the output, before
// the server has it: see Flush. It waits for room there; without a connection it keeps the message for the next one. data is not kept.
// Nothing is allocated on the way to a subject that was published to last.
//
// Errors: ErrClosed, ErrBufferFull, ErrTooLarge, subject.ErrName, that of ctx.
func (c *Conn) Publish(ctx context.Context, name string, data []byte) error {
	m := Msg{Subject: name, Data: data}
	return c.PublishMsg(ctx, &m)
}

// PublishMsg is Publish for a message with more to it; m is neither changed nor kept. Errors: those of Publish, and ErrMessage for a
// type, a mode or properties that cannot be published.
func (c *Conn) PublishMsg(ctx context.Context, m *Msg) error {
	size := overhead + len(m.Subject) + len(c.out.prefix) + len(m.Reply) + len(m.Props)
	if m.Fields == nil {
		size += message.FromNATSSize(m.Header, m.Data)
	} else {
		size += len(m.Fields)
	}
	if err := checkMsg(m); err != nil {
		return err
	}
	packed := false
	switch {
	case m.Compressed && m.sub != nil && m.Fields != nil:
		packed = true // it came so
	case m.Compressed:
		m, packed = pack(m)
	}
	if err := c.lockFor(ctx, size); err != nil {
		return err
	}
	defer c.mu.Unlock()
	return c.out.publish(m, packed)
}

// checkMsg refuses what no server takes, or would end the connection for.
func checkMsg(m *Msg) error {
	switch {
	case m.Type < 0 && isInternal(m.Type):
		return fmt.Errorf("%w: type %s is between a client and its server", ErrMessage, m.Type)
	case m.Balance > message.Sorted:
		return fmt.Errorf("%w: load balancing %d", ErrMessage, m.Balance)
	case m.Balance == message.Weighted, m.Delivery > message.Ordered:
		return fmt.Errorf("%w: guaranteed delivery, and load balancing by it, are not there yet", ErrMessage)
	case len(m.Props)+message.PropertySize(len(m.Reply)) > message.MaxProps:
		return fmt.Errorf("%w: properties of %d bytes, at most %d may be", ErrMessage, len(m.Props)+len(m.Reply), message.MaxProps)
	case len(m.Header) > 0 && !isHeader(m.Header):
		return fmt.Errorf("%w: the header block begins with NATS/1.0 and ends with an empty line", ErrMessage)
	}
	return nil
}

// isHeader tells whether b begins and ends as a header block of NATS does.
func isHeader(b []byte) bool {
	return bytes.HasPrefix(b, []byte("NATS/1.0")) && bytes.HasSuffix(b, []byte("\r\n\r\n"))
}

// isInternal tells the types that a client and a server use between them.
func isInternal(t message.Type) bool {
	switch t {
	case message.TypeSubjectSetSubscribe, message.TypeBatchSubjectSetSubscribe, message.TypeBatchSubjectSetSubscribeResult,
		message.TypeKeepAliveCall, message.TypeKeepAliveResult, message.TypeDisconnect, message.TypeConnectCall, message.TypeConnectResult,
		message.TypeClientCloseCall, message.TypeServerStopCall, message.TypeServerStopResult:
		return true
	}
	return false
}

// publish appends m to the output. packed tells that its fields are compressed.
func (o *output) publish(m *Msg, packed bool) error {
	name, err := o.destination(m.Subject)
	if err != nil {
		return err
	}
	w := &o.message
	*w = message.Message{Delivery: m.Delivery, Balance: m.Balance, Priority: m.Priority, Type: m.Type, Dest: name, Props: m.Props, Fields: m.Fields}
	if w.Type == 0 {
		w.Type = message.TypeJMSBytes
	}
	if packed {
		w.Flags = message.FlagCompressed
	}
	if m.Reply != "" {
		if w.Props, err = o.withReply(m); err != nil {
			return err
		}
	}
	size := message.Size(w)
	if m.Fields == nil {
		size += message.FromNATSSize(m.Header, m.Data)
	}
	if size > o.maxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d are taken: %w", ErrTooLarge, size, o.maxMessage, codec.ErrTooLarge)
	}
	b := message.Append(frame.AppendHeader(o.pending, size), w)
	if m.Fields == nil {
		b = message.AppendFromNATS(b, m.Header, m.Data)
	}
	o.msgs++
	o.bytes += uint64(len(b) - len(o.pending))
	o.pending = b
	w.Props, w.Fields = nil, nil // they are the caller's
	o.ring()
	return nil
}

// destination returns the full form of a subject. It is valid until the next call.
func (o *output) destination(name string) ([]byte, error) {
	if name == o.last && name != "" {
		return o.lastName, nil
	}
	full, err := o.canonical(name)
	if err != nil {
		return nil, err
	}
	o.last = name
	o.lastName = append(o.lastName[:0], full...)
	return o.lastName, nil
}

// withReply returns the properties of m and its reply-to. They are valid until the next call.
func (o *output) withReply(m *Msg) ([]byte, error) {
	reply, err := o.canonical(m.Reply)
	if err != nil {
		return nil, err
	}
	o.props = message.AppendProperty(o.props[:0], message.TagReplyTo, reply)
	o.props = append(o.props, m.Props...)
	return o.props, nil
}
