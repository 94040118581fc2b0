package pubsub

import (
	"bytes"
	"context"
	"math"
	"slices"
	"time"

	"roundhouse/codec/message"
)

// Msg is a message, one to publish or one that came. What came may be kept, but its slices must not be changed: other subscriptions
// may have the same. A small one shares a few KiB of memory with its neighbours; Clone gives one that does not.
type Msg struct {
	Subject  string           // destination
	Reply    string           // subject for an answer; empty: none is wanted
	Type     message.Type     // to publish, 0 means TypeJMSBytes
	Balance  message.Balance  // which subscribers get it: all of them, or one
	Delivery message.Delivery // BestEffort or Ordered; the others are still to come
	Priority int16            // bigger is more important; for the receivers only
	Seq      uint32           // of a guaranteed message that came

	// Data is the payload. To publish, it makes one Binary field, unless Fields has some. Of what came, it is the contents of the one
	// field, when it is a binary or a string, else all fields in their encoding.
	Data []byte
	// Header is the header block of a message that comes from a NATS client, or goes to one: NATS/1.0 and lines with CRLF, the last
	// one empty.
	Header []byte
	// Fields are typed fields: message.AppendInt4 and others make them, Field and Named, or message.NextField, read them.
	Fields []byte
	// Props are properties other than Reply, as message.AppendProperty makes them; SetProperty adds one.
	Props []byte

	// Compressed asks for Data or Fields to be packed on the way, if that makes them smaller. In what came, it means that they could
	// not be unpacked, and are as they came: compression is undone before a message is handed over.
	Compressed bool

	sub *Subscription
}

// Subscription returns that for which the message came; nil for a message of one's own, or the answer to a request.
func (m *Msg) Subscription() *Subscription {
	if m.sub == nil || m.sub.internal {
		return nil
	}
	return m.sub
}

// Clone returns a copy that shares no memory with m. It can be published again.
func (m *Msg) Clone() *Msg {
	c := *m
	c.Data, c.Header = bytes.Clone(m.Data), bytes.Clone(m.Header)
	c.Fields, c.Props = bytes.Clone(m.Fields), bytes.Clone(m.Props)
	return &c
}

// Property returns the value of a property, and whether there is one. It aliases Props.
func (m *Msg) Property(t message.Tag) ([]byte, bool) {
	return (&message.Message{Props: m.Props}).Property(t)
}

// SetProperty puts a property into Props, in place of one that is there. The reply-to goes into Reply, not here.
func (m *Msg) SetProperty(t message.Tag, value []byte) {
	if _, ok := m.Property(t); ok {
		m.Props = without(m.Props, t)
	}
	m.Props = message.AppendProperty(slices.Clip(m.Props), t, value)
}

// without returns a copy of props that leaves out t.
func without(props []byte, t message.Tag) []byte {
	var kept []byte
	for {
		tag, value, rest, ok := message.NextProperty(props)
		if !ok {
			return kept
		}
		if tag != t {
			kept = message.AppendProperty(kept, tag, value)
		}
		props = rest
	}
}

// CorrelationID returns what ties an answer to its question, "" when there is none.
func (m *Msg) CorrelationID() string {
	id, _ := m.Property(message.TagCorrelationID)
	return string(id)
}

// SetCorrelationID sets it.
func (m *Msg) SetCorrelationID(id string) { m.SetProperty(message.TagCorrelationID, []byte(id)) }

// Sender returns the unique subject of the sender, "" when the message does not say it.
func (m *Msg) Sender() string {
	sender, _ := m.Property(message.TagSender)
	return string(sender)
}

// Sent returns when the message was sent, by the sender's clock; false when the message does not say it.
func (m *Msg) Sent() (time.Time, bool) {
	seconds, ok := (&message.Message{Props: m.Props}).RealProperty(message.TagSenderTimestamp)
	if !ok || math.IsNaN(seconds) || math.Abs(seconds) > 1<<40 {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// Field returns the field at a position, from 0. Of a message to publish, these are Fields. False: there is none.
func (m *Msg) Field(i int) (message.Field, bool) {
	return m.find(func(at int, _ message.Field) bool { return at == i })
}

// Named returns the first field of a name. False: there is none.
func (m *Msg) Named(name string) (message.Field, bool) {
	return m.find(func(_ int, f message.Field) bool { return string(f.Name) == name && name != "" })
}

func (m *Msg) find(wanted func(int, message.Field) bool) (message.Field, bool) {
	for i, rest := 0, m.Fields; !m.Compressed; i++ {
		f, n, err := message.NextField(rest)
		if err != nil || n == 0 {
			break
		}
		if wanted(i, f) {
			return f, true
		}
		rest = rest[n:]
	}
	return message.Field{}, false
}

// Respond answers a message that came. Errors: ErrNoReply, and those of Publish.
func (m *Msg) Respond(ctx context.Context, data []byte) error {
	return m.RespondMsg(ctx, &Msg{Data: data})
}

// RespondMsg answers a message that came with another one, whose Subject is ignored. The answer gets the correlation id of the
// question, unless it has one. answer is not changed. Errors: ErrNoReply, and those of PublishMsg.
func (m *Msg) RespondMsg(ctx context.Context, answer *Msg) error {
	if m.Reply == "" || m.sub == nil {
		return ErrNoReply
	}
	a := *answer
	a.Subject = m.Reply
	if id, ok := m.Property(message.TagCorrelationID); ok {
		if _, has := a.Property(message.TagCorrelationID); !has {
			a.SetProperty(message.TagCorrelationID, id)
		}
	}
	return m.sub.conn.PublishMsg(ctx, &a)
}

// AppendText appends the message as a line of a text message file: its type, its subject and its fields. types may be nil.
func (m *Msg) AppendText(dst []byte, types *message.Types) []byte {
	w := message.Message{Type: m.Type, Dest: []byte(m.Subject), Fields: m.Fields}
	if w.Type == 0 {
		w.Type = message.TypeJMSBytes
	}
	switch {
	case m.Fields == nil:
		w.Fields = message.AppendFromNATS(nil, m.Header, m.Data)
	case m.Compressed && m.sub != nil:
		w.Flags = message.FlagCompressed
	}
	return message.AppendText(dst, &w, types)
}
