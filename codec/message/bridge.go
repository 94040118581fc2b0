package message

import "bytes"

// natsHeader is the name of the field that holds the header block of a NATS message.
const natsHeader = "nats_header"

// AppendFromNATS appends the fields of a message that a NATS client publishes: a Binary with its payload and, when there is a
// header block, a Binary with it named nats_header. The type of such a message is TypeJMSBytes.
func AppendFromNATS(dst, header, payload []byte) []byte {
	dst = AppendBinary(dst, payload)
	if len(header) == 0 {
		return dst
	}
	dst = append(dst, byte(Binary)|namedBit, byte(len(natsHeader)))
	dst = append(dst, natsHeader...)
	return append(appendLen(dst, len(header)), header...)
}

// FromNATSSize is what AppendFromNATS appends, in bytes.
func FromNATSSize(header, payload []byte) int {
	n := 1 + 4 + len(payload)
	if len(header) > 0 {
		n += 2 + len(natsHeader) + 4 + len(header)
	}
	return n
}

// NATSPayload returns what a NATS client gets of m. When the fields are one Binary, Str, UTF8 or XML without a name, and after it
// at most a Binary named nats_header that holds a header block, these are the payload and the header. Of any other message the
// payload is the whole field block, and there is no header. Both alias m. Nothing is allocated.
func NATSPayload(m *Message) (header, payload []byte) {
	if m.Flags&FlagCompressed != 0 {
		return nil, m.Fields
	}
	payload, rest, ok := cutPayload(m.Fields)
	if !ok {
		return nil, m.Fields
	}
	if len(rest) == 0 {
		return nil, payload
	}
	header, ok = cutNATSHeader(rest)
	if !ok {
		return nil, m.Fields
	}
	return header, payload
}

// cutPayload cuts a first field that can be a payload from b. It does without NextField, which makes an error of what is not.
func cutPayload(b []byte) (payload, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	switch Kind(b[0]) { // no bit for a name or an unknown value
	case Binary, Str, UTF8, XML:
		head, size, ok := measure(Binary, b[1:])
		if !ok {
			return nil, nil, false
		}
		start := 1 + head
		return b[start : start+size : start+size], b[start+size:], true
	}
	return nil, nil, false
}

// cutNATSHeader returns the header block, if b is nothing but the field of it.
func cutNATSHeader(b []byte) ([]byte, bool) {
	const nameEnd = 2 + len(natsHeader)
	if len(b) < nameEnd || b[0] != byte(Binary)|namedBit || int(b[1]) != len(natsHeader) || string(b[2:nameEnd]) != natsHeader {
		return nil, false
	}
	head, size, ok := measure(Binary, b[nameEnd:])
	if !ok || nameEnd+head+size != len(b) {
		return nil, false
	}
	block := b[nameEnd+head:]
	// A NATS client cannot read on after a block that is none.
	return block, bytes.HasPrefix(block, []byte("NATS/1.0")) && bytes.HasSuffix(block, []byte("\r\n\r\n"))
}
