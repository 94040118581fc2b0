// Package lane reads and writes what travels between the relay and an outbound enabler.
//
// A lane is two HTTP exchanges that never end: the response of a GET carries packets from the relay to the enabler (up), the
// body of a POST those from the enabler to the relay (down). Both are chunked; where a chunk ends means nothing, so that
// proxies may cut them anew. Where a proxy wants a length, the body of the POST has one, and the next POST goes on with the byte that
// follows; where endless bodies do not pass, a WebSocket connection carries both directions in binary messages. Each packet is a frame of package frame with this payload:
//
//	0  op, 1 byte   1  flags, 1 byte   2  stream, 4 bytes, big endian   6  data
//
// A stream is one relayed request. The relay numbers streams; stream 0 is the lane itself. The body bytes of a stream flow
// under credit in each direction (window.go), so that a slow peer of one stream delays no other.
//
//	op        from     data                                                          flags
//	hello     both     version 1 | lane 2 | window 4 | heartbeat 4 (ms) | head 4     -
//	request   relay    request head: canonical HTTP/1.1 text                         last, chunked, upgrade, socket, timed
//	response  enabler  response head: canonical HTTP/1.1 text                        last, chunked, info, upgrade, socket, timed
//	data      both     body bytes                                                    last
//	trailer   both     trailer fields as HTTP/1.1 text; ends the body                last
//	credit    both     4 bytes: how many more body bytes its sender takes            -
//	reset     both     code 2 | text; ends the stream                                unseen
//	upgraded  enabler  nothing: data is opaque from here on. The upgrade flag of the
//	                   response says so already; taken, and without effect           -
//	status    enabler  1 byte, 1 = back end up, 0 = down | text                      -
//	ping pong both     8 bytes, returned as they are                                 -
//	goaway    both     4 bytes: after how many ms to open another lane               -
//	pad       both     anything; pushes what came before it through a proxy          -
//	peers     relay    nothing: the list of relay servers, or its limits, changed    -
//	junctions enabler  active 4 | idle 4: connections to the back end; on lane 0
//	                   only, to a relay server that lists the feature "junctions"    -
//
// The relay may say hello again: streams that it opens after it begin with the window that it names.
//
// A goaway of the enabler says that it wants no new streams. One of the relay says that the lane will end, and that another one should
// be opened at once; new streams may come until then.
//
// With the flag socket the data begins with epoch 4 | socket 4: in a request, the connection to the back end that a session is bound to,
// or zeros when it is to be bound to one; in its final response, the connection that was used. The epoch tells one life of an enabler's
// connections from another.
//
// With the flag timed a relay asks for the time of the back end. Then, and only then, the data of the final response begins, behind a socket, with
// 4 bytes: how many microseconds passed from the last byte of the request to the head of the answer, or from the connection if that came later.
//
// Source: our protocol; the two endless exchanges are those of the SQL Anywhere relay server.
package lane

import (
	"encoding/binary"
	"fmt"

	"roundhouse/codec"
	"roundhouse/codec/frame"
)

// Op says what a packet is.
type Op uint8

// The ops, in the order of the table above.
const (
	OpHello Op = iota + 1
	OpRequest
	OpResponse
	OpData
	OpTrailer
	OpCredit
	OpReset
	OpUpgraded
	OpStatus
	OpPing
	OpPong
	OpGoaway
	OpPad
	OpPeers
	OpJunctions
)

var opNames = [...]string{"", "hello", "request", "response", "data", "trailer", "credit", "reset", "upgraded", "status", "ping", "pong", "goaway", "pad", "peers", "junctions"}

// String is the op's name.
func (o Op) String() string {
	if o == 0 || int(o) >= len(opNames) {
		return fmt.Sprintf("op %d", uint8(o))
	}
	return opNames[o]
}

// Flags of a packet. Unknown ones are ignored.
type Flags uint8

const (
	FlagLast    Flags = 1 << iota // nothing of this body follows
	FlagInfo                      // a response that is informational: another follows
	FlagChunked                   // the head says chunked: the length of the body is not known before its end
	FlagUpgrade                   // the request asks for, or the response grants, another protocol
	FlagUnseen                    // of a reset: the back end saw nothing of the request
	FlagSocket                    // of a request or a response: the data begins with a Socket
	FlagTimed                     // of a request: the time of the back end is asked for; of a final response: it stands before the head
)

// Lengths, in bytes.
const (
	// HeadLen is what a packet needs besides its data: the frame's header, op, flags and stream.
	HeadLen = frame.HeaderLen + headRest
	// MaxData is the most data of a packet that a reader takes.
	MaxData = 1 << 20
	// MaxControl is the most data of a packet other than data: room for the largest head that the limits let through.
	MaxControl = 256 << 10

	headRest = 6 // op, flags and stream
)

// Packet is one packet, or a part of a data packet.
type Packet struct {
	Op     Op
	Flags  Flags
	Stream uint32
	// Data aliases what the reader was given, or the reader's own memory: it is valid until the next call.
	Data []byte
}

// AppendHead appends all of a packet but its data, of which size bytes are to follow.
func AppendHead(dst []byte, op Op, flags Flags, stream uint32, size int) []byte {
	var h [HeadLen]byte
	frame.PutHeader(h[:], headRest+size)
	h[8], h[9] = byte(op), byte(flags)
	binary.BigEndian.PutUint32(h[10:], stream)
	return append(dst, h[:]...)
}

