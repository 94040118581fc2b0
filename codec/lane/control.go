package lane

import (
	"encoding/binary"
	"fmt"
	"time"

	"roundhouse/codec"
)

// Version of the lane protocol.
const Version = 1

// Hello is the first packet in each direction.
type Hello struct {
	Version   uint8
	Lane      uint16 // the lane's number: the index of the loop that it belongs to
	Window    uint32 // body bytes that the sender takes on a new stream before it gives credit
	Heartbeat uint32 // how often the sender pings, in ms
	MaxHead   uint32 // the longest head that the sender takes, in bytes
}

const helloLen = 1 + 2 + 4 + 4 + 4

// AppendHello appends a hello packet.
func AppendHello(dst []byte, h Hello) []byte {
	dst = AppendHead(dst, OpHello, 0, 0, helloLen)
	dst = append(dst, h.Version)
	dst = binary.BigEndian.AppendUint16(dst, h.Lane)
	dst = binary.BigEndian.AppendUint32(dst, h.Window)
	dst = binary.BigEndian.AppendUint32(dst, h.Heartbeat)
	return binary.BigEndian.AppendUint32(dst, h.MaxHead)
}

// ParseHello reads the data of a hello packet. What a later version adds at the end is ignored.
func ParseHello(b []byte) (h Hello, err error) {
	if len(b) < helloLen {
		return h, short(OpHello, len(b), helloLen)
	}
	h = Hello{
		Version: b[0], Lane: binary.BigEndian.Uint16(b[1:]), Window: binary.BigEndian.Uint32(b[3:]),
		Heartbeat: binary.BigEndian.Uint32(b[7:]), MaxHead: binary.BigEndian.Uint32(b[11:]),
	}
	if h.Version == 0 || h.Window == 0 || h.Window > MaxWindow {
		return h, fmt.Errorf("lane: hello with version %d, window %d (1 to %d): %w", h.Version, h.Window, MaxWindow, codec.ErrMalformed)
	}
	return h, nil
}

// Code says why a stream was reset.
type Code uint16

// The codes of resets.
const (
	CodeCancelled    Code = iota + 1 // the client has gone
	CodeBackendDown                  // the back end cannot be connected to
	CodeBackendReset                 // the back end broke the exchange
	CodeBadResponse                  // the back end's answer breaks the rules of HTTP
	CodeTimeout                      // the back end took too long
	CodeProtocol                     // the other end of the lane broke the protocol
	CodeOverload                     // no resources for the stream
	CodeGoingAway                    // the end is shutting down and took no new stream
	CodeAffinityLost                 // the connection that the session is bound to was lost with all others of its epoch
)

// AppendReset appends a reset packet.
func AppendReset(dst []byte, stream uint32, flags Flags, code Code, text string) []byte {
	dst = AppendHead(dst, OpReset, flags, stream, 2+len(text))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), text...)
}

// ParseReset reads the data of a reset packet. text aliases b.
func ParseReset(b []byte) (code Code, text []byte, err error) {
	if len(b) < 2 {
		return 0, nil, short(OpReset, len(b), 2)
	}
	return Code(binary.BigEndian.Uint16(b)), b[2:], nil
}

// AppendUint32 appends a credit or goaway packet.
func AppendUint32(dst []byte, op Op, stream, v uint32) []byte {
	return binary.BigEndian.AppendUint32(AppendHead(dst, op, 0, stream, 4), v)
}

// ParseUint32 reads the data of a credit or goaway packet.
func ParseUint32(op Op, b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, short(op, len(b), 4)
	}
	return binary.BigEndian.Uint32(b), nil
}

// AppendStatus appends a status packet: the enabler's word on its back end.
func AppendStatus(dst []byte, up bool, text string) []byte {
	dst = AppendHead(dst, OpStatus, 0, 0, 1+len(text))
	if up {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	return append(dst, text...)
}

// ParseStatus reads the data of a status packet. text aliases b.
func ParseStatus(b []byte) (up bool, text []byte, err error) {
	if len(b) < 1 {
		return false, nil, short(OpStatus, len(b), 1)
	}
	if b[0] > 1 {
		return false, nil, fmt.Errorf("lane: status %d, 0 or 1 is needed: %w", b[0], codec.ErrMalformed)
	}
	return b[0] == 1, b[1:], nil
}

// Junctions are the connections of an enabler to its back end.
type Junctions struct {
	Active uint32 // that carry a request, or are being opened
	Idle   uint32 // the others, those that are kept for sessions too
}

const junctionsLen = 8

// AppendJunctions appends a junctions packet.
func AppendJunctions(dst []byte, j Junctions) []byte {
	dst = AppendHead(dst, OpJunctions, 0, 0, junctionsLen)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, j.Active), j.Idle)
}

// ParseJunctions reads the data of a junctions packet. What a later version adds at the end is ignored.
func ParseJunctions(b []byte) (Junctions, error) {
	if len(b) < junctionsLen {
		return Junctions{}, short(OpJunctions, len(b), junctionsLen)
	}
	return Junctions{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
}

// Socket names a connection of an enabler to its back end. The zero Socket names none.
type Socket struct {
	Epoch  uint32 // of the enabler: another one after each loss of all its connections
	Number uint32 // from 1
}

// SocketLen is what a Socket takes in front of a head, in bytes.
const SocketLen = 8

// AppendSocket appends a Socket.
func AppendSocket(dst []byte, s Socket) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, s.Epoch), s.Number)
}

// CutSocket takes a Socket off the data of a request or a response that has FlagSocket. head aliases b.
func CutSocket(op Op, b []byte) (s Socket, head []byte, err error) {
	if len(b) < SocketLen {
		return s, nil, short(op, len(b), SocketLen)
	}
	return Socket{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, b[SocketLen:], nil
}

func short(op Op, got, want int) error {
	return fmt.Errorf("lane: %v with %d bytes of data, %d are needed: %w", op, got, want, codec.ErrMalformed)
}

// TookLen is what the time of the back end takes in front of a head, in bytes.
const TookLen = 4

// AppendTook appends the time of the back end; one that is longer than an hour is an hour.
func AppendTook(dst []byte, took time.Duration) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(min(max(took, 0), time.Hour).Microseconds()))
}

// CutTook takes that time off the data of a response that has FlagTimed. head aliases b.
func CutTook(op Op, b []byte) (took time.Duration, head []byte, err error) {
	if len(b) < TookLen {
		return 0, nil, short(op, len(b), TookLen)
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond, b[TookLen:], nil
}
