// Package message is the wire format of the router door: messages, their properties and their typed fields.
//
// A message travels in a frame (package frame). All integers are big endian.
//
//	 0  flags 1          FlagResend, FlagCompressed, FlagProperties; every other bit is 0
//	 1  modes 1          low half: Delivery; high half: Balance
//	 2  priority 2       signed; bigger is more important
//	 4  type 4           signed; Type
//	 8  sequence 4       of a guaranteed message, else 0
//	12  length 2         of the destination, in bytes
//	14  length 2         of the properties, in bytes; 0 exactly when FlagProperties is not set
//	16  destination | properties | fields
//
//	properties   (tag 1, length 2, value)*
//	fields       (kind 1, name, value)*     field.go
//
// Nouns: a Message is a header, properties and fields; a Type is the number that tells a receiver what to do with it, and its
// name and grammar; a property is one of the optional values of the header; a Field is a value with a Kind, with or without a
// name. Hello, Welcome and the others in hello.go and control.go are messages that a server answers itself. A Reader and a Writer
// are for files of messages. bridge.go says what a message looks like to a NATS client and the reverse.
//
// Everything that is parsed points into the bytes that it was parsed from. Nothing here copies a payload.
//
// Source: our protocol. The names, the type numbers and the text files are those of SmartSockets.
package message

import (
	"encoding/binary"
	"fmt"
	"math"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// HeaderLen is the length of the fixed part of a message, in bytes.
const HeaderLen = 16

// MaxDest and MaxProps are the most bytes that a destination and a property block can have on the wire.
const (
	MaxDest  = math.MaxUint16
	MaxProps = math.MaxUint16
)

// Bits of Message.Flags.
const (
	FlagResend     = 1 // a guaranteed message that is sent again
	FlagCompressed = 2 // the fields are compressed from end to end: no server opens them
	FlagProperties = 4 // there are properties: set by Append, checked by Parse
	flagsKnown     = FlagResend | FlagCompressed | FlagProperties
)

// Delivery is how hard the servers try.
type Delivery uint8

// The delivery modes. Some and All are guaranteed delivery.
const (
	BestEffort Delivery = iota
	Ordered
	Some
	All
)

// Balance is how the receivers share the messages of a subject.
type Balance uint8

// The load balancing modes.
const (
	BalanceNone Balance = iota
	RoundRobin
	Weighted
	Sorted
)

// Message is a message. Its slices alias what was parsed, or what its maker put in.
type Message struct {
	Flags    uint8
	Delivery Delivery
	Balance  Balance
	Priority int16
	Type     Type
	Seq      uint32
	Dest     []byte // at most MaxDest bytes; whether it is a subject is not judged here
	Props    []byte // whole properties; at most MaxProps bytes
	Fields   []byte // not looked into by Parse
}

// Parse reads b, a whole message without its frame header, into m, whose slices then alias b. Every length, that of each property
// too, is judged before it is used; the destination and the fields are taken as they are. Nothing is allocated but an error.
// Errors: codec.ErrMalformed; m is then not to be used.
func Parse(b []byte, m *Message) error {
	if len(b) < HeaderLen {
		return malformed("message of %d bytes", len(b))
	}
	flags, modes := b[0], b[1]
	dest := int(binary.BigEndian.Uint16(b[12:]))
	props := int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case flags&^flagsKnown != 0:
		return malformed("flags %#02x", flags)
	case modes&0x0F > byte(All) || modes>>4 > byte(Sorted):
		return malformed("modes %#02x", modes)
	case len(b)-HeaderLen < dest+props:
		return malformed("destination of %d and properties of %d bytes in a message of %d", dest, props, len(b))
	case (flags&FlagProperties != 0) != (props > 0):
		return malformed("properties of %d bytes, flags %#02x", props, flags)
	}
	m.Flags = flags
	m.Delivery = Delivery(modes & 0x0F)
	m.Balance = Balance(modes >> 4)
	m.Priority = int16(binary.BigEndian.Uint16(b[2:]))
	m.Type = Type(binary.BigEndian.Uint32(b[4:]))
	m.Seq = binary.BigEndian.Uint32(b[8:])
	end := HeaderLen + dest
	m.Dest = b[HeaderLen:end:end]
	m.Props = b[end : end+props : end+props]
	m.Fields = b[end+props:]
	if props > 0 && !wholeProperties(m.Props) {
		return malformed("properties of %d bytes end within one", props)
	}
	return nil
}

// Size is the length of m on the wire, in bytes, without the frame header.
func Size(m *Message) int {
	return HeaderLen + len(m.Dest) + len(m.Props) + len(m.Fields)
}

// Check tells whether m fits the wire and limit, the most bytes of a message; at most frame.MaxSize counts. Append panics on what
// does not fit, so whoever makes a message from what others said asks first. Errors: codec.ErrTooLarge.
func Check(m *Message, limit int) error {
	limit = min(limit, frame.MaxSize)
	if len(m.Dest) > MaxDest || len(m.Props) > MaxProps || Size(m) > limit {
		return fmt.Errorf("message: destination of %d, properties of %d, message of %d bytes, limit %d: %w",
			len(m.Dest), len(m.Props), Size(m), limit, codec.ErrTooLarge)
	}
	return nil
}

// Append appends m without a frame header. FlagProperties is set when m has properties and cleared when not; m is not changed.
// A destination or properties that do not fit, and modes that do not exist, are a bug of the caller: see Check.
func Append(dst []byte, m *Message) []byte {
	if len(m.Dest) > MaxDest || len(m.Props) > MaxProps || m.Delivery > All || m.Balance > Sorted {
		panic(fmt.Sprintf("BUG: message: destination of %d, properties of %d bytes, delivery %d, balance %d",
			len(m.Dest), len(m.Props), m.Delivery, m.Balance))
	}
	flags := m.Flags &^ FlagProperties
	if len(m.Props) > 0 {
		flags |= FlagProperties
	}
	var h [HeaderLen]byte
	h[0] = flags
	h[1] = byte(m.Delivery) | byte(m.Balance)<<4
	binary.BigEndian.PutUint16(h[2:], uint16(m.Priority))
	binary.BigEndian.PutUint32(h[4:], uint32(m.Type))
	binary.BigEndian.PutUint32(h[8:], m.Seq)
	binary.BigEndian.PutUint16(h[12:], uint16(len(m.Dest)))
	binary.BigEndian.PutUint16(h[14:], uint16(len(m.Props)))
	dst = append(dst, h[:]...)
	dst = append(dst, m.Dest...)
	dst = append(dst, m.Props...)
	return append(dst, m.Fields...)
}

// AppendFrame appends a frame that holds m. Size(m) <= frame.MaxSize, and what Append wants: see Check.
func AppendFrame(dst []byte, m *Message) []byte {
	return Append(frame.AppendHeader(dst, Size(m)), m)
}

// malformed is an error of whoever made the bytes. Its text never holds a payload.
func malformed(format string, args ...any) error {
	return fmt.Errorf("message: "+format+": %w", append(args, codec.ErrMalformed)...)
}