// Append appends a packet.
func Append(dst []byte, p Packet) []byte {
	return append(AppendHead(dst, p.Op, p.Flags, p.Stream, len(p.Data)), p.Data...)
}

// Reader takes a lane's bytes as they come and gives packets. It holds back incomplete packets in memory of its own, at most
// HeadLen + MaxControl bytes and, above a few hundred, at most twice what has come of the packet: its head alone, which is the
// peer's word, allocates nothing. The data of data packets is not held back but passed on as it comes. The zero value is ready.
type Reader struct {
	held   []byte // an incomplete packet
	data   Packet // the data packet that is being passed on, without data
	remain int    // bytes of it that are still to come; 0 <= remain <= MaxData
}

const (
	minHeld  = 512     // bytes of memory for the first part of an incomplete packet
	keepHeld = 4 << 10 // bytes of memory that are kept between packets: a head's worth, not a burst
)

// Next reads from the front of in. n is what it consumed: with n > 0 and p.Op == 0 all of it was held back. It is to be called
// until in is used up. A data packet that comes in parts is several packets; FlagLast is on the last one only.
//
// Errors: codec.ErrMalformed, codec.ErrTooLarge. After either the lane is out of step.
func (r *Reader) Next(in []byte) (p Packet, n int, err error) {
	switch {
	case r.remain > 0:
		p, n = r.part(in)
		return p, n, nil
	case len(r.held) > 0:
		return r.continueHeld(in)
	}
	size, err := parseHead(in, &p)
	switch {
	case err != nil:
		return Packet{}, 0, err
	case len(in) >= HeadLen && p.Op == OpData:
		p, n = r.start(p, size, in[HeadLen:])
		return p, HeadLen + n, nil
	case len(in) < HeadLen || len(in) < HeadLen+size:
		r.hold(in)
		return Packet{}, len(in), nil
	}
	p.Data = in[HeadLen : HeadLen+size]
	return p, HeadLen + size, nil
}

// Idle tells whether the reader stands between two packets.
func (r *Reader) Idle() bool { return r.remain == 0 && len(r.held) == 0 }

// HeldForTest is the memory that the reader has for incomplete packets, in bytes.
func (r *Reader) HeldForTest() int { return cap(r.held) }

// start begins the data packet p of size bytes; in is what follows its head.
func (r *Reader) start(p Packet, size int, in []byte) (Packet, int) {
	if size == 0 {
		return p, 0
	}
	r.data, r.remain = p, size
	return r.part(in)
}

// part passes on what in holds of the current data packet.
func (r *Reader) part(in []byte) (Packet, int) {
	n := min(len(in), r.remain)
	if n == 0 {
		return Packet{}, 0
	}
	p := r.data
	p.Data = in[:n]
	if r.remain -= n; r.remain > 0 {
		p.Flags &^= FlagLast
	}
	return p, n
}

// continueHeld adds what the held packet lacks: first its head, then its data.
func (r *Reader) continueHeld(in []byte) (p Packet, n int, err error) {
	if len(r.held) < HeadLen {
		n = min(len(in), HeadLen-len(r.held))
		r.hold(in[:n])
	}
	size, err := parseHead(r.held, &p)
	if err != nil || len(r.held) < HeadLen {
		return Packet{}, n, err
	}
	if p.Op == OpData {
		r.held = r.held[:0]
		p, more := r.start(p, size, in[n:])
		return p, n + more, nil
	}
	more := min(len(in)-n, HeadLen+size-len(r.held))
	r.hold(in[n : n+more])
	if n += more; len(r.held) < HeadLen+size {
		return Packet{}, n, nil
	}
	p.Data = r.held[HeadLen:]
	r.held = r.held[:0]
	if cap(r.held) > keepHeld {
		r.held = nil
	}
	return p, n, nil
}

// hold adds b to the held packet. Memory grows with what has come, not with what the packet's head promises.
func (r *Reader) hold(b []byte) {
	if need := len(r.held) + len(b); need > cap(r.held) {
		grown := make([]byte, len(r.held), min(max(need, 2*len(r.held), minHeld), HeadLen+MaxControl))
		copy(grown, r.held)
		r.held = grown
	}
	r.held = append(r.held, b...)
}

// parseHead reads what it can of a packet's head: an error is found as soon as its bytes are there. size is valid, and p is
// filled, when b holds HeadLen bytes.
func parseHead(b []byte, p *Packet) (size int, err error) {
	size, n, err := frame.ParseHeader(b, headRest+MaxData)
	if err != nil || n == 0 {
		return 0, err
	}
	if size -= headRest; size < 0 {
		return 0, fmt.Errorf("lane: packet of %d bytes, at least %d are needed: %w", size+headRest, headRest, codec.ErrMalformed)
	}
	if len(b) < HeadLen {
		return 0, nil
	}
	p.Op, p.Flags, p.Stream = Op(b[8]), Flags(b[9]), binary.BigEndian.Uint32(b[10:])
	if p.Op == 0 || p.Op > OpJunctions {
		return 0, fmt.Errorf("lane: unknown %v: %w", p.Op, codec.ErrMalformed)
	}
	if p.Op != OpData && size > MaxControl {
		return 0, fmt.Errorf("lane: %v of %d bytes, limit %d: %w", p.Op, size, MaxControl, codec.ErrTooLarge)
	}
	return size, nil
}
