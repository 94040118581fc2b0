package pubsub

import (
	"bytes"
	"compress/zlib"
	"io"

	"roundhouse/codec/message"
)

// pack returns a message whose fields are compressed, and true; or m, when they would not be smaller.
func pack(m *Msg) (*Msg, bool) {
	fields := m.Fields
	if fields == nil {
		fields = message.AppendFromNATS(nil, m.Header, m.Data)
	}
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(fields) // a buffer takes everything
	_ = w.Close()
	if b.Len() >= len(fields) {
		return m, false
	}
	packed := *m
	packed.Fields = b.Bytes()
	return &packed, true
}

// unpack undoes the compression of a message that came. What is no compressed field block, or has more than limit bytes, is left as it
// is. Source: RTserver, "Compression".
func (m *Msg) unpack(limit int) {
	r, err := zlib.NewReader(bytes.NewReader(m.Fields))
	if err != nil {
		return
	}
	fields, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil || len(fields) > limit {
		return
	}
	m.Fields, m.Compressed = fields, false
	m.Header, m.Data = message.NATSPayload(&message.Message{Fields: fields})
}
